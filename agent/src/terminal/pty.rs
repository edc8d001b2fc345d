//! A shell on a pseudo-terminal: starting it, its bytes, its size, its end.
//!
//! The child is a session leader whose controlling terminal is the slave; the master is non-blocking. Linux hands
//! out what is buffered and then `EIO` when the last slave is closed, so output is read up to that, twice in a row.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use rustix::io::Errno;
use rustix::process::{Pid, Signal};
use rustix::termios::Winsize;
use snapvm_protocol::variables::Variables;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Longest name of a process, in characters.
const NAME_MAX: usize = 15;

/// The master side.
pub struct Master(AsyncFd<OwnedFd>);

/// What one read brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Read {
    /// This many bytes.
    Bytes(usize),
    /// Nothing now.
    Empty,
    /// Nobody holds the slave any more.
    Hangup,
}

/// A shell could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No terminal, or no process.
    #[error("the shell could not be started: {0}")]
    Pty(#[from] pty_process::Error),
    /// The terminal cannot be watched.
    #[error("the terminal could not be opened: {0}")]
    Watch(#[from] io::Error),
}

/// What one write took.
#[derive(Debug, PartialEq, Eq)]
pub enum Write {
    /// This many bytes.
    Bytes(usize),
    /// Nobody holds the slave any more.
    Hangup,
}

/// Starts a login shell of this size, with the machine's variables, in this directory if it can be entered, otherwise in
/// the home directory. Answers its process id, for [`crate::reaper::Child::of`].
///
/// # Errors
/// See [`StartError`].
pub fn start(
    (columns, rows): (u16, u16),
    directory: Option<&str>,
    variables: &Variables,
) -> Result<(Master, u32), StartError> {
    let (pty, slave) = pty_process::blocking::open()?;
    pty.resize(pty_process::Size::new(rows, columns))?;
    let home = crate::guest::home();
    let mut command = pty_process::blocking::Command::new(shell()).arg("-l").env("TERM", "xterm-256color");
    for (name, value) in crate::guest::environment() {
        command = command.env(name, value);
    }
    for name in crate::guest::private_variables() {
        command = command.env_remove(name);
    }
    command = command.env("COLORTERM", "truecolor").env("TERM_PROGRAM", "snapvm").env("LANG", "C.UTF-8");
    for (name, value) in variables.iter() {
        command = command.env(name, value);
    }
    if let Some(directory) = directory.map(PathBuf::from).into_iter().chain([home]).find(|path| can_enter(path)) {
        command = command.current_dir(directory);
    }
    let master = Master::new(pty.into())?;
    let child = command.spawn(slave)?;
    Ok((master, child.id()))
}

/// Has the runtime watch a descriptor.
fn register(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    #[expect(unsafe_code, reason = "the only way to watch a descriptor that is neither a socket nor a pipe")]
    // SAFETY: the descriptor is owned by what is registered, so it stays the same open file until that is dropped.
    let registered = unsafe { AsyncFd::register(descriptor) };
    Ok(registered?)
}

/// A directory that cannot be entered would fail the start.
fn can_enter(directory: &Path) -> bool {
    directory.is_absolute() && directory.is_dir() && access(directory, Access::EXEC_OK).is_ok()
}

/// What the kernel calls a shell's process.
#[must_use]
pub fn shell_name() -> String {
    let path = shell();
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    name.chars().take(NAME_MAX).collect()
}

fn shell() -> PathBuf {
    let named = std::env::var_os("SHELL").map(PathBuf::from).filter(|path| path.is_file());
    let fallback = || ["/bin/bash", "/bin/sh"].map(PathBuf::from).into_iter().find(|path| path.is_file());
    named.or_else(fallback).unwrap_or_else(|| PathBuf::from("/bin/sh"))
}

impl Master {
    /// Takes the master side of a terminal, and reads and writes it without blocking.
    ///
    /// # Errors
    /// When it cannot be watched.
    pub fn new(descriptor: OwnedFd) -> io::Result<Self> {
        let flags = rustix::fs::fcntl_getfl(&descriptor)?;
        rustix::fs::fcntl_setfl(&descriptor, flags | rustix::fs::OFlags::NONBLOCK)?;
        Ok(Self(register(descriptor)?))
    }

    /// Its descriptor, for a hand-over.
    #[must_use]
    pub fn descriptor(&self) -> i32 {
        self.0.as_raw_fd()
    }

    /// Waits for output.
    ///
    /// # Errors
    /// When the terminal cannot be watched any more.
    pub async fn readable(&self) -> io::Result<()> {
        self.0.readable().await.map(|mut guard| guard.retain_ready())
    }

    /// Reads what is there.
    pub fn read(&self, room: &mut [u8]) -> Read {
        outcome(self.0.try_io(Interest::READABLE, |master| Ok(read(master, &mut *room)?)))
    }

    /// Reads what is there, whether or not anybody was told that there is something.
    pub fn read_now(&self, room: &mut [u8]) -> Read {
        outcome(read(self.0.get_ref(), room).map_err(io::Error::from))
    }

    /// Waits for room for input.
    ///
    /// # Errors
    /// When the terminal cannot be watched any more.
    pub async fn writable(&self) -> io::Result<()> {
        self.0.writable().await.map(|mut guard| guard.retain_ready())
    }

    /// Writes what there is room for.
    #[must_use]
    pub fn write(&self, bytes: &[u8]) -> Write {
        match self.0.try_io(Interest::WRITABLE, |master| Ok(rustix::io::write(master, bytes)?)) {
            Ok(length) => Write::Bytes(length),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                Write::Bytes(0)
            }
            Err(_) => Write::Hangup,
        }
    }

    /// Sets the size; the foreground process group gets SIGWINCH if it changed.
    pub fn resize(&self, (columns, rows): (u16, u16)) {
        let size = Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 };
        // Fails only when the terminal is gone, which reading tells better.
        let _ = rustix::termios::tcsetwinsize(self.0.get_ref(), size);
    }

    /// The leader of the process group in the foreground.
    #[must_use]
    pub fn foreground(&self) -> Option<Pid> {
        rustix::termios::tcgetpgrp(self.0.get_ref()).ok()
    }

    /// Signals the shell's process group and the one in the foreground.
    pub fn signal(&self, leader: Option<Pid>, signal: Signal) {
        let foreground = self.foreground();
        for group in [leader, foreground.filter(|group| Some(*group) != leader)].into_iter().flatten() {
            // It may be gone already.
            let _ = rustix::process::kill_process_group(group, signal);
        }
    }
}

/// Reads, and does not take the first word for a hangup: the kernel looks for bytes, and only then whether the last
/// slave is closed, so a reader that is held up in between hears of the end before the bytes (seen once in some
/// twenty thousand shells on a busy machine). Whoever has heard of it finds every byte there.
fn read(master: &OwnedFd, room: &mut [u8]) -> rustix::io::Result<usize> {
    match rustix::io::read(master, &mut *room) {
        Err(Errno::IO) => rustix::io::read(master, room),
        other => other,
    }
}

/// What a read comes to.
fn outcome(read: io::Result<usize>) -> Read {
    match read {
        Ok(0) => Read::Hangup,
        Ok(length) => Read::Bytes(length),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Read::Empty,
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Read::Bytes(0),
        Err(_) => Read::Hangup,
    }
}
