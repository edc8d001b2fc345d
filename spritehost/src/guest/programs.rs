//! Programs of a sprite: starting, signalling and reaping them.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitOptions};

use super::terminal::Terminal;
use super::{Control, files, lock};
use crate::wire::{FromGuest, Program, Size};

/// The user that exec and services run as.
pub(crate) const USER: u32 = 1000;

/// How long the reaper waits when there is nothing to reap.
const CHILDLESS: Duration = Duration::from_secs(30);

/// Every program that the host asked for and that has not ended.
pub(super) struct Programs {
    control: Arc<Control>,
    /// By process id.
    running: Mutex<HashMap<i32, Running>>,
    started: Condvar,
}

/// A program that runs.
struct Running {
    operation: u64,
    terminal: Option<Terminal>,
}

impl Programs {
    pub(super) fn new(control: Arc<Control>) -> Self {
        Self { control, running: Mutex::default(), started: Condvar::new() }
    }

    /// Starts a program.
    pub(super) fn spawn(&self, id: u64, program: &Program, descriptors: Vec<OwnedFd>) {
        let name = program.arguments.first().map_or("", String::as_str);
        if let Err(error) = check_directory(&program.directory) {
            return self.control.refuse(id, &error, &program.directory);
        }
        // The lock is held over the spawn, so that the reaper neither sees a process it can't name, nor takes the
        // zombie of a failed exec that `spawn` itself waits for.
        let mut running = lock(&self.running);
        let started = match program.terminal {
            Some(size) => Terminal::start(program, size, descriptors).map(|(pid, terminal)| (pid, Some(terminal))),
            None => {
                prepare(program, descriptors).and_then(|mut command| command.spawn()).map(|child| (child.id(), None))
            }
        };
        match started {
            Ok((pid, terminal)) => {
                running.insert(pid.cast_signed(), Running { operation: id, terminal });
                self.control.tell(&FromGuest::Started { id, pid });
                self.started.notify_one();
            }
            Err(error) => self.control.refuse(id, &error, name),
        }
    }

    /// Signals a program's process group, and the one in the foreground of its terminal.
    pub(super) fn signal(&self, id: u64, signal: i32) {
        let running = lock(&self.running);
        let Some((pid, program)) = running.iter().find(|(_, program)| program.operation == id) else { return };
        let Some(signal) = Signal::from_named_raw(signal) else { return };
        let leader = Pid::from_raw(*pid);
        let foreground = program.terminal.as_ref().and_then(Terminal::foreground).filter(|pid| Some(*pid) != leader);
        for group in [leader, foreground].into_iter().flatten() {
            let _ = rustix::process::kill_process_group(group, signal);
        }
    }

    /// Resizes a program's terminal.
    pub(super) fn resize(&self, id: u64, size: Size) {
        let running = lock(&self.running);
        if let Some(terminal) =
            running.values().find(|program| program.operation == id).and_then(|program| program.terminal.as_ref())
        {
            terminal.resize(size);
        }
    }

    /// Reaps everything that ends, orphans too.
    pub(super) fn reap_forever(&self) {
        loop {
            // Looks without taking: what is taken is taken under the lock.
            match rustix::process::waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
                Ok(_) => self.reap_one(),
                Err(rustix::io::Errno::CHILD) => {
                    let running = lock(&self.running);
                    // Something was started since then: its start has been told already, so don't wait for that.
                    if running.is_empty() {
                        // The timeout covers children that appear without a spawn of ours, as a debugger's do.
                        drop(self.started.wait_timeout(running, CHILDLESS));
                    }
                }
                Err(_) => {}
            }
        }
    }

    fn reap_one(&self) {
        let mut running = lock(&self.running);
        let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) else { return };
        let Some(Running { operation: id, .. }) = running.remove(&pid.as_raw_nonzero().get()) else { return };
        drop(running);
        let code = status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal));
        self.control.tell(&FromGuest::Exited { id, code: code.unwrap_or(255) });
    }
}

/// The command of a program, with everything set that can fail on its own.
fn prepare(program: &Program, descriptors: Vec<OwnedFd>) -> io::Result<Command> {
    let mut arguments = program.arguments.iter();
    let name = arguments.next().ok_or(Errno::INVAL)?;
    let mut command = Command::new(name);
    command.args(arguments).env_clear().envs(&program.environment).current_dir(&program.directory);
    // A group of its own, so that a signal reaches what it started too.
    command.uid(USER).gid(USER).process_group(0);
    let mut ends = descriptors.into_iter();
    match (&program.log, ends.next(), ends.next(), ends.next()) {
        (None, Some(input), Some(output), Some(errors)) => {
            command.stdin(input).stdout(output).stderr(errors);
        }
        (Some(service), ..) => {
            let log = files::open_log(service)?;
            command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        }
        _ => return Err(Errno::INVAL.into()),
    }
    Ok(command)
}

fn check_directory(path: &str) -> io::Result<()> {
    if fs::metadata(path)?.is_dir() { Ok(()) } else { Err(Errno::NOTDIR.into()) }
}

/// Asks every process but this one to end, and waits for that until the deadline. What is left ends with process 1.
pub(super) fn end_all(deadline: Instant) {
    for pid in others() {
        let _ = rustix::process::kill_process(pid, Signal::TERM);
    }
    while Instant::now() < deadline && !others().is_empty() {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Every process of the sprite but this one.
fn others() -> Vec<Pid> {
    let numbers = fs::read_dir("/proc").into_iter().flatten().flatten();
    numbers
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid: &i32| *pid > 1)
        .filter_map(Pid::from_raw)
        .collect()
}
