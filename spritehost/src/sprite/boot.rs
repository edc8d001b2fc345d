//! One boot of a sprite: from the first process to the last.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use snapvm_protocol::sprites::NetworkPolicy;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::link::{Link, Operation};
use super::services::Services;
use super::sessions::Sessions;
use super::standby::Standby;
use super::{Sprite, SpriteError};
use crate::container::Container;
use crate::guest::lock;
use crate::network::Place;
use crate::wire::{self, Program, ToGuest};

/// The user's home, and where programs start.
pub(crate) const HOME: &str = "/home/sprite";
/// The port that a sprite's URL leads to.
const APP_PORT: u16 = 8080;
/// How long processes have after TERM when a sprite is put away in order.
const GRACE: Duration = Duration::from_secs(3);

/// A running (or frozen) sprite.
pub(crate) struct Boot {
    pub(super) link: Link,
    container: Container,
    place: Place,
    /// Services of this boot.
    pub services: Services,
    /// Programs that callers run in it.
    pub sessions: Sessions,
    /// Ends with the boot.
    pub over: CancellationToken,
    /// Ends when connections have to be cut; a new one begins with each thaw.
    cut: Mutex<CancellationToken>,
    still: AtomicBool,
}

impl Boot {
    /// Has a sprite begin to run in what stands by for it: dial origin, guest socket, services.
    pub(super) async fn begin(sprite: &Arc<Sprite>, standby: Standby) -> Arc<Self> {
        let Standby { link, container, place, socket, dials } = standby;
        let boot = Arc::new(Self {
            link,
            container,
            place,
            services: Services::default(),
            sessions: Sessions::default(),
            over: CancellationToken::new(),
            cut: Mutex::new(CancellationToken::new()),
            still: AtomicBool::new(false),
        });
        if let (Some(listener), Some(dial)) = (dials, &sprite.shared.options.dial) {
            tokio::spawn(accept_dials(boot.clone(), listener, dial.target));
        }
        crate::api::guest_socket::start(sprite.clone(), socket, boot.over.clone());
        boot.services.start_all(&boot, &sprite.record()).await;
        boot
    }

    /// Connects to the guest's port 8080.
    pub(crate) async fn connect_app(&self) -> std::io::Result<TcpStream> {
        self.place.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, APP_PORT))).await
    }

    /// Connects from inside the sprite.
    pub(crate) async fn reach(&self, target: SocketAddr) -> std::io::Result<TcpStream> {
        self.place.connect(target).await
    }

    /// Puts a network policy in force.
    pub(super) async fn police(&self, policy: &NetworkPolicy) -> Result<(), SpriteError> {
        Ok(self.place.police(policy).await?)
    }

    /// Process 1, as the host sees it.
    pub(super) fn first_process(&self) -> rustix::process::Pid {
        self.container.first_process()
    }

    /// Every process, as the host sees it.
    pub(super) fn processes(&self) -> Vec<rustix::process::Pid> {
        self.container.processes()
    }

    /// Ends when the connections of now have to be cut.
    pub(crate) fn cut(&self) -> CancellationToken {
        lock(&self.cut).clone()
    }

    /// Starts a program with these ends of pipes as stdin, stdout and stderr, or with its output in a log.
    pub(super) async fn spawn(
        &self,
        program: Program,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(Operation, u32), SpriteError> {
        let mut operation = self.link.begin(|id| ToGuest::Spawn { id, program }, descriptors).await?;
        match operation.answer().await? {
            wire::FromGuest::Started { pid, .. } => Ok((operation, pid)),
            _ => Err(SpriteError::Silent),
        }
    }

    /// Signals a program's process group, and what is in the foreground of its terminal.
    pub(crate) async fn signal(&self, id: u64, signal: rustix::process::Signal) {
        let _ = self.link.say(&ToGuest::Signal { id, signal: signal.as_raw() }).await;
    }

    /// Resizes a program's terminal.
    pub(crate) async fn resize(&self, id: u64, size: wire::Size) {
        let _ = self.link.say(&ToGuest::Resize { id, size }).await;
    }

    /// Freezes: processes first, so that nothing dials again before it stands still, then connections.
    pub(super) async fn freeze(&self) -> Result<(), SpriteError> {
        self.container.freeze().await?;
        self.still.store(true, Ordering::SeqCst);
        lock(&self.cut).cancel();
        Ok(())
    }

    /// Has processes stand still for a moment; connections stay.
    pub(super) async fn stand_still(&self) -> Result<(), SpriteError> {
        Ok(self.container.freeze().await?)
    }

    /// Lets them go on.
    pub(super) fn go_on(&self) -> Result<(), SpriteError> {
        Ok(self.container.thaw()?)
    }

    /// Thaws.
    pub(super) fn thaw(&self) -> Result<(), SpriteError> {
        *lock(&self.cut) = CancellationToken::new();
        self.still.store(false, Ordering::SeqCst);
        Ok(self.container.thaw()?)
    }

    /// Ends the boot. `in_order` asks the processes first.
    pub(super) async fn end(&self, in_order: bool) {
        self.over.cancel();
        if in_order {
            let grace_ms = u64::try_from(GRACE.as_millis()).unwrap_or(u64::MAX);
            let asked = self.link.say(&ToGuest::Shutdown { grace_ms }).await;
            if asked.is_ok() {
                let _ = tokio::time::timeout(GRACE * 2, self.container.ended()).await;
            }
        }
        lock(&self.cut).cancel();
        if let Err(error) = self.container.end().await {
            tracing::error!(%error, "ending a sprite");
        }
    }
}

/// Environment of the programs in a sprite, as the user's login shell would have it.
pub(crate) fn environment(own: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    const PATH: &str = "/home/sprite/.local/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let defaults = [("HOME", HOME), ("LANG", "C.UTF-8"), ("LOGNAME", "sprite"), ("PATH", PATH), ("SHELL", "/bin/bash")];
    let mut environment: BTreeMap<String, String> =
        defaults.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    environment.insert("USER".into(), "sprite".into());
    environment.extend(own.clone());
    environment
}

/// A pipe: the host's end is for tokio, the guest's end goes along with a message.
pub(super) fn pipe_to_guest() -> std::io::Result<(tokio::net::unix::pipe::Sender, OwnedFd)> {
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&writer, true)?;
    Ok((tokio::net::unix::pipe::Sender::from_owned_fd(writer)?, reader))
}

/// A pipe in the other direction.
pub(super) fn pipe_from_guest() -> std::io::Result<(tokio::net::unix::pipe::Receiver, OwnedFd)> {
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&reader, true)?;
    Ok((tokio::net::unix::pipe::Receiver::from_owned_fd(reader)?, writer))
}

/// Borrows descriptors for a message.
pub(super) fn borrow(ends: &[OwnedFd]) -> Vec<BorrowedFd<'_>> {
    ends.iter().map(AsFd::as_fd).collect()
}

/// Forwards what a sprite dials to the dial origin.
async fn accept_dials(boot: Arc<Boot>, listener: TcpListener, target: SocketAddr) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = boot.over.cancelled() => return,
        };
        let Ok((mut inner, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let cut = boot.cut();
        // Dialled in the last moment before it stood still.
        if boot.still.load(Ordering::SeqCst) {
            continue;
        }
        tokio::spawn(async move {
            let forward = async {
                let mut outer = TcpStream::connect(target).await?;
                outer.set_nodelay(true)?;
                inner.set_nodelay(true)?;
                tokio::io::copy_bidirectional(&mut inner, &mut outer).await
            };
            tokio::select! {
                _ = forward => {}
                () = cut.cancelled() => {}
            }
        });
    }
}
