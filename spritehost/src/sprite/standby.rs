//! What a sprite boots in, ready before anybody asks for it: a container with process 1, its network and its sockets.
//!
//! Making it is nearly all of what a boot takes, most of it the kernel's own waits. So a sprite that has gone cold gets
//! the next one at once, and its wake only starts services. How many sprites may have one is the business of
//! [`Standbys`](crate::standbys::Standbys).
//!
//! Invariants:
//! * No program of the sprite has run in it, and nothing that ran before is left in it: the sprite is as cold as without.
//! * It is of the sprite's disk as that is: whoever puts other layers under the sprite ends it first.
//! * It belongs to the sprite's phase, so that it is made, used and ended under the sprite's lock.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, Ordering};

use snapvm_protocol::sprites::NetworkPolicy;
use tokio::net::{TcpListener, UnixListener};

use super::link::Link;
use super::{Sprite, SpriteError};
use crate::container::{Container, Limits, Plan};
use crate::network::{DIAL_ADDRESS, Place};
use crate::wire::{self, ToGuest};

/// A boot that has not begun.
pub(super) struct Standby {
    pub(super) link: Link,
    pub(super) container: Container,
    pub(super) place: Place,
    /// The guest socket.
    pub(super) socket: UnixListener,
    /// Where the sprite will dial, if there is something to dial.
    pub(super) dials: Option<TcpListener>,
}

impl Standby {
    /// Makes the container, process 1 in it, and its network.
    pub(super) async fn make(sprite: &Sprite) -> Result<Self, SpriteError> {
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
        match Self::connect(sprite, host, &container).await {
            Ok((link, place, dials)) => Ok(Self { link, container, place, socket, dials }),
            Err(error) => {
                let _ = container.end().await;
                Err(error)
            }
        }
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

    /// Whether its process 1 lives.
    pub(super) fn is_alive(&self) -> bool {
        !self.link.closed.is_cancelled() && !self.container.has_ended()
    }

    /// Puts a network policy in force.
    pub(super) async fn police(&self, policy: &NetworkPolicy) -> Result<(), SpriteError> {
        Ok(self.place.police(policy).await?)
    }

    /// Ends it; its place in the network is free afterwards.
    pub(super) async fn end(self) {
        if let Err(error) = self.container.end().await {
            tracing::error!(%error, "ending what stood by for a sprite");
        }
        self.place.leave().await;
    }
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
