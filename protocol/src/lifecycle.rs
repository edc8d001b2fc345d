//! The states of a machine, as stored, shown and sent.
//!
//! Which event leads from one to the next is decided by the machine's gateway object (`durable/machine_gateway`).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where a machine is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum MachineState {
    /// Its sprite is being made and the agent delivered.
    Creating,
    /// Awake, and its agent is connected.
    Running,
    /// An ordered sleep is under way, or the runtime has not paused yet.
    Hibernating,
    /// Asleep; the next terminal or request wakes it.
    Hibernated,
    /// On its way from asleep to running.
    Waking,
    /// Like hibernating, towards [`MachineState::Stopped`].
    Stopping,
    /// Asleep and pinned: only an explicit start wakes it.
    Stopped,
    /// Something went wrong; the reason is in the machine's record.
    Failed,
    /// Being deleted. Nothing leads back.
    Deleting,
}

impl MachineState {
    /// Every state, in the order of a machine's life.
    pub const ALL: [Self; 9] = [
        Self::Creating,
        Self::Running,
        Self::Hibernating,
        Self::Hibernated,
        Self::Waking,
        Self::Stopping,
        Self::Stopped,
        Self::Failed,
        Self::Deleting,
    ];

    /// The stored form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Running => "running",
            Self::Hibernating => "hibernating",
            Self::Hibernated => "hibernated",
            Self::Waking => "waking",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Deleting => "deleting",
        }
    }
}

impl fmt::Display for MachineState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a machine state")]
pub struct InvalidState;

impl FromStr for MachineState {
    type Err = InvalidState;
    fn from_str(text: &str) -> Result<Self, InvalidState> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(InvalidState)
    }
}

/// What brought a change about: why a machine woke, why it sleeps, why it failed. Who did is told beside it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    /// A person ordered it, in the console.
    Hand,
    /// An API client ordered it, with somebody's token.
    Api,
    /// Somebody at a terminal needed it.
    Terminal,
    /// A request to an app needed it.
    Request,
    /// A command over the API needed it.
    Command,
    /// A service needed it.
    Service,
    /// A hold began or ended.
    Hold,
    /// Nothing happened for long enough.
    Idle,
    /// The runtime did it by itself.
    Runtime,
    /// The machine's agent did it.
    Agent,
    /// `SnapVM` did it: the next step of something begun before, or a repair.
    #[default]
    Platform,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 11] = [
        Self::Hand,
        Self::Api,
        Self::Terminal,
        Self::Request,
        Self::Command,
        Self::Service,
        Self::Hold,
        Self::Idle,
        Self::Runtime,
        Self::Agent,
        Self::Platform,
    ];

    /// The stored form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hand => "hand",
            Self::Api => "api",
            Self::Terminal => "terminal",
            Self::Request => "request",
            Self::Command => "command",
            Self::Service => "service",
            Self::Hold => "hold",
            Self::Idle => "idle",
            Self::Runtime => "runtime",
            Self::Agent => "agent",
            Self::Platform => "platform",
        }
    }
}

/// The runtime behind a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum RuntimeType {
    /// Fly's Sprites.
    Sprites,
    /// Our own host, which speaks the same API.
    Spritehost,
}

impl RuntimeType {
    /// The stored form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sprites => "sprites",
            Self::Spritehost => "spritehost",
        }
    }
}
