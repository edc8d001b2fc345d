//! The upgrade in place: this process becomes a newer agent, and everything that runs goes on.
//!
//! ```text
//! Upgrade ─▶ verify the digest ─▶ no session is just ending ─▶ accept nothing, drain apps ≤ 2 s ─▶ state ─▶ exec
//!   (any step may refuse: the old agent goes on and says why)                                        │
//! the new agent: listens on the same socket, awaits the same children, dials with the same key ◀─────┘
//! ```
//!
//! Handed over: shells with their terminals, rings, offsets, input numbers and sizes; services with their processes,
//! states and logs; the listening socket; boot id, key, pass, what was learned from tickets; variables; the idle clock. Sockets to
//! the platform are dialed anew, clients resume by offset. Lost: app connections that did not end within the drain.
//!
//! Invariants:
//! * Between taking the state and the exec nothing else of the agent runs, so the state is true.
//! * The state is in memory only ([`process`]), bounded, versioned and checked ([`format`]).
//! * A state that cannot be used costs the shells, never the agent: what cannot be known any more is ended.

pub mod format;
pub mod process;
pub mod state;

use std::cell::Cell;
use std::collections::HashSet;
use std::convert::Infallible;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use snapvm_protocol::agent::ToObject;
use tokio::time::timeout;

use crate::agent::Agent;
use crate::journal::note;
use crate::reaper::{self, Child};
use crate::sleep::Phase;
use format::Unusable;
use state::State;

/// How long app connections may take to end by themselves.
const DRAIN: Duration = Duration::from_secs(2);
/// How long sessions that are being closed may take.
const CLOSING: Duration = Duration::from_secs(10);

/// Where a successor is delivered, and whether the agent is about to become it.
pub struct Succession {
    binary: PathBuf,
    under_way: Cell<bool>,
}

impl Succession {
    /// For a successor at this path.
    #[must_use]
    pub fn new(binary: PathBuf) -> Self {
        Self { binary, under_way: Cell::new(false) }
    }
}

/// Why the agent stays what it is.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("the delivered file cannot be read: {0}")]
    Unreadable(io::Error),
    #[error("the delivered file is not the one that was announced")]
    Digest,
    #[error("the machine is about to sleep")]
    Sleep,
    #[error("terminals are being closed")]
    Closing,
    #[error("one-shot commands are running")]
    Commands,
    #[error("its state cannot be handed over: {0}")]
    State(#[from] Unusable),
    #[error("the delivered file cannot be run: {0}")]
    Exec(io::Error),
}

impl Refusal {
    fn is_for_now(&self) -> bool {
        matches!(self, Self::Sleep | Self::Closing | Self::Commands)
    }
}

/// Becomes the delivered agent if its digest is this one. A second order during the first is the same order.
pub fn order(agent: &Rc<Agent>, digest: String) {
    if agent.succession.under_way.replace(true) {
        return;
    }
    let agent = Rc::clone(agent);
    tokio::task::spawn_local(async move {
        let Err(refusal) = attempt(&agent, &digest).await;
        agent.succession.under_way.set(false);
        agent.listener.accept();
        note!("not upgraded: {refusal}");
        let again = refusal.is_for_now();
        agent.link.send(ToObject::UpgradeRefused { digest, reason: refusal.to_string(), again });
    });
}

async fn attempt(agent: &Agent, digest: &str) -> Result<Infallible, Refusal> {
    let path = agent.succession.binary.clone();
    let delivered = tokio::task::spawn_blocking(move || crate::identity::file_digest(&path)).await;
    let delivered = delivered.map_err(io::Error::other).flatten().map_err(Refusal::Unreadable)?;
    if delivered != digest {
        return Err(Refusal::Digest);
    }
    is_possible(agent)?;
    agent.listener.pause();
    let drained = async {
        agent.listener.all_closed().await;
        agent.connections.all_closed().await;
    };
    let _ = timeout(DRAIN, drained).await;
    timeout(CLOSING, agent.terminals.none_closing()).await.map_err(|_| Refusal::Closing)?;
    // From here to the exec nothing is awaited.
    is_possible(agent)?;
    let state = capture(agent, delivered);
    note!("becomes {digest} with {} terminals and {} services", state.terminals.len(), state.services.len());
    let descriptors: Vec<i32> = state.descriptors().collect();
    let bytes = format::encode(state)?;
    Err(Refusal::Exec(process::exec(&agent.succession.binary, &bytes, &descriptors)))
}

/// A command has a caller who waits on a connection that would break; a sleep was ordered before.
fn is_possible(agent: &Agent) -> Result<(), Refusal> {
    if !matches!(*agent.phase.borrow(), Phase::Awake) {
        return Err(Refusal::Sleep);
    }
    if agent.commands.are_running() { Err(Refusal::Commands) } else { Ok(()) }
}

fn capture(agent: &Agent, digest: String) -> State {
    State {
        boot: agent.identity.boot.clone(),
        seed: agent.identity.seed(),
        digest,
        learned: agent.admission.borrow().learned(),
        pass: agent.link.pass.borrow().clone(),
        meter: agent.meter.borrow().clone(),
        woken_at: agent.woken_at.get(),
        tasks: agent.tasks.reported(),
        listener: agent.listener.descriptor(),
        terminals: agent.terminals.parts(),
        services: agent.services.parts(),
        variables: agent.variables.borrow().clone(),
    }
}

/// The descriptors of a state, each of which can be taken once.
pub struct Descriptors(HashSet<i32>);

impl Descriptors {
    /// Of this state.
    #[must_use]
    pub fn of(state: &State) -> Self {
        Self(state.descriptors().collect())
    }

    /// Takes one; nothing when it was taken already, or is not open.
    pub fn take(&mut self, descriptor: i32) -> Option<OwnedFd> {
        self.0.remove(&descriptor).then(|| process::inherited(descriptor)).flatten()
    }
}

/// Goes on where the agent before this one was.
pub fn resume(agent: &Rc<Agent>, state: State, mut descriptors: Descriptors) {
    agent.admission.borrow_mut().resume(state.learned);
    *agent.link.pass.borrow_mut() = state.pass;
    agent.link.welcomed.set(true);
    *agent.meter.borrow_mut() = state.meter;
    agent.woken_at.set(state.woken_at);
    agent.variables.replace(state.variables);
    *agent.phase.borrow_mut() = Phase::Awake;
    // Nothing is lost by it: a list that is the same is not reported again.
    agent.tasks.changed(&state.tasks);
    for service in state.services {
        let pipes = service.pipes.into_iter().filter_map(|pipe| descriptors.take(pipe)).collect();
        agent.services.take_over(agent, service.life, pipes);
    }
    for terminal in state.terminals {
        match descriptors.take(terminal.master) {
            Some(master) => agent.terminals.take_over(agent, terminal, master),
            None => note!("a terminal was lost in the upgrade"),
        }
    }
}

/// Ends every child: whoever knew what they were is no more.
pub fn end_children() {
    for pid in reaper::children() {
        if let Some(group) = Pid::from_raw(pid.cast_signed()) {
            // Shells and services lead groups of their own.
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
            let _ = rustix::process::kill_process(group, Signal::KILL);
        }
        // So that it is reaped.
        drop(Child::of(pid));
    }
}
