//! A command's process: leader of a session of its own, signalled and ended as a session.
//!
//! A session, and not only a group, because a shell with job control gives each of its jobs a group. A program that
//! makes itself a session (`setsid`) leaves; nothing else does.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Stdio;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal};
use snapvm_protocol::exec::{Command, Refusal};
use snapvm_protocol::variables::Variables;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::reaper::{Child, Exit};

/// Between two looks at a session that is ending.
const LOOK: Duration = Duration::from_millis(10);
/// How long a killed session may take: only a process that the kernel holds takes any time at all.
pub(super) const KILLED: Duration = Duration::from_secs(5);

/// The process.
pub(super) struct Process {
    /// The leader's id, which is the session's.
    session: u32,
    streams: Option<(ChildStdin, ChildStdout, ChildStderr)>,
    ended: watch::Receiver<Option<Exit>>,
}

impl Process {
    /// Starts a command, with the machine's variables around its own.
    pub(super) fn spawn(command: &Command, variables: &Variables) -> Result<Self, Refusal> {
        let home = crate::guest::home();
        let folder = command.cwd.as_ref().map_or_else(|| home.clone(), |cwd| home.join(cwd));
        let enters = rustix::fs::access(&folder, rustix::fs::Access::EXEC_OK).is_ok();
        if !(folder.is_dir() && enters) {
            return Err(Refusal::DirectoryNotFound);
        }
        let mut prepared = std::process::Command::new(&command.program);
        prepared.args(&command.args).envs(crate::guest::environment());
        for name in crate::guest::private_variables() {
            prepared.env_remove(name);
        }
        prepared.envs(variables.iter()).envs(&command.env).current_dir(folder);
        prepared.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let become_leader = || rustix::process::setsid().map(|_| ()).map_err(io::Error::from);
        #[expect(unsafe_code, reason = "the only way to start a program in a session of its own")]
        // SAFETY: between fork and exec it makes one system call and allocates nothing.
        unsafe {
            prepared.pre_exec(become_leader);
        }
        let mut child = prepared.spawn().map_err(|error| refusal(&error))?;
        let session = child.id();
        let awaited = Child::of(session);
        let input = child.stdin.take().and_then(|input| ChildStdin::from_std(input).ok());
        let out = child.stdout.take().and_then(|out| ChildStdout::from_std(out).ok());
        let err = child.stderr.take().and_then(|err| ChildStderr::from_std(err).ok());
        let streams = input.zip(out).zip(err).map(|((input, out), err)| (input, out, err));
        let (sender, ended) = watch::channel(None);
        tokio::task::spawn_local(async move {
            // Nobody else waits for it, so there is always an answer.
            let exit = awaited.wait().await.unwrap_or(Exit::Code(-1));
            sender.send_replace(Some(exit));
        });
        Ok(Self { session, streams, ended })
    }

    /// Its standard streams, once.
    pub(super) fn streams(&mut self) -> (Option<ChildStdin>, Option<ChildStdout>, Option<ChildStderr>) {
        self.streams.take().map_or((None, None, None), |(input, out, err)| (Some(input), Some(out), Some(err)))
    }

    /// Waits for the program's own end.
    pub(super) async fn ended(&self) {
        // The sender goes only after it has sent.
        let _ = self.ended.clone().wait_for(Option::is_some).await;
    }

    /// Its exit code, or the signal that ended it.
    pub(super) fn exit(&self) -> (Option<i32>, Option<i32>) {
        match *self.ended.borrow() {
            None => (None, None),
            Some(Exit::Code(code)) => (Some(code), None),
            Some(Exit::Signal(signal)) => (None, Some(signal)),
        }
    }

    /// TERM for the whole session; returns when it is gone or the grace is over.
    pub(super) async fn terminate(&self, grace: Duration) {
        self.signal(Signal::TERM);
        // A stopped process takes it only when it goes on.
        self.signal(Signal::CONT);
        self.gone_within(grace).await;
    }

    /// KILL for whatever is left of the session; returns when nothing is.
    pub(super) async fn kill_rest(&self) {
        let deadline = Instant::now() + KILLED;
        while self.signal(Signal::KILL) && Instant::now() < deadline {
            sleep(LOOK).await;
        }
        if Instant::now() < deadline {
            self.ended().await;
        }
        crate::reaper::reap();
    }

    async fn gone_within(&self, grace: Duration) {
        let deadline = Instant::now() + grace;
        while !groups(self.session).is_empty() && Instant::now() < deadline {
            sleep(LOOK).await;
        }
    }

    /// Signals every group of the session; whether there was any.
    fn signal(&self, signal: Signal) -> bool {
        let groups = groups(self.session);
        for group in groups.iter().filter_map(|group| Pid::from_raw(*group)) {
            // It may be gone already.
            let _ = rustix::process::kill_process_group(group, signal);
        }
        !groups.is_empty()
    }
}

/// The process groups of a session that have a process which lives.
fn groups(session: u32) -> Vec<i32> {
    let Ok(folder) = std::fs::read_dir("/proc") else { return Vec::new() };
    let is_process = |name: &std::ffi::OsString| name.as_encoded_bytes().iter().all(u8::is_ascii_digit);
    let processes = folder.flatten().map(|entry| entry.file_name()).filter(is_process);
    let mut groups: Vec<i32> = processes
        .filter_map(|name| std::fs::read_to_string(std::path::Path::new("/proc").join(name).join("stat")).ok())
        .filter_map(|stat| group_in(&stat, session))
        .collect();
    groups.sort_unstable();
    groups.dedup();
    groups
}

/// The group of a process that lives and belongs to the session. Its name, in parentheses, may hold anything.
fn group_in(stat: &str, session: u32) -> Option<i32> {
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_whitespace();
    let lives = !matches!(fields.next()?, "Z" | "X");
    let group = fields.nth(1)?.parse().ok()?;
    let belongs = fields.next()?.parse() == Ok(session);
    (lives && belongs).then_some(group)
}

fn refusal(error: &io::Error) -> Refusal {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::NOENT | Errno::NOTDIR) => Refusal::ProgramNotFound,
        Some(Errno::ACCESS | Errno::PERM | Errno::NOEXEC | Errno::ISDIR | Errno::LOOP | Errno::NAMETOOLONG) => {
            Refusal::NotExecutable
        }
        Some(Errno::TOOBIG) => Refusal::ArgumentsTooLong,
        _ => Refusal::NoProcess,
    }
}

/// Writes a program's whole input, as far as it takes it.
pub(super) async fn feed(input: Option<ChildStdin>, bytes: &[u8], over: &CancellationToken) {
    let Some(mut input) = input else { return };
    tokio::select! {
        // A program need not read what it is given.
        _ = input.write_all(bytes) => {}
        () = over.cancelled() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::group_in;

    #[test]
    fn a_name_does_not_hide_a_process() {
        assert_eq!(group_in("7 (a) Z 1 2 3) S 1 8 9 0 -1", 9), Some(8));
        assert_eq!(group_in("7 (sh) Z 1 8 9 0 -1", 9), None);
        assert_eq!(group_in("7 (sh) S 1 8 9 0 -1", 10), None);
        for odd in ["", "7", ")", "7 (sh)", "7 (sh) S", "7 (sh) S 1 x 9"] {
            assert_eq!(group_in(odd, 9), None);
        }
    }
}
