//! May they still? Access is looked at again 30 s after the last look, before the next change is told, and at once when
//! the account's role or credentials have changed. What there is to tell waits for the look: whatever a role may not see
//! any more is not told.

use std::cell::RefCell;
use std::rc::Rc;

use snapvm_protocol::agent::close;
use snapvm_protocol::roles::Role;

use super::followers::Peer;
use super::object::Feed;
use super::outside::Outside;
use crate::access::{Access, Look};
use crate::background;

/// How long a look is good for.
const CHECK_MS: u64 = 30_000;
/// When to look again after one that found nothing out.
const RETRY_MS: u64 = 5_000;
/// Looks that are under way at once.
const LOOKS_AT_ONCE: usize = 8;

/// What can be done for a follower now.
pub(super) enum Ready {
    /// They may be told.
    Yes,
    /// Somebody has to look first.
    Due,
    /// Somebody looks, or cannot before this time, Unix ms.
    Waits(Option<u64>),
}

pub(super) fn ready(peer: &Peer, now: u64) -> Ready {
    if peer.look != Look::No {
        Ready::Waits(None)
    } else if now < peer.follower.checked_ms + CHECK_MS {
        Ready::Yes
    } else if now < peer.retry_ms {
        Ready::Waits(Some(peer.retry_ms))
    } else {
        Ready::Due
    }
}

impl<O: Outside> Feed<O> {
    /// The access of an account may have changed: nothing is told to its followers until somebody has looked.
    pub(super) fn doubt(&self, account: &str) -> Vec<u64> {
        let mut peers = self.peers();
        let theirs = peers.iter_mut().filter(|peer| peer.follower.visitor.account == account);
        theirs
            .map(|peer| {
                (peer.follower.checked_ms, peer.retry_ms) = (0, 0);
                if peer.look != Look::No {
                    peer.look = Look::Outdated;
                }
                peer.follower.id
            })
            .collect()
    }

    /// Looks at some followers, and tells those who stay what has waited for it. Not waited for.
    pub(super) fn spawn_looks(&self, ids: Vec<u64>) {
        let at_once = ids.len().min(LOOKS_AT_ONCE);
        let ids = Rc::new(RefCell::new(ids));
        for _ in 0..at_once {
            let (feed, ids) = (self.clone(), Rc::clone(&ids));
            background::run(&self.0.state, async move {
                loop {
                    let next = ids.borrow_mut().pop();
                    let Some(id) = next else { break };
                    feed.look(id).await;
                }
            });
        }
    }

    async fn look(&self, id: u64) {
        let begun = self.with_peer(id, |peer| std::mem::replace(&mut peer.look, Look::UnderWay) == Look::No);
        if begun != Some(true) {
            // The one that is under way began before whatever asks for this one.
            self.with_peer(id, |peer| peer.look = Look::Outdated);
            return;
        }
        loop {
            let Some(visitor) = self.with_peer(id, |peer| {
                peer.look = Look::UnderWay;
                peer.follower.visitor.clone()
            }) else {
                return;
            };
            let access = self.0.outside.access(&visitor).await;
            if self.with_peer(id, |peer| peer.look) != Some(Look::Outdated) {
                self.with_peer(id, |peer| peer.look = Look::No);
                return self.judge(id, access).await;
            }
        }
    }

    async fn judge(&self, id: u64, access: Access<Role>) {
        let now = self.0.outside.now_ms();
        match access {
            Access::Granted(role) => {
                let changed = self.with_peer(id, |peer| {
                    peer.follower.checked_ms = now;
                    std::mem::replace(&mut peer.follower.visitor.role, role) != role
                });
                if changed == Some(true) {
                    // What was kept from them before, or will be from now on, is in what they read.
                    self.tell_state(id, true);
                }
                self.tell(id);
            }
            Access::Unknown => {
                self.with_peer(id, |peer| peer.retry_ms = now + RETRY_MS);
                self.set_alarm(RETRY_MS).await;
            }
            Access::Unauthenticated => self.cut(id, close::UNAUTHENTICATED, "the credential is dead"),
            Access::Forbidden => self.cut(id, close::FORBIDDEN, "access has ended"),
        }
    }
}
