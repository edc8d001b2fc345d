//! What the agent and the control plane say to each other.
//!
//! Over HTTP to the sprite's URL (port 8080 in the guest), each request with a ticket in [`crate::headers::TICKET`]:
//!
//! | request | ticket | answer |
//! |---|---|---|
//! | `POST /.snapvm/agent/wake` | wake | 202 [`WakeReply`]; the agent then dials the control socket |
//! | `POST /.snapvm/agent/exec` | exec | one command's output: [`crate::exec`] |
//! | `POST /.snapvm/agent/logs` | logs | a page of a service's log, or its lines as they come: [`crate::logs`] |
//! | anything else outside `/.snapvm/` | ingress | the app on the loopback port named in [`crate::headers::PORT`] |
//!
//! Over sockets that the agent dials to `DIAL_ORIGIN`, with the headers of [`crate::tickets`]:
//!
//! | socket | carries |
//! |---|---|
//! | `/agent/v1/machines/{machine}/control` | JSON text messages, [`ToObject`] up and [`ToAgent`] down |
//! | `/agent/v1/machines/{machine}/terminals/{session}` | binary frames of [`crate::terminal`] |
//!
//! On both the agent sends the text `ping` every 20 s, which the runtime answers with `pong` without waking the
//! object; 45 s without any message means that the socket is dead.
//!
//! ```text
//! sleep:  object ─Sleep─▶ agent: warn terminals, stop `at_sleep: stop` services, sync
//!         object ◀─SleepReady─ agent
//!         object ─SleepGo─▶ agent: close sockets with 4410, drop the task, refuse ingress     (or ─SleepCancel─▶)
//!
//! sync:   object ─Sync─▶ agent: write everything out to the disk ─Synced─▶ object, which then has a checkpoint made
//!
//! upgrade: object ─(delivers the binary at NEXT_BINARY_PATH)─Upgrade─▶ agent: verify, hand over, exec in place
//!          object ◀─Hello─ the same boot with the new digest            (or ◀─UpgradeRefused─ the old agent goes on)
//! ```
//!
//! Changes are additive: a message of a type that the other side does not know is ignored, and a new field has a default.

use serde::{Deserialize, Serialize};

use crate::ids::{MachineId, TerminalId};
use crate::services::{ServiceAction, ServiceDefinition, ServiceStatus};
use crate::variables::Variables;

/// Version of everything in this module. The object refuses an agent of another one with 4406 and has it replaced;
/// only the fields of [`ToObject::Hello`] that [`version_of`] reads are the same in every version.
pub const PROTOCOL_VERSION: u32 = 2;
/// Where the agent takes *wake*.
pub const WAKE_PATH: &str = "/.snapvm/agent/wake";
/// Longest control message of the agent's, in bytes.
pub const MESSAGE_MAX: usize = 256 * 1024;
/// Longest control message to the agent, in bytes: a Welcome with as many services and variables as a machine can
/// have, written as JSON.
pub const ORDER_MAX: usize = 8 * 1024 * 1024;
/// Seconds between two pings.
pub const PING_SECONDS: u64 = 20;
/// Seconds without any message after which a socket counts as dead.
pub const DEAD_SECONDS: u64 = 45;
/// The task that the agent holds from boot until an ordered sleep ends.
pub const TASK_NAME: &str = "snapvm-agent";
/// Name of the sprite's service that runs the agent.
pub const SERVICE_NAME: &str = "snapvm-agent";
/// Where the agent's binary lies in the guest: what a boot starts.
pub const BINARY_PATH: &str = "/opt/snapvm/agent";
/// Where its successor is delivered; it takes [`BINARY_PATH`] once it runs and has said Hello.
pub const NEXT_BINARY_PATH: &str = "/opt/snapvm/agent.next";

