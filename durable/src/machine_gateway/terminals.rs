//! The terminal sessions that somebody has opened: what the agent is asked for at every welcome. One that has ended
//! is remembered for as long as its object keeps something of it, so that it is not opened again, and is forgotten
//! with the machine.

use futures::future::join_all;
use serde::{Deserialize, Serialize};
use snapvm_protocol::agent::{OpenTerminal, TerminalEnd, ToAgent};
use snapvm_protocol::ids::{MachineId, TerminalId};
use snapvm_protocol::lifecycle::MachineState;

use super::cause::By;
use super::command::Reply;
use super::object::{Gateway, refused};
use super::outside::Outside;
use super::reports::Report;
use super::state::{Event, Refusal};
use crate::background;
use crate::terminal_session::command::Command as TerminalCommand;

const KIND: &str = "terminal";
/// A day, in which a session that has ended is listed and can be looked at, and an hour.
const ENDED_MS: u64 = 25 * 60 * 60 * 1000;
/// How long an agent has the last output of a shell that has ended.
const LOOKED_AT_MS: u64 = 10 * 60 * 1000;

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
    /// How its shell ended, if anybody said so.
    #[serde(default)]
    pub(super) end: Option<TerminalEnd>,
}

impl Terminal {
    /// What the agent is asked for.
    pub(super) fn order(self) -> OpenTerminal {
        let Self { session, columns, rows, directory, started, ended_ms, .. } = self;
        OpenTerminal { session, columns, rows, fresh: !started && ended_ms.is_none(), directory }
    }
}

/// Whether an agent saw it end so, and has its last output for a while.
fn is_agents(end: TerminalEnd) -> bool {
    !matches!(end, TerminalEnd::Lost | TerminalEnd::Restored)
}

impl<O: Outside> Gateway<O> {
    /// Those whose shell should exist, and those whose last output an agent may have: one that has it dials, one that has
    /// not says so.
    pub(super) fn wanted_terminals(&self) -> Vec<Terminal> {
        let now = self.0.outside.now_ms();
        let has_just_ended = |at: u64| now < at + LOOKED_AT_MS;
        let is_wanted = |terminal: &Terminal| match (terminal.ended_ms, terminal.end) {
            (None, _) => true,
            (Some(at), Some(end)) => is_agents(end) && has_just_ended(at),
            (Some(_), None) => false,
        };
        self.all_terminals().into_iter().filter(is_wanted).collect()
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
    pub(super) fn end_terminal(&self, session: TerminalId, end: Option<TerminalEnd>) {
        let now = self.0.outside.now_ms();
        for old in self.all_terminals() {
            if old.ended_ms.is_some_and(|at| now >= at + ENDED_MS)
                && let Err(error) = self.0.memory.remove_item(KIND, &old.session.to_string())
            {
                self.0.outside.log(&format!("terminal {}: {error}", old.session));
            }
        }
        if let Some(terminal) = self.terminal(session) {
            self.keep_terminal(&Terminal { ended_ms: Some(now), end, ..terminal });
        }
    }

    /// A client waits for its shell, or typed what nobody acknowledged.
    pub(super) async fn open_terminal(&self, wanted: Terminal, wake: bool, unanswered: bool, by: By) -> Reply {
        let known = self.terminal(wanted.session);
        if let Some((known, end)) = known.clone().and_then(|known| known.end.map(|end| (known, end))) {
            return self.open_ended(known, end);
        }
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

    /// A client waits for a shell that has ended: for its last output, where an agent may have it.
    fn open_ended(&self, terminal: Terminal, end: TerminalEnd) -> Reply {
        let state = self.0.cache.borrow().as_ref().map(|cache| cache.machine.state);
        let has_agent = matches!(
            state,
            Some(MachineState::Running | MachineState::Waking | MachineState::Hibernating | MachineState::Stopping)
        );
        if !is_agents(end) || !has_agent {
            return Reply::Ended { end };
        }
        if self.is_ready() {
            self.tell(&ToAgent::OpenTerminal(terminal.order()));
        }
        self.present()
    }

    /// The agent says how a shell ended; as lost also of one that ended otherwise, when it has nothing of it.
    pub(super) async fn terminal_ended(
        &self,
        machine: MachineId,
        session: TerminalId,
        end: TerminalEnd,
    ) -> worker::Result<()> {
        let agent_tells = is_agents(end);
        let known = self.terminal(session);
        let recorded = known.as_ref().and_then(|known| known.end);
        if recorded.is_none() {
            if known.is_some_and(|known| known.ended_ms.is_none()) {
                // In one write with the report: whatever crashes now, it is asked for as one that has ended.
                self.end_terminal(session, Some(end));
            }
            self.report(machine, Report::Ended(session, end)).await?;
        } else if agent_tells {
            return Ok(());
        }
        let command = TerminalCommand::Ended { end: recorded.unwrap_or(end), agent_tells };
        if let Err(failure) = self.0.outside.tell_terminal(session, &command).await {
            self.0.outside.log(&format!("terminal {session}: {failure}"));
        }
        Ok(())
    }

    /// Somebody ended it. Where no agent can say how its shell ends, its object is told that it is over.
    pub(super) async fn close_terminal(&self, session: TerminalId) -> Reply {
        self.tell(&ToAgent::CloseTerminal { session });
        let known = self.terminal(session).is_some();
        self.end_terminal(session, None);
        if known
            && !self.is_ready()
            && let Err(failure) = self.0.outside.tell_terminal(session, &TerminalCommand::Forget).await
        {
            self.0.outside.log(&format!("terminal {session}: {failure}"));
        }
        self.present()
    }

    /// Tells the objects of all sessions that somebody may follow.
    pub(super) fn spawn_word(&self, command: TerminalCommand) {
        let sessions = self.wanted_terminals();
        if sessions.is_empty() {
            return;
        }
        let gateway = self.clone();
        background::run(&self.0.state, async move {
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
        let unknown =
            Terminal { session, columns: 80, rows: 24, directory: None, started: false, ended_ms: None, end: None };
        let known = self.terminal(session).unwrap_or(unknown);
        if !known.started {
            self.keep_terminal(&Terminal { started: true, ..known });
        }
    }
}
