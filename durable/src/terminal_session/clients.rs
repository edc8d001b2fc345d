//! Who is connected: the agent's socket, and the clients' with what is known of each.
//!
//! All of it is kept by the platform with the sockets themselves (attachments): it lasts exactly as long as they do,
//! outlives an eviction, and costs no storage write.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use snapvm_protocol::terminal::{ClientMode, Frame};
use worker::WebSocket;

use super::object::Session;
use super::outside::{Outside, Visitor};
use crate::access::Look;

/// Client id of the agent's socket.
pub(super) const AGENT: u32 = 0;
/// Ready state of a socket that is open.
const OPEN: u16 = 1;

/// What is remembered of a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Client {
    pub(super) visitor: Visitor,
    /// When their access was last looked at, Unix ms.
    pub(super) checked_ms: u64,
}

impl Client {
    pub(super) fn mode(&self) -> ClientMode {
        if self.visitor.write { ClientMode::Write } else { ClientMode::Read }
    }
}

/// A client that is connected.
pub(super) struct Peer {
    pub(super) socket: WebSocket,
    pub(super) client: Client,
    pub(super) look: Look,
    /// Frames that wait for a look, oldest first.
    pub(super) held: VecDeque<Vec<u8>>,
}

/// Everybody who is connected.
pub(super) struct Sockets {
    pub(super) agent: Option<WebSocket>,
    pub(super) clients: BTreeMap<u32, Peer>,
}

/// The client id of a socket.
pub(super) fn id_of(socket: &WebSocket) -> Option<u32> {
    let kept = kept(socket)?;
    kept.split(' ').next()?.parse().ok()
}

/// What the platform keeps with a socket while the object sleeps, at most 2 KiB: the id, and of a client, after a space,
/// what is remembered of it as JSON. The id is read for every frame.
fn kept(socket: &WebSocket) -> Option<String> {
    socket.deserialize_attachment().ok().flatten()
}

fn keep(socket: &WebSocket, id: u32, client: &Client) -> worker::Result<()> {
    socket.serialize_attachment(format!("{id} {}", serde_json::to_string(client)?))
}

/// Sends a frame; a socket that is closing needs none.
pub(super) fn send(socket: &WebSocket, frame: &[u8]) {
    let _ = socket.send_with_bytes(frame);
}

impl<O: Outside> Session<O> {
    /// The sockets; after an eviction, gathered from what the platform kept.
    pub(super) fn with_sockets<T>(&self, work: impl FnOnce(&mut Sockets) -> T) -> T {
        let mut slot = self.0.sockets.borrow_mut();
        work(slot.get_or_insert_with(|| gather(&self.0.state.get_websockets())))
    }

    pub(super) fn with_client<T>(&self, id: u32, work: impl FnOnce(&mut Peer) -> T) -> Option<T> {
        self.with_sockets(|sockets| sockets.clients.get_mut(&id).map(work))
    }

    /// Forgets which sockets there are: they are gathered again.
    pub(super) fn forget_sockets(&self) {
        self.0.sockets.borrow_mut().take();
    }

    pub(super) fn add_agent(&self, socket: WebSocket) -> worker::Result<()> {
        socket.serialize_attachment(AGENT.to_string())?;
        self.with_sockets(|sockets| sockets.agent = Some(socket));
        Ok(())
    }

    pub(super) fn add_client(&self, id: u32, socket: WebSocket, client: Client) -> worker::Result<()> {
        keep(&socket, id, &client)?;
        let peer = Peer { socket, client, look: Look::No, held: VecDeque::new() };
        self.with_sockets(|sockets| sockets.clients.insert(id, peer));
        Ok(())
    }

    /// Keeps what has changed of a client.
    pub(super) fn keep_client(&self, id: u32) {
        let kept = self.with_client(id, |peer| keep(&peer.socket, id, &peer.client));
        if let Some(Err(error)) = kept {
            self.0.outside.log(&format!("keeping what is known of a client: {error}"));
        }
    }

    /// A number that no client of this session had.
    pub(super) fn next_id(&self) -> worker::Result<u32> {
        let id = self.0.memory.get::<u32>("clients")?.unwrap_or(AGENT).wrapping_add(1).max(1);
        self.0.memory.put("clients", &id)?;
        Ok(id)
    }

    pub(super) fn client_ids(&self) -> Vec<u32> {
        self.with_sockets(|sockets| sockets.clients.keys().copied().collect())
    }

    pub(super) fn agent(&self) -> Option<WebSocket> {
        self.with_sockets(|sockets| sockets.agent.clone())
    }

    /// Asks the platform for the agent's socket: whether there is one.
    pub(super) fn find_agent(&self) -> bool {
        let open = self.0.state.get_websockets();
        let agent = open.into_iter().find(|socket| is_open(socket) && id_of(socket) == Some(AGENT));
        self.with_sockets(|sockets| {
            sockets.agent = agent;
            sockets.agent.is_some()
        })
    }

    /// False when there is no agent.
    pub(super) fn to_agent(&self, message: &[u8]) -> bool {
        self.agent().is_some_and(|agent| agent.send_with_bytes(message).is_ok())
    }

    pub(super) fn to_client(&self, id: u32, frame: &[u8]) {
        self.with_client(id, |peer| send(&peer.socket, frame));
    }

    pub(super) fn broadcast(&self, frame: &Frame<'_>) {
        let bytes = frame.encode();
        self.with_sockets(|sockets| sockets.clients.values().for_each(|peer| send(&peer.socket, &bytes)));
    }

    /// Takes a client out; the agent and the others learn that they are gone.
    pub(super) fn remove_client(&self, id: u32) -> Option<Peer> {
        let peer = self.with_sockets(|sockets| sockets.clients.remove(&id))?;
        self.to_agent(&Frame::Left.encode_for(id));
        self.tell_people();
        Some(peer)
    }
}

fn is_open(socket: &WebSocket) -> bool {
    socket.as_ref().ready_state() == OPEN
}

fn gather(open: &[WebSocket]) -> Sockets {
    let mut sockets = Sockets { agent: None, clients: BTreeMap::new() };
    for socket in open.iter().filter(|socket| is_open(socket)) {
        let (Some(id), Some(kept)) = (id_of(socket), kept(socket)) else { continue };
        match kept.split_once(' ').and_then(|(_, client)| serde_json::from_str(client).ok()) {
            Some(client) => {
                let peer = Peer { socket: socket.clone(), client, look: Look::No, held: VecDeque::new() };
                sockets.clients.insert(id, peer);
            }
            None if id == AGENT => sockets.agent = Some(socket.clone()),
            None => {}
        }
    }
    sockets
}
