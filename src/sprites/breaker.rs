//! The circuit breaker: after repeated failures of the provider nothing is asked for a while, then one call tries.
//!
//! One per isolate. An object serves one machine and would have to find out for itself; a store that all share would
//! cost a call before every call. An isolate holds many objects, and learns in five calls. The API has one host for all
//! its regions, so a deployment has one breaker.
//!
//! Only calls about the account's records count ([`super::transport::Ask::records`]): whatever a single sprite fails at
//! must not keep others from waking. A limit that is reached is an answer, and so is a refusal.

use std::cell::RefCell;

use super::Error;
use super::error::Kind;
use crate::domain::times;

/// Failures in a row after which nothing is asked.
const FAILURES_MAX: u32 = 5;
/// For how long, the first time; doubles with each try that fails.
const PAUSE_MS: u64 = 2_000;
/// For how long at most.
const PAUSE_MAX_MS: u64 = 8_000;
/// How long the call that tries is waited for, should its caller have gone.
const TRIAL_MS: u64 = 60_000;

/// What is known of the provider.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Breaker {
    failures: u32,
    since_ms: u64,
    closed_until_ms: u64,
    pause_ms: u64,
}

impl Breaker {
    /// Whether a call may be made now. Of those who ask when a pause has ended, one may.
    ///
    /// # Errors
    /// Since when the provider has not answered.
    pub fn pass(&mut self, now_ms: u64) -> Result<(), u64> {
        if self.failures < FAILURES_MAX {
            return Ok(());
        }
        if now_ms < self.closed_until_ms {
            return Err(self.since_ms);
        }
        self.closed_until_ms = now_ms + TRIAL_MS;
        Ok(())
    }

    /// The provider answered.
    pub fn answered(&mut self) {
        *self = Self::default();
    }

    /// The provider failed.
    pub fn failed(&mut self, now_ms: u64) {
        if self.failures == 0 {
            self.since_ms = now_ms;
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures >= FAILURES_MAX {
            self.pause_ms = (self.pause_ms * 2).clamp(PAUSE_MS, PAUSE_MAX_MS);
            self.closed_until_ms = now_ms + self.pause_ms;
        }
    }

    /// Since when the provider has not answered, Unix ms, once nothing is asked for it.
    #[must_use]
    pub fn away_since_ms(&self) -> Option<u64> {
        (self.failures >= FAILURES_MAX).then_some(self.since_ms)
    }
}

thread_local! {
    static BREAKER: RefCell<Breaker> = RefCell::default();
}

/// Whether a call may be made.
///
/// # Errors
/// [`Error::Away`].
pub(super) fn pass(now_ms: u64) -> Result<(), Error> {
    let passed = BREAKER.with(|breaker| breaker.borrow_mut().pass(now_ms));
    passed.map_err(|since| Error::Away { since: times::from_ms(since).unwrap_or_default() })
}

/// What an answer says of the provider.
pub(super) fn learn<T>(answer: &Result<T, Error>, now_ms: u64) {
    BREAKER.with(|breaker| match answer {
        Err(error) if error.kind() == Kind::Provider => breaker.borrow_mut().failed(now_ms),
        Err(Error::Platform(_)) => {}
        _ => breaker.borrow_mut().answered(),
    });
}

/// Since when this isolate asks nothing, Unix ms.
#[must_use]
pub fn away_since_ms() -> Option<u64> {
    BREAKER.with(|breaker| breaker.borrow().away_since_ms())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken() -> Breaker {
        let mut breaker = Breaker::default();
        for number in 0..FAILURES_MAX {
            assert_eq!(breaker.pass(100), Ok(()), "{number} failures");
            breaker.failed(100 + u64::from(number));
        }
        breaker
    }

    #[test]
    fn after_five_failures_in_a_row_nothing_is_asked_for_a_while() {
        let mut breaker = broken();
        assert_eq!((breaker.pass(104), breaker.away_since_ms()), (Err(100), Some(100)));
        assert_eq!(breaker.pass(103 + PAUSE_MS), Err(100));
        // Then one tries, and the others wait for what becomes of it.
        assert_eq!(breaker.pass(104 + PAUSE_MS), Ok(()));
        assert_eq!(breaker.pass(104 + PAUSE_MS), Err(100));
        breaker.answered();
        assert_eq!((breaker.pass(105 + PAUSE_MS), breaker.away_since_ms()), (Ok(()), None));
        // One that never comes back is not waited for for ever.
        let mut breaker = broken();
        assert_eq!(breaker.pass(10_000), Ok(()));
        assert_eq!(breaker.pass(9_999 + TRIAL_MS), Err(100));
        assert_eq!(breaker.pass(10_000 + TRIAL_MS), Ok(()));
    }

    #[test]
    fn pauses_double_up_to_a_bound() {
        let (mut breaker, mut now, mut pauses) = (broken(), 104, Vec::new());
        for _ in 0..7 {
            let mut waited = 0;
            while breaker.pass(now + waited).is_err() {
                waited += 1_000;
            }
            now += waited;
            pauses.push(waited);
            breaker.failed(now);
        }
        assert_eq!(pauses, [2_000, 4_000, 8_000, 8_000, 8_000, 8_000, 8_000]);
        assert_eq!(breaker.away_since_ms(), Some(100));
    }

    #[test]
    fn an_answer_in_between_starts_the_count_anew() {
        let mut breaker = Breaker::default();
        for now in 0..1_000 {
            assert_eq!(breaker.pass(now), Ok(()));
            if now % 5 == 4 { breaker.answered() } else { breaker.failed(now) }
        }
    }

    #[test]
    fn limits_refusals_and_missing_sprites_are_answers() {
        let limited = || Err::<(), _>(Error::from_answer(429, None, b""));
        for _ in 0..20 {
            learn(&limited(), 5);
            learn::<()>(&Err(Error::from_answer(404, None, b"")), 5);
            learn::<()>(&Err(Error::TokenRefused), 5);
        }
        assert_eq!((pass(6), away_since_ms()), (Ok(()), None));
        for _ in 0..FAILURES_MAX {
            learn::<()>(&Err(Error::Silent), 5);
        }
        assert!(matches!(pass(6), Err(Error::Away { .. })));
        learn(&limited(), 7);
        assert_eq!(pass(8), Ok(()));
    }
}