/// Variables of the agent's process, set in its service definition. None of them is secret.
pub mod environment {
    /// The machine's id.
    pub const MACHINE: &str = "SNAPVM_MACHINE";
    /// The machine's generation when the agent was delivered; a valid ticket may raise it.
    pub const GENERATION: &str = "SNAPVM_GENERATION";
    /// Where to dial: `http://host:port` or `https://host`.
    pub const DIAL_ORIGIN: &str = "SNAPVM_DIAL_ORIGIN";
    /// The platform's public key, base64url without padding.
    pub const PLATFORM_KEY: &str = "SNAPVM_PLATFORM_KEY";
}

/// Close codes of our own, on every socket of ours.
pub mod close {
    /// The session or the access behind it is gone: sign in again.
    pub const UNAUTHENTICATED: u16 = 4401;
    /// Access was taken away.
    pub const FORBIDDEN: u16 = 4403;
    /// There is no such terminal session (any more).
    pub const NOT_FOUND: u16 = 4404;
    /// The other side speaks another version.
    pub const VERSION: u16 = 4406;
    /// Another socket of the same kind took this one's place.
    pub const REPLACED: u16 = 4409;
    /// The machine goes to sleep.
    pub const SLEEPING: u16 = 4410;
    /// A frame could not be read.
    pub const MALFORMED: u16 = 4400;
}

/// The agent's answer to *wake*.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WakeReply {
    /// Random per start of the agent's process.
    pub boot: String,
    /// [`PROTOCOL_VERSION`] of the agent.
    pub protocol: u32,
    /// SHA-256 of its own binary, hex: an older one is replaced.
    pub digest: String,
}

/// How the agent came to run *wake*.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WokeBy {
    /// Its process is new: shells of before are gone.
    Boot,
    /// Its process went on: shells too.
    Thaw,
    /// It never slept; it only lost its socket.
    Redial,
}

/// A terminal session as the agent has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalStatus {
    /// Which session.
    pub session: TerminalId,
    /// Random per shell, below 2^53.
    pub epoch: u64,
    /// Bytes that the shell has written so far.
    pub offset: u64,
}

/// How a shell ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", tag = "by")]
pub enum TerminalEnd {
    /// It exited.
    Exit {
        /// Its exit code.
        code: i32,
    },
    /// A signal ended it.
    Signal {
        /// The signal's number.
        signal: i32,
    },
    /// It went with the machine's memory.
    Lost,
    /// The machine went back to an earlier checkpoint.
    Restored,
}

/// From the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum ToObject {
    /// The first message of every control socket.
    Hello {
        /// [`PROTOCOL_VERSION`].
        protocol: u32,
        /// Random per start of the agent's process; an upgrade in place keeps it.
        boot: String,
        /// SHA-256 of its own binary, hex; empty when it cannot be read.
        #[serde(default)]
        digest: String,
        /// The generation it believes in.
        generation: u32,
        /// How it came to dial.
        woke: WokeBy,
        /// Shells it has.
        terminals: Vec<TerminalStatus>,
        /// What its services are doing.
        services: Vec<ServiceStatus>,
    },
    /// Something worth staying awake for happened: at most one message in 5 s while it goes on.
    Activity {
        /// What, for people: `terminal`, `request`.
        reason: String,
    },
    /// Nothing worth staying awake for happened for as long as the machine's idle timeout.
    Idle {
        /// For how long, in seconds.
        seconds: u64,
    },
    /// One service changed.
    Service(ServiceStatus),
    /// A shell was started.
    TerminalStarted(TerminalStatus),
    /// A shell could not be started.
    TerminalFailed {
        /// Which session.
        session: TerminalId,
        /// A sentence for people.
        error: String,
    },
    /// A shell ended, and its last output has been sent.
    TerminalEnded {
        /// Which session.
        session: TerminalId,
        /// How.
        end: TerminalEnd,
    },
    /// Everything that has to happen before a sleep has happened.
    SleepReady {
        /// The sleep it answers.
        sleep: u64,
    },
    /// Tasks that programs in the guest hold; sent when the list changes.
    Tasks {
        /// Their names, without the agent's own.
        names: Vec<String>,
    },
    /// The agent goes on as it is.
    UpgradeRefused {
        /// The binary that it was to become.
        digest: String,
        /// Why, for people.
        reason: String,
        /// Whether it was only the wrong moment.
        again: bool,
    },
    /// What was written to files before [`ToAgent::Sync`] is on the disk.
    Synced {
        /// The request it answers.
        sync: u64,
    },
    /// Something that a newer agent says.
    #[serde(other)]
    Unknown,
}

