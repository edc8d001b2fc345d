//! What a machine's gateway tells the object of a session. Sent as JSON in the body of a `fetch`.

use serde::{Deserialize, Serialize};
use snapvm_protocol::agent::TerminalEnd;
use snapvm_protocol::terminal::Notice;

/// Something that happened to the machine or the session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Clients learn it.
    Notice {
        /// What.
        notice: Notice,
    },
    /// Access to the machine may have changed: every client is looked at again.
    LookAgain,
    /// The shell has ended.
    Ended {
        /// How.
        end: TerminalEnd,
        /// Whether an agent has its last output, and says so to clients itself, after that.
        agent_tells: bool,
    },
    /// The session is over: forget it.
    Forget,
}
