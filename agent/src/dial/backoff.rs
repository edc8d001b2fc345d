//! How long to wait before dialing again (pure; randomness is an argument).

use std::time::Duration;

/// The first retry comes within this, since most drops are deploys and sockets that died in a pause.
const FIRST_MS: u64 = 200;
/// No wait is longer than this.
const LONGEST_MS: u64 = 10_000;

/// Counts failures in a row.
#[derive(Debug, Default, Clone, Copy)]
pub struct Backoff(u32);

impl Backoff {
    /// The next wait: between a half and the whole of 0.2 s, 0.4 s, … 10 s.
    pub fn next(&mut self, random: u8) -> Duration {
        let longest = FIRST_MS.saturating_mul(1 << self.0.min(10)).min(LONGEST_MS);
        self.0 = self.0.saturating_add(1);
        Duration::from_millis(longest / 2 + longest * u64::from(random) / 510)
    }

    /// A socket was open for this long; if that was long enough to call it healthy, the count starts anew.
    pub fn lasted(&mut self, time: Duration, healthy: Duration) {
        if time >= healthy {
            self.0 = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_ten_seconds() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.next(0), Duration::from_millis(100));
        assert_eq!(backoff.next(255), Duration::from_millis(400));
        for _ in 0..50 {
            assert!(backoff.next(255) <= Duration::from_secs(10));
        }
        assert_eq!(backoff.next(255), Duration::from_secs(10));
        backoff.lasted(Duration::from_secs(1), Duration::from_secs(5));
        assert!(backoff.next(0) >= Duration::from_secs(5));
        backoff.lasted(Duration::from_secs(6), Duration::from_secs(5));
        assert!(backoff.next(255) <= Duration::from_millis(200));
    }
}
