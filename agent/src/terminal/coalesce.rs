//! When output that was read goes out (pure): at once after a quiet moment, so that an echo is not delayed; together
//! with what follows within 2 ms in a burst, because the kernel hands out at most 4 KiB at a time.

use std::time::Duration;
use tokio::time::Instant;

/// Longest wait for more.
const WAIT: Duration = Duration::from_millis(2);

/// Remembers the last flush.
#[derive(Debug, Default)]
pub struct Coalescer {
    flushed: Option<Instant>,
    due: Option<Instant>,
}

impl Coalescer {
    /// Output was read and `held` bytes are waiting; whether they go out now.
    pub fn read(&mut self, now: Instant, held: u64, enough: u64) -> bool {
        let quiet = self.flushed.is_none_or(|flushed| now.saturating_duration_since(flushed) > WAIT);
        if quiet || held >= enough {
            self.flush(now);
            return true;
        }
        self.due = self.due.or_else(|| self.flushed.map(|flushed| flushed + WAIT));
        false
    }

    /// When what waits must go out.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// What waited goes out.
    pub fn flush(&mut self, now: Instant) {
        self.flushed = Some(now);
        self.due = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_echo_goes_at_once_and_a_burst_waits_for_company() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut coalescer = Coalescer::default();
        assert!(coalescer.read(at(0), 1, 100));
        assert!(!coalescer.read(at(1), 1, 100));
        assert_eq!(coalescer.due(), Some(at(2)));
        assert!(coalescer.read(at(1), 100, 100));
        assert_eq!(coalescer.due(), None);
        assert!(coalescer.read(at(10), 1, 100));
    }
}
