//! How busy a machine's programs keep its processors: the sum over `/proc`. A guest's view of its own cgroup differs
//! between runtimes; this does not.
//!
//! Absent on purpose: the agent's own time, and what a process spent that neither lives nor was awaited by one that does.

use std::io::Read;

/// Ticks in a second, as the kernel tells programs.
const TICKS_PER_SECOND: u64 = 100;
/// Longest line that is read of a process: its name has 16 bytes, the rest are numbers.
const LINE_MAX: u64 = 2048;
/// The share of one processor that counts as work, in percent.
const BUSY_PERCENT: u64 = 20;

/// Compares what processes have used with what they had used before.
#[derive(Debug, Default)]
pub struct Load {
    before: Option<(u64, u64)>,
}

impl Load {
    /// Whether at least a fifth of one processor was used since the last question; `now` in milliseconds.
    pub fn is_busy(&mut self, now: u64) -> bool {
        self.compare(now, used())
    }

    fn compare(&mut self, now: u64, used: u64) -> bool {
        let Some((at, before)) = self.before.replace((now, used)) else { return false };
        let milliseconds = now.saturating_sub(at);
        let percent_ms = used.saturating_sub(before) * (1000 / TICKS_PER_SECOND) * 100;
        milliseconds > 0 && percent_ms >= milliseconds * BUSY_PERCENT
    }
}

/// Ticks that all processes but the agent have used.
fn used() -> u64 {
    let agent = std::process::id();
    let Ok(processes) = std::fs::read_dir("/proc") else { return 0 };
    let of = |name: &std::ffi::OsStr| {
        let pid: u32 = name.to_str()?.parse().ok()?;
        let mut line = String::new();
        std::fs::File::open(format!("/proc/{pid}/stat")).ok()?.take(LINE_MAX).read_to_string(&mut line).ok()?;
        let (own, children) = ticks(&line)?;
        Some(if pid == agent { children } else { own.saturating_add(children) })
    };
    processes.flatten().filter_map(|process| of(&process.file_name())).fold(0, u64::saturating_add)
}

/// What a process has used, and those of its children that it awaited: of `/proc/{pid}/stat` (`proc_pid_stat(5)`).
fn ticks(line: &str) -> Option<(u64, u64)> {
    // The name before it may contain anything, also brackets.
    let (_, rest) = line.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11).map(str::parse::<u64>);
    let mut next = || fields.next()?.ok();
    Some((next()?.saturating_add(next()?), next()?.saturating_add(next()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_whatever_the_name() {
        let line = "42 (a) b) R) S 1 42 42 0 -1 4194560 1 2 3 4 50 6 700 8 20 0 1 0 99 1 1";
        assert_eq!(ticks(line), Some((56, 708)));
        for wrong in ["", "1 (a", "1 (a) S 1", "1 (a) S 1 42 42 0 -1 4194560 1 2 3 4 x 6 700 8"] {
            assert_eq!(ticks(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_fifth_of_a_processor_is_busy() {
        let mut load = Load::default();
        assert!(!load.compare(0, 1_000_000), "there is nothing to compare with");
        assert!(!load.compare(20_000, 1_000_399));
        assert!(load.compare(40_000, 1_000_799));
        assert!(!load.compare(40_000, 2_000_000), "no time has passed");
        assert!(!load.compare(60_000, 5), "a process that used much is gone");
    }

    #[test]
    fn a_busy_child_is_seen() {
        let mut child = std::process::Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
        let before = used();
        let deadline = std::time::Instant::now() + std::time::Duration::from_mins(1);
        while used() < before + 20 {
            assert!(std::time::Instant::now() < deadline, "{} ticks, before {before}", used());
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
