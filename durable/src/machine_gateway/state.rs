//! The life of one machine, as a pure state machine: an event and the time go in, effects come out.
//!
//! ```text
//! creating ──hello──▶ running ──sleep ordered──▶ hibernating ──runtime paused──▶ hibernated
//!                      ▲  ▲                       │ (stopping)                    │ (stopped: only an explicit start)
//!                      │  └──────cancelled────────┘                               │
//!                      └──────────────hello────────── waking ◀──start, traffic────┘
//! any state ──delete──▶ deleting ──sprite gone──▶ forgotten            any ──gave up──▶ failed ──start──▶ waking
//! ```
//!
//! Invariants:
//! * Every unfinished state has [`Machine::alarm_ms`] set: whatever an eviction interrupts, the alarm does again.
//! * At most one wake is under way, whatever the number of those who want it ([`Effect::Work`] is single-flight).
//! * `deleting` leads nowhere but out.
//! * A sleep order is void unless its number is the current one, and so is what work says that a turn of its life has
//!   overtaken ([`Machine::finish`]).
//! * What it is to be ([`super::desired`]) is kept beside what it is: however orders and faults mix, the last order's
//!   state is where it ends.
//! * What goes on with a checkpoint is in [`super::checkpoint`].
//!
//! The table of all of it is printed in `docs/lifecycle.md`.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use snapvm_protocol::agent::{SleepKind, ToAgent};
use snapvm_protocol::lifecycle::MachineState;
use snapvm_protocol::sprites::SpriteStatus;

pub use super::activity::{Activity, ActivityKind};
use super::cause::By;
use super::checkpoint::{Checkpoints, Order};
use super::desired::{Desired, Wish};
use super::prepared::Prepared;
use super::transitions;
use super::upgrade::Upgrade;

/// Longest time for an agent to prepare a sleep.
pub const PREPARE_MS: u64 = 40_000;
/// Time after which an agent that has not said that it is ready to sleep is told again.
pub const ASK_AGAIN_MS: u64 = 10_000;
/// Time in which a lost control socket may come back by itself.
pub const REDIAL_MS: u64 = 5_000;
/// Time after which unfinished work is looked at again, should the object have been evicted under it.
pub const WORK_MS: u64 = 20_000;
/// Tries at one piece of work before the machine is `failed`.
pub const TRIES_MAX: u32 = 6;

/// What is remembered of a machine, in the object's SQLite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Where it is.
    pub state: MachineState,
    /// Why, for people.
    pub reason: String,
    /// The sleep that is under way.
    pub sleep: Option<Sleep>,
    /// Number of the last sleep ordered.
    pub sleeps: u64,
    /// Grows with everything that is worth staying awake for.
    pub activity: u64,
    /// Seconds of nothing after which it hibernates.
    pub idle_seconds: u64,
    /// Until when it is held awake, Unix ms: one for each hold.
    #[serde(default)]
    pub holds: Vec<u64>,
    /// When the last hold or task ended that kept it awake, Unix ms.
    #[serde(default)]
    pub kept_until_ms: Option<u64>,
    /// What the agent last saw that is worth staying awake for.
    #[serde(default)]
    pub last_activity: Option<Activity>,
    /// The end of the idle clock that open terminals have been warned of, Unix ms.
    #[serde(default)]
    pub warned_of_ms: Option<u64>,
    /// Since when its agent has been heard without a gap, Unix ms.
    #[serde(default)]
    pub heard_since_ms: u64,
    /// Whether the agent's control socket is open.
    pub connected: bool,
    /// Whether somebody typed, and no agent has taken it since.
    #[serde(default)]
    pub called: bool,
    /// Whether a first shell, service or request may find the sprite: it has been provisioned.
    pub provisioned: bool,
    /// Whether it was stopped before it was last woken.
    #[serde(default)]
    pub was_stopped: bool,
    /// Failed tries at the present work.
    pub tries: u32,
    /// Since when the present work waits for a limit of the provider's account, Unix ms.
    #[serde(default)]
    pub limited_since_ms: Option<u64>,
    /// When to look again, Unix ms.
    pub alarm_ms: Option<u64>,
    /// Tasks of programs in the guest.
    pub tasks: Vec<String>,
    /// Services that keep it awake while they run.
    #[serde(default)]
    pub keepers: Vec<String>,
    /// Whether Postgres lacks the present state, or a line of history.
    pub unsaved: bool,
    /// Seconds between looks at a runtime that has not paused yet.
    pub looks_seconds: Vec<u64>,
    /// Which agent runs, and what became of upgrades.
    #[serde(default)]
    pub upgrade: Upgrade,
    /// The checkpoint that is being made, restored or deleted.
    #[serde(default)]
    pub checkpoints: Checkpoints,
    /// What it is to be, where somebody said so.
    #[serde(default)]
    pub wish: Option<Wish>,
    /// Grows with every turn its life takes: what work says that was begun before means nothing any more.
    #[serde(default)]
    pub turn: u64,
    /// Whether its sprite is gone, and its files with it.
    #[serde(default)]
    pub vanished: bool,
    /// Whether its sprite was made before anybody wanted it.
    #[serde(default)]
    pub prepared: Option<Prepared>,
}

