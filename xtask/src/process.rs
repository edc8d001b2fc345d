//! Child processes that never outlive us.
//!
//! Every long-running child is in a process group of its own, so that Ctrl-C reaches only us and we stop things in
//! order, and asks the kernel for a signal when its parent goes (`setpriv --pdeathsig`), so that even a `kill -9` of
//! this process leaves nothing behind. The kernel means the parent *thread*, and test runners end their threads all
//! the time: all children are therefore started by one thread that lives as long as the process.

use std::fs::{File, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tokio::time::Instant;

/// How often a child that should end is looked at.
const POLL: Duration = Duration::from_millis(10);

/// What to start.
#[derive(Debug, Clone)]
pub struct ProcessSpec {
    /// What it is called in messages.
    pub name: String,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Variables added to our own environment.
    pub environment: Vec<(String, String)>,
    /// Both output streams are appended to this file.
    pub log: PathBuf,
    /// The signal the kernel sends it when we are gone.
    pub signal_at_parent_death: Signal,
    /// Whether it refuses to run as root, and so gets a user namespace of its own (see [`unprivileged`]).
    pub refuses_root: bool,
}

/// A running child. Dropping it kills its whole process group.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

type Request = (Command, mpsc::Sender<std::io::Result<Child>>);

/// The thread that starts all children; see the module's text.
fn spawner() -> &'static mpsc::Sender<Request> {
    static SPAWNER: OnceLock<mpsc::Sender<Request>> = OnceLock::new();
    SPAWNER.get_or_init(|| {
        let (sender, receiver) = mpsc::channel::<Request>();
        std::thread::spawn(move || {
            for (mut command, reply) in receiver {
                // Nobody waits any more: the child is dropped, and the caller has given up on it.
                let _ = reply.send(command.spawn());
            }
        });
        sender
    })
}

/// Starts a command on the thread that lives as long as this process.
pub(crate) fn spawn_on_lasting_thread(command: Command) -> Result<Child> {
    let (sender, receiver) = mpsc::channel();
    spawner().send((command, sender)).map_err(|_| anyhow!("the thread that starts processes is gone"))?;
    Ok(receiver.recv().context("the thread that starts processes is gone")??)
}

/// A command that runs `program` without root's identity, for programs that refuse root (Postgres, `PgBouncer`).
///
/// As root it gets a user namespace in which our user appears as user 1000. Dropping to another system user would also
/// do, but that user could not reach a checkout under `/root`, and the data folder would need another owner.
#[must_use]
pub fn unprivileged(program: &Path) -> Command {
    if !nix::unistd::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-user=1000", "--map-group=1000", "--"]).arg(program);
    command
}

impl ProcessSpec {
    fn command(&self) -> Result<Command> {
        let mut command = if self.refuses_root { unprivileged(Path::new("setpriv")) } else { Command::new("setpriv") };
        command
            .args(["--pdeathsig", self.signal_at_parent_death.as_str().trim_start_matches("SIG"), "--"])
            .arg(&self.program)
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(self.open_log()?)
            .stderr(self.open_log()?)
            .process_group(0);
        Ok(command)
    }

    fn open_log(&self) -> Result<File> {
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .with_context(|| format!("cannot write the log {}", self.log.display()))
    }

    /// Starts it.
    ///
    /// # Errors
    /// When the program is missing or the log can't be written.
    pub fn spawn(&self) -> Result<Process> {
        let child = spawn_on_lasting_thread(self.command()?).with_context(|| format!("cannot start {}", self.name))?;
        Ok(Process { name: self.name.clone(), child, log: self.log.clone() })
    }
}

impl Process {
    /// Its process id; the leader of its group.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// How it ended, if it did.
    ///
    /// # Errors
    /// When the kernel doesn't say.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// An error that says how it ended, with the end of its log; `None` while it runs.
    ///
    /// # Errors
    /// When the kernel doesn't say.
    pub fn failure(&mut self) -> Result<Option<anyhow::Error>> {
        Ok(self.ended()?.map(|status| {
            anyhow!("{} ended ({status}). The end of {}:\n{}", self.name, self.log.display(), tail(&self.log))
        }))
    }

    /// Sends a signal to the process itself, not to its group.
    ///
    /// # Errors
    /// When it is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill(self.pid(), signal).with_context(|| format!("cannot signal {}", self.name))
    }

    /// Asks it to end, waits, and kills the group when it takes longer than `patience`.
    ///
    /// # Errors
    /// When the kernel doesn't say how it ended.
    pub async fn stop(mut self, signal: Signal, patience: Duration) -> Result<()> {
        if self.ended()?.is_none() {
            // It may end between the look and the signal: then there is nothing to do.
            let _ = self.signal(signal);
            let deadline = Instant::now() + patience;
            while self.ended()?.is_none() && Instant::now() < deadline {
                tokio::time::sleep(POLL).await;
            }
        }
        self.kill();
        Ok(())
    }

    /// As [`Process::stop`], where nothing can be awaited: in a drop.
    pub(crate) fn stop_blocking(&mut self, signal: Signal, patience: Duration) {
        let _ = self.signal(signal);
        let deadline = Instant::now() + patience;
        while matches!(self.ended(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(POLL);
        }
        self.kill();
    }

    /// Kills its whole group at once, and waits for the process.
    pub fn kill(&mut self) {
        let _ = killpg(self.pid(), Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The last lines of a log.
#[must_use]
pub fn tail(log: &Path) -> String {
    /// Enough to see a cause, little enough to read.
    const LINES: usize = 20;
    let text = std::fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(LINES)..).unwrap_or_default().join("\n")
}
