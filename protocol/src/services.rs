//! Services: durable process definitions that the agent keeps running, and what it reports of them.
//!
//! Invariant: a [`ServiceStatus`] written as JSON has at most [`STATUS_TEXT_MAX`] characters, whatever a service does.

pub mod needs;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Longest service name, in characters.
pub const SERVICE_NAME_MAX: usize = 63;
/// Most services of one machine.
pub const SERVICES_MAX: usize = 100;
/// Most services that one service needs.
pub const NEEDS_MAX: usize = 20;
/// Seconds between TERM and KILL, where a definition says nothing.
pub const STOP_GRACE_SECONDS: u16 = 10;
/// Most seconds between TERM and KILL.
pub const STOP_GRACE_SECONDS_MAX: u16 = 300;
/// Seconds after which a service that is not ready says so, where a definition says nothing.
pub const READY_LIMIT_SECONDS: u16 = 60;
/// Most seconds that readiness may take, or be put off.
pub const READY_SECONDS_MAX: u16 = 3600;
/// Exits that are kept of each service.
pub const EXITS_KEPT: usize = 10;
/// Longest text of an error, in characters.
pub const ERROR_MAX: usize = 300;
/// Longest status as JSON, in characters: what the table takes.
pub const STATUS_TEXT_MAX: usize = 4096;
/// Name of the service that sets a new machine up.
pub const FIRST_BOOT: &str = "first-boot";
/// Longest script that sets a machine up, in bytes: it is an argument of a service.
pub const SCRIPT_MAX: usize = 30 * 1024;

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

/// When a service that ends is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RestartPolicy {
    /// Whenever it ends.
    #[default]
    Always,
    /// When it ends with another code than 0, or by a signal.
    OnFailure,
    /// Not until the next wake, or until somebody asks.
    Never,
}

/// How a service shows that it is ready for those that need it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", tag = "by")]
pub enum Readiness {
    /// A GET of this path on its HTTP port is answered with a status below 500.
    Http {
        /// The path, `/` at its start.
        path: String,
    },
    /// This loopback port takes connections.
    Tcp {
        /// The port.
        port: u16,
    },
    /// It has run for so long.
    Delay {
        /// How long.
        seconds: u16,
    },
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
    /// Services that are to be ready before it starts, and that an ordered sleep stops after it.
    #[serde(default)]
    pub needs: Vec<String>,
    /// How it shows that it is ready; by running for a second when absent.
    #[serde(default)]
    pub ready: Option<Readiness>,
    /// Seconds after which it says that it is not ready yet; 60 when absent.
    #[serde(default)]
    pub ready_limit_seconds: Option<u16>,
    /// When it is started again.
    #[serde(default)]
    pub restart: RestartPolicy,
    /// Whether it is started by itself once in the life of the machine's disk, and then by people only. It is not
    /// started again when it exits, nor when it was interrupted.
    #[serde(default)]
    pub once: bool,
    /// Seconds between TERM and KILL; 10 when absent.
    #[serde(default)]
    pub stop_grace_seconds: Option<u16>,
    /// Whether the machine does not hibernate by itself while it runs.
    #[serde(default)]
    pub keep_awake: bool,
    /// Whether it should be running.
    pub desired: DesiredState,
}

impl ServiceDefinition {
    /// A service that should be running and of which nothing else is said.
    #[must_use]
    pub fn new(name: impl Into<String>, command: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            command: command.into(),
            args: Vec::new(),
            directory: None,
            environment: BTreeMap::new(),
            http_port: None,
            at_sleep: AtSleep::default(),
            needs: Vec::new(),
            ready: None,
            ready_limit_seconds: None,
            restart: RestartPolicy::default(),
            once: false,
            stop_grace_seconds: None,
            keep_awake: false,
            desired: DesiredState::Up,
        }
    }

    /// What sets a new machine up: a script for bash, which keeps the machine awake until it has ended.
    #[must_use]
    pub fn first_boot(script: impl Into<String>) -> Self {
        Self {
            args: vec!["-c".to_owned(), script.into(), FIRST_BOOT.to_owned()],
            // For an agent that does not know `once`.
            restart: RestartPolicy::Never,
            once: true,
            keep_awake: true,
            ..Self::new(FIRST_BOOT, "bash")
        }
    }
}

