//! A session's stream (pure): the ring, the clients' places in it, the size, and the end.
//!
//! ```text
//! terminal ─room/commit─▶ ring ─publish─▶ next() ─▶ messages for the session's socket
//! socket ─receive()─▶ Applied::Input(..) ─▶ terminal ─written()─▶ InputAcknowledge
//! ```
//!
//! Clients that follow as a screen begin with a snapshot where they have nothing, have too little, or fell out of the
//! ring. Its parts are sent whatever the window is, since they are bounded, but they count against it: output follows
//! when what is unacknowledged leaves room. One snapshot is in memory for all clients; who needs a newer one waits
//! until those before it were sent theirs.
//!
//! The size belongs to whoever typed, sized or newly attached last. So do queries: those in what is written from then
//! on are left for that client's emulator, and muted for all others.
//!
//! Invariants: each client gets each offset once and in order, or a Truncated that says which are gone; the end comes
//! after the last byte; a reader changes nothing; a query is left to one client at most; nothing here knows time,
//! sockets or processes.

mod sending;

use std::collections::BTreeMap;
use std::rc::Rc;

use snapvm_protocol::agent::{TerminalEnd, TerminalStatus};
use snapvm_protocol::ids::TerminalId;
use snapvm_protocol::queries::Muter;
use snapvm_protocol::terminal::{
    Attach, ClientMode, Follow, Foreground, Frame, KEPT_MAX, RING_BYTES, SIZE_MAX, WINDOW_BYTES,
};

use super::client::{Attached, Client, Opening};
use super::input::{Keys, Verdict};
use super::ring::Ring;
use super::screen::{Screen, Snapshot};
use crate::handover::state;

/// Input that waits for the terminal. Beyond it, input is left unacknowledged and comes again.
pub const PENDING_MAX: usize = 4 * 1024 * 1024;

/// How far back sequences are read to know whether a client that comes back is in the middle of one.
const SEQUENCE_SEARCH: u64 = 64 * 1024;

/// The stream of one session.
#[derive(Debug)]
pub struct Stream {
    session: TerminalId,
    epoch: u64,
    ring: Ring,
    screen: Screen,
    published: u64,
    clients: BTreeMap<u32, Client>,
    served: u32,
    keys: Keys,
    size: (u16, u16),
    owner: Option<u32>,
    /// The tab that typed, sized or newly attached last.
    owner_key: Option<String>,
    acts: u64,
    foreground: Foreground,
    end: Option<TerminalEnd>,
    connected: bool,
    keeping: Kept,
}

