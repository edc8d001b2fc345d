//! `guest-init`: process 1 of a sprite.
//!
//! It starts programs, reads and writes files and reaps zombies, as the host says over the control socket on its
//! stdin. It decides nothing: which services exist and when to start them again is the host's business.
//!
//! Invariants:
//! * When the control socket ends, it ends, and the kernel ends every other process of the sprite with it.
//! * A program's `Started` is sent before its `Exited`.
//!
//! Absent on purpose: tokio (a sleeping sprite should cost little), and any listening socket.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use crate::wire::{self, FromGuest, MESSAGE_MAX, ToGuest, WireError};

mod changes;
mod files;
mod programs;
mod terminal;
mod watch;

pub(crate) use programs::USER;

/// Why process 1 gave up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GuestError {
    /// Not started by spritehost.
    #[error("guest-init is started by spritehost inside a sprite, not by hand")]
    NotInGuest,
    /// The control socket failed.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// A system call failed.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// The guest's side of the control socket.
pub(crate) struct Control(OwnedFd);

impl Control {
    /// Tells the host. A failure means that the host is gone, which the receiving side notices too.
    pub(crate) fn tell(&self, message: &FromGuest) {
        if let Ok(bytes) = wire::encode(message) {
            let _ = wire::send(self.0.as_fd(), &bytes, &[]);
        }
    }

    /// Tells the host that an operation failed.
    pub(crate) fn refuse(&self, id: u64, error: &io::Error, what: &str) {
        self.tell(&FromGuest::Refused { id, code: code(error).to_owned(), message: format!("{what}: {error}") });
    }
}

/// The API's name of an error.
fn code(error: &io::Error) -> &'static str {
    use rustix::io::Errno;
    match Errno::from_io_error(error) {
        Some(Errno::NOENT) => "ENOENT",
        Some(Errno::EXIST) => "EEXIST",
        Some(Errno::NOTDIR) => "ENOTDIR",
        Some(Errno::ISDIR) => "EISDIR",
        Some(Errno::ACCESS | Errno::PERM) => "EACCES",
        Some(Errno::NOTEMPTY) => "ENOTEMPTY",
        Some(Errno::INVAL | Errno::NAMETOOLONG | Errno::LOOP) => "EINVAL",
        _ => "EIO",
    }
}

/// Runs until the host lets go.
///
/// # Errors
/// When it was not started by spritehost, or the control socket fails.
pub(crate) fn run() -> Result<(), GuestError> {
    if rustix::process::getpid().as_raw_nonzero().get() != 1 {
        return Err(GuestError::NotInGuest);
    }
    let socket = io::stdin().as_fd().try_clone_to_owned()?;
    let control = Arc::new(Control(socket));
    let programs = Arc::new(programs::Programs::new(control.clone()));
    let reaper = programs.clone();
    std::thread::spawn(move || reaper.reap_forever());
    let pending: Arc<Mutex<HashMap<u64, mpsc::Sender<bool>>>> = Arc::default();

    let mut buffer = vec![0; MESSAGE_MAX];
    while let Some((message, descriptors)) = wire::receive_with::<ToGuest>(control.0.as_fd(), &mut buffer)? {
        let mut descriptors = descriptors.into_iter();
        match message {
            ToGuest::Setup { hostname, hosts, resolver } => {
                files::set_up(&hostname, &hosts, &resolver);
                control.tell(&FromGuest::Ready);
            }
            ToGuest::Spawn { id, program } => programs.spawn(id, &program, descriptors.collect()),
            ToGuest::Signal { id, signal } => programs.signal(id, signal),
            ToGuest::Resize { id, size } => programs.resize(id, size),
            ToGuest::Write { id, path, mode, parents } => {
                let (sender, decision) = mpsc::channel();
                lock(&pending).insert(id, sender);
                let (control, pending) = (control.clone(), pending.clone());
                let Some(pipe) = descriptors.next() else { continue };
                std::thread::spawn(move || {
                    files::write(&control, id, &files::Target { path, mode, parents }, pipe, &decision);
                    lock(&pending).remove(&id);
                });
            }
            ToGuest::Commit { id, keep } => {
                if let Some(sender) = lock(&pending).remove(&id) {
                    let _ = sender.send(keep);
                }
            }
            ToGuest::Read { id, path, offset } => {
                let control = control.clone();
                let Some(pipe) = descriptors.next() else { continue };
                std::thread::spawn(move || files::read(&control, id, &path, offset, pipe));
            }
            ToGuest::List { id, path } => {
                let control = control.clone();
                let Some(pipe) = descriptors.next() else { continue };
                std::thread::spawn(move || files::list(&control, id, &path, pipe));
            }
            ToGuest::Change { id, change } => {
                let control = control.clone();
                std::thread::spawn(move || changes::make(&control, id, &change));
            }
            ToGuest::Watch { id, paths, recursive } => {
                let control = control.clone();
                let Some(pipe) = descriptors.next() else { continue };
                std::thread::spawn(move || watch::watch(&control, id, &paths, recursive, pipe));
            }
            ToGuest::Shutdown { grace_ms } => {
                programs::end_all(Instant::now() + Duration::from_millis(grace_ms));
                rustix::fs::sync();
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Locks; a thread that panicked with the lock held leaves plain data behind.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
