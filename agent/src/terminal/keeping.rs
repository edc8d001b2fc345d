//! When a session's last screen is handed to the object (pure), to be looked at while the machine sleeps: after a quiet
//! while, if anything changed, and not too often.
//!
//! Whoever waits for [`Keeping::due`] wakes once after output has ended, and not at all while nothing happens.

use std::time::Duration;
use tokio::time::Instant;

/// Remembers the last change and the last time.
#[derive(Debug)]
pub struct Keeping {
    quiet: Duration,
    apart: Duration,
    changed: Option<Instant>,
    kept: Option<Instant>,
}

impl Keeping {
    /// After this much quiet, and this far apart.
    #[must_use]
    pub fn new(quiet: Duration, apart: Duration) -> Self {
        Self { quiet, apart, changed: None, kept: None }
    }

    /// There was output.
    pub fn changed(&mut self, now: Instant) {
        self.changed = Some(now);
    }

    /// When the screen is to be kept.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        let after_quiet = self.changed? + self.quiet;
        Some(self.kept.map_or(after_quiet, |kept| after_quiet.max(kept + self.apart)))
    }

    /// It is kept.
    pub fn kept(&mut self, now: Instant) {
        (self.changed, self.kept) = (None, Some(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screen_is_kept_after_a_quiet_while_and_not_too_often() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut keeping = Keeping::new(Duration::from_secs(10), Duration::from_mins(1));
        assert_eq!(keeping.due(), None);
        keeping.changed(at(0));
        keeping.changed(at(3));
        assert_eq!(keeping.due(), Some(at(13)));
        keeping.kept(at(13));
        assert_eq!(keeping.due(), None);
        keeping.changed(at(20));
        assert_eq!(keeping.due(), Some(at(73)));
        keeping.changed(at(70));
        assert_eq!(keeping.due(), Some(at(80)));
    }
}
