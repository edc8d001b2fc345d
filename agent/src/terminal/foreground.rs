//! What runs in a terminal's foreground, and when to look (pure, but for the look itself): soon after output has begun,
//! and once more when it is quiet, since a shell echoes a command before it starts it and ends it with a prompt.
//!
//! Whoever waits for [`Looking::due`] wakes twice after output has ended, and not at all while nothing happens; nobody
//! looks unless a client has asked to be told.

use std::time::Duration;

use rustix::process::Pid;
use snapvm_protocol::terminal::{COMMAND_MAX, Foreground};
use tokio::time::Instant;

/// After the first output since the last look.
const SOON: Duration = Duration::from_millis(150);
/// After the last output.
const QUIET: Duration = Duration::from_secs(1);

/// Remembers when to look.
#[derive(Debug, Default)]
pub struct Looking {
    soon: Option<Instant>,
    quiet: Option<Instant>,
}

impl Looking {
    /// There was output.
    pub fn changed(&mut self, now: Instant) {
        self.soon = self.soon.or(Some(now + SOON));
        self.quiet = Some(now + QUIET);
    }

    /// When to look.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        [self.soon, self.quiet].into_iter().flatten().min()
    }

    /// It was looked at.
    pub fn looked(&mut self, now: Instant) {
        self.soon = None;
        self.quiet = self.quiet.filter(|at| *at > now);
    }
}

/// What runs: the process group in the foreground, unless it is the shell itself. A shell that has become another
/// program (`exec`) is that program.
#[must_use]
pub fn look(foreground: Option<Pid>, shell: Option<Pid>, shell_name: &str) -> Foreground {
    let Some(group) = foreground else { return Foreground::default() };
    let command = name_of(group);
    let is_shell = Some(group) == shell && command.as_deref().is_none_or(|name| name == shell_name);
    if is_shell { Foreground::default() } else { Foreground { running: true, command } }
}

/// The name of a process, as the kernel has it; its leader may be gone before the rest of a group.
fn name_of(process: Pid) -> Option<String> {
    let bytes = std::fs::read(format!("/proc/{}/comm", process.as_raw_nonzero())).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let name: String = text.trim_end().chars().filter(|character| !character.is_control()).take(COMMAND_MAX).collect();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_looked_at_soon_and_once_it_is_quiet_and_then_no_more() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut looking = Looking::default();
        assert_eq!(looking.due(), None);
        looking.changed(at(0));
        looking.changed(at(100));
        assert_eq!(looking.due(), Some(at(150)));
        looking.looked(at(150));
        assert_eq!(looking.due(), Some(at(1100)));
        looking.changed(at(500));
        assert_eq!(looking.due(), Some(at(650)));
        looking.looked(at(650));
        looking.looked(at(1500));
        assert_eq!(looking.due(), None);
    }

    #[test]
    fn a_process_has_a_name() {
        let this = rustix::process::getpid();
        let name = name_of(this).unwrap();
        assert_eq!(look(Some(this), Some(this), &name), Foreground::default());
        assert_eq!(look(Some(this), Some(this), "zsh"), Foreground { running: true, command: Some(name.clone()) });
        assert_eq!(look(Some(this), None, &name), Foreground { running: true, command: Some(name) });
        assert_eq!(look(None, Some(this), ""), Foreground::default());
    }
}
