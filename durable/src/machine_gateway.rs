//! `MachineGateway`: one object per machine. It serializes what happens to the machine, holds what is live (sockets,
//! leases, waiters, the idle clock), and writes through to Postgres, which is the authority.
//!
//! ```text
//! Worker, TerminalSession ──Command──▶ object ──Effect──▶ Postgres, Sprites API, agent, TerminalSession
//! agent ──control socket (hibernatable)──▶ object
//! ```
//!
//! Invariants:
//! * What counts is in SQLite before anybody hears of it; memory is a cache.
//! * No borrow of the cache lives across an await.

pub mod activity;
pub mod cause;
pub mod checkpoint;
mod checkpoints;
pub mod command;
mod control;
pub mod desired;
mod effects;
pub mod idle;
mod logs;
pub mod object;
pub mod outside;
pub mod prepared;
mod reports;
mod saving;
pub mod state;
mod terminals;
mod transitions;
mod turns;
pub mod upgrade;
mod variables;
mod why;

use snapvm_protocol::lifecycle::MachineState;
use snapvm_protocol::terminal::Notice;

/// What a state means to somebody at a terminal. `waking` says that they have just asked for a wake.
#[must_use]
pub fn notice(state: MachineState, reason: &str, waking: bool) -> Notice {
    match state {
        MachineState::Running | MachineState::Creating | MachineState::Waking => Notice::Waking,
        MachineState::Hibernating if waking => Notice::Waking,
        MachineState::Hibernating | MachineState::Stopping => Notice::Sleeping,
        MachineState::Hibernated | MachineState::Stopped => Notice::Asleep,
        MachineState::Failed | MachineState::Deleting => Notice::Failed { reason: reason.to_owned() },
    }
}
