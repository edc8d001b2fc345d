//! The switch: frames from clients to the agent and back.

use std::collections::HashMap;

use snapvm_protocol::agent::close;
use snapvm_protocol::terminal::{FRAME_MAX, Frame, Notice, is_from_client, is_write, split_client};
use worker::WebSocket;

use super::object::{AGENT, CLIENT, Client, Session, send};
use super::outside::{Access, Outside};

/// Access is looked at again on the first frame after this time.
const CHECK_MS: u64 = 30_000;
/// Input that stays unacknowledged for this long makes the gateway wake the machine.
const UNACKNOWLEDGED_MS: u64 = 2_000;
/// Type byte of an acknowledgement of input.
const INPUT_ACKNOWLEDGE: u8 = 0x13;
/// Type byte of the frame that says how a shell ended.
const END: u8 = 0x15;
/// Type byte of input.
const INPUT: u8 = 0x02;

impl<O: Outside> Session<O> {
    /// A binary message of either side.
    ///
    /// # Errors
    /// When the platform fails.
    pub async fn message(&self, socket: WebSocket, bytes: &[u8]) -> worker::Result<()> {
        let Some(id) = socket.deserialize_attachment::<u32>()? else { return Ok(()) };
        if bytes.len() > FRAME_MAX + 4 {
            return socket.close(Some(close::MALFORMED), Some("the frame is too long"));
        }
        if id == AGENT {
            self.from_agent(&socket, bytes);
            return Ok(());
        }
        self.from_client(id, &socket, bytes).await
    }

    fn from_agent(&self, socket: &WebSocket, bytes: &[u8]) {
        let Ok((id, frame)) = split_client(bytes) else {
            let _ = socket.close(Some(close::MALFORMED), Some("the frame is cut short"));
            return;
        };
        match frame.first() {
            Some(&INPUT_ACKNOWLEDGE) => self.0.unacknowledged.set(None),
            Some(&END) => self.0.end_told.set(true),
            _ => {}
        }
        // What is for the object itself goes to nobody.
        if id != AGENT {
            self.to_client(id, frame);
        }
    }

    async fn from_client(&self, id: u32, socket: &WebSocket, frame: &[u8]) -> worker::Result<()> {
        if !is_from_client(frame) {
            return socket.close(Some(close::MALFORMED), Some("not a frame of a client"));
        }
        let Some(client) = self.client(id) else {
            return socket.close(Some(close::UNAUTHENTICATED), Some("connect again"));
        };
        let client = match self.check_again(id, client).await {
            Ok(client) => client,
            Err(code) => return socket.close(Some(code), Some("access has ended")),
        };
        if is_write(frame) && !client.visitor.write {
            return Ok(());
        }
        let mut message = Vec::with_capacity(4 + frame.len());
        message.extend_from_slice(&id.to_be_bytes());
        message.extend_from_slice(frame);
        let reached = self.to_agent(&message);
        if frame.first() == Some(&INPUT) {
            self.watch_input(id, reached).await;
        }
        Ok(())
    }

    /// The client, if they may stay; the close code otherwise.
    async fn check_again(&self, id: u32, client: Client) -> Result<Client, u16> {
        let now = self.0.outside.now_ms();
        if now < client.checked_ms + CHECK_MS {
            return Ok(client);
        }
        let write = match self.0.outside.access(&client.visitor).await {
            Access::Granted { write } => write,
            Access::Unknown => return Ok(client),
            Access::Unauthenticated => return Err(close::UNAUTHENTICATED),
            Access::Forbidden => return Err(close::FORBIDDEN),
        };
        let mut checked = Client { checked_ms: now, ..client };
        if checked.visitor.write != write {
            checked.visitor.write = write;
            self.to_agent(&Frame::Joined(checked.mode()).encode_for(id));
        }
        let _ = self.0.memory.put_item(CLIENT, &id.to_string(), &checked);
        self.0.clients.borrow_mut().insert(id, checked.clone());
        Ok(checked)
    }

    /// Typed input either reaches an agent that acknowledges it, or wakes the machine.
    async fn watch_input(&self, id: u32, reached: bool) {
        if !reached {
            let notice = self.open(true).await;
            self.to_client(id, &Frame::Notice(notice).encode());
            return;
        }
        if self.0.unacknowledged.get().is_none() {
            self.0.unacknowledged.set(Some(self.0.outside.now_ms()));
        }
        if !self.0.alarm_set.replace(true) {
            let after = std::time::Duration::from_millis(UNACKNOWLEDGED_MS);
            if let Err(error) = self.0.state.storage().set_alarm(after).await {
                self.0.outside.log(&format!("setting an alarm: {error}"));
            }
        }
    }

