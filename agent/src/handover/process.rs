//! The system's side of a hand-over: a sealed memory file, descriptors that stay open over the exec, and the exec.
//!
//! Invariants: the state is never on a disk; what an exec that fails has changed is changed back; a descriptor that is
//! not taken is closed.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use nix::sys::signal::{SigSet, Signal};
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::FdFlags;

use super::format::{self, LENGTH_MAX, Unusable};
use super::state::State;

/// Names the memory file's descriptor to the successor.
pub const VARIABLE: &str = "SNAPVM_HANDOVER";
/// Descriptors of standard input, output and error.
const STANDARD: i32 = 2;
/// The state can be read, and nothing else.
const SEALED: SealFlags = SealFlags::SEAL.union(SealFlags::SHRINK).union(SealFlags::GROW).union(SealFlags::WRITE);

/// Becomes the program at this path, in the same process, with these bytes and these descriptors. Returns only if that
/// is not possible, with everything as it was.
#[must_use]
pub fn exec(program: &Path, state: &[u8], descriptors: &[i32]) -> io::Error {
    match prepare_and_exec(program, state, descriptors) {
        Err(error) => error,
        Ok(never) => match never {},
    }
}

fn prepare_and_exec(program: &Path, state: &[u8], descriptors: &[i32]) -> io::Result<std::convert::Infallible> {
    let memory = rustix::fs::memfd_create("snapvm-handover", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut memory = File::from(memory);
    memory.write_all(state)?;
    rustix::fs::fcntl_add_seals(&memory, SEALED)?;

    let text = |text: &OsStr| CString::new(text.as_bytes()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput));
    let path = text(program.as_os_str())?;
    let arguments: Vec<CString> = std::env::args_os().map(|argument| text(&argument)).collect::<Result<_, _>>()?;
    let mut variables = Vec::new();
    for (name, value) in std::env::vars_os().filter(|(name, _)| name != VARIABLE) {
        variables.push(text(OsStr::from_bytes(&[name.as_bytes(), b"=", value.as_bytes()].concat()))?);
    }
    variables.push(text(OsStr::new(&format!("{VARIABLE}={}", memory.as_raw_fd())))?);

    let all: Vec<i32> = descriptors.iter().copied().chain([memory.as_raw_fd()]).collect();
    let kept = all.iter().try_for_each(|descriptor| close_on_exec(*descriptor, false));
    // Between the exec and the successor's handler a TERM would kill, and services with it.
    let _ = SigSet::from(Signal::SIGTERM).thread_block();
    let outcome = kept.and_then(|()| nix::unistd::execve(&path, &arguments, &variables).map_err(io::Error::from));
    take_signals();
    for descriptor in all {
        let _ = close_on_exec(descriptor, true);
    }
    outcome
}

/// Takes TERM again. The successor calls it once it listens for it.
pub fn take_signals() {
    let _ = SigSet::from(Signal::SIGTERM).thread_unblock();
}

/// What the process began with.
#[derive(Debug)]
pub enum Beginning {
    /// Nothing: the start of a boot.
    Fresh,
    /// The state of an agent before this one, in this process.
    Resumed(Box<State>),
    /// A state that cannot be used, and children that nobody can know any more.
    Unusable(Unusable),
}

/// Looks for the state of an agent before this one. What it names is closed on the next exec.
#[must_use]
pub fn begin() -> Beginning {
    let Some(descriptor) = std::env::var(VARIABLE).ok().and_then(|number| number.parse().ok()) else {
        return Beginning::Fresh;
    };
    // A variable that somebody else set names no sealed memory file.
    let Some(memory) = inherited(descriptor).filter(is_sealed) else { return Beginning::Fresh };
    match read(memory) {
        Ok(state) => {
            for descriptor in state.descriptors() {
                let _ = close_on_exec(descriptor, true);
            }
            Beginning::Resumed(Box::new(state))
        }
        Err(unusable) => {
            close_inherited();
            Beginning::Unusable(unusable)
        }
    }
}

fn is_sealed(memory: &OwnedFd) -> bool {
    rustix::fs::fcntl_get_seals(memory).is_ok_and(|seals| seals.contains(SEALED))
}

fn read(memory: OwnedFd) -> Result<State, Unusable> {
    // The writer's position is the file's end.
    rustix::fs::seek(&memory, rustix::fs::SeekFrom::Start(0)).map_err(|_| Unusable::Damaged)?;
    let mut bytes = Vec::new();
    let most = LENGTH_MAX as u64 + 1;
    File::from(memory).take(most).read_to_end(&mut bytes).map_err(|_| Unusable::Damaged)?;
    format::decode(&bytes)
}

/// Takes an inherited descriptor; nothing when it is not open, or not the agent's to take.
#[must_use]
pub fn inherited(descriptor: i32) -> Option<OwnedFd> {
    if descriptor <= STANDARD || !is_open(descriptor) {
        return None;
    }
    #[expect(unsafe_code, reason = "the only way to take a descriptor that was open before this program began")]
    // SAFETY: it is open, and this program has not opened it: it was asked for by a number that came from before the
    // program began, and `Descriptors` gives each of a state's numbers away once.
    let owned = unsafe { OwnedFd::from_raw_fd(descriptor) };
    Some(owned)
}

fn is_open(descriptor: i32) -> bool {
    borrowed(descriptor).is_some_and(|descriptor| rustix::io::fcntl_getfd(descriptor).is_ok())
}

fn close_on_exec(descriptor: i32, wanted: bool) -> io::Result<()> {
    let descriptor = borrowed(descriptor).ok_or(io::ErrorKind::InvalidInput)?;
    let flags = if wanted { FdFlags::CLOEXEC } else { FdFlags::empty() };
    Ok(rustix::io::fcntl_setfd(descriptor, flags)?)
}

fn borrowed<'a>(descriptor: i32) -> Option<BorrowedFd<'a>> {
    if descriptor < 0 {
        return None;
    }
    #[expect(unsafe_code, reason = "the only way to ask whether a number is an open descriptor")]
    // SAFETY: it is not -1, and only used to read or set its flags, which fails where it is not open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(descriptor) };
    Some(borrowed)
}

/// Closes everything that was kept open over the exec.
fn close_inherited() {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return };
    let open: Vec<i32> = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    let is_kept = |descriptor: &i32| {
        borrowed(*descriptor)
            .and_then(|descriptor| rustix::io::fcntl_getfd(descriptor.as_fd()).ok())
            .is_some_and(|flags| !flags.contains(FdFlags::CLOEXEC))
    };
    open.into_iter().filter(is_kept).filter_map(inherited).for_each(drop);
}
