//! A service's process: spawned as the leader of a group of its own, in a control group where there is one.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal};
use snapvm_protocol::services::ServiceDefinition;
use snapvm_protocol::variables::Variables;

use super::containment::VARIABLE;

/// Spawns it, with the machine's variables around its own; its output goes to `output`, its mark into [`VARIABLE`]; it
/// enters a control group by `entrance`. Answers its process id, for [`crate::reaper::Child::of`].
///
/// # Errors
/// What the system says, for people.
pub fn spawn(
    definition: &ServiceDefinition,
    variables: &Variables,
    output: &io::PipeWriter,
    mark: &str,
    entrance: Option<File>,
) -> io::Result<u32> {
    let mut command = Command::new(&definition.command);
    command.args(&definition.args).envs(crate::guest::environment());
    for name in crate::guest::private_variables() {
        command.env_remove(name);
    }
    let folder = definition.directory.as_ref().map_or_else(crate::guest::home, Into::into);
    command
        .envs(variables.iter())
        .envs(&definition.environment)
        .env(VARIABLE, mark)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output.try_clone()?)
        .process_group(0);
    if let Some(entrance) = entrance {
        // Before it runs anything: what it forks at once is to be in the group too.
        let enter = move || rustix::io::write(&entrance, b"0").map(|_| ()).map_err(io::Error::from);
        #[expect(unsafe_code, reason = "the only way to put a program into a control group before it begins")]
        // SAFETY: between fork and exec it makes one system call and allocates nothing.
        unsafe {
            command.pre_exec(enter);
        }
    }
    command.spawn().map(|child| child.id())
}

/// Signals a group; one that is gone is fine.
pub fn signal(group: u32, signal: Signal) {
    if let Some(group) = Pid::from_raw(group.cast_signed()) {
        let _ = rustix::process::kill_process_group(group, signal);
    }
}

/// Whether any process of a group is left.
#[must_use]
pub fn group_lives(group: u32) -> bool {
    crate::reaper::reap();
    let group = Pid::from_raw(group.cast_signed());
    group.is_some_and(|group| rustix::process::test_kill_process_group(group).is_ok())
}