/// Which sleep is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SleepKind {
    /// Services of `at_sleep: stop` are stopped; everything else may be frozen.
    Hibernate,
    /// Every service is stopped and every shell ended.
    Stop,
}

/// To the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum ToAgent {
    /// The answer to [`ToObject::Hello`].
    Welcome {
        /// The object's clock, Unix ms: the authority.
        now_ms: i64,
        /// The machine, for the agent to compare.
        machine: MachineId,
        /// Its generation.
        generation: u32,
        /// Vouches for the agent's key on later dials.
        pass: String,
        /// The machine's epoch.
        epoch: u64,
        /// Seconds of nothing after which to send [`ToObject::Idle`].
        idle_seconds: u64,
        /// Whether load on the processors is worth staying awake for.
        #[serde(default)]
        cpu_counts: bool,
        /// All services.
        services: Vec<ServiceDefinition>,
        /// Sessions that should exist: the agent dials each one's socket. Those it has no shell for and that are
        /// `fresh` it starts; the others it reports as [`TerminalEnd::Lost`].
        terminals: Vec<OpenTerminal>,
        /// What is in the environment of whatever is started from now on.
        #[serde(default)]
        variables: Variables,
    },
    /// Start a shell for a session if there is none, and dial the session's socket.
    OpenTerminal(OpenTerminal),
    /// End a session's shell: HUP, grace, KILL to its process group.
    CloseTerminal {
        /// Which session.
        session: TerminalId,
    },
    /// All services, after a change.
    Services {
        /// The complete list.
        services: Vec<ServiceDefinition>,
    },
    /// All variables, after a change: whatever is started from now on has them, what runs keeps what it has.
    Variables {
        /// The complete list.
        variables: Variables,
    },
    /// Something to do with one service now.
    ServiceCommand {
        /// Which service.
        name: String,
        /// What.
        action: ServiceAction,
    },
    /// Access changed: close app connections of an older epoch.
    Epoch {
        /// The machine's epoch.
        epoch: u64,
    },
    /// What counts as idle changed.
    IdleTimeout {
        /// The idle timeout, in seconds.
        seconds: u64,
        /// Whether load on the processors is worth staying awake for.
        #[serde(default)]
        cpu_counts: bool,
    },
    /// Prepare to sleep.
    Sleep {
        /// Names this sleep in the messages that follow.
        sleep: u64,
        /// Which sleep.
        kind: SleepKind,
        /// Drop the tasks of programs in the guest too: a person asked.
        clear_tasks: bool,
    },
    /// Sleep now.
    SleepGo {
        /// Which sleep.
        sleep: u64,
    },
    /// Something came up: go on as before, start again what was stopped for the sleep.
    SleepCancel {
        /// Which sleep.
        sleep: u64,
    },
    /// A newer agent lies at [`NEXT_BINARY_PATH`]: become it, with everything that runs.
    Upgrade {
        /// SHA-256 of its binary, hex.
        digest: String,
    },
    /// Write everything out to the disk: a checkpoint is about to be made.
    Sync {
        /// Names the request in the answer.
        sync: u64,
    },
    /// Something that a newer platform says.
    #[serde(other)]
    Unknown,
}

/// A session whose shell should exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenTerminal {
    /// Which session.
    pub session: TerminalId,
    /// Columns to start with.
    pub columns: u16,
    /// Rows to start with.
    pub rows: u16,
    /// Whether its shell was never started, so that starting one loses nothing.
    pub fresh: bool,
    /// Where to start, if that is a directory; otherwise in the home directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
}

