//! The peer of a terminal: a pseudo-terminal of this machine, read and written by a loop, with nothing in between.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Result, bail};
use nix::pty::openpty;
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};

use super::load::Times;
use super::shell::BETWEEN_KEYS;

/// A raw pseudo-terminal and the program at its other side.
struct Pty {
    master: File,
    child: Child,
}

impl Pty {
    fn start(script: &str) -> Result<Self> {
        let pair = openpty(None, None)?;
        let mut modes = tcgetattr(&pair.slave)?;
        cfmakeraw(&mut modes);
        tcsetattr(&pair.slave, SetArg::TCSANOW, &modes)?;
        let child = Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::from(pair.slave.try_clone()?))
            .stdout(Stdio::from(pair.slave.try_clone()?))
            .stderr(Stdio::from(pair.slave))
            .spawn()?;
        Ok(Self { master: File::from(pair.master), child })
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How long a key takes to come back from `cat`.
pub(super) fn echoes(keys: usize) -> Result<Times> {
    let mut pty = Pty::start("exec cat")?;
    let (mut times, mut room) = (Times::default(), [0; 64]);
    for key in 0..keys + keys / 10 {
        std::thread::sleep(BETWEEN_KEYS);
        let before = Instant::now();
        pty.master.write_all(b"x")?;
        if pty.master.read(&mut room)? == 0 {
            bail!("cat ended");
        }
        if key >= keys / 10 {
            times.push(before.elapsed());
        }
    }
    Ok(times)
}

/// Bytes a second of this many bytes of output.
pub(super) fn bulk(bytes: usize) -> Result<f64> {
    let mut pty = Pty::start(&format!("head -c {bytes} /dev/zero | tr '\\0' x; sleep 1"))?;
    let mut room = vec![0; 32 * 1024];
    let mut rest = bytes.saturating_sub(pty.master.read(&mut room)?);
    let (before, measured) = (Instant::now(), rest);
    while rest > 0 {
        rest = rest.saturating_sub(pty.master.read(&mut room)?);
    }
    Ok(super::per_second(measured, before.elapsed()))
}
