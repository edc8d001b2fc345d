//! Whether anything worth staying awake for happens (pure).
//!
//! Counted: terminal input and output, app requests and the bytes of their sockets, one-shot commands while they run,
//! and load on the processors where the machine's settings say so. Never counted: open tabs, attaching, acknowledgements, sizes, pings, and anything the agent does for itself.

use serde::{Deserialize, Serialize};

/// How often activity is reported while it goes on, in milliseconds.
const REPORT_EVERY: u64 = 5_000;

/// Remembers when something last happened.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meter {
    last: u64,
    reported: Option<u64>,
    idle_seconds: u64,
    idle_reports: u64,
    /// Whether load on the processors is worth staying awake for.
    #[serde(default)]
    pub cpu_counts: bool,
}

impl Meter {
    /// A meter that starts counting at `now` (ms of any steady clock).
    #[must_use]
    pub fn new(now: u64) -> Self {
        Self { last: now, ..Self::default() }
    }

    /// Something happened; whether to report it.
    pub fn happened(&mut self, now: u64) -> bool {
        self.last = now;
        self.idle_reports = 0;
        let due = self.reported.is_none_or(|reported| now.saturating_sub(reported) >= REPORT_EVERY);
        if due {
            self.reported = Some(now);
        }
        due
    }

    /// The machine was woken: idleness counts from now.
    pub fn woken(&mut self, now: u64) {
        self.last = now;
        self.idle_reports = 0;
        self.reported = None;
    }

    /// The idle timeout, 0 for none.
    pub fn set_idle_seconds(&mut self, seconds: u64) {
        if self.idle_seconds != seconds {
            self.idle_seconds = seconds;
            self.idle_reports = 0;
        }
    }

    /// For how many seconds nothing happened, when that is to be reported now: once per idle timeout.
    pub fn idle(&mut self, now: u64) -> Option<u64> {
        let quiet = now.saturating_sub(self.last) / 1000;
        let periods = quiet.checked_div(self.idle_seconds)?;
        if periods <= self.idle_reports {
            return None;
        }
        self.idle_reports = periods;
        Some(quiet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activity_is_reported_at_most_every_five_seconds() {
        let mut meter = Meter::new(0);
        assert!(meter.happened(10));
        assert!(!meter.happened(4_000));
        assert!(meter.happened(5_010));
    }

    #[test]
    fn idleness_is_reported_once_per_timeout() {
        let mut meter = Meter::new(0);
        assert_eq!(meter.idle(1_000_000), None);
        meter.set_idle_seconds(60);
        assert_eq!(meter.idle(59_999), None);
        assert_eq!(meter.idle(61_000), Some(61));
        assert_eq!(meter.idle(80_000), None);
        assert_eq!(meter.idle(121_000), Some(121));
        meter.happened(130_000);
        assert_eq!(meter.idle(150_000), None);
        assert_eq!(meter.idle(190_000), Some(60));
    }
}
