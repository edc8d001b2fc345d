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
