//! The world outside of the object, as far as a machine's life needs it: a provider with sprites that run, are frozen
//! and cold, an agent in each, and Postgres with one row.

use std::collections::{BTreeMap, BTreeSet};

use snapvm_durable::machine_gateway::checkpoint::{Order, What};
use snapvm_durable::machine_gateway::desired::Desired;
use snapvm_protocol::lifecycle::MachineState as State;
use snapvm_protocol::sprites::SpriteStatus;

/// How long a sprite with nothing to do runs, and how long it stays frozen before it loses its memory.
pub(crate) const PAUSE_MS: u64 = 5_000;
pub(crate) const COLD_MS: u64 = 90_000;

#[derive(Debug, Clone)]
pub(crate) struct Sprite {
    pub(crate) id: u64,
    pub(crate) status: SpriteStatus,
    pub(crate) installed: bool,
    pub(crate) agent: Option<Agent>,
    pub(crate) touched_ms: u64,
    /// Since when it runs.
    pub(crate) running_ms: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Agent {
    pub(crate) boot: u64,
    pub(crate) generation: u32,
    pub(crate) digest: u64,
    /// Keeps the sprite awake.
    pub(crate) task: bool,
    /// Its control socket, as the object numbers them.
    pub(crate) socket: Option<u64>,
    /// The sleep that it prepares.
    pub(crate) prepares: Option<u64>,
    /// When something last happened in it.
    pub(crate) active_ms: u64,
    /// What it says arrives in order.
    pub(crate) last_word_ms: u64,
}

impl Agent {
    pub(crate) fn new(boot: u64, generation: u32, digest: u64, now: u64) -> Self {
        Self { boot, generation, digest, task: true, socket: None, prepares: None, active_ms: now, last_word_ms: now }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// Whether it is somebody's; else it is prepared.
    pub(crate) is_owned: bool,
    pub(crate) state: State,
    pub(crate) desired: Option<Desired>,
    pub(crate) generation: u32,
    pub(crate) sprite_name: Option<u32>,
    pub(crate) sprite_id: Option<u64>,
    pub(crate) holds: Vec<u64>,
    pub(crate) lines: BTreeSet<u64>,
    pub(crate) state_at: u64,
    pub(crate) checked_at: u64,
    pub(crate) written: u64,
    /// What is ordered of a checkpoint, since when, and how many there are.
    pub(crate) checkpoint: Option<Order>,
    pub(crate) checkpoint_at: u64,
    pub(crate) checkpoints: u64,
}

/// One call over a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Get,
    Create,
    Install {
        id: u64,
    },
    AskAgent {
        tries: u32,
    },
    StartService,
    DeleteSprite,
    Checkpoint {
        what: What,
    },
    TellCheckpoint,
    Deliver,
    Settle,
    Replace,
    /// A place among those of its organization that are awake.
    Admit,
    RemoveRow,
    RecreateRow {
        gone: Option<u64>,
    },
    Save {
        state: State,
        desired: Desired,
        line: Option<u64>,
        number: u64,
        sprite: Option<(u64, u32)>,
        /// Whether the object knows whose the machine is.
        is_owned: bool,
    },
}

impl Call {
    pub(crate) fn is_database(self) -> bool {
        matches!(
            self,
            Self::TellCheckpoint | Self::Admit | Self::RemoveRow | Self::RecreateRow { .. } | Self::Save { .. }
        )
    }

    /// How long its answer is waited for.
    pub(crate) fn patience_ms(self) -> u64 {
        match self {
            Self::AskAgent { tries } => [400, 1_000, 3_000, 12_000].get(tries as usize).copied().unwrap_or(12_000),
            Self::Get | Self::StartService | Self::Settle => 20_000,
            Self::Create
            | Self::Install { .. }
            | Self::DeleteSprite
            | Self::Checkpoint { .. }
            | Self::Deliver
            | Self::Replace => 30_000,
            Self::TellCheckpoint | Self::Admit | Self::RemoveRow | Self::RecreateRow { .. } | Self::Save { .. } => {
                10_000
            }
        }
    }
}

/// What a call gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    Sprite { id: u64, status: SpriteStatus, name: u32 },
    NoSprite,
    NoAgent,
    NoPlace,
    NoMachine,
    Deleting,
    Generation(u32),
    Limited,
    Failed,
}

#[derive(Debug, Default)]
pub(crate) struct Provider {
    pub(crate) away: bool,
    /// By the generation in their name.
    pub(crate) sprites: BTreeMap<u32, Sprite>,
    pub(crate) ids: u64,
}
