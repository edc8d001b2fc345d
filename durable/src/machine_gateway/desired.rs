//! What a machine is to be, beside what it is: the last thing that somebody ordered, or that their work needed. It
//! outlives an eviction and every step on the way, so that orders which come while another one is carried out end with
//! the last one's state.
//!
//! Invariant: whoever wants it deleted is the last to want anything.

use serde::{Deserialize, Serialize};
use snapvm_protocol::lifecycle::{Cause, MachineState};

use super::cause::By;
use super::state::Machine;

/// Where a machine is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Desired {
    /// Awake.
    Running,
    /// Asleep until somebody needs it.
    Asleep,
    /// Asleep until somebody starts it.
    Stopped,
    /// Gone.
    Deleted,
}

impl Desired {
    /// What a machine in this state is to be, when nobody knows better.
    #[must_use]
    pub const fn of(state: MachineState) -> Self {
        match state {
            MachineState::Creating | MachineState::Running | MachineState::Waking | MachineState::Failed => {
                Self::Running
            }
            MachineState::Hibernating | MachineState::Hibernated => Self::Asleep,
            MachineState::Stopping | MachineState::Stopped => Self::Stopped,
            MachineState::Deleting => Self::Deleted,
        }
    }

    /// The stored form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Asleep => "asleep",
            Self::Stopped => "stopped",
            Self::Deleted => "deleted",
        }
    }
}

/// What somebody wants a machine to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// What.
    pub desired: Desired,
    /// Who, and for what.
    pub by: By,
    /// Since when, Unix ms.
    pub at_ms: u64,
}

impl Machine {
    /// What it is to be.
    #[must_use]
    pub fn desired(&self) -> Desired {
        self.wish.as_ref().map_or(Desired::of(self.state), |wish| wish.desired)
    }

    /// A machine whose record says what it is to be. An order may be newer than the state beside it: it is carried out
    /// from here.
    #[must_use]
    pub fn ordered(mut self, desired: Desired) -> Self {
        use MachineState::{Hibernated, Hibernating, Stopped, Stopping, Waking};
        self.was_stopped = matches!(self.state, Stopping | Stopped);
        self.state = match (self.state, desired) {
            (Stopping, Desired::Asleep) => Hibernating,
            (Stopped, Desired::Asleep) => Hibernated,
            (Hibernating, Desired::Stopped) => Stopping,
            (Hibernated, Desired::Stopped) => Stopped,
            (Hibernating | Hibernated | Stopping | Stopped, Desired::Running) => Waking,
            (state, _) => state,
        };
        self.wish = Some(Wish { desired, by: By::nobody(Cause::Hand), at_ms: 0 });
        self
    }

    /// Somebody wants it to be something. Wanting the same again changes nothing, except that an order is one.
    pub(super) fn desire(&mut self, desired: Desired, by: &By, now: u64) {
        let is_new = self.wish.as_ref().is_none_or(|wish| wish.desired != desired);
        if is_new || by.is_order() {
            self.wish = Some(Wish { desired, by: by.clone(), at_ms: now });
            self.unsaved |= is_new;
        }
    }
}
