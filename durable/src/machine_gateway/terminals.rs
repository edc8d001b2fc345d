//! The terminal sessions that somebody has opened: what the agent is asked for at every welcome.

use serde::{Deserialize, Serialize};
use snapvm_protocol::ids::TerminalId;

use super::object::Gateway;
use super::outside::Outside;

const KIND: &str = "terminal";

/// A session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Terminal {
    /// Which.
    pub(super) session: TerminalId,
    /// Columns to start with.
    pub(super) columns: u16,
    /// Rows to start with.
    pub(super) rows: u16,
    /// Whether its shell was ever started.
    pub(super) started: bool,
}

impl<O: Outside> Gateway<O> {
    pub(super) fn terminals(&self) -> Vec<Terminal> {
        self.0.memory.items(KIND).unwrap_or_default()
    }

    pub(super) fn terminal(&self, session: TerminalId) -> Option<Terminal> {
        self.0.memory.item(KIND, &session.to_string()).ok().flatten()
    }

    pub(super) fn keep_terminal(&self, terminal: &Terminal) {
        if let Err(error) = self.0.memory.put_item(KIND, &terminal.session.to_string(), terminal) {
            self.0.outside.log(&format!("terminal {}: {error}", terminal.session));
        }
    }

    pub(super) fn drop_terminal(&self, session: TerminalId) {
        if let Err(error) = self.0.memory.remove_item(KIND, &session.to_string()) {
            self.0.outside.log(&format!("terminal {session}: {error}"));
        }
    }

    /// Its shell exists: from now on, one that is gone was lost.
    pub(super) fn mark_started(&self, session: TerminalId) {
        let known = self.terminal(session).unwrap_or(Terminal { session, columns: 80, rows: 24, started: true });
        self.keep_terminal(&Terminal { started: true, ..known });
    }
}