/// A control message of one direction.
pub trait Message<'a>: Deserialize<'a> {
    /// Longest one, in bytes.
    const MAX: usize;
}

impl Message<'_> for ToAgent {
    const MAX: usize = ORDER_MAX;
}

impl Message<'_> for ToObject {
    const MAX: usize = MESSAGE_MAX;
}

/// Reads a control message of either direction.
///
/// # Errors
/// A sentence for the log: too long, or not a message of this version.
pub fn decode<'a, T: Message<'a>>(text: &'a str) -> Result<T, InvalidMessage> {
    if text.len() > T::MAX {
        return Err(InvalidMessage::TooLong);
    }
    serde_json::from_slice(text.as_bytes()).map_err(|_| InvalidMessage::Malformed)
}

/// The protocol version and the digest of an agent's Hello, whatever else its version may say in it.
#[must_use]
pub fn version_of(text: &str) -> Option<(u32, String)> {
    #[derive(Deserialize)]
    struct Hello {
        #[serde(rename = "type")]
        kind: String,
        protocol: u32,
        #[serde(default)]
        digest: String,
    }
    if text.len() > MESSAGE_MAX {
        return None;
    }
    let hello: Hello = serde_json::from_slice(text.as_bytes()).ok()?;
    (hello.kind == "hello").then_some((hello.protocol, hello.digest))
}

/// Why a control message was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMessage {
    /// Longer than [`Message::MAX`].
    #[error("the message is too long")]
    TooLong,
    /// Not JSON, or without a type, or not with what its type needs.
    #[error("the message is malformed")]
    Malformed,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn messages_keep_their_shape() {
        let text = serde_json::to_string(&ToAgent::SleepGo { sleep: 7 }).unwrap();
        assert_eq!(text, r#"{"type":"sleep_go","sleep":7}"#);
        assert_eq!(decode::<ToAgent>(&text), Ok(ToAgent::SleepGo { sleep: 7 }));
        assert_eq!(decode::<ToAgent>("{}"), Err(InvalidMessage::Malformed));
        assert_eq!(decode::<ToAgent>(r#"{"type":"of_next_year","with":[1]}"#), Ok(ToAgent::Unknown));
        assert_eq!(decode::<ToObject>(r#"{"type":"of_next_year","with":[1]}"#), Ok(ToObject::Unknown));
        assert_eq!(decode::<ToObject>(&" ".repeat(MESSAGE_MAX + 1)), Err(InvalidMessage::TooLong));
    }

    #[test]
    fn a_welcome_of_an_older_object_has_no_variables() {
        let text = r#"{"type":"welcome","now_ms":1,"machine":"MACHINE","generation":1,"pass":"p","epoch":1,
            "idle_seconds":900,"services":[],"terminals":[]}"#;
        let text = text.replace("MACHINE", &MachineId::new(1, [7; 10]).to_string());
        let Ok(ToAgent::Welcome { variables, .. }) = decode::<ToAgent>(&text) else { panic!("{text}") };
        assert!(variables.is_empty());
    }

    #[test]
    fn a_hello_of_any_version_says_which() {
        let of = |text: &str| version_of(text);
        assert_eq!(of(r#"{"type":"hello","protocol":1,"boot":"b","unknown":[]}"#), Some((1, String::new())));
        assert_eq!(of(r#"{"type":"hello","protocol":9,"digest":"d","terminals":"other"}"#), Some((9, "d".into())));
        assert_eq!(of(r#"{"type":"activity","protocol":1}"#), None);
        assert_eq!(of(r#"{"type":"hello"}"#), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,300}") {
            let _ = decode::<ToAgent>(&text);
            let _ = decode::<ToObject>(&text);
            let _ = version_of(&text);
        }
    }
}
