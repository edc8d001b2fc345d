//! A program's terminal: a PTY of the guest's own, whose bytes go through two pipes of the host's.
//!
//! The program is a session leader with the terminal's slave as its controlling terminal. When it has ended, and nobody
//! else holds the slave, the output pipe ends too.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use pty_process::blocking::{Command, open};
use rustix::fs::{Gid, Uid, fchown};
use rustix::io::Errno;
use rustix::process::Pid;
use rustix::termios::Winsize;

use super::programs::USER;
use crate::wire::{Program, Size};

/// The group `tty`, to which terminals belong.
const TTY: u32 = 5;
/// Size of the pieces in which bytes are passed on.
const PIECE: usize = 32 * 1024;

/// The master side.
pub(super) struct Terminal(Arc<OwnedFd>);

impl Terminal {
    /// Starts a program on a new terminal and passes bytes on: `descriptors` are the pipes of its input and its output.
    pub(super) fn start(program: &Program, size: Size, descriptors: Vec<OwnedFd>) -> io::Result<(u32, Self)> {
        let mut ends = descriptors.into_iter();
        let (Some(input), Some(output)) = (ends.next(), ends.next()) else { return Err(Errno::INVAL.into()) };
        let mut arguments = program.arguments.iter();
        let name = arguments.next().ok_or(Errno::INVAL)?;
        let (master, slave) = open().map_err(plain)?;
        fchown(slave.as_fd(), Some(Uid::from_raw(USER)), Some(Gid::from_raw(TTY)))?;
        let terminal = Self(Arc::new(master.as_fd().try_clone_to_owned()?));
        terminal.resize(size);
        let command = Command::new(name).args(arguments).env_clear().envs(&program.environment);
        let child = command.current_dir(&program.directory).uid(USER).gid(USER).spawn(slave).map_err(plain)?;
        let (reading, writing) = (terminal.0.clone(), terminal.0.clone());
        std::thread::spawn(move || pass_on(&mut Master(reading), &mut File::from(output)));
        std::thread::spawn(move || pass_on(&mut File::from(input), &mut Master(writing)));
        Ok((child.id(), terminal))
    }

    /// Sets the size; the program hears of it.
    pub(super) fn resize(&self, size: Size) {
        let size = Winsize { ws_row: size.rows, ws_col: size.cols, ws_xpixel: 0, ws_ypixel: 0 };
        // Fails only when the terminal is gone, which reading tells better.
        let _ = rustix::termios::tcsetwinsize(&self.0, size);
    }

    /// The process group in the foreground.
    pub(super) fn foreground(&self) -> Option<Pid> {
        rustix::termios::tcgetpgrp(&self.0).ok()
    }
}

/// The master as a stream of bytes.
struct Master(Arc<OwnedFd>);

impl Read for Master {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match rustix::io::read(&self.0, &mut *buffer) {
            // The kernel looks for bytes, and only then whether the last slave is closed: who is held up in between
            // hears of the end before the bytes, and finds them when asking again.
            Err(Errno::IO) => Ok(rustix::io::read(&self.0, buffer)?),
            other => Ok(other?),
        }
    }
}

impl Write for Master {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(&self.0, buffer)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Passes bytes on until either side has ended; a master whose last slave is closed reads as an error.
fn pass_on(from: &mut impl Read, to: &mut impl Write) {
    let mut buffer = vec![0; PIECE];
    loop {
        match from.read(&mut buffer) {
            Ok(length @ 1..) => {
                if to.write_all(buffer.get(..length).unwrap_or_default()).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            _ => return,
        }
    }
}

/// The system's error.
fn plain(error: pty_process::Error) -> io::Error {
    match error {
        pty_process::Error::Io(error) => error,
        pty_process::Error::Rustix(errno) => errno.into(),
        other => io::Error::other(other.to_string()),
    }
}
