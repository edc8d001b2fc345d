//! Ports on this machine: choosing free ones for private stacks, and saying clearly when a wanted one is taken.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

use anyhow::{Context, Result, bail};

/// Below the range that Linux takes for outgoing connections (32768 and up): a component that is stopped for a moment
/// must find its port free when it starts again.
const RANGE: Range<u16> = 20_000..32_000;

/// A port that no other stack on this machine takes while this value lives, even when nothing listens on it.
#[derive(Debug)]
pub struct ReservedPort {
    /// The port.
    pub number: u16,
    /// Locked until it is dropped.
    _lock: File,
}

/// Reserves a free port.
///
/// # Errors
/// When the temporary folder can't be written, or no port is free.
pub fn reserve() -> Result<ReservedPort> {
    let folder = std::env::temp_dir().join("snapvm-ports");
    std::fs::create_dir_all(&folder).context("cannot create a folder for port locks")?;
    let span = u32::from(RANGE.end - RANGE.start);
    let start = getrandom::u32().map_err(|error| anyhow::anyhow!("no randomness: {error}"))? % span;
    for step in 0..span {
        let Ok(offset) = u16::try_from((start + step) % span) else { continue };
        let number = RANGE.start + offset;
        let lock = File::create(folder.join(number.to_string())).context("cannot create a port lock")?;
        if lock.try_lock().is_ok() && is_free(number) {
            return Ok(ReservedPort { number, _lock: lock });
        }
    }
    bail!("no free port between {} and {}", RANGE.start, RANGE.end)
}

/// Whether nothing listens on a port of the loopback interface.
#[must_use]
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Refuses a port that is taken, and says what to do.
///
/// # Errors
/// When something listens on it.
pub fn require_free(port: u16, what_for: &str) -> Result<()> {
    if is_free(port) {
        return Ok(());
    }
    bail!(
        "port {port} ({what_for}) is in use by another program. Stop that program (`ss -ltnp 'sport = :{port}'` shows \
         it), or choose another port with --port"
    )
}