/// What a service is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ServiceState {
    /// Not running, and not to be started.
    Stopped,
    /// About to run: just spawned, waiting out its back-off, or waiting for what it needs.
    Starting,
    /// Running.
    Running,
    /// Told to end, not ended yet.
    Stopping,
    /// Ended too often, or could not be spawned; the reason is in `error`.
    Failed,
}

/// A needed service that is not ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Unready {
    /// Which.
    pub name: String,
    /// What it is doing; nothing where there is no such service.
    #[serde(default)]
    pub state: Option<ServiceState>,
}

/// One end of a service's process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceExit {
    /// When, Unix ms.
    pub at_ms: u64,
    /// Its exit code, where no signal ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// The signal that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// For how long it had run.
    pub ran_ms: u64,
    /// Whether it had been told to end.
    #[serde(default)]
    pub ordered: bool,
}

/// How the agent finds every process of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Containment {
    /// By a control group of its own, which none of them leaves.
    Cgroup,
    /// By its process group and what descends from it: the machine's control groups are not the agent's to use.
    Descent,
}

/// What the agent reports of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// What is wrong: a sentence for people, such as `exited with code 1` or `not ready after 60 s`.
    #[serde(default)]
    pub error: Option<String>,
    /// Whether those that need it may start.
    #[serde(default)]
    pub ready: bool,
    /// What it waits for before it starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting_on: Vec<Unready>,
    /// Whether the machine does not hibernate by itself now because of it.
    #[serde(default)]
    pub keeps_awake: bool,
    /// How its processes are found, since it was last started.
    #[serde(default)]
    pub containment: Option<Containment>,
    /// How its process ended, newest first, [`EXITS_KEPT`] at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exits: Vec<ServiceExit>,
}

impl ServiceStatus {
    /// The same, within the limits that an agent of ours keeps to: whoever is root in a machine may have another one.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        let plain = |text: &str, most: usize| -> String {
            let is_plain = |character: &char| !character.is_control() && !matches!(character, '"' | '\\');
            text.chars().filter(is_plain).take(most).collect()
        };
        self.name = plain(&self.name, SERVICE_NAME_MAX);
        self.error = self.error.map(|error| plain(&error, ERROR_MAX));
        self.exits.truncate(EXITS_KEPT);
        self.waiting_on.truncate(NEEDS_MAX);
        for need in &mut self.waiting_on {
            need.name = plain(&need.name, SERVICE_NAME_MAX);
        }
        self
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_status_fits_its_column() {
        let extreme = i32::MIN;
        let exit = ServiceExit {
            at_ms: u64::MAX,
            code: Some(extreme),
            signal: Some(extreme),
            ran_ms: u64::MAX,
            ordered: false,
        };
        let need = Unready { name: "\u{1}\"nä".repeat(SERVICE_NAME_MAX), state: Some(ServiceState::Stopping) };
        let status = ServiceStatus {
            name: "n".repeat(SERVICE_NAME_MAX + 1),
            state: ServiceState::Stopping,
            pid: Some(u32::MAX),
            restarts: u32::MAX,
            error: Some("\u{1}\"\\eé".repeat(ERROR_MAX)),
            ready: false,
            waiting_on: vec![need; NEEDS_MAX + 1],
            keeps_awake: false,
            containment: Some(Containment::Descent),
            exits: vec![exit; EXITS_KEPT + 1],
        };
        let status = status.bounded();
        let text = serde_json::to_string(&status).unwrap();
        // Postgres writes a space behind each colon and comma.
        let spaces = text.matches([':', ',']).count();
        assert!(text.chars().count() + spaces <= STATUS_TEXT_MAX, "{}", text.chars().count() + spaces);
    }

    #[test]
    fn what_older_versions_wrote_is_read() {
        let definition: ServiceDefinition =
            serde_json::from_str(r#"{"name":"a","command":"b","desired":"up"}"#).unwrap();
        assert_eq!((definition.needs.len(), definition.restart), (0, RestartPolicy::Always));
        let status: ServiceStatus = serde_json::from_str(r#"{"name":"a","state":"running"}"#).unwrap();
        assert_eq!((status.ready, status.exits.len()), (false, 0));
    }
}
