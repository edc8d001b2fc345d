//! What the Worker and the other objects ask of a machine's gateway, and what it answers. Typed on both sides; sent as
//! JSON in the body of a `fetch` to the object whose name is the machine's id. Variants are keys, not a field of their
//! own: reading a field first takes a buffer, and code in the Worker's bundle for each variant.

use serde::{Deserialize, Serialize};
use snapvm_protocol::agent::TerminalEnd;
use snapvm_protocol::ids::TerminalId;
use snapvm_protocol::lifecycle::MachineState;
use snapvm_protocol::services::ServiceAction;

use super::cause::By;
use super::desired::Desired;
use super::state::Activity;

/// Something to do. Whether the caller may ask for it has been decided already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// The record has just been written: make the sprite.
    Provision,
    /// Wake it, whatever it sleeps for.
    Start {
        /// Who asked, and how.
        #[serde(default)]
        by: By,
    },
    /// Put it to sleep and pin it there.
    Stop {
        /// Who asked, and how.
        #[serde(default)]
        by: By,
    },
    /// Put it to sleep.
    Hibernate {
        /// Who asked, and how.
        #[serde(default)]
        by: By,
    },
    /// Delete it.
    Delete {
        /// Who asked, and how.
        #[serde(default)]
        by: By,
    },
    /// The record's settings changed: read them again.
    Settings,
    /// The services changed: read them again, and tell the agent.
    Services,
    /// Holds were taken or ended: read them again.
    Holds,
    /// A checkpoint is to be made, restored or deleted: read the record.
    Checkpoints,
    /// The variables changed: read them again, and tell the agent.
    Variables,
    /// What is live of why it is awake or asleep?
    Why,
    /// Something to do with one service.
    Service {
        /// Its name.
        name: String,
        /// What.
        action: ServiceAction,
    },
    /// A client waits for a session's shell: start it if it has none, waking the machine if `wake`.
    OpenTerminal {
        /// Which session.
        session: TerminalId,
        /// Columns to start with.
        columns: u16,
        /// Rows to start with.
        rows: u16,
        /// Where to start; the home directory when absent.
        directory: Option<String>,
        /// Whether to wake a machine that sleeps.
        wake: bool,
        /// Whether its agent, though connected, has not taken what somebody typed.
        unanswered: bool,
        /// Who waits or typed.
        #[serde(default)]
        by: By,
    },
    /// End a session's shell.
    CloseTerminal {
        /// Which session.
        session: TerminalId,
    },
    /// Access changed: open connections of before are over, open terminals are looked at again.
    Access {
        /// The machine's epoch since then.
        epoch: u64,
    },
    /// May traffic go to the sprite? Wakes it and waits if need be.
    Lease {
        /// The machine's epoch as the asker's look-up had it: the object learns of a newer one by it.
        epoch: u64,
        /// Who asks, and for what.
        #[serde(default)]
        by: By,
    },
    /// May a command be run in the sprite? Answered with a lease whose ticket is good for one. Wakes it and waits if
    /// need be.
    Exec {
        /// The machine's epoch as the asker's look-up had it: the object learns of a newer one by it.
        epoch: u64,
        /// Who asks, and for what.
        #[serde(default)]
        by: By,
    },
    /// May a service's log be read in the sprite? Answered with a lease whose ticket is good for that.
    Logs {
        /// The machine's epoch as the asker's look-up had it: the object learns of a newer one by it.
        epoch: u64,
        /// Whether to wake a machine that sleeps, and wait for it.
        wake: bool,
        /// Who asks.
        by: By,
    },
    /// Is this the agent that is bound to the machine now?
    CheckAgent {
        /// Its generation.
        generation: u32,
        /// Its boot id.
        boot: String,
        /// Its public key.
        agent_key: String,
    },
    /// Use a code of the handshake that lets a browser into an app.
    UseCode {
        /// Its id.
        jti: String,
        /// Until when it is good, Unix ms.
        until_ms: u64,
    },
    /// Look whether anything is left undone.
    Reconcile,
    /// Look whether the runtime and the record agree with what is known.
    Check {
        /// The record's state.
        recorded: MachineState,
        /// What the machine is to be, as the record has it.
        #[serde(default)]
        desired: Option<Desired>,
    },
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// Where the machine is now.
    State {
        /// Its state.
        state: MachineState,
        /// Why, for people.
        reason: String,
    },
    /// What is live of why it is awake or asleep.
    Why(Why),
    /// Traffic may go to the sprite.
    Lease(Lease),
    /// Whether the agent is the bound one.
    Agent {
        /// It is.
        bound: bool,
    },
    /// Whether the code was not used before.
    Code {
        /// It was not.
        fresh: bool,
    },
    /// The terminal session's shell has ended.
    Ended {
        /// How.
        end: TerminalEnd,
    },
    /// It cannot be done, and why.
    Refused {
        /// For programs.
        code: String,
        /// For people.
        detail: String,
    },
}

/// Permission to send traffic straight to an awake sprite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The sprite's URL, without a slash at the end.
    pub url: String,
    /// The ticket for the agent.
    pub ticket: String,
    /// The machine's epoch.
    pub epoch: u64,
    /// When it ends, Unix ms.
    pub expires_ms: u64,
}

/// What only the object knows of why a machine is awake or asleep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// Its state.
    pub state: MachineState,
    /// Why, for people.
    pub reason: String,
    /// Whether its agent is connected.
    pub connected: bool,
    /// What the agent last saw that is worth staying awake for, since the machine is awake.
    pub last_activity: Option<Activity>,
    /// Tasks of programs in the guest that keep it awake.
    pub tasks: Vec<String>,
    /// Services that keep it awake while they run.
    #[serde(default)]
    pub services: Vec<String>,
    /// When it hibernates if nothing happens, Unix ms.
    pub sleeps_at_ms: Option<u64>,
}
