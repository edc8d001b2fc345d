//! The terminal sessions that somebody has opened: what the agent is asked for at every welcome. One that has ended
//! is remembered for as long as its object keeps something of it, so that it is not opened again, and is forgotten
//! with the machine.

use futures::future::join_all;
use serde::{Deserialize, Serialize};
use snapvm_protocol::agent::{OpenTerminal, ToAgent};
use snapvm_protocol::ids::TerminalId;

use super::cause::By;
use super::command::Reply;
use super::object::{Gateway, refused};
use super::outside::Outside;
use super::state::{Event, Refusal};
use crate::terminal_session::command::Command as TerminalCommand;

const KIND: &str = "terminal";
/// A day, in which a session that has ended is listed and can be looked at, and an hour.
const ENDED_MS: u64 = 25 * 60 * 60 * 1000;

/// A session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Terminal {
    /// Which.
    pub(super) session: TerminalId,
    /// Columns to start with.
    pub(super) columns: u16,
    /// Rows to start with.
    pub(super) rows: u16,
    /// Where to start; the home directory when absent.
    #[serde(default)]
    pub(super) directory: Option<String>,
    /// Whether its shell was ever started.
    pub(super) started: bool,
    /// When it ended, Unix ms.
    #[serde(default)]
    pub(super) ended_ms: Option<u64>,
}

impl Terminal {
    /// What the agent is asked for.
    pub(super) fn order(self) -> OpenTerminal {
        let Self { session, columns, rows, directory, started, .. } = self;
        OpenTerminal { session, columns, rows, fresh: !started, directory }
    }
}

impl<O: Outside> Gateway<O> {
    /// Those whose shell should exist.
    pub(super) fn terminals(&self) -> Vec<Terminal> {
        self.all_terminals().into_iter().filter(|terminal| terminal.ended_ms.is_none()).collect()
    }

    /// Those of which an object may keep something.
    pub(super) fn all_terminals(&self) -> Vec<Terminal> {
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

    /// It is over. Those that have been for long are forgotten.
    pub(super) fn end_terminal(&self, session: TerminalId) {
        let now = self.0.outside.now_ms();
        for old in self.all_terminals() {
            if old.ended_ms.is_some_and(|at| now >= at + ENDED_MS)
                && let Err(error) = self.0.memory.remove_item(KIND, &old.session.to_string())
            {
                self.0.outside.log(&format!("terminal {}: {error}", old.session));
            }
        }
        if let Some(terminal) = self.terminal(session) {
            self.keep_terminal(&Terminal { ended_ms: Some(now), ..terminal });
        }
    }

    /// A client waits for its shell, or typed what nobody acknowledged.
    pub(super) async fn open_terminal(&self, wanted: Terminal, wake: bool, unanswered: bool, by: By) -> Reply {
        let known = self.terminal(wanted.session);
        if known.as_ref().is_some_and(|known| known.ended_ms.is_some()) {
            return refused(Refusal { code: "ended", detail: "This terminal has ended. Open a new one.".into() });
        }
        let terminal = Terminal { started: known.as_ref().is_some_and(|known| known.started), ..wanted };
        if known.as_ref() != Some(&terminal) {
            self.keep_terminal(&terminal);
        }
        let (session, ready) = (terminal.session, self.is_ready());
        if ready {
            self.tell(&ToAgent::OpenTerminal(terminal.order()));
        }
        if unanswered {
            self.0.outside.log(&format!("terminal {session}: what somebody typed was not taken"));
        }
        if wake
            && (unanswered || !ready)
            && let Err(refusal) = self.apply(Event::Called { by }).await
        {
            return refused(refusal);
        }
        self.present()
    }

    /// Somebody ended it. Where no agent can say how its shell ends, its object is told that it is over.
    pub(super) async fn close_terminal(&self, session: TerminalId) -> Reply {
        self.tell(&ToAgent::CloseTerminal { session });
        let known = self.terminal(session).is_some();
        self.end_terminal(session);
        if known
            && !self.is_ready()
            && let Err(failure) = self.0.outside.tell_terminal(session, &TerminalCommand::Forget).await
        {
            self.0.outside.log(&format!("terminal {session}: {failure}"));
        }
        self.present()
    }

    /// Tells the objects of all open sessions.
    pub(super) fn spawn_word(&self, command: TerminalCommand) {
        let sessions = self.terminals();
        if sessions.is_empty() {
            return;
        }
        let gateway = self.clone();
        self.0.state.wait_until(async move {
            let (gateway, command) = (&gateway, &command);
            join_all(sessions.into_iter().map(|terminal| async move {
                if let Err(failure) = gateway.0.outside.tell_terminal(terminal.session, command).await {
                    gateway.0.outside.log(&format!("terminal {}: {failure}", terminal.session));
                }
            }))
            .await;
        });
    }

    /// Its shell exists: from now on, one that is gone was lost.
    pub(super) fn mark_started(&self, session: TerminalId) {
        let unknown = Terminal { session, columns: 80, rows: 24, directory: None, started: false, ended_ms: None };
        let known = self.terminal(session).unwrap_or(unknown);
        if !known.started {
            self.keep_terminal(&Terminal { started: true, ..known });
        }
    }
}
