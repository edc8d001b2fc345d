//! Who follows, and how far each has been told. Kept by the platform with their sockets: it lasts exactly as long as they
//! do, outlives an eviction, and costs no storage write.

use std::cell::RefMut;

use snapvm_protocol::agent::close;
use snapvm_protocol::feed::{BEHIND_MAX, State, heard};
use worker::WebSocket;

use super::object::Feed;
use super::outside::{Outside, Visitor};
use super::state::Log;
use crate::access::Look;

/// Ready state of a socket that is open.
const OPEN: u16 = 1;
/// Close code for a follower that does not say that it hears: it comes back, and goes on where it stopped.
const TRY_AGAIN_LATER: u16 = 1013;

/// What is remembered of a follower: a line of less than 2 KiB.
pub(super) struct Follower {
    pub(super) id: u64,
    pub(super) visitor: Visitor,
    /// When their access was last looked at, Unix ms.
    pub(super) checked_ms: u64,
    /// The number up to which they have been told.
    pub(super) seq: u64,
    /// How many changes they have been sent and not said to have heard.
    pub(super) behind: u32,
}

impl Follower {
    fn line(&self) -> String {
        format!("{} {} {} {} {}", self.id, self.checked_ms, self.seq, self.behind, self.visitor.line())
    }

    fn read(line: &str) -> Option<Self> {
        let mut words = line.splitn(5, ' ');
        let mut number = || words.next()?.parse::<u64>().ok();
        let (id, checked_ms, seq, behind) = (number()?, number()?, number()?, number()?);
        let visitor = Visitor::read(words.next()?)?;
        Some(Self { id, visitor, checked_ms, seq, behind: u32::try_from(behind).ok()? })
    }
}

/// A follower that is connected.
pub(super) struct Peer {
    pub(super) socket: WebSocket,
    pub(super) follower: Follower,
    pub(super) look: Look,
    /// When to look again after a look that found nothing out, Unix ms.
    pub(super) retry_ms: u64,
}

impl Peer {
    pub(super) fn new(socket: WebSocket, follower: Follower) -> Self {
        Self { socket, follower, look: Look::No, retry_ms: 0 }
    }

    fn keep(&self) -> worker::Result<()> {
        self.socket.serialize_attachment(self.follower.line())
    }
}

fn kept(socket: &WebSocket) -> Option<Follower> {
    Follower::read(&socket.deserialize_attachment::<String>().ok().flatten()?)
}

/// Whose socket it is.
pub(super) fn id_of(socket: &WebSocket) -> Option<u64> {
    kept(socket).map(|follower| follower.id)
}

impl<O: Outside> Feed<O> {
    /// Everybody; after an eviction, gathered from what the platform kept.
    pub(super) fn peers(&self) -> RefMut<'_, Vec<Peer>> {
        RefMut::map(self.0.peers.borrow_mut(), |slot| {
            slot.get_or_insert_with(|| gather(&self.0.state.get_websockets()))
        })
    }

    pub(super) fn with_peer<T>(&self, id: u64, work: impl FnOnce(&mut Peer) -> T) -> Option<T> {
        self.peers().iter_mut().find(|peer| peer.follower.id == id).map(work)
    }

    /// Takes somebody out, and closes their socket.
    pub(super) fn cut(&self, id: u64, code: u16, reason: &str) {
        self.with_peer(id, |peer| peer.socket.close(Some(code), Some(reason)));
        self.peers().retain(|peer| peer.follower.id != id);
    }

    /// Lets somebody in: they are told where they are, and what they have missed.
    pub(super) fn welcome(&self, peer: Peer, reset: bool) -> worker::Result<()> {
        let id = peer.follower.id;
        peer.keep()?;
        self.peers().push(peer);
        self.tell_state(id, reset);
        self.tell(id);
        Ok(())
    }

    /// Tells somebody where the sequence is, and where they are in it: at its end if they have to read again.
    pub(super) fn tell_state(&self, id: u64, reset: bool) {
        let last = self.with_log(Log::last);
        let sent = self.with_peer(id, |peer| {
            if reset {
                (peer.follower.seq, peer.follower.behind) = (last, 0);
            }
            let role = peer.follower.visitor.role;
            let state = State { feed: self.0.name.borrow().clone(), seq: last, reset, role };
            peer.socket.send_with_str(state.text())?;
            peer.keep()
        });
        self.see(id, sent);
    }

    /// Tells somebody whose access is known what they have not been told.
    pub(super) fn tell(&self, id: u64) {
        let Some((seq, role)) = self.with_peer(id, |peer| (peer.follower.seq, peer.follower.visitor.role)) else {
            return;
        };
        let (last, texts) = self.with_log(|log| {
            let texts: Vec<String> = log.after(seq, role).map(|entry| entry.change.told(entry.seq)).collect();
            (log.last(), texts)
        });
        let sent = self.with_peer(id, |peer| {
            peer.follower.seq = last;
            if texts.is_empty() {
                return Ok(());
            }
            peer.follower.behind = peer.follower.behind.saturating_add(u32::try_from(texts.len()).unwrap_or(u32::MAX));
            texts.iter().try_for_each(|text| peer.socket.send_with_str(text))?;
            peer.keep()
        });
        self.see(id, sent);
        if self.with_peer(id, |peer| peer.follower.behind > BEHIND_MAX) == Some(true) {
            self.cut(id, TRY_AGAIN_LATER, "slower: say what you have heard, and go on from there");
        }
    }

    /// A follower says what it has heard.
    pub(super) fn heard(&self, id: u64, text: &str) {
        let Some(heard) = heard(text) else {
            return self.cut(id, close::MALFORMED, "say the number that you have heard, or nothing");
        };
        let Some((seq, role)) = self.with_peer(id, |peer| (peer.follower.seq, peer.follower.visitor.role)) else {
            return;
        };
        if heard > seq {
            return self.cut(id, close::MALFORMED, "you have not been told that");
        }
        let behind = self.with_log(|log| log.after(heard, role).filter(|entry| entry.seq <= seq).count());
        let kept = self.with_peer(id, |peer| {
            peer.follower.behind = u32::try_from(behind).unwrap_or(u32::MAX).min(peer.follower.behind);
            peer.keep()
        });
        self.see(id, kept);
    }

    /// A socket that cannot be told anything is one that is going away.
    pub(super) fn see(&self, id: u64, outcome: Option<worker::Result<()>>) {
        if let Some(Err(error)) = outcome {
            self.0.outside.log(&format!("telling a follower: {error}"));
            self.cut(id, TRY_AGAIN_LATER, "connect again");
        }
    }
}

fn gather(open: &[WebSocket]) -> Vec<Peer> {
    let open = open.iter().filter(|socket| socket.as_ref().ready_state() == OPEN);
    open.filter_map(|socket| Some(Peer::new(socket.clone(), kept(socket)?))).collect()
}
