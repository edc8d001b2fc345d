//! May they still? Access is looked at again 30 s after the last look, with the first frame in either direction, and
//! whenever the machine's gateway says that it may have changed.
//!
//! What a client sends waits for the look, in its order: nothing is typed by somebody whose access has ended. What it
//! is sent does not: output goes on for as long as the look takes.

use futures::StreamExt;
use snapvm_protocol::agent::close;
use snapvm_protocol::terminal::{FRAME_MAX, Frame, Notice};

use super::clients::Peer;
use super::object::Session;
use super::outside::Outside;
use crate::access::{Access, Look};
use crate::background;

/// How long a look is good for.
const CHECK_MS: u64 = 30_000;
/// How long one is that found nothing out.
const RETRY_MS: u64 = 5_000;
/// Looks that are under way at once for one session.
const LOOKS_AT_ONCE: usize = 8;
/// Most frames of a client that wait for a look. Whoever has not read for a while acknowledges a frame of each output at
/// once.
const HELD_MAX: usize = 1024;
/// Most bytes of them.
const HELD_BYTES_MAX: usize = 4 * FRAME_MAX;
/// Close code for a client that sends more than can wait.
const TRY_AGAIN_LATER: u16 = 1013;

/// What becomes of a client's frame.
pub(super) enum Entry {
    /// It may pass.
    Open,
    /// It waits; somebody has to look.
    Due,
    /// It waits for the look that is under way.
    Waits,
    /// Too much waits already.
    Full,
    /// There is no such client.
    Unknown,
}

impl<O: Outside> Session<O> {
    /// Whether a frame of a client may pass. One that may not yet is kept until it may.
    pub(super) fn enter(&self, id: u32, frame: &[u8]) -> Entry {
        let now = self.0.outside.now_ms();
        let entry = self.with_client(id, |peer| {
            let due = is_due(peer, now);
            if peer.look == Look::No && !due {
                return Entry::Open;
            }
            let bytes: usize = peer.held.iter().map(Vec::len).sum();
            if peer.held.len() >= HELD_MAX || bytes + frame.len() > HELD_BYTES_MAX {
                return Entry::Full;
            }
            peer.held.push_back(frame.to_vec());
            if peer.look == Look::No { Entry::Due } else { Entry::Waits }
        });
        entry.unwrap_or(Entry::Unknown)
    }

    /// Closes a client that sends faster than its access can be looked at.
    pub(super) fn refuse_more(&self, id: u32) {
        if let Some(peer) = self.remove_client(id) {
            let _ = peer.socket.close(Some(TRY_AGAIN_LATER), Some("slower"));
        }
    }

    /// A frame goes to a client: whoever only watches is looked at by it.
    pub(super) fn look_if_due(&self, id: u32) {
        let now = self.0.outside.now_ms();
        if self.with_client(id, |peer| peer.look == Look::No && is_due(peer, now)) == Some(true) {
            let session = self.clone();
            background::run(&self.0.state, async move { session.look(id).await });
        }
    }

    /// Looks at everybody.
    pub(super) async fn look_at_all(&self) {
        futures::stream::iter(self.client_ids()).for_each_concurrent(LOOKS_AT_ONCE, |id| self.look(id)).await;
    }

    /// Looks at a client's access, and then lets pass what has waited for it. A look that is under way is repeated.
    pub(super) async fn look(&self, id: u32) {
        let begun = self.with_client(id, |peer| {
            let idle = peer.look == Look::No;
            peer.look = if idle { Look::UnderWay } else { Look::Outdated };
            idle
        });
        if begun != Some(true) {
            return;
        }
        let mut id = id;
        loop {
            let Some(visitor) = self.with_client(id, |peer| {
                peer.look = Look::UnderWay;
                peer.client.visitor.clone()
            }) else {
                return;
            };
            let access = self.0.outside.access(&visitor).await;
            if self.with_client(id, |peer| peer.look) == Some(Look::Outdated) {
                continue;
            }
            let Some(stays) = self.judge(id, access) else { return };
            id = stays;
            while let Some(frame) = self.with_client(id, |peer| peer.held.pop_front()).flatten() {
                if let Some(then) = self.pass_on(id, &frame) {
                    self.follow_up(id, then).await;
                }
            }
            let over = self.with_client(id, |peer| {
                let over = peer.look != Look::Outdated;
                if over {
                    peer.look = Look::No;
                }
                over
            });
            if over != Some(false) {
                return;
            }
        }
    }

    /// Does what a look says; the client's id from now on, if they stay.
    fn judge(&self, id: u32, access: Access<bool>) -> Option<u32> {
        let now = self.0.outside.now_ms();
        let code = match access {
            Access::Granted(write) => {
                let changed = self.with_client(id, |peer| {
                    peer.client.checked_ms = now;
                    std::mem::replace(&mut peer.client.visitor.write, write) != write
                })?;
                if changed {
                    return self.join_again(id);
                }
                self.keep_client(id);
                return Some(id);
            }
            Access::Unknown => {
                self.with_client(id, |peer| peer.client.checked_ms = now.saturating_sub(CHECK_MS - RETRY_MS));
                return Some(id);
            }
            Access::Unauthenticated => close::UNAUTHENTICATED,
            Access::Forbidden => close::FORBIDDEN,
        };
        let peer = self.remove_client(id)?;
        let _ = peer.socket.close(Some(code), Some("access has ended"));
        None
    }

    /// To the agent, a client that may do something else than before is another client: it gets a new id and attaches
    /// with what it has, so that it misses nothing and nothing is repeated.
    fn join_again(&self, id: u32) -> Option<u32> {
        let Ok(new) = self.next_id() else { return Some(id) };
        let mut peer = self.remove_client(id)?;
        let (joined, has_agent) = (Frame::Joined(peer.client.mode()), self.agent().is_some());
        if has_agent {
            // They belong to the place in the stream that is given up; input that was not applied comes again.
            peer.held.clear();
        }
        self.with_sockets(|sockets| sockets.clients.insert(new, peer));
        self.keep_client(new);
        if has_agent {
            self.to_agent(&joined.encode_for(new));
            self.to_client(new, &Frame::Notice(Notice::Connected).encode());
        }
        Some(new)
    }
}

fn is_due(peer: &Peer, now: u64) -> bool {
    now >= peer.client.checked_ms + CHECK_MS
}
