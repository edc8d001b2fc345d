//! App connections and whom they are for, so that they end when access does.
//!
//! Each request, and each upgraded connection, carries a [`Tag`] for as long as any of its bytes may flow.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// All tagged connections.
#[derive(Default, Clone)]
pub struct Connections(Rc<Shared>);

#[derive(Default)]
struct Shared {
    next: Cell<u64>,
    open: RefCell<BTreeMap<u64, Entry>>,
    ended: Notify,
}

struct Entry {
    epoch: u64,
    account: Option<String>,
    closed: CancellationToken,
}

/// Holds a connection's place.
pub struct Tag {
    id: u64,
    connections: Connections,
    /// Cancelled when the connection has to end.
    pub closed: CancellationToken,
}

impl Connections {
    /// Tags a connection.
    #[must_use]
    pub fn open(&self, epoch: u64, account: Option<String>) -> Tag {
        let id = self.0.next.get();
        self.0.next.set(id.wrapping_add(1));
        let closed = CancellationToken::new();
        self.0.open.borrow_mut().insert(id, Entry { epoch, account, closed: closed.clone() });
        Tag { id, connections: self.clone(), closed }
    }

    /// Closes those of an older epoch.
    pub fn close_before(&self, epoch: u64) {
        self.close(|entry| entry.epoch < epoch);
    }

    /// Closes all.
    pub fn close_all(&self) {
        self.close(|_| true);
    }

    /// Waits until there is none.
    pub async fn all_closed(&self) {
        while !self.0.open.borrow().is_empty() {
            self.0.ended.notified().await;
        }
    }

    fn close(&self, is_meant: impl Fn(&Entry) -> bool) {
        let mut closed = BTreeMap::<String, usize>::new();
        for entry in self.0.open.borrow().values().filter(|entry| is_meant(entry)) {
            entry.closed.cancel();
            *closed.entry(entry.account.clone().unwrap_or_else(|| "nobody known".to_owned())).or_default() += 1;
        }
        for (account, count) in closed {
            crate::journal::note!("closed {count} app connections of {account}");
        }
    }
}

impl Drop for Tag {
    fn drop(&mut self) {
        self.connections.0.open.borrow_mut().remove(&self.id);
        self.connections.0.ended.notify_one();
    }
}
