//! The network of all sprites of one spritehost.
//!
//! ```text
//! sprite's namespace                          host
//!   eth0 10.83.x.2/30 ───── veth pair ───── sh{port}-{n} 10.83.x.1/30 ── nftables: masquerade ── internet
//!   lo   127.0.0.1:8080  ◀── socket made in the namespace ── edge
//!   lo   169.254.83.1:P  ──▶ listener made in the namespace ── dial origin 127.0.0.1:…
//!   lo   169.254.83.1:53 ──▶ sockets made in the namespace ── name server of the sprite ── the machine's
//! ```
//!
//! Invariants:
//! * Of the host a sprite reaches the dial origin and nothing else: what comes in by a sprite's interface is rejected
//!   when it is for any address of the host, for another sprite, for a link-local address, or leaves by an interface
//!   that isn't the way to the internet.
//! * Everything is named after the instance (the API's port), so several spritehosts share a machine.
//!
//! Absent on purpose: IPv6 for sprites, beyond their own loopback interface. A second family would double every rule here,
//! for a network that most of the machines this runs on don't have.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use snapvm_protocol::sprites::NetworkPolicy;
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tokio::task::{AbortHandle, JoinHandle};

use crate::arguments::Serve;
use crate::guest::lock;

mod namespace;
mod resolver;
mod rules;

use namespace::Namespaces;
use resolver::Resolver;

/// The address, inside every sprite, at which the dial origin listens.
pub(crate) const DIAL_ADDRESS: Ipv4Addr = Ipv4Addr::new(169, 254, 83, 1);
/// The port at which the sprite's name server listens there.
const NAMES_PORT: u16 = 53;
/// Prefix of the range that one instance takes.
const BLOCK_PREFIX: u8 = 22;
/// Point-to-point networks in a block: most sprites that are awake at once.
const SLOTS: u32 = 1 << (30 - BLOCK_PREFIX);

/// Why networking failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NetworkError {
    /// A program failed.
    #[error("{program} failed: {words}")]
    Failed {
        /// Which.
        program: &'static str,
        /// What it said.
        words: String,
    },
    /// A program is not there.
    #[error("{program} is not installed; on Debian: apt-get install {package}")]
    Missing {
        /// Which.
        program: &'static str,
        /// The package that has it.
        package: &'static str,
    },
    /// A system call failed.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// Every address is taken.
    #[error("no addresses left: {SLOTS} sprites are awake, or other spritehosts use the whole range")]
    Full,
}

impl NetworkError {
    pub(crate) fn at<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::System { what, source: source.into() }
    }
}

/// The network of one spritehost.
pub(crate) struct Network {
    instance: u16,
    block: Ipv4Addr,
    used: Mutex<BTreeSet<u32>>,
    counter: AtomicU32,
    namespaces: Namespaces,
    /// Name servers that sprites' own name servers ask.
    upstream: Vec<SocketAddr>,
    /// What policies mean by `defaults`.
    defaults: Vec<String>,
}

/// A sprite's place in the network; given back when dropped.
pub(crate) struct Place {
    network: Arc<Network>,
    namespace: Arc<OwnedFd>,
    /// Until it is given back.
    slot: Option<u32>,
    interface: String,
    resolver: Arc<Resolver>,
    serving: Vec<AbortHandle>,
}

impl Network {
    /// Takes a block that no other instance has, and sets up the rules.
    ///
    /// `taken` are the blocks of other instances.
    pub(crate) async fn start(instance: u16, options: &Serve, taken: &[Ipv4Addr]) -> Result<Arc<Self>, NetworkError> {
        let range = options.network;
        let blocks = 1_u32 << (BLOCK_PREFIX - range.prefix);
        let start = u32::from(instance) % blocks;
        let block = (0..blocks)
            .map(|step| Ipv4Addr::from_bits(range.first.to_bits() + ((start + step) % blocks) * SLOTS * 4))
            .find(|block| !taken.contains(block))
            .ok_or(NetworkError::Full)?;
        enable_forwarding()?;
        rules::install(instance, (block, BLOCK_PREFIX), (range.first, range.prefix)).await?;
        let namespaces = Namespaces::start().map_err(NetworkError::at("namespace thread"))?;
        let upstream = if options.resolver.is_empty() { name_servers() } else { options.resolver.clone() };
        Ok(Arc::new(Self {
            instance,
            block,
            used: Mutex::default(),
            counter: AtomicU32::new(0),
            namespaces,
            upstream,
            defaults: options.policy_default.clone(),
        }))
    }

