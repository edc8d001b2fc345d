//! The host's side of the control socket to process 1.
//!
//! What comes in is not trusted: it is bounded, it can only name operations that exist, and nobody waits for it for
//! ever.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::SpriteError;
use crate::guest::lock;
use crate::wire::{self, FromGuest, MESSAGE_MAX, ToGuest};

/// How long process 1 may take for something that takes no time.
const PATIENCE: Duration = Duration::from_secs(20);
/// Messages about one operation that wait to be read; there are never more than three in an operation's life.
const BACKLOG: usize = 4;

type Waiters = Arc<Mutex<HashMap<u64, mpsc::Sender<FromGuest>>>>;

/// The control socket.
pub(super) struct Link {
    socket: Arc<AsyncFd<OwnedFd>>,
    waiters: Waiters,
    next: AtomicU64,
    /// Cancelled when the guest's end is closed.
    pub(super) closed: CancellationToken,
}

/// One operation of the guest.
pub(super) struct Operation {
    /// Its name in messages.
    pub(super) id: u64,
    answers: mpsc::Receiver<FromGuest>,
    waiters: Waiters,
}

impl Link {
    /// Takes the host's end of a pair.
    #[expect(
        deprecated,
        reason = "what is unsound about it, a descriptor that somebody else closes, can't happen with an owned one"
    )]
    pub(super) fn start(socket: OwnedFd) -> Result<Self, SpriteError> {
        let socket = Arc::new(AsyncFd::new(socket)?);
        let (waiters, closed) = (Waiters::default(), CancellationToken::new());
        tokio::spawn(read_all(socket.clone(), waiters.clone(), closed.clone()));
        Ok(Self { socket, waiters, next: AtomicU64::new(1), closed })
    }

    /// Says something that is not an operation.
    pub(super) async fn say(&self, message: &ToGuest) -> Result<(), SpriteError> {
        self.send(message, &[]).await
    }

    /// Sends the first message and waits for its answer.
    pub(super) async fn set_up(&self, message: &ToGuest) -> Result<(), SpriteError> {
        let mut operation = self.register(0);
        self.send(message, &[]).await?;
        operation.answer().await.map(drop)
    }

    /// Begins an operation.
    pub(super) async fn begin(
        &self,
        make: impl FnOnce(u64) -> ToGuest,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<Operation, SpriteError> {
        let operation = self.register(self.next.fetch_add(1, Ordering::Relaxed));
        self.send(&make(operation.id), descriptors).await?;
        Ok(operation)
    }

    fn register(&self, id: u64) -> Operation {
        let (sender, answers) = mpsc::channel(BACKLOG);
        lock(&self.waiters).insert(id, sender);
        if self.closed.is_cancelled() {
            lock(&self.waiters).clear();
        }
        Operation { id, answers, waiters: self.waiters.clone() }
    }

    async fn send(&self, message: &ToGuest, descriptors: &[BorrowedFd<'_>]) -> Result<(), SpriteError> {
        let bytes = wire::encode(message)?;
        let sending = async {
            loop {
                let mut ready = self.socket.writable().await?;
                let attempt = ready.try_io(|socket| Ok(wire::send(socket.get_ref().as_fd(), &bytes, descriptors)?));
                if let Ok(outcome) = attempt {
                    return outcome;
                }
            }
        };
        match tokio::time::timeout(PATIENCE, sending).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(SpriteError::Stopped),
            Err(_) => Err(SpriteError::Silent),
        }
    }
}

impl Operation {
    /// The next message about it, however long that takes.
    pub(super) async fn next(&mut self) -> Result<FromGuest, SpriteError> {
        match self.answers.recv().await {
            Some(FromGuest::Refused { code, message, .. }) => Err(SpriteError::Refused { code, message }),
            Some(message) => Ok(message),
            None => Err(SpriteError::Stopped),
        }
    }

    /// The next message about it, which process 1 sends at once.
    pub(super) async fn answer(&mut self) -> Result<FromGuest, SpriteError> {
        tokio::time::timeout(PATIENCE, self.next()).await.map_err(|_| SpriteError::Silent)?
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        lock(&self.waiters).remove(&self.id);
    }
}

async fn read_all(socket: Arc<AsyncFd<OwnedFd>>, waiters: Waiters, closed: CancellationToken) {
    let mut buffer = vec![0; MESSAGE_MAX];
    loop {
        let Ok(mut ready) = socket.readable().await else { break };
        let attempt = ready.try_io(|socket| Ok(wire::receive(socket.get_ref().as_fd(), &mut buffer)?));
        let Ok(received) = attempt else { continue };
        let Ok(length @ 1..) = received else { break };
        match serde_json::from_slice::<FromGuest>(buffer.get(..length).unwrap_or_default()) {
            Ok(message) => {
                if let Some(waiter) = lock(&waiters).get(&message.id()) {
                    // A full backlog is a guest that makes things up.
                    let _ = waiter.try_send(message);
                }
            }
            Err(error) => tracing::warn!(%error, "a sprite's process 1 talks nonsense"),
        }
    }
    closed.cancel();
    lock(&waiters).clear();
}
