//! What a gateway object needs of the world outside: the database, the Sprites API, the other objects, time and
//! randomness. Implemented by the Worker; every call has a timeout there.

use serde::{Deserialize, Serialize};
use snapvm_protocol::ids::{MachineId, TerminalId, sprite_name};
use snapvm_protocol::lifecycle::MachineState;
use snapvm_protocol::services::{ServiceDefinition, ServiceStatus};
use snapvm_protocol::sprites::Sprite;
use snapvm_protocol::tickets::{Signer, Verifier};

use super::checkpoint::{Order, Outcome};
use super::desired::Desired;
use super::state::{History, Machine};
use crate::terminal_session::command::Command as TerminalCommand;

/// A machine's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The organization's id; empty while it is prepared, and nobody's.
    pub org: String,
    /// Its own id.
    pub machine: MachineId,
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: MachineState,
    /// Size and region, as the deployment offers them.
    pub size: String,
    /// Where it runs.
    pub region: String,
    /// Grows when its sprite goes back to a checkpoint, or is made again.
    pub generation: u32,
    /// Grows when access changes.
    pub epoch: u64,
    /// Seconds of nothing after which it hibernates.
    pub idle_seconds: u64,
    /// Whether load on the processors is something.
    #[serde(default)]
    pub cpu_counts: bool,
    /// The sprite's name, once it has one: it keeps the name of the generation that it was made in.
    #[serde(default)]
    pub sprite_name: Option<String>,
    /// The sprite's id, once it has one.
    pub sprite_id: Option<String>,
    /// The sprite's URL, once it has one.
    pub sprite_url: Option<String>,
    /// Its services.
    pub services: Vec<ServiceDefinition>,
    /// Until when it is held awake, Unix ms: one for each hold.
    #[serde(default)]
    pub holds: Vec<u64>,
    /// What is ordered of one of its checkpoints.
    #[serde(default)]
    pub checkpoint: Option<Order>,
    /// Why it is in its state, for people.
    #[serde(default)]
    pub reason: String,
    /// The number of the last write to it.
    #[serde(default)]
    pub written: u64,
    /// What it is to be.
    #[serde(default)]
    pub desired: Option<Desired>,
    /// Its open terminals.
    pub terminals: Vec<TerminalId>,
    /// Its variables, as they were read: the object keeps them apart from the record.
    #[serde(default, skip_serializing)]
    pub variables: Vec<StoredVariable>,
}

/// A variable of a machine as the record has it: a value in plain, or a sealed one.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredVariable {
    /// Its name.
    pub name: String,
    /// Its value, where it is no secret.
    pub value: Option<String>,
    /// Its value as ciphertext, where it is one.
    pub sealed: Option<String>,
}

impl std::fmt::Debug for StoredVariable {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.name)
    }
}

impl Record {
    /// The sprite's name: the recorded one, or the one that it will be made under.
    #[must_use]
    pub fn sprite_name(&self) -> String {
        self.sprite_name.clone().unwrap_or_else(|| sprite_name(self.machine, self.generation))
    }

    /// Whether it is prepared, and nobody's yet.
    #[must_use]
    pub const fn is_prepared(&self) -> bool {
        self.org.is_empty()
    }

    /// The next sprite is of this generation, and nothing is known of it. An older generation comes too late.
    pub fn renew(&mut self, generation: u32) {
        if generation > self.generation {
            self.generation = generation;
            (self.sprite_name, self.sprite_id, self.sprite_url) = (None, None, None);
        }
    }
}

/// A line of history, as it is written.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// Its id.
    pub id: &'a str,
    /// The rest.
    pub history: &'a History,
}

/// Why something outside failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// There is no such machine any more.
    #[error("there is no such machine")]
    NoMachine,
    /// The record is being deleted: nothing else may be written.
    #[error("the machine is being deleted")]
    Deleting,
    /// The organization has as many machines awake as it may have. The text is for people.
    #[error("{0}")]
    NoPlace(String),
    /// The runtime's URL may not be given our token: another domain, another sprite, or open to everybody.
    #[error("the runtime's URL is not safe to use")]
    UnsafeRuntime,
    /// The runtime knows no such sprite.
    #[error("the runtime has no such sprite")]
    NoSprite,
    /// The sprite is there, and the agent is none of its services.
    #[error("there is no agent in its runtime")]
    NoAgent,
    /// A limit of the provider's account is reached. The text says which, how much is in use, and the way out.
    #[error("{limit}")]
    Limited {
        /// For people.
        limit: String,
        /// When to try again.
        retry_ms: u64,
    },
    /// It did not answer, or not as it should; trying again may help. The text is for people.
    #[error("{0}")]
    Unavailable(String),
}

/// What the runtime says of something that it may refuse for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is done; with an id where one was made.
    Done(Option<String>),
    /// It is not, and asking again would not help. The text is for people.
    Refused(String),
}

