//! One boot of a sprite: from the first process to the last.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use snapvm_protocol::sprites::NetworkPolicy;
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio_util::sync::CancellationToken;

use super::link::{Link, Operation};
use super::services::Services;
use super::sessions::Sessions;
use super::{Sprite, SpriteError};
use crate::container::{Container, Limits, Plan};
use crate::guest::lock;
use crate::network::{DIAL_ADDRESS, Place};
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
    /// Boots a sprite: container, network, dial origin, guest socket, services.
    pub(super) async fn start(sprite: &Arc<Sprite>) -> Result<Arc<Self>, SpriteError> {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        let (shared, record) = (sprite.shared.as_ref(), sprite.record());
        let folder = shared.runtime.join("s").join(&record.name);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let id = format!("{}-{}-{serial}", record.name, std::process::id());
        let socket = listen_in(&folder.join("guest"))?;
        let (host, guest) = wire::pair()?;
        let plan = Plan {
            cgroup: &format!("{}/{id}", crate::container::cgroup_of(shared.instance)),
            id,
            runc: &shared.runtime.join("runc"),
            folder: &folder,
            image: &shared.image,
            folders: &shared.store.folder(&record.name),
            disk: &record.disk,
            init: &shared.store.file("guest-init"),
            hostname: &record.name,
            limits: Limits {
                memory: record.memory.unwrap_or(shared.options.memory),
                processes: shared.options.processes,
                cpus: record.cpus,
            },
        };
        let container = Container::start(plan, guest).await?;
        let connected = Self::connect(sprite, host, &container).await;
        let (link, place, dial) = match connected {
            Ok(connected) => connected,
            Err(error) => {
                let _ = container.end().await;
                return Err(error);
            }
        };
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
        if let (Some(listener), Some(dial)) = (dial, &shared.options.dial) {
            tokio::spawn(accept_dials(boot.clone(), listener, dial.target));
        }
        crate::api::guest_socket::start(sprite.clone(), socket, boot.over.clone());
        boot.services.start_all(&boot, &record).await;
        Ok(boot)
    }

    /// What is needed besides the container.
    async fn connect(
        sprite: &Sprite,
        socket: OwnedFd,
        container: &Container,
    ) -> Result<(Link, Place, Option<TcpListener>), SpriteError> {
        let shared = sprite.shared.as_ref();
        let link = Link::start(socket)?;
        let place = shared.network.join(container.network.try_clone()?, &sprite.record().policy).await?;
        let mut hosts = Vec::new();
        let mut listener = None;
        if let Some(dial) = &shared.options.dial {
            listener = Some(place.listen(dial.port).await?);
            hosts.push(format!("{DIAL_ADDRESS}\t{}", dial.name));
        }
        let hostname = sprite.record().name;
        link.set_up(&ToGuest::Setup { hostname, hosts, resolver: crate::network::resolver_text() }).await?;
        Ok((link, place, listener))
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

/// Listens on the guest socket. The folder is the host's: a guest can't put something else in its place.
fn listen_in(folder: &std::path::Path) -> std::io::Result<UnixListener> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir_all(folder)?;
    let path = folder.join("api.sock");
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666))?;
    Ok(listener)
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
