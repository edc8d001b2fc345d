//! The name server of one sprite, on its own loopback interface, and what of the world it opens.
//!
//! Every sprite asks here. A name that its policy doesn't allow is refused. Under a policy the addresses of the others are
//! let through the firewall before the answer is given, and no other address is: what nobody asked for by name can't be
//! reached.
//!
//! Invariants:
//! * An address is open exactly while a name that led to it is allowed.
//! * Only public addresses are opened: no name leads into private networks.
//!
//! The dial origin is no business of this: it is on the sprite's loopback interface, where no firewall is.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use simple_dns::rdata::RData;
use simple_dns::{Packet, PacketFlag, RCODE};
use snapvm_protocol::sprites::NetworkPolicy;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;

use super::{NetworkError, rules};
use crate::guest::lock;
use crate::policy;

/// Longest message, over UDP and over TCP.
const MESSAGE_MAX: usize = 65_535;
/// How long the machine's name servers may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most questions that wait for an answer at a time.
const QUESTIONS_MAX: usize = 256;
/// Most addresses that are open at a time; more are refused.
const OPEN_MAX: usize = 8192;

/// A sprite's name server.
pub(crate) struct Resolver {
    instance: u16,
    interface: String,
    upstream: Vec<SocketAddr>,
    defaults: Vec<String>,
    policy: Mutex<NetworkPolicy>,
    /// Open addresses, and the names that led to them.
    open: Mutex<BTreeMap<Ipv4Addr, BTreeSet<String>>>,
    /// One change of the firewall at a time.
    changing: tokio::sync::Mutex<()>,
    questions: Arc<Semaphore>,
}

impl Resolver {
    pub(super) fn new(instance: u16, interface: String, upstream: Vec<SocketAddr>, defaults: Vec<String>) -> Arc<Self> {
        Arc::new(Self {
            instance,
            interface,
            upstream,
            defaults,
            policy: Mutex::default(),
            open: Mutex::default(),
            changing: tokio::sync::Mutex::default(),
            questions: Arc::new(Semaphore::new(QUESTIONS_MAX)),
        })
    }

    /// Puts a policy in force. What is open and may not be any more is closed; connections to it end.
    pub(crate) async fn police(&self, wanted: &NetworkPolicy) -> Result<(), NetworkError> {
        let _changing = self.changing.lock().await;
        if wanted.rules.is_empty() {
            rules::unpolice(self.instance, &self.interface).await?;
            lock(&self.open).clear();
            *lock(&self.policy) = wanted.clone();
            return Ok(());
        }
        // From here on nothing new is opened that this policy doesn't allow.
        let before = std::mem::replace(&mut *lock(&self.policy), wanted.clone());
        if before.rules.is_empty() {
            return rules::police(self.instance, &self.interface).await;
        }
        let mut closed = Vec::new();
        lock(&self.open).retain(|address, names| {
            names.retain(|name| policy::allows(wanted, &self.defaults, name));
            if names.is_empty() {
                closed.push(*address);
            }
            !names.is_empty()
        });
        rules::close(self.instance, &self.interface, &closed).await
    }

    /// Removes what is in the firewall.
    pub(super) async fn stop(&self) {
        let is_policed = !lock(&self.policy).rules.is_empty();
        if is_policed && let Err(error) = rules::unpolice(self.instance, &self.interface).await {
            // At the end of the program the whole table is gone already.
            tracing::debug!(%error, "removing a network policy");
        }
    }

    /// Answers over UDP.
    pub(super) async fn serve_datagrams(self: Arc<Self>, socket: UdpSocket) {
        let socket = Arc::new(socket);
        let mut buffer = vec![0; MESSAGE_MAX];
        loop {
            let Ok((length, from)) = socket.recv_from(&mut buffer).await else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let question = buffer.get(..length).unwrap_or_default().to_vec();
            // Too many at a time: the one who asks will ask again.
            let Ok(permit) = self.questions.clone().try_acquire_owned() else { continue };
            let (resolver, socket) = (self.clone(), socket.clone());
            tokio::spawn(async move {
                if let Some(answer) = resolver.answer(&question, false).await {
                    let _ = socket.send_to(&answer, from).await;
                }
                drop(permit);
            });
        }
    }

    /// Answers over TCP, one question a connection.
    pub(super) async fn serve_streams(self: Arc<Self>, listener: TcpListener) {
        loop {
            let Ok((mut stream, _)) = listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let Ok(permit) = self.questions.clone().try_acquire_owned() else { continue };
            let resolver = self.clone();
            tokio::spawn(async move {
                let served = async {
                    let question = read_message(&mut stream).await?;
                    match resolver.answer(&question, true).await {
                        Some(answer) => write_message(&mut stream, &answer).await,
                        None => Ok(()),
                    }
                };
                let _ = tokio::time::timeout(PATIENCE * 2, served).await;
                drop(permit);
            });
        }
    }