    /// Was the input of two seconds ago acknowledged?
    ///
    /// # Errors
    /// None.
    pub async fn alarm(&self) -> worker::Result<worker::Response> {
        self.0.alarm_set.set(false);
        let now = self.0.outside.now_ms();
        if self.0.unacknowledged.get().is_some_and(|since| now >= since + UNACKNOWLEDGED_MS / 2) {
            self.0.unacknowledged.set(None);
            let notice = self.open(true).await;
            self.broadcast(&Frame::Notice(notice));
        }
        worker::Response::ok("")
    }

    /// A socket closed or broke.
    ///
    /// # Errors
    /// When the platform fails.
    pub async fn closed(&self, socket: &WebSocket, code: u16) -> worker::Result<()> {
        let Some(id) = socket.deserialize_attachment::<u32>()? else { return Ok(()) };
        if id != AGENT {
            self.forget_socket(id);
            self.0.clients.borrow_mut().remove(&id);
            self.0.memory.remove_item(CLIENT, &id.to_string())?;
            self.to_agent(&Frame::Left.encode_for(id));
            return Ok(());
        }
        // An older socket of the agent's may close after a newer one came.
        if self.live_agents() > 0 {
            self.0.sockets.borrow_mut().take();
            return Ok(());
        }
        self.forget_socket(AGENT);
        if code == close::SLEEPING {
            // It is asleep only when the runtime has paused it; the gateway says so then.
            self.broadcast(&Frame::Notice(Notice::Sleeping));
        } else if !self.client_ids().is_empty() {
            self.broadcast(&Frame::Notice(Notice::Waking));
        }
        Ok(())
    }

    /// Open agent sockets, by the platform's word.
    fn live_agents(&self) -> usize {
        let sockets = self.0.state.get_websockets();
        sockets
            .iter()
            .filter(|socket| socket.as_ref().ready_state() == 1)
            .filter(|socket| socket.deserialize_attachment::<u32>().ok().flatten() == Some(AGENT))
            .count()
    }

    pub(super) fn client(&self, id: u32) -> Option<Client> {
        if let Some(client) = self.0.clients.borrow().get(&id) {
            return Some(client.clone());
        }
        let client: Client = self.0.memory.item(CLIENT, &id.to_string()).ok().flatten()?;
        self.0.clients.borrow_mut().insert(id, client.clone());
        Some(client)
    }

    pub(super) fn client_ids(&self) -> Vec<u32> {
        self.with_sockets(|sockets| sockets.keys().copied().filter(|id| *id != AGENT).collect())
    }

    pub(super) fn agent(&self) -> Option<WebSocket> {
        self.with_sockets(|sockets| sockets.get(&AGENT).cloned())
    }

    /// False when there is no agent.
    pub(super) fn to_agent(&self, message: &[u8]) -> bool {
        self.agent().is_some_and(|agent| agent.send_with_bytes(message).is_ok())
    }

    pub(super) fn to_client(&self, id: u32, frame: &[u8]) {
        if id != AGENT
            && let Some(socket) = self.with_sockets(|sockets| sockets.get(&id).cloned())
        {
            send(&socket, frame);
        }
    }

    pub(super) fn broadcast(&self, frame: &Frame<'_>) {
        let bytes = frame.encode();
        for id in self.client_ids() {
            self.to_client(id, &bytes);
        }
    }

    pub(super) fn remember_socket(&self, id: u32, socket: WebSocket) {
        self.with_sockets(|sockets| sockets.insert(id, socket));
    }

    fn forget_socket(&self, id: u32) {
        self.with_sockets(|sockets| sockets.remove(&id));
    }

    /// The sockets by id; after an eviction, gathered from what the platform kept.
    fn with_sockets<T>(&self, work: impl FnOnce(&mut HashMap<u32, WebSocket>) -> T) -> T {
        let mut slot = self.0.sockets.borrow_mut();
        let sockets = slot.get_or_insert_with(|| {
            let mut sockets = HashMap::new();
            for socket in self.0.state.get_websockets() {
                let open = socket.as_ref().ready_state() == 1;
                if let (true, Ok(Some(id))) = (open, socket.deserialize_attachment::<u32>()) {
                    sockets.insert(id, socket);
                }
            }
            sockets
        });
        work(sockets)
    }
}
