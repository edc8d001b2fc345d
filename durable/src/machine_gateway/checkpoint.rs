//! A checkpoint that is being made, restored or deleted: the order, and how far it has got (pure).
//!
//! ```text
//! making     ask the agent to sync ─answer, or 10 s─▶ the runtime makes it ─▶ ready, or failed
//! restoring  waking, no agent is heard ────────────▶ the runtime goes back ─▶ wake in the new generation
//! deleting   ──────────────────────────────────────▶ the runtime deletes it ─▶ gone
//!            and then, however it went: ─▶ Postgres is told, until it knows
//! ```
//!
//! Orders come from the record, which has one at a time for a machine and names each: an order is carried out once, and
//! what became of it is written once. Every step may be done again: making finds what it has made, going back twice
//! leads to the same files, and what is deleted stays so.
//!
//! Invariants:
//! * While a machine goes back, it is `waking`, and nothing that an agent or a step of before says counts.
//! * An unfinished order has a time at which it is looked at again.

use serde::{Deserialize, Serialize};
use snapvm_protocol::ids::CheckpointId;
use snapvm_protocol::lifecycle::MachineState;

use super::desired::Wish;
use super::state::Work;

/// How long the agent may take to sync the file system before a checkpoint is made without its word.
pub const SYNC_MS: u64 = 10_000;
/// Until a step is looked at again, should the object have been evicted under it.
pub const STEP_MS: u64 = 30_000;
/// Tries at what the runtime is to do.
pub const TRIES_MAX: u32 = 6;
/// Time after which a failed try is the last one.
pub const DEADLINE_MS: u64 = 10 * 60 * 1000;

/// What is ordered, as the record has it: the checkpoint's state there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// Make it.
    Making,
    /// Go back to it.
    Restoring,
    /// Delete it.
    Deleting,
}

/// An order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Which checkpoint.
    pub id: CheckpointId,
    /// Names the order.
    pub order: String,
    /// What to do.
    pub what: What,
    /// The runtime's id of it, once it is made.
    #[serde(default)]
    pub name: Option<String>,
    /// Words of whoever made it.
    #[serde(default)]
    pub comment: String,
}

impl Order {
    /// The comment that the runtime gets: it tells the checkpoint from all others.
    #[must_use]
    pub fn runtime_comment(&self) -> String {
        format!("{} {}", self.id, self.comment).trim_end().to_owned()
    }

    /// What it is called in a sentence.
    #[must_use]
    pub fn called(&self) -> String {
        match &self.name {
            Some(name) => format!("checkpoint {name}"),
            None => "the checkpoint".into(),
        }
    }
}

/// What became of an order, for the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The checkpoint's state from now on; `None` when there is none any more.
    pub state: Option<String>,
    /// The runtime's id of it, where that is news.
    pub name: Option<String>,
    /// What people should know of it.
    pub reason: String,
    /// The line of history: for programs.
    pub kind: String,
    /// The line of history; `{checkpoint}` stands for what the checkpoint is called.
    pub detail: String,
}

/// How far an order has got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// The agent was asked to sync.
    Syncing {
        /// The request's number.
        sync: u64,
    },
    /// The runtime does it.
    Working,
    /// The record does not know yet what became of it.
    Done(Outcome),
}

/// An order that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The order.
    pub order: Order,
    /// How far it has got.
    pub step: Step,
    /// Failed tries at the present step.
    pub tries: u32,
    /// When to look again, Unix ms.
    pub due_ms: u64,
    /// When a failed try is the last one, Unix ms.
    pub until_ms: u64,
    /// Whether an agent that was awake failed to confirm that everything was on the disk.
    pub unconfirmed: bool,
    /// The machine's state before it.
    pub before: MachineState,
    /// What the machine was to be before it.
    #[serde(default)]
    pub wish: Option<Wish>,
}

/// What a machine remembers of checkpoints.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoints {
    /// The order that is under way.
    pub job: Option<Job>,
    /// The last one that was begun.
    last: Option<String>,
    syncs: u64,
    /// How many were begun.
    #[serde(default)]
    turn: u64,
}

impl Checkpoints {
    /// Begins an order, unless it was begun before or another one is under way. One that is done and followed by
    /// another order has been told: the record takes one after the other.
    pub(super) fn begin(&mut self, order: Order, before: MachineState, now: u64) -> Option<&mut Job> {
        if self.is_busy() || self.last.as_ref() == Some(&order.order) {
            return None;
        }
        self.last = Some(order.order.clone());
        self.turn += 1;
        let (due_ms, until_ms) = (now + STEP_MS, now + DEADLINE_MS);
        Some(self.job.insert(Job {
            order,
            step: Step::Working,
            tries: 0,
            due_ms,
            until_ms,
            unconfirmed: false,
            before,
            wish: None,
        }))
    }

    pub(super) fn next_sync(&mut self) -> u64 {
        self.syncs += 1;
        self.syncs
    }

    /// Whether an order is under way.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.job.as_ref().is_some_and(|job| !matches!(job.step, Step::Done(_)))
    }

    /// Whether the machine is going back to a checkpoint.
    #[must_use]
    pub fn is_restoring(&self) -> bool {
        self.is_busy() && self.job.as_ref().is_some_and(|job| job.order.what == What::Restoring)
    }

    /// Counts orders.
    #[must_use]
    pub fn turn(&self) -> u64 {
        self.turn
    }

    /// The work that the present step takes.
    #[must_use]
    pub fn work(&self) -> Option<Work> {
        match self.job.as_ref()?.step {
            Step::Syncing { .. } => None,
            Step::Working => Some(Work::Checkpoint),
            Step::Done(_) => Some(Work::TellCheckpoint),
        }
    }
}