    /// The block that this instance took.
    pub(crate) fn block(&self) -> Ipv4Addr {
        self.block
    }

    /// Connects a new namespace, under a policy from the start.
    pub(crate) async fn join(
        self: &Arc<Self>,
        namespace: OwnedFd,
        policy: &NetworkPolicy,
    ) -> Result<Place, NetworkError> {
        let slot = {
            let mut used = lock(&self.used);
            let slot = (0..SLOTS).find(|slot| !used.contains(slot)).ok_or(NetworkError::Full)?;
            used.insert(slot);
            slot
        };
        // A new name each time: the kernel removes the old pair in its own time.
        let serial = self.counter.fetch_add(1, Ordering::Relaxed) % 1_000_000;
        let interface = format!("{}{serial}", rules::interface_prefix(self.instance));
        let (upstream, defaults) = (self.upstream.clone(), self.defaults.clone());
        let resolver = Resolver::new(self.instance, interface.clone(), upstream, defaults);
        let mut place = Place {
            network: self.clone(),
            namespace: Arc::new(namespace),
            slot: Some(slot),
            interface,
            resolver,
            serving: Vec::new(),
        };
        if !policy.rules.is_empty() {
            place.resolver.police(policy).await?;
        }
        let (host, guest) = self.addresses(slot);
        let (name, own) = (&place.interface, std::process::id());
        let inside = format!(
            "link set lo up\naddr add {DIAL_ADDRESS}/32 dev lo\n\
             link add eth0 type veth peer name {name} netns {own}\n\
             addr add {guest}/30 dev eth0\nlink set eth0 up\nroute add default via {host}\n"
        );
        let namespace = place.namespace.clone();
        namespace::in_thread(namespace, move || batch(&inside)).await?;
        let outside = format!("addr add {host}/30 dev {name}\nlink set {name} up\n");
        tokio::task::spawn_blocking(move || batch(&outside))
            .await
            .map_err(|error| NetworkError::at("ip")(io::Error::from(error)))??;
        place.serve_names().await.map_err(NetworkError::at("name server"))?;
        Ok(place)
    }

    /// The host's and the guest's address of a slot.
    fn addresses(&self, slot: u32) -> (Ipv4Addr, Ipv4Addr) {
        let base = self.block.to_bits() + slot * 4;
        (Ipv4Addr::from_bits(base + 1), Ipv4Addr::from_bits(base + 2))
    }

    /// Removes rules and interfaces.
    pub(crate) async fn stop(&self) {
        clear(self.instance).await;
    }
}

/// Removes the rules and interfaces of an instance that isn't running any more.
pub(crate) async fn clear(instance: u16) {
    rules::remove(instance).await;
    let prefix = rules::interface_prefix(instance);
    for entry in fs::read_dir("/sys/class/net").into_iter().flatten().flatten() {
        if let Some(name) = entry.file_name().to_str().filter(|name| name.starts_with(&prefix)) {
            remove_interface(name.to_owned()).await;
        }
    }
}

async fn remove_interface(name: String) {
    // It may be gone already, with the namespace on its other end.
    let _ = tokio::task::spawn_blocking(move || batch(&format!("link del {name}\n"))).await;
}