/// A sleep under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sleep {
    /// Its number.
    pub number: u64,
    /// Which sleep.
    pub kind: SleepKind,
    /// The activity counter when it was ordered; `None` when a person ordered it, which no activity undoes.
    pub unless_activity_after: Option<u64>,
    /// Whether the agent has been told to go.
    pub gone: bool,
    /// How often the runtime has been looked at since.
    pub looks: usize,
    /// Until when the agent is waited for, and then the runtime, Unix ms.
    #[serde(default)]
    pub until_ms: u64,
}

/// What happens to a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Its record has just been written.
    Provision,
    /// It was prepared, and is somebody's from now on.
    Claimed,
    /// Somebody wants it awake and may say so of a stopped one.
    Start {
        /// Who.
        by: By,
    },
    /// Traffic wants it awake.
    Wanted {
        /// Whose, and what kind.
        by: By,
    },
    /// Somebody at a terminal wants it awake, and nobody answers there.
    Called {
        /// Who.
        by: By,
    },
    /// Somebody wants it asleep.
    Hibernate {
        /// Who.
        by: By,
    },
    /// Somebody wants it asleep and pinned.
    Stop {
        /// Who.
        by: By,
    },
    /// Somebody wants it gone.
    Delete {
        /// Who; the platform when the record says so already.
        by: By,
    },
    /// The agent is connected and has said who it is.
    Hello,
    /// Which agent that was, after [`Event::Hello`].
    Agent {
        /// Its boot id.
        boot: String,
        /// Its digest.
        digest: String,
        /// The digest of the agent that the platform carries.
        carried: String,
    },
    /// An agent dialed whose protocol version the platform does not speak. It was refused.
    Outdated {
        /// Its protocol version.
        protocol: u32,
        /// Whether it is the very one that the platform carries.
        carried: bool,
    },
    /// The agent of this digest was delivered beside the one that runs.
    Delivered {
        /// Its digest.
        digest: String,
    },
    /// Boots start the agent that runs.
    Settled,
    /// The agent goes on as it is.
    UpgradeRefused {
        /// What it was to become.
        digest: String,
        /// Why, for people.
        reason: String,
        /// Whether it was only the wrong moment.
        again: bool,
    },
    /// The agent that nobody could talk to is gone, and the carried one started.
    Replaced,
    /// A checkpoint is to be made, restored or deleted.
    Checkpoint {
        /// The record's order.
        order: Order,
    },
    /// What was written to files before the question is on the disk.
    Synced {
        /// The question's number.
        sync: u64,
    },
    /// The runtime has done what was ordered of a checkpoint.
    CheckpointDone {
        /// The runtime's id of one that was made.
        name: Option<String>,
    },
    /// The runtime does not do it, whoever asks.
    CheckpointRefused {
        /// Why, for people.
        reason: String,
    },
    /// Postgres knows what became of it.
    CheckpointTold,
    /// The control socket is gone.
    Lost,
    /// The agent saw something worth staying awake for.
    Activity {
        /// What.
        kind: ActivityKind,
    },
    /// The agent saw nothing worth staying awake for, for so many seconds.
    Idle {
        /// How many.
        seconds: u64,
    },
    /// The agent has prepared a sleep.
    SleepReady {
        /// Its number.
        sleep: u64,
    },
    /// Tasks of programs in the guest changed.
    Tasks {
        /// Their names.
        names: Vec<String>,
    },
    /// Services that keep it awake: all that there are.
    Keepers {
        /// Their names.
        names: Vec<String>,
    },
    /// Holds were taken or ended: all that there are.
    Holds {
        /// Until when, Unix ms.
        until_ms: Vec<u64>,
    },
    /// The settings were read again.
    Settings {
        /// Seconds of nothing after which it hibernates.
        idle_seconds: u64,
        /// Whether load on the processors is something.
        cpu_counts: bool,
    },
    /// The sprite is there, and its agent delivered.
    Provisioned,
    /// The agent took a wake and is about to dial.
    WakeSent,
    /// The sprite is there, and has no agent.
    NoAgent,
    /// The organization has no place for one more awake machine.
    NotAdmitted {
        /// Why, for people.
        detail: String,
    },
    /// The runtime was looked at.
    Looked {
        /// What it is doing; `None` when there is no such sprite.
        status: Option<SpriteStatus>,
    },
    /// Work failed.
    Failed {
        /// Which.
        work: Work,
        /// Why, for people.
        reason: String,
    },
    /// Work waits for a limit of the provider's account.
    Limited {
        /// Which.
        work: Work,
        /// The limit, how much of it is in use, and the way out, for people.
        limit: String,
        /// When to try again.
        retry_ms: u64,
    },
    /// The sprite is gone from the runtime for good: the next one belongs to a new generation.
    Recreated,
    /// The sprite that was gone is there.
    Found,
    /// The sprite is gone.
    Gone,
    /// Postgres has the present state.
    Saved,
    /// Postgres could not be written.
    SaveFailed,
    /// The time of `alarm_ms` has come.
    Alarm,
    /// The reconciler has a look.
    Check {
        /// The state that Postgres has.
        recorded: MachineState,
        /// What it is to be, as Postgres has it.
        desired: Option<Desired>,
    },
}