/// The screen that the object keeps.
#[derive(Debug, Default)]
struct Kept {
    /// What it stands for, of the last one that was sent whole.
    last: Option<(u64, (u16, u16))>,
    /// One was due while there was no socket, or did not get through.
    missed: bool,
    /// The one that is being sent, the shell's directory, and how much of it was sent.
    sending: Option<(Rc<Snapshot>, Option<String>, Option<usize>)>,
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
            screen: Screen::new(clamp(columns, rows)),
            published: 0,
            clients: BTreeMap::new(),
            served: 0,
            keys: Keys::default(),
            size: clamp(columns, rows),
            owner: None,
            owner_key: None,
            acts: 0,
            foreground: Foreground::default(),
            end: None,
            connected: false,
            keeping: Kept::default(),
        }
    }

    /// A stream that goes on where another one was; its clients come again over a new socket.
    #[must_use]
    pub fn resume(parts: state::Stream) -> Self {
        let ring = Ring::resume(RING_BYTES, parts.start, &parts.bytes);
        let size = clamp(parts.columns, parts.rows);
        Self {
            published: ring.end(),
            screen: Screen::resume(&ring, size, parts.screen_at.map(|at| (at, parts.screen))),
            ring,
            keys: parts.keys,
            size,
            end: parts.end,
            ..Self::new(parts.session, parts.epoch, size.0, size.1)
        }
    }

    /// What [`Stream::resume`] needs.
    #[must_use]
    pub fn parts(&mut self) -> state::Stream {
        // While the ring has everything from the start, it says it all.
        let snapshot = (self.ring.start() > 0).then(|| self.screen.snapshot(&self.ring)).flatten();
        state::Stream {
            session: self.session,
            epoch: self.epoch,
            columns: self.size.0,
            rows: self.size.1,
            keys: self.keys.clone(),
            end: self.end,
            start: self.ring.start(),
            bytes: self.ring.bytes(),
            screen_at: snapshot.as_ref().map(|snapshot| snapshot.offset),
            screen: snapshot.map(|snapshot| snapshot.bytes.clone()).unwrap_or_default(),
        }
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

    /// Where the next output is to be read to, at most `most` bytes.
    pub fn room(&mut self, most: usize) -> &mut [u8] {
        self.ring.room(most)
    }

    /// `length` bytes of output were read there.
    pub fn commit(&mut self, length: usize) {
        self.ring.commit(length);
        self.screen.follow(&self.ring);
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

    /// Whether the object and every attached client have been sent everything, the end included.
    #[must_use]
    pub fn is_delivered(&self) -> bool {
        self.clients.values().filter_map(|client| client.attached.as_ref()).all(|attached| {
            let has_all = attached.cursor == self.published && attached.snapshot.is_none();
            has_all && attached.opening.is_none() && (self.end.is_none() || attached.told_end)
        }) && self.keeping.sending.is_none()
            && !self.keeping.missed
    }

    /// Whether somebody is to be told what runs in the foreground.
    #[must_use]
    pub fn tells_foreground(&self) -> bool {
        self.clients.values().filter_map(|client| client.attached.as_ref()).any(|client| client.foreground.is_some())
    }

    /// What runs in the foreground now; whether that is news.
    pub fn runs(&mut self, foreground: Foreground) -> bool {
        let is_news = self.foreground != foreground;
        self.foreground = foreground;
        is_news
    }

    /// There is a socket. Whether a screen is to be kept at once, because it could not be before.
    pub fn connected(&mut self) -> bool {
        self.connected = true;
        std::mem::take(&mut self.keeping.missed)
    }

    /// The session's socket is gone, and all clients with it.
    pub fn disconnected(&mut self) {
        self.clients.clear();
        self.owner = None;
        self.connected = false;
        self.keeping.missed |= self.keeping.sending.take().is_some();
    }

    /// Has the object keep the screen, if it changed since the last time.
    pub fn keep(&mut self, directory: Option<String>) {
        if self.keeping.last == Some((self.screen.point(), self.size)) {
            return;
        }
        self.keeping.missed = !self.connected;
        // Also where nobody takes it: it is quiet, so no emulator is to be held in memory.
        let snapshot = self.screen.short_snapshot(&self.ring, KEPT_MAX);
        if self.connected && self.keeping.sending.is_none() {
            self.keeping.sending = snapshot.map(|snapshot| (snapshot, directory, None));
        }
    }

    /// Takes a frame from the session's socket. The size may have changed after it.
    pub fn receive<'a>(&mut self, client: u32, frame: Frame<'a>) -> Applied<'a> {
        match frame {
            Frame::Joined(mode) => {
                self.clients.insert(client, Client { mode, attached: None });
            }
            Frame::Left => {
                self.clients.remove(&client);
                if self.owner == Some(client) {
                    self.pass_on();
                }
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
        let known = attach.offset.filter(|offset| attach.epoch == Some(self.epoch) && *offset <= end);
        let is_near = |offset| match attach.follow {
            Follow::Bytes => offset >= start,
            Follow::Screen => offset >= start && end - offset <= WINDOW_BYTES,
        };
        let (cursor, opening) = match known {
            Some(offset) if is_near(offset) => (offset, Opening::Continue),
            Some(offset) => (offset, Opening::Anew { had: true }),
            None => (clean, Opening::Anew { had: false }),
        };
        let mut muter = Muter::default();
        if attach.follow == Follow::Screen && opening == Opening::Continue {
            let mut at = start.max(cursor.saturating_sub(SEQUENCE_SEARCH));
            while at < cursor {
                let piece = self.ring.piece(at, cursor - at);
                muter.pass(piece);
                at = at.saturating_add(piece.len().max(1) as u64);
            }
        }
        let Some(client) = self.clients.get_mut(&id) else { return };
        let had_last_word = self.owner_key.as_ref() == Some(&attach.key);
        client.attached = Some(Attached {
            told_input: self.keys.applied(&attach.key),
            key: attach.key,
            follow: attach.follow,
            cursor,
            acknowledged: cursor,
            wants,
            knows: (self.size, false),
            acted: 0,
            opening: Some(opening),
            snapshot: None,
            unparsed: 0,
            gone: None,
            repeat_input: false,
            overtaken: false,
            refused: false,
            foreground: attach.foreground.then_some(None),
            told_end: false,
            answers: 0..0,
            muter,
        });
        if self.owner == Some(id) {
            self.owner = None;
        }
        if client.mode == ClientMode::Write {
            // Who comes back does not take the size from somebody else.
            if known.is_none() || had_last_word {
                self.act(id);
            } else if self.owner.is_none() {
                self.own(id);
            }
        }
    }

    fn resize(&mut self, id: u32, wants: (u16, u16)) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        let Some(attached) = client.attached.as_mut() else { return };
        attached.wants = wants;
        if client.mode == ClientMode::Write {
            self.act(id);
        }
    }

    /// A client that may write did something that shows that somebody is there.
    fn act(&mut self, id: u32) {
        self.acts = self.acts.saturating_add(1);
        let acts = self.acts;
        if let Some(attached) = self.attached(id) {
            attached.acted = acts;
            let key = attached.key.clone();
            self.owner_key = Some(key);
        }
        self.own(id);
    }

    /// The owner is gone: the one of the others that did something last takes its place.
    fn pass_on(&mut self) {
        self.owner = None;
        let writers = self.clients.iter().filter(|(_, client)| client.mode == ClientMode::Write);
        let acted = writers.filter_map(|(id, client)| client.attached.as_ref().map(|attached| (attached.acted, *id)));
        if let Some((_, id)) = acted.max() {
            self.own(id);
        }
    }

    fn own(&mut self, id: u32) {
        let end = self.ring.end();
        let before = self.owner.replace(id);
        if let Some(former) = before.filter(|former| *former != id).and_then(|former| self.attached(former)) {
            former.answers.end = former.answers.end.min(end);
        }
        let Some(attached) = self.attached(id) else { return };
        let size = attached.wants;
        // It asked for this size; only that it has it now may be news.
        attached.knows.0 = size;
        if before != Some(id) {
            attached.answers = end..u64::MAX;
        }
        if size != self.size {
            self.size = size;
            self.screen.resize(&self.ring, size);
        }
    }

    fn input<'a>(&mut self, id: u32, number: u32, bytes: &'a [u8]) -> Applied<'a> {
        if self.end.is_some() {
            return Applied::Nothing;
        }
        let Some(Client { mode: ClientMode::Write, attached: Some(attached) }) = self.clients.get_mut(&id) else {
            return Applied::Nothing;
        };
        let key = attached.key.clone();
        match self.keys.accept(&key, number) {
            Verdict::Apply => {
                self.act(id);
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
}

fn clamp(columns: u16, rows: u16) -> (u16, u16) {
    (columns.clamp(1, SIZE_MAX), rows.clamp(1, SIZE_MAX))
}

#[cfg(test)]
mod tests;
