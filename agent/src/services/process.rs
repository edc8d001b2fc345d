//! A service's process: spawned as the leader of a group of its own, signalled as a group.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal};
use snapvm_protocol::services::ServiceDefinition;
use snapvm_protocol::variables::Variables;

/// Spawns it, with the machine's variables around its own; its output goes to `output`. Answers its process id, for [`crate::reaper::Child::of`].
///
/// # Errors
/// What the system says, for people.
pub fn spawn(definition: &ServiceDefinition, variables: &Variables, output: io::PipeWriter) -> io::Result<u32> {
    let mut command = Command::new(&definition.command);
    command.args(&definition.args).envs(crate::guest::environment());
    for name in crate::guest::private_variables() {
        command.env_remove(name);
    }
    let folder = definition.directory.as_ref().map_or_else(crate::guest::home, Into::into);
    command
        .envs(variables.iter())
        .envs(&definition.environment)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .process_group(0);
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