impl Place {
    /// Connects from inside the sprite.
    pub(crate) async fn connect(&self, target: SocketAddr) -> io::Result<TcpStream> {
        let make = move || namespace::socket(target.is_ipv6());
        let socket = self.network.namespaces.run(self.namespace.clone(), make).await??;
        let stream = TcpSocket::from_std_stream(socket).connect(target).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Starts the sprite's name server.
    async fn serve_names(&mut self) -> io::Result<()> {
        let bind = || {
            let socket = std::net::UdpSocket::bind((DIAL_ADDRESS, NAMES_PORT))?;
            socket.set_nonblocking(true)?;
            io::Result::Ok(socket)
        };
        let socket = self.network.namespaces.run(self.namespace.clone(), bind).await??;
        let datagrams = self.resolver.clone().serve_datagrams(UdpSocket::from_std(socket)?);
        let streams = self.resolver.clone().serve_streams(self.listen(NAMES_PORT).await?);
        self.serving = vec![tokio::spawn(datagrams).abort_handle(), tokio::spawn(streams).abort_handle()];
        Ok(())
    }

    /// Gives the place back; when this returns another sprite can have it.
    pub(crate) async fn leave(mut self) {
        if let Some(leaving) = self.give_back() {
            let _ = leaving.await;
        }
    }

    /// Puts a policy in force.
    pub(crate) async fn police(&self, policy: &NetworkPolicy) -> Result<(), NetworkError> {
        self.resolver.police(policy).await
    }

    /// Listens inside the sprite on the dial origin's address.
    pub(crate) async fn listen(&self, port: u16) -> io::Result<TcpListener> {
        let address = SocketAddr::from((DIAL_ADDRESS, port));
        let bind = move || {
            let listener = std::net::TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            io::Result::Ok(listener)
        };
        TcpListener::from_std(self.network.namespaces.run(self.namespace.clone(), bind).await??)
    }

    fn give_back(&mut self) -> Option<JoinHandle<()>> {
        for serving in self.serving.drain(..) {
            serving.abort();
        }
        let slot = self.slot.take()?;
        let (network, name, resolver) = (self.network.clone(), self.interface.clone(), self.resolver.clone());
        let runtime = tokio::runtime::Handle::try_current().ok()?;
        Some(runtime.spawn(async move {
            remove_interface(name).await;
            resolver.stop().await;
            lock(&network.used).remove(&slot);
        }))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(self.give_back());
    }
}

/// Runs a batch of `ip` commands in the namespace of the calling thread.
fn batch(script: &str) -> Result<(), NetworkError> {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let mut command = Command::new("ip");
    command.args(["-batch", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| missing(error, "ip", "iproute2"))?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(script.as_bytes()).map_err(NetworkError::at("ip"))?;
    }
    let output = child.wait_with_output().map_err(NetworkError::at("ip"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(NetworkError::Failed { program: "ip", words: String::from_utf8_lossy(&output.stderr).trim().to_owned() })
}

fn missing(error: io::Error, program: &'static str, package: &'static str) -> NetworkError {
    if error.kind() == io::ErrorKind::NotFound {
        NetworkError::Missing { program, package }
    } else {
        NetworkError::System { what: program, source: error }
    }
}

/// Lets the kernel forward packets, as Docker does too.
fn enable_forwarding() -> Result<(), NetworkError> {
    const SWITCH: &str = "/proc/sys/net/ipv4/ip_forward";
    if fs::read_to_string(SWITCH).unwrap_or_default().trim() != "1" {
        tracing::info!("switching on net.ipv4.ip_forward, so that sprites reach the internet");
        fs::write(SWITCH, "1").map_err(NetworkError::at("net.ipv4.ip_forward"))?;
    }
    Ok(())
}

/// Text of sprites' `/etc/resolv.conf`.
pub(crate) fn resolver_text() -> String {
    format!("nameserver {DIAL_ADDRESS}\n")
}

/// The machine's name servers.
fn name_servers() -> Vec<SocketAddr> {
    let servers = parse_name_servers(&fs::read_to_string("/etc/resolv.conf").unwrap_or_default());
    if servers.is_empty() {
        tracing::warn!("/etc/resolv.conf names no server: names will not resolve in sprites");
    }
    servers
}

fn parse_name_servers(text: &str) -> Vec<SocketAddr> {
    let addresses = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver")?.trim().parse().ok());
    addresses.map(|address| SocketAddr::new(address, NAMES_PORT)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_found() {
        let found =
            parse_name_servers("# x\nnameserver 127.0.0.53\nnameserver ::1\nsearch x\nnameserver fe80::1%eth0\n");
        assert_eq!(found, ["127.0.0.53:53".parse().unwrap(), "[::1]:53".parse().unwrap()]);
    }
}
