//! Services: durable process definitions that the agent keeps running, and what it reports of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Longest service name, in characters.
pub const SERVICE_NAME_MAX: usize = 63;
/// Most services of one machine.
pub const SERVICES_MAX: usize = 100;

/// Whether a text is the name of a service: `^[a-z0-9][a-z0-9_.-]{0,62}$`.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    let first = bytes.next().is_some_and(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9'));
    let rest = bytes.all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-'));
    first && rest && text.len() <= SERVICE_NAME_MAX
}

/// Whether a service should be running. Set by people, kept over sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum DesiredState {
    /// Started at every wake, restarted when it exits.
    Up,
    /// Left stopped.
    Down,
}

/// What an ordered sleep does to a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum AtSleep {
    /// Leave it running: it is frozen with the machine and goes on at a wake that kept memory.
    #[default]
    Keep,
    /// TERM it first, for programs that want to write their state.
    Stop,
}

/// A service's definition: the authority is Postgres, the agent gets the whole list at every change and wake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ServiceDefinition {
    /// `^[a-z0-9][a-z0-9_.-]{0,62}$`, unique in its machine.
    pub name: String,
    /// The program: a path, or a name looked up in the guest's `PATH`.
    pub command: String,
    /// Its arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// Working directory; the home of the user when absent.
    #[serde(default)]
    pub directory: Option<String>,
    /// Variables added to the default environment.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// The loopback port on which it serves HTTP, where it does.
    #[serde(default)]
    pub http_port: Option<u16>,
    /// What an ordered sleep does to it.
    #[serde(default)]
    pub at_sleep: AtSleep,
    /// Whether it should be running.
    pub desired: DesiredState,
}

/// What a service is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ServiceState {
    /// Not running, and not to be started.
    Stopped,
    /// About to run: just spawned, or waiting out its back-off.
    Starting,
    /// Running.
    Running,
    /// Told to end, not ended yet.
    Stopping,
    /// Ended too often, or could not be spawned; the reason is in `error`.
    Failed,
}

/// What the agent reports of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ServiceStatus {
    /// Which service.
    pub name: String,
    /// What it is doing.
    pub state: ServiceState,
    /// Its process, while there is one.
    #[serde(default)]
    pub pid: Option<u32>,
    /// How often it was started again since it was last started by hand or by a wake.
    #[serde(default)]
    pub restarts: u32,
    /// The last exit: a sentence for people, such as `exited with code 1` or `killed by signal 9`.
    #[serde(default)]
    pub error: Option<String>,
}

/// What a person asks of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ServiceAction {
    /// Start it if it is not running, with a fresh streak.
    Start,
    /// TERM, grace, KILL to the whole group.
    Stop,
    /// Stop, then start.
    Restart,
}