/// Something outside that takes time. Each is idempotent, and ends with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Make the sprite, deliver the agent: [`Event::Provisioned`] or [`Event::Failed`].
    Provision,
    /// Ask the agent over HTTP to wake and dial, if the organization has a place for it: [`Event::WakeSent`],
    /// [`Event::NotAdmitted`], [`Event::NoAgent`] or [`Event::Failed`].
    Wake,
    /// Ask the runtime what the sprite is doing: [`Event::Looked`] or [`Event::Failed`].
    Look,
    /// Give up a sprite that is gone, unless it is there: [`Event::Recreated`], [`Event::Found`] or [`Event::Failed`].
    Recreate,
    /// Delete the sprite: [`Event::Gone`] or [`Event::Failed`].
    Delete,
    /// Deliver the carried agent beside the one that runs: [`Event::Delivered`] or [`Event::Failed`].
    Deliver,
    /// Let boots start the agent that runs: [`Event::Settled`] or [`Event::Failed`].
    Settle,
    /// Deliver the carried agent in place of one that nobody can talk to, and start it: [`Event::Replaced`] or
    /// [`Event::Failed`].
    Replace,
    /// Make, restore or delete the checkpoint of the order under way: [`Event::CheckpointDone`],
    /// [`Event::CheckpointRefused`] or [`Event::Failed`].
    Checkpoint,
    /// Write what became of it to Postgres: [`Event::CheckpointTold`] or [`Event::Failed`].
    TellCheckpoint,
}

/// What has to be done after an event, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Write state and reason to Postgres, with a line of history where there is one.
    Save(Option<History>),
    /// Tell the agent.
    Tell(ToAgent),
    /// Begin work, unless the same is under way.
    Work(Work),
    /// Everybody who waits for the machine may go on.
    ReleaseWaiters,
    /// Everybody who waits for the machine gets a refusal.
    RefuseWaiters {
        /// For programs.
        code: &'static str,
        /// For people.
        detail: String,
    },
    /// Open terminals learn what the machine is doing.
    TellTerminals,
    /// Open terminals learn that it sleeps in so many milliseconds if nothing happens; with `None`, that it does not.
    WarnTerminals {
        /// In how many.
        in_ms: Option<u64>,
    },
    /// The binding to the agent's key is over.
    Unbind,
    /// The agent's control socket is none any more, and what still comes from it is not heard.
    Disconnect,
    /// Forget everything: the machine is gone.
    Forget,
}

/// A line of a machine's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// When, Unix ms.
    pub at_ms: u64,
    /// For programs and icons.
    pub kind: Cow<'static, str>,
    /// For people.
    pub detail: String,
    /// What caused it, and who.
    pub by: By,
}

/// Why an order was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Refusal {
    /// For programs.
    pub code: &'static str,
    /// For people.
    pub detail: String,
}

impl Machine {
    /// A machine as its record has it, when the object knows nothing of it yet.
    #[must_use]
    pub fn from_record(state: MachineState, idle_seconds: u64, provisioned: bool, looks_seconds: Vec<u64>) -> Self {
        Self {
            state,
            reason: String::new(),
            sleep: None,
            sleeps: 0,
            activity: 0,
            idle_seconds,
            holds: Vec::new(),
            kept_until_ms: None,
            last_activity: None,
            warned_of_ms: None,
            heard_since_ms: 0,
            connected: false,
            called: false,
            provisioned,
            was_stopped: false,
            tries: 0,
            limited_since_ms: None,
            alarm_ms: None,
            tasks: Vec::new(),
            keepers: Vec::new(),
            unsaved: false,
            looks_seconds,
            upgrade: Upgrade::default(),
            checkpoints: Checkpoints::default(),
            wish: None,
            turn: 0,
            vanished: false,
            prepared: None,
        }
    }

    /// Takes an event.
    ///
    /// # Errors
    /// A [`Refusal`] for an order that the state does not allow; nothing has changed then.
    pub fn on(&mut self, event: Event, now_ms: u64) -> Result<Vec<Effect>, Refusal> {
        transitions::on(self, event, now_ms)
    }

    /// Whether its state leads to another by itself.
    #[must_use]
    pub fn is_on_its_way(&self) -> bool {
        !matches!(
            self.state,
            MachineState::Running | MachineState::Hibernated | MachineState::Stopped | MachineState::Failed
        )
    }

    /// Whether there has been a sprite: one that is not there is gone then.
    #[must_use]
    pub fn is_made(&self) -> bool {
        self.provisioned || self.vanished
    }

    /// Whether traffic may go to the sprite.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.state == MachineState::Running && self.connected
    }

    /// Seconds until the next look at a runtime that has not paused yet: the last of the list repeats.
    #[must_use]
    pub fn next_look_seconds(&self, looks: usize) -> u64 {
        self.looks_seconds.get(looks).or(self.looks_seconds.last()).copied().unwrap_or(60)
    }
}
