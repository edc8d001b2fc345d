//! What a session's object needs of the world outside. Implemented by the Worker.

use serde::{Deserialize, Serialize};
use snapvm_protocol::ids::MachineId;
use snapvm_protocol::tickets::Verifier;

use crate::access::Access;
use crate::machine_gateway::command::{Command, Reply};

/// Who a client is, as the Worker found out before it let them in. Kept with their socket for the next look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visitor {
    /// The credential's kind and hash, as the database takes it.
    pub credential: String,
    /// The organization's slug, as in the path.
    pub org: String,
    /// The machine's name.
    pub name: String,
    /// The session's id.
    pub session: String,
    /// Their account's id.
    pub account: String,
    /// Their account's name, for the others.
    pub person: String,
    /// Whether they may type.
    pub write: bool,
}

/// A visitor at the door, and what they and the session's record say of how to open it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// Who.
    pub visitor: Visitor,
    /// Whether opening the stream wakes a machine that sleeps.
    pub wake: bool,
    /// Where the session's shell starts.
    pub directory: Option<String>,
}

/// The world outside.
#[expect(async_fn_in_trait, reason = "objects run on one thread; their futures need not be Send")]
pub trait Outside: 'static {
    /// Unix time in milliseconds.
    fn now_ms(&self) -> u64;
    /// Waits.
    async fn delay(&self, milliseconds: u64);
    /// Verifies our own tickets and passes.
    fn verifier(&self) -> &Verifier;
    /// One line in the log. Never a token, never what a terminal shows.
    fn log(&self, line: &str);
    /// Looks at somebody's access again: whether they may type.
    async fn access(&self, visitor: &Visitor) -> Access<bool>;
    /// Asks the machine's gateway; `None` when it cannot be reached.
    async fn gateway(&self, machine: MachineId, command: &Command) -> Option<Reply>;
}
