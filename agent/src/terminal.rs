//! Terminal sessions: shells that outlive browser tabs and sockets.
//!
//! ```text
//! shell ⇄ pty ⇄ session (stream: ring, clients, input numbers) ⇄ socket ⇄ TerminalSession object ⇄ browsers
//! ```
//!
//! Invariants: a session has at most one shell in its life; its last output is in the ring before its end is told;
//! a shell is only ended by order, never because a socket or an answer got lost.
//!
//! What the bytes mean is read in `screen` alone, to make snapshots for clients that have not followed from the start.

pub mod client;
pub mod coalesce;
pub mod foreground;
pub mod input;
pub mod keeping;
pub mod pty;
pub mod ring;
pub mod screen;
pub mod session;
pub mod socket;
pub mod stream;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use snapvm_protocol::agent::{OpenTerminal, TerminalEnd, TerminalStatus, ToObject};
use snapvm_protocol::ids::TerminalId;
use tokio::sync::watch;

use crate::agent::Agent;
use crate::handover::state;
use crate::journal::note;
use session::Session;

/// How long an ordered sleep waits for clients to take the last output.
const FLUSH_PATIENCE: Duration = Duration::from_secs(2);

/// All sessions.
#[derive(Default)]
pub struct Terminals {
    open: RefCell<BTreeMap<TerminalId, Rc<Session>>>,
    /// How many are being closed.
    closing: watch::Sender<usize>,
}

impl Terminals {
    /// Shells that run, for Hello.
    #[must_use]
    pub fn statuses(&self) -> Vec<TerminalStatus> {
        let is_alive = |session: &&Rc<Session>| session.end().is_none();
        self.open.borrow().values().filter(is_alive).map(|session| session.status()).collect()
    }

    fn all(&self) -> Vec<Rc<Session>> {
        self.open.borrow().values().cloned().collect()
    }

    fn get(&self, session: TerminalId) -> Option<Rc<Session>> {
        self.open.borrow().get(&session).cloned()
    }

    /// The sessions that the object says should exist. A shell of any other session belongs to nobody: it was closed
    /// while nobody could say so here. A shell that has just ended is not among them either, and its session stays:
    /// whoever was cut off with it comes back for the last output.
    pub fn reconcile(&self, agent: &Rc<Agent>, wanted: Vec<OpenTerminal>) {
        for session in self.all() {
            if wanted.iter().any(|open| open.session == session.id) {
                continue;
            }
            if session.has_just_ended() {
                session.connect(agent);
            } else {
                self.close(session.id);
            }
        }
        for open in wanted {
            self.open(agent, &open);
        }
    }

    /// Starts a session's shell if it has none and may, and dials its socket.
    pub fn open(&self, agent: &Rc<Agent>, open: &OpenTerminal) {
        if let Some(session) = self.get(open.session) {
            match session.end() {
                Some(end) => agent.link.send(ToObject::TerminalEnded { session: open.session, end }),
                None if open.fresh => agent.link.send(ToObject::TerminalStarted(session.status())),
                None => {}
            }
            session.connect(agent);
            return;
        }
        if !open.fresh {
            agent.link.send(ToObject::TerminalEnded { session: open.session, end: TerminalEnd::Lost });
            return;
        }
        match Session::start(agent, open) {
            Ok(session) => {
                self.open.borrow_mut().insert(open.session, Rc::clone(&session));
                agent.link.send(ToObject::TerminalStarted(session.status()));
                session.connect(agent);
            }
            Err(error) => {
                let error = error.to_string();
                agent.link.send(ToObject::TerminalFailed { session: open.session, error });
            }
        }
    }

    /// Ends a session's shell and forgets the session once its end has been told.
    pub fn close(&self, session: TerminalId) {
        let Some(session) = self.open.borrow_mut().remove(&session) else { return };
        self.closing.send_modify(|closing| *closing += 1);
        let closing = self.closing.clone();
        tokio::task::spawn_local(async move {
            session.hang_up().await;
            session.delivered(FLUSH_PATIENCE).await;
            session.disconnect(1000);
            session.forget();
            closing.send_modify(|closing| *closing -= 1);
        });
    }

    /// Waits until no session is being closed.
    pub async fn none_closing(&self) {
        // The sender lives in self.
        let _ = self.closing.subscribe().wait_for(|closing| *closing == 0).await;
    }

    /// What [`Terminals::take_over`] needs. Nothing of it changes until the next await.
    #[must_use]
    pub fn parts(&self) -> Vec<state::Terminal> {
        self.all().iter().map(|session| session.parts()).collect()
    }

    /// Goes on with a session of an agent before this one, and dials its socket.
    pub fn take_over(&self, agent: &Rc<Agent>, parts: state::Terminal, master: OwnedFd) {
        match Session::resume(agent, parts, master) {
            Ok(session) => {
                session.connect(agent);
                self.open.borrow_mut().insert(session.id, session);
            }
            Err(error) => note!("a terminal was lost in the upgrade: {error}"),
        }
    }

    /// Ends every shell, for a stop; their sessions stay for those who look at them until the sockets close.
    pub async fn end_all(&self) {
        let sessions = self.all();
        futures_util::future::join_all(sessions.iter().map(|session| session.hang_up())).await;
    }

    /// Hands over the screens that changed, and waits until the object and all clients have been sent everything.
    pub async fn flush(&self) {
        let sessions = self.all();
        for session in &sessions {
            session.keep();
        }
        futures_util::future::join_all(sessions.iter().map(|session| session.delivered(FLUSH_PATIENCE))).await;
    }

    /// Closes every session's socket with this code.
    pub async fn disconnect(&self, code: u16) {
        let sessions = self.all();
        for session in &sessions {
            session.disconnect(code);
        }
        futures_util::future::join_all(sessions.iter().map(|session| session.disconnected())).await;
        self.open.borrow_mut().retain(|_, session| session.end().is_none() || session.has_just_ended());
    }
}
