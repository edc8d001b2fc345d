//! A session's stream (pure): the ring, the clients' places in it, the size, and the end.
//!
//! ```text
//! terminal ─room/commit─▶ ring ─publish─▶ next() ─▶ messages for the session's socket
//! socket ─receive()─▶ Applied::Input(..) ─▶ terminal ─written()─▶ InputAcknowledge
//! ```
//!
//! Invariants: each client gets each offset once and in order, or a Truncated that says which are gone; the end comes
//! after the last byte; a reader changes nothing; nothing here knows time, sockets or processes.

use std::collections::BTreeMap;

use snapvm_protocol::agent::{TerminalEnd, TerminalStatus};
use snapvm_protocol::ids::TerminalId;
use snapvm_protocol::terminal::{Attach, ClientMode, Frame, OUTPUT_MAX, RING_BYTES, Ready, SIZE_MAX};

use super::client::{Attached, Client};
use super::input::{Keys, Verdict};
use super::ring::Ring;
use crate::handover::state;

/// Input that waits for the terminal. Beyond it, input is left unacknowledged and comes again.
pub const PENDING_MAX: usize = 4 * 1024 * 1024;

/// The stream of one session.
#[derive(Debug)]
pub struct Stream {
    session: TerminalId,
    epoch: u64,
    /// What the shell wrote.
    pub ring: Ring,
    published: u64,
    clients: BTreeMap<u32, Client>,
    served: u32,
    keys: Keys,
    size: (u16, u16),
    owner: Option<u32>,
    end: Option<TerminalEnd>,
}

/// What a frame asks of the terminal.
#[derive(Debug, PartialEq, Eq)]
pub enum Applied<'a> {
    /// Nothing.
    Nothing,
    /// Write these bytes, then say so by [`Stream::written`].
    Input {
        /// The tab.
        key: String,
        /// The number.
        number: u32,
        /// The bytes.
        bytes: &'a [u8],
    },
}

impl Stream {
    /// A new stream for a shell of this size.
    #[must_use]
    pub fn new(session: TerminalId, epoch: u64, columns: u16, rows: u16) -> Self {
        Self {
            session,
            epoch,
            ring: Ring::new(RING_BYTES),
            published: 0,
            clients: BTreeMap::new(),
            served: 0,
            keys: Keys::default(),
            size: clamp(columns, rows),
            owner: None,
            end: None,
        }
    }

    /// A stream that goes on where another one was; its clients come again over a new socket.
    #[must_use]
    pub fn resume(parts: state::Stream) -> Self {
        let ring = Ring::resume(RING_BYTES, parts.start, &parts.bytes);
        let size = clamp(parts.columns, parts.rows);
        Self {
            published: ring.end(),
            ring,
            keys: parts.keys,
            size,
            end: parts.end,
            ..Self::new(parts.session, parts.epoch, size.0, size.1)
        }
    }

    /// What [`Stream::resume`] needs.
    #[must_use]
    pub fn parts(&self) -> state::Stream {
        let ((columns, rows), bytes) = (self.size, self.ring.bytes());
        let (session, epoch, keys, end) = (self.session, self.epoch, self.keys.clone(), self.end);
        state::Stream { session, epoch, columns, rows, keys, end, start: self.ring.start(), bytes }
    }

    /// For Hello and `TerminalStarted`.
    #[must_use]
    pub fn status(&self) -> TerminalStatus {
        TerminalStatus { session: self.session, epoch: self.epoch, offset: self.ring.end() }
    }

    /// The terminal's size.
    #[must_use]
    pub fn size(&self) -> (u16, u16) {
        self.size
    }

    /// How the shell ended.
    #[must_use]
    pub fn end(&self) -> Option<TerminalEnd> {
        self.end
    }