/// The world outside.
#[expect(async_fn_in_trait, reason = "objects run on one thread; their futures need not be Send")]
pub trait Outside: 'static {
    /// Unix time in milliseconds.
    fn now_ms(&self) -> u64;
    /// 128 random bits as text.
    fn random_id(&self) -> String;
    /// Signs tickets and passes.
    fn signer(&self) -> &Signer;
    /// Verifies them.
    fn verifier(&self) -> &Verifier;
    /// Seconds between looks at a runtime that is to pause.
    fn looks_seconds(&self) -> Vec<u64>;
    /// Waits.
    async fn delay(&self, milliseconds: u64);
    /// One line in the log. Never a token, never what a terminal shows.
    fn log(&self, line: &str);

    /// Reads a machine's record.
    async fn load(&self, machine: MachineId) -> Result<Record, Failure>;
    /// Opens a sealed value of this machine's, which opens for no other machine and under no other name.
    async fn open(&self, record: &Record, name: &str, sealed: &str) -> Result<String, Failure>;
    /// Takes a place for one more awake machine, unless it has one.
    ///
    /// # Errors
    /// [`Failure::NoPlace`]; others say that nobody knows.
    async fn admit(&self, machine: MachineId) -> Result<(), Failure>;
    /// Writes what a machine is and is to be, what is known of its sprite, and a line of history, once for its id;
    /// answers the machine's epoch. A write whose number (`record.written`) is not above the last one's comes too late,
    /// and changes no state.
    async fn save(&self, record: &Record, machine: &Machine, line: Option<Line<'_>>) -> Result<u64, Failure>;
    /// Writes what a service is doing.
    async fn save_service(&self, machine: MachineId, status: &ServiceStatus) -> Result<(), Failure>;
    /// Writes that a terminal ended; `ending` is JSON.
    async fn save_terminal_end(&self, machine: MachineId, session: TerminalId, ending: &str) -> Result<(), Failure>;
    /// Writes what became of an order about a checkpoint.
    async fn save_checkpoint(&self, machine: MachineId, order: &Order, outcome: &Outcome) -> Result<(), Failure>;
    /// Removes the record of a machine that is being deleted.
    async fn remove(&self, machine: MachineId) -> Result<(), Failure>;

    /// The sprite of a record, checked: its id is the recorded one, or none is and its labels are ours; its URL is under the configured domain, and only
    /// holders of our token may use it.
    async fn sprite(&self, record: &Record) -> Result<Sprite, Failure>;
    /// Gives up a sprite that is gone: the machine's generation grows by one, once however often this is asked of the
    /// same generation or sprite. Answers the new one.
    async fn recreate(&self, record: &Record) -> Result<u32, Failure>;
    /// Has the sprite's labels say whose it is, unless they do.
    async fn label(&self, record: &Record, sprite: &Sprite) -> Result<(), Failure>;
    /// Makes the sprite if there is none and none was recorded, delivers the agent, and has it started.
    async fn provision(&self, record: &Record) -> Result<Sprite, Failure>;
    /// Asks the agent to wake. `Ok` when it took the ticket.
    async fn wake(&self, url: &str, ticket: &str, timeout_ms: u64) -> Result<(), Failure>;
    /// Has the agent's process started through the runtime's API, where it does not answer.
    ///
    /// # Errors
    /// [`Failure::NoAgent`] among others.
    async fn restart_agent(&self, record: &Record) -> Result<(), Failure>;
    /// The digest of the agent that the platform carries.
    fn agent_digest(&self) -> &str;
    /// Delivers that agent beside the one that runs, which is not touched; answers its digest.
    async fn deliver_agent(&self, record: &Record) -> Result<String, Failure>;
    /// Moves it to where a boot finds it; one that is not there any more is.
    async fn settle_agent(&self, record: &Record) -> Result<(), Failure>;
    /// Delivers it to where a boot finds it, ends the one that runs, and starts it.
    async fn replace_agent(&self, record: &Record) -> Result<(), Failure>;
    /// Makes a checkpoint, or finds the one that has been made with this comment; answers the runtime's id of it.
    async fn make_checkpoint(&self, record: &Record, comment: &str) -> Result<Verdict, Failure>;
    /// Goes back to a checkpoint, also a second time.
    async fn restore_checkpoint(&self, record: &Record, name: &str) -> Result<Verdict, Failure>;
    /// Deletes a checkpoint; one that is not there is deleted, and so is one that the runtime cannot delete.
    async fn delete_checkpoint(&self, record: &Record, name: &str) -> Result<Verdict, Failure>;
    /// Deletes the sprite; one that is not there is deleted.
    async fn delete_sprite(&self, record: &Record) -> Result<(), Failure>;

    /// Tells the object of a terminal session.
    async fn tell_terminal(&self, session: TerminalId, command: &TerminalCommand) -> Result<(), Failure>;
}