    /// The answer to a question; none to what isn't one.
    async fn answer(&self, question: &[u8], over_tcp: bool) -> Option<Vec<u8>> {
        let packet = Packet::parse(question).ok()?;
        let [asked] = packet.questions.as_slice() else { return None };
        if packet.has_flags(PacketFlag::RESPONSE) {
            return None;
        }
        let name = asked.qname.to_string();
        let current = lock(&self.policy).clone();
        if !policy::allows(&current, &self.defaults, &name) {
            return failure(&packet, RCODE::Refused);
        }
        let Some(answer) = self.ask(question, over_tcp).await else { return failure(&packet, RCODE::ServerFailure) };
        if !current.rules.is_empty() {
            let addresses = addresses(&answer);
            if self.let_through(&name, &addresses).await.is_err() {
                return failure(&packet, RCODE::ServerFailure);
            }
        }
        Some(answer)
    }

    /// Opens the addresses of a name, if it is still allowed.
    async fn let_through(&self, name: &str, addresses: &[Ipv4Addr]) -> Result<(), NetworkError> {
        let _changing = self.changing.lock().await;
        let current = lock(&self.policy).clone();
        if current.rules.is_empty() || !policy::allows(&current, &self.defaults, name) {
            return Ok(());
        }
        let new: Vec<Ipv4Addr> = {
            let mut open = lock(&self.open);
            let mut new = Vec::new();
            for address in addresses {
                if !open.contains_key(address) {
                    if open.len() >= OPEN_MAX {
                        return Err(NetworkError::Full);
                    }
                    new.push(*address);
                }
                open.entry(*address).or_default().insert(name.to_owned());
            }
            new
        };
        let opened = rules::open(self.instance, &self.interface, &new).await;
        if opened.is_err() {
            let mut open = lock(&self.open);
            for address in &new {
                open.remove(address);
            }
        }
        opened
    }

    /// Asks the machine's name servers, one after the other.
    async fn ask(&self, question: &[u8], over_tcp: bool) -> Option<Vec<u8>> {
        for server in &self.upstream {
            let asking = async {
                if over_tcp {
                    let mut stream = TcpStream::connect(server).await?;
                    write_message(&mut stream, question).await?;
                    return read_message(&mut stream).await;
                }
                let any: SocketAddr = if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
                let socket = UdpSocket::bind(any).await?;
                socket.connect(server).await?;
                socket.send(question).await?;
                let mut answer = vec![0; MESSAGE_MAX];
                let length = socket.recv(&mut answer).await?;
                answer.truncate(length);
                Ok(answer)
            };
            if let Ok(Ok(answer)) = tokio::time::timeout(PATIENCE, asking).await {
                // Each question has a socket of its own, so a stranger would have to guess port and id.
                if answer.get(..2) == question.get(..2) {
                    return Some(answer);
                }
            }
        }
        None
    }
}

/// An answer that only says what went wrong.
fn failure(question: &Packet<'_>, code: RCODE) -> Option<Vec<u8>> {
    let mut packet = Packet::new_reply(question.id());
    packet.questions.clone_from(&question.questions);
    *packet.rcode_mut() = code;
    packet.build_bytes_vec().ok()
}

/// The public addresses in an answer.
fn addresses(answer: &[u8]) -> Vec<Ipv4Addr> {
    let Ok(packet) = Packet::parse(answer) else { return Vec::new() };
    let address = |record: &simple_dns::ResourceRecord<'_>| match &record.rdata {
        RData::A(record) => Some(Ipv4Addr::from_bits(record.address)),
        _ => None,
    };
    packet.answers.iter().filter_map(address).filter(|address| is_public(*address)).collect()
}

fn is_public(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    let is_shared = first == 100 && (64..128).contains(&second);
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || is_shared
        || first == 0
        || first >= 240)
}

async fn read_message(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = stream.read_u16().await?;
    let mut message = vec![0; length.into()];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

async fn write_message(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(io::Error::other)?;
    let mut all = length.to_be_bytes().to_vec();
    all.extend_from_slice(message);
    stream.write_all(&all).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_public_addresses_are_opened() {
        for private in [
            "10.0.0.1",
            "192.168.1.1",
            "172.16.0.1",
            "127.0.0.1",
            "169.254.1.1",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        assert!(is_public("203.0.113.9".parse().unwrap()) && is_public("100.128.0.1".parse().unwrap()));
    }

    proptest! {
        #[test]
        fn any_answer_is_read(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = addresses(&bytes);
        }
    }
}