    /// Bytes read but not yet published.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.ring.end().saturating_sub(self.published)
    }

    /// Lets clients have everything read so far.
    pub fn publish(&mut self) {
        self.published = self.ring.end();
    }

    /// The shell ended; its last output is in the ring.
    pub fn ended(&mut self, end: TerminalEnd) {
        self.publish();
        self.end = self.end.or(Some(end));
    }

    /// Whether reading more output now could only be lost on every client that types.
    #[must_use]
    pub fn is_held_up(&self) -> bool {
        let end = self.ring.end();
        let mut writers = self
            .clients
            .values()
            .filter(|client| client.mode == ClientMode::Write)
            .filter_map(|client| client.attached.as_ref())
            .peekable();
        writers.peek().is_some() && writers.all(|attached| attached.is_behind(end))
    }

    /// Whether every attached client has everything, the end included.
    #[must_use]
    pub fn is_delivered(&self) -> bool {
        self.clients
            .values()
            .filter_map(|client| client.attached.as_ref())
            .all(|attached| attached.cursor == self.published && (self.end.is_none() || attached.told_end))
    }

    /// The session's socket is gone, and all clients with it.
    pub fn disconnected(&mut self) {
        self.clients.clear();
        self.owner = None;
    }

    /// Takes a frame from the session's socket. The size may have changed after it.
    pub fn receive<'a>(&mut self, client: u32, frame: Frame<'a>) -> Applied<'a> {
        match frame {
            Frame::Joined(mode) => {
                self.clients.insert(client, Client { mode, attached: None });
            }
            Frame::Left => {
                self.clients.remove(&client);
                self.owner = self.owner.filter(|owner| *owner != client);
            }
            Frame::Attach(attach) => self.attach(client, attach),
            Frame::Acknowledge(offset) => {
                if let Some(attached) = self.attached(client) {
                    attached.acknowledge(offset);
                }
            }
            Frame::Input(number, bytes) => return self.input(client, number, bytes),
            Frame::Resize(columns, rows) => self.resize(client, clamp(columns, rows)),
            // What only an agent or an object says to a client.
            _ => {}
        }
        Applied::Nothing
    }

    /// Input was written to the terminal.
    pub fn written(&mut self, key: &str, number: u32) {
        self.keys.written(key, number);
    }

    /// Input could not be taken: it is asked for once there is room.
    pub fn refused(&mut self, key: &str, number: u32) {
        self.keys.refused(key, number);
        for attached in self.clients.values_mut().filter_map(|client| client.attached.as_mut()) {
            attached.refused |= attached.key == key;
        }
    }

    /// Everything that waited for the terminal has been written: asks for what was refused meanwhile.
    pub fn has_room(&mut self) {
        for attached in self.clients.values_mut().filter_map(|client| client.attached.as_mut()) {
            attached.repeat_input |= std::mem::take(&mut attached.refused);
        }
    }

    fn attached(&mut self, client: u32) -> Option<&mut Attached> {
        self.clients.get_mut(&client).and_then(|client| client.attached.as_mut())
    }

    fn attach(&mut self, id: u32, attach: Attach) {
        let wants = clamp(attach.columns, attach.rows);
        let (start, clean, end) = (self.ring.start(), self.ring.clean_start(), self.ring.end());
        let Some(client) = self.clients.get_mut(&id) else { return };
        let known = attach.offset.filter(|offset| attach.epoch == Some(self.epoch) && *offset <= end);
        let (cursor, reset, gone) = match known {
            Some(offset) if offset >= start => (offset, false, None),
            Some(offset) => (clean, true, Some((offset, clean))),
            None => (clean, true, None),
        };
        client.attached = Some(Attached {
            told_input: self.keys.applied(&attach.key),
            key: attach.key,
            cursor,
            acknowledged: cursor,
            wants,
            knows: self.size,
            ready: Some(reset),
            gone,
            repeat_input: false,
            refused: false,
            told_end: false,
        });
        if client.mode == ClientMode::Write {
            self.own(id, wants);
        }
    }

    fn resize(&mut self, id: u32, wants: (u16, u16)) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        let Some(attached) = client.attached.as_mut() else { return };
        attached.wants = wants;
        if client.mode == ClientMode::Write {
            self.own(id, wants);
        }
    }

    fn own(&mut self, id: u32, size: (u16, u16)) {
        self.owner = Some(id);
        self.size = size;
        if let Some(attached) = self.attached(id) {
            attached.knows = size;
        }
    }

    fn input<'a>(&mut self, id: u32, number: u32, bytes: &'a [u8]) -> Applied<'a> {
        if self.end.is_some() {
            return Applied::Nothing;
        }
        let Some(Client { mode: ClientMode::Write, attached: Some(attached) }) = self.clients.get_mut(&id) else {
            return Applied::Nothing;
        };
        let (key, wants) = (attached.key.clone(), attached.wants);
        match self.keys.accept(&key, number) {
            Verdict::Apply => {
                self.own(id, wants);
                Applied::Input { key, number, bytes }
            }
            // It waits for the terminal, and is acknowledged when that has taken it. To repeat what is applied would ask
            // for it once more, and so on for as long as the program does not read.
            Verdict::Duplicate if number > self.keys.applied(&key) => Applied::Nothing,
            // What is missing was refused, and is asked for when there is room.
            Verdict::Gap if attached.refused => Applied::Nothing,
            Verdict::Duplicate | Verdict::Gap => {
                attached.repeat_input = true;
                Applied::Nothing
            }
        }
    }

    /// Appends the next message for the session's socket to `out`; `false` when there is none now. Clients take
    /// turns, so that none waits for another's backlog.
    pub fn next(&mut self, out: &mut Vec<u8>) -> bool {
        let mut turn = self.served;
        for _ in 0..self.clients.len() {
            let after = self.clients.range(turn.saturating_add(1)..).next();
            let Some(id) = after.or_else(|| self.clients.first_key_value()).map(|(id, _)| *id) else { break };
            if self.next_for(id, out) {
                self.served = id;
                return true;
            }
            turn = id;
        }
        false
    }

    fn next_for(&mut self, id: u32, out: &mut Vec<u8>) -> bool {
        let Some(attached) = self.clients.get_mut(&id).and_then(|client| client.attached.as_mut()) else {
            return false;
        };
        let applied = self.keys.applied(&attached.key);
        let mut put = |frame: Frame<'_>| {
            out.extend_from_slice(&id.to_be_bytes());
            frame.encode_into(out);
            true
        };
        if let Some(mut reset) = attached.ready.take() {
            if attached.cursor < self.ring.start() {
                let was_new = reset && attached.gone.is_none();
                attached.skip_to(self.ring.clean_start());
                reset = true;
                // Who never had anything misses nothing.
                attached.gone = attached.gone.filter(|_| !was_new);
            }
            (attached.told_input, attached.repeat_input, attached.knows) = (applied, false, self.size);
            return put(Frame::Ready(Ready {
                epoch: self.epoch,
                offset: attached.cursor,
                input: applied,
                reset,
                live: self.published,
                snapshot: None,
                owner: self.owner == Some(id),
                columns: self.size.0,
                rows: self.size.1,
                end: self.end,
            }));
        }
        if applied != attached.told_input {
            attached.told_input = applied;
            return put(Frame::InputAcknowledge(applied));
        }
        // After the news, so that the same number comes a second time: that is what asks for input.
        if std::mem::take(&mut attached.repeat_input) {
            return put(Frame::InputAcknowledge(applied));
        }
        if attached.knows != self.size {
            attached.knows = self.size;
            return put(Frame::Size(self.size.0, self.size.1, self.owner == Some(id)));
        }
        if attached.cursor < self.ring.start() {
            attached.skip_to(self.ring.clean_start());
        }
        if let Some((from, to)) = attached.gone.take() {
            return put(Frame::Truncated(from, to));
        }
        let most = attached.window().min(self.published.saturating_sub(attached.cursor)).min(OUTPUT_MAX as u64);
        let first = self.ring.piece(attached.cursor, most);
        if !first.is_empty() {
            put(Frame::Output(attached.cursor, first));
            attached.cursor = attached.cursor.saturating_add(first.len() as u64);
            // The rest may lie in the next chunk; it belongs to the same frame.
            let second = self.ring.piece(attached.cursor, most.saturating_sub(first.len() as u64));
            out.extend_from_slice(second);
            attached.cursor = attached.cursor.saturating_add(second.len() as u64);
            return true;
        }
        match self.end {
            Some(end) if attached.cursor == self.published && !attached.told_end => {
                attached.told_end = true;
                put(Frame::End(end))
            }
            _ => false,
        }
    }
}

fn clamp(columns: u16, rows: u16) -> (u16, u16) {
    (columns.clamp(1, SIZE_MAX), rows.clamp(1, SIZE_MAX))
}

#[cfg(test)]
mod tests;
