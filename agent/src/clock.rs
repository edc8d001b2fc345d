//! The guest's notion of time, which may have stood still for hours (pure).
//!
//! ```text
//! unix now   = what the platform last said + what the boot clock counted since     → is this ticket still good?
//! signing at = the same, but with the wall clock where that ran further            → will ours be good over there?
//! ```
//!
//! Invariant: [`GuestClock::now`] never runs ahead of the platform by a step of the guest's own wall clock, so no
//! good ticket is refused because somebody set the time.

use std::path::PathBuf;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

/// Names a file that says by how many milliseconds the wall clock is wrong, for tests.
const WALL: &str = "SNAPVM_TEST_WALL";

/// A reading of the guest's clocks, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// Since boot, including time suspended where the kernel knows of it.
    pub boot: u64,
    /// Since some point, without time suspended.
    pub monotonic: u64,
    /// The wall clock, Unix time.
    pub wall: i64,
}

impl Reading {
    /// Reads the clocks.
    #[must_use]
    pub fn take() -> Self {
        use rustix::time::{ClockId, clock_gettime};
        let millis = |clock| {
            let time = clock_gettime(clock);
            time.tv_sec.saturating_mul(1000).saturating_add(time.tv_nsec / 1_000_000)
        };
        Self {
            boot: millis(ClockId::Boottime).unsigned_abs(),
            monotonic: millis(ClockId::Monotonic).unsigned_abs(),
            wall: millis(ClockId::Realtime).saturating_add(wall_error()),
        }
    }
}

/// By how much the wall clock is wrong, for tests: no container can set a wall clock of its own.
fn wall_error() -> i64 {
    static FILE: OnceLock<Option<PathBuf>> = OnceLock::new();
    let file = FILE.get_or_init(|| std::env::var_os(WALL).map(PathBuf::from)).as_ref();
    file.and_then(|file| std::fs::read_to_string(file).ok()).and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// What is known of the platform's time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestClock(Option<(i64, Reading)>);

impl GuestClock {
    /// A valid ticket was issued at `unix_ms`: time is at least that.
    pub fn at_least(&mut self, unix_ms: i64, reading: Reading) {
        if self.now(reading) < unix_ms {
            self.0 = Some((unix_ms, reading));
        }
    }

    /// The object said what time it is.
    pub fn is(&mut self, unix_ms: i64, reading: Reading) {
        self.0 = Some((unix_ms, reading));
    }

    /// Unix ms; 0 before anything is known, so that any first ticket is young enough.
    #[must_use]
    pub fn now(&self, reading: Reading) -> i64 {
        self.0.map_or(0, |(unix, then)| unix.saturating_add_unsigned(reading.boot.saturating_sub(then.boot)))
    }

    /// Unix ms for tickets of our own, the likelier guess first. After a pause that only the wall clock noticed,
    /// the two differ; a refused first guess is worth a second one.
    #[must_use]
    pub fn signing(&self, reading: Reading) -> (i64, Option<i64>) {
        let now = self.now(reading);
        let Some((unix, then)) = self.0 else { return (now, None) };
        let wall = unix.saturating_add(reading.wall.saturating_sub(then.wall));
        if wall > now.saturating_add(SKEW) { (wall, Some(now)) } else { (now, None) }
    }
}

/// Differences below this are no pause: a ticket lives longer.
const SKEW: i64 = 20_000;

/// Whether the machine stood still between two ticks: the tick came late, or a clock that counts pauses ran further
/// than one that does not.
#[must_use]
pub fn stood_still(before: Reading, now: Reading, tick: u64, late: u64) -> bool {
    let boot = now.boot.saturating_sub(before.boot);
    let monotonic = now.monotonic.saturating_sub(before.monotonic);
    let wall = u64::try_from(now.wall.saturating_sub(before.wall)).unwrap_or(0);
    boot > tick.saturating_add(late) || boot.max(wall) > monotonic.saturating_add(late)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(boot: u64, wall: i64) -> Reading {
        Reading { boot, monotonic: boot, wall }
    }

    #[test]
    fn the_newest_knowledge_counts_and_an_old_ticket_does_not_turn_it_back() {
        let mut clock = GuestClock::default();
        assert_eq!(clock.now(reading(5, 0)), 0);
        clock.at_least(1_000_000, reading(10, 0));
        clock.at_least(999_000, reading(20, 0));
        assert_eq!(clock.now(reading(110, 0)), 1_000_100);
        clock.is(500_000, reading(110, 0));
        assert_eq!(clock.now(reading(111, 0)), 500_001);
    }

    #[test]
    fn a_step_of_the_wall_clock_changes_only_what_is_signed_first() {
        let mut clock = GuestClock::default();
        clock.is(1_000_000, reading(0, 0));
        assert_eq!(clock.now(reading(1000, 7_200_000)), 1_001_000);
        assert_eq!(clock.signing(reading(1000, 7_200_000)), (8_200_000, Some(1_001_000)));
        assert_eq!(clock.signing(reading(1000, 1000)), (1_001_000, None));
    }

    #[test]
    fn pauses_show_in_any_clock() {
        let then = reading(0, 0);
        assert!(!stood_still(then, reading(20_050, 20_040), 20_000, 10_000));
        assert!(stood_still(then, reading(31_000, 31_000), 20_000, 10_000));
        assert!(stood_still(then, reading(20_000, 90_000), 20_000, 10_000));
        assert!(stood_still(then, Reading { boot: 29_000, monotonic: 18_000, wall: 29_000 }, 20_000, 10_000));
    }
}
