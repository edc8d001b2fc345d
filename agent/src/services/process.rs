//! A service's process: spawned as the leader of a group of its own, in a control group where there is one.

use std::io::{self, Read as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustix::process::{Pid, Signal};
use snapvm_protocol::services::ServiceDefinition;
use snapvm_protocol::variables::Variables;

use super::cgroup::{Entrance, Way};
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
    entrance: Option<Entrance>,
) -> io::Result<u32> {
    let prepare = || prepare(definition, variables, output, mark);
    let Some(entrance) = entrance else { return prepare()?.process_group(0).spawn().map(|child| child.id()) };
    let entrance = Arc::new(entrance);
    match spawn_in(prepare()?, &entrance, Way::Born)? {
        Some(pid) => Ok(pid),
        // Some kernels, 6.18 among them, kill what is born in a group in which everything was killed once.
        None => spawn_in(prepare()?, &entrance, Way::Moved)?.ok_or_else(|| io::ErrorKind::BrokenPipe.into()),
    }
}

fn prepare(
    definition: &ServiceDefinition,
    variables: &Variables,
    output: &io::PipeWriter,
    mark: &str,
) -> io::Result<Command> {
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
        .stderr(output.try_clone()?);
    Ok(command)
}

/// The process id, or nothing when the process was killed before it began.
fn spawn_in(mut command: Command, entrance: &Arc<Entrance>, way: Way) -> io::Result<Option<u32>> {
    let (mut told, tells) = io::pipe()?;
    let entrance = Arc::clone(entrance);
    let enter = move || {
        // Before it runs anything: what it forks at once is to be in the group too.
        entrance.enter(way)?;
        rustix::process::setpgid(None, None)?;
        let own = rustix::process::getpid().as_raw_nonzero().get();
        rustix::io::write(&tells, &own.to_ne_bytes())?;
        Ok(())
    };
    #[expect(unsafe_code, reason = "the only way to put a program into a control group before it begins")]
    // SAFETY: between fork and exec it makes system calls only, and allocates nothing.
    unsafe {
        command.pre_exec(enter);
    }
    let mut child = command.spawn()?;
    // With it goes the last writer on this side.
    drop(command);
    let mut own = [0; 4];
    let pid = told.read_exact(&mut own).is_ok().then(|| u32::from_ne_bytes(own));
    if pid != Some(child.id()) {
        // It has ended: all it did was to make the other one, which is a child of this process.
        child.wait()?;
    }
    Ok(pid)
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
