//! What the agent is told at its start: variables of its service definition, and `--listen` for tests.
//!
//! Nothing here is secret. The intervals are fixed in production; tests shorten them through one hidden variable.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use snapvm_protocol::agent::{DEAD_SECONDS, NEXT_BINARY_PATH, PING_SECONDS, PROTOCOL_VERSION, environment};
use snapvm_protocol::exec::KEEPALIVE_SECONDS;
use snapvm_protocol::hosts::AGENT_PORT;
use snapvm_protocol::ids::MachineId;
use snapvm_protocol::tickets::Verifier;

use crate::dial::Origin;

/// Overrides the guest socket's path.
const GUEST_SOCKET: &str = "SNAPVM_GUEST_SOCKET";
/// Overrides where a successor is delivered, for tests.
const NEXT_BINARY: &str = "SNAPVM_TEST_NEXT_BINARY";
/// Makes the agent claim another protocol version, for tests.
const PROTOCOL: &str = "SNAPVM_TEST_PROTOCOL";
/// Shortens intervals: a JSON object of [`Timings`], for tests.
const TIMINGS: &str = "SNAPVM_TEST_TIMINGS";
/// Distinguishes this agent's services from those of others on the same computer, for tests.
const SCOPE: &str = "SNAPVM_TEST_SCOPE";
/// Makes the agent do without control groups when it is `off`, for tests.
const CGROUPS: &str = "SNAPVM_TEST_CGROUPS";

/// Everything the agent is told.
#[derive(Debug)]
pub struct Configuration {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The machine it is in.
    pub machine: MachineId,
    /// The machine's generation when the agent was delivered.
    pub generation: u32,
    /// Where to dial.
    pub origin: Origin,
    /// The platform's public key.
    pub platform: Verifier,
    /// The runtime's socket in the guest.
    pub guest_socket: PathBuf,
    /// Intervals.
    pub timings: Timings,
    /// Tells its services from those of other agents.
    pub scope: String,
    /// Whether to use control groups where they can be had.
    pub by_cgroups: bool,
    /// Where a newer agent is delivered.
    pub next_binary: PathBuf,
    /// The protocol version it speaks.
    pub protocol: u32,
}

/// Intervals in milliseconds.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timings {
    /// Between two pings, and between two looks at everything that changes slowly.
    pub tick: u64,
    /// Silence after which a socket is dead.
    pub dead: u64,
    /// Absence of the control socket after which no app request is taken.
    pub gone: u64,
    /// Between two renewals of the task.
    pub renew: u64,
    /// How late a tick may come before it means that the machine stood still.
    pub late: u64,
    /// Grace between TERM and KILL for services.
    pub grace: u64,
    /// The first back-off of a service.
    pub service_backoff: u64,
    /// How long an app may take to start its answer.
    pub response: u64,
    /// How long a socket must live for the next dial to be quick again.
    pub healthy: u64,
    /// Quiet after which a terminal's screen is kept.
    pub keep_quiet: u64,
    /// Between two times that a terminal's screen is kept.
    pub keep_apart: u64,
    /// How long others' output may follow a shell's end: one in the background may hold the terminal for ever.
    pub drain: u64,
    /// Grace between TERM and KILL for a one-shot command.
    pub command_grace: u64,
    /// Between two signs of life of a one-shot command that is silent.
    pub keepalive: u64,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            tick: PING_SECONDS * 1000,
            dead: DEAD_SECONDS * 1000,
            gone: 30_000,
            renew: 300_000,
            late: 10_000,
            grace: 10_000,
            service_backoff: 500,
            response: 60_000,
            healthy: 5_000,
            keep_quiet: 10_000,
            keep_apart: 60_000,
            drain: 500,
            command_grace: 5_000,
            keepalive: KEEPALIVE_SECONDS * 1000,
        }
    }
}

impl Timings {
    /// How long an app may take to start its answer.
    #[must_use]
    pub fn response(&self) -> Duration {
        Duration::from_millis(self.response)
    }

    /// How long a socket must live for the next dial to be quick again.
    #[must_use]
    pub fn healthy(&self) -> Duration {
        Duration::from_millis(self.healthy)
    }

    /// Quiet after which a terminal's screen is kept.
    #[must_use]
    pub fn keep_quiet(&self) -> Duration {
        Duration::from_millis(self.keep_quiet)
    }

    /// Between two times that a terminal's screen is kept.
    #[must_use]
    pub fn keep_apart(&self) -> Duration {
        Duration::from_millis(self.keep_apart)
    }

    /// How long others' output may follow a shell's end.
    #[must_use]
    pub fn drain(&self) -> Duration {
        Duration::from_millis(self.drain)
    }

    /// Grace between TERM and KILL for a one-shot command.
    #[must_use]
    pub fn command_grace(&self) -> Duration {
        Duration::from_millis(self.command_grace)
    }

    /// Between two signs of life of a one-shot command that is silent.
    #[must_use]
    pub fn keepalive(&self) -> Duration {
        Duration::from_millis(self.keepalive)
    }

    /// Between two ticks.
    #[must_use]
    pub fn tick(&self) -> Duration {
        Duration::from_millis(self.tick)
    }

    /// Silence after which a socket is dead.
    #[must_use]
    pub fn dead(&self) -> Duration {
        Duration::from_millis(self.dead)
    }
}

/// What is wrong with what the agent was told.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    /// A variable is missing.
    #[error("{0} is not set")]
    Missing(&'static str),
    /// A variable cannot be read.
    #[error("{0} is malformed")]
    Malformed(&'static str),
    /// An argument is unknown or incomplete.
    #[error("usage: agent [--listen ADDRESS:PORT]")]
    Usage,
}

impl Configuration {
    /// Reads arguments (without the program's name) and variables.
    ///
    /// # Errors
    /// See [`ConfigurationError`].
    pub fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, ConfigurationError> {
        let mut listen = SocketAddr::from(([0, 0, 0, 0], AGENT_PORT));
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--listen" => {
                    let value = arguments.next().ok_or(ConfigurationError::Usage)?;
                    listen = value.parse().map_err(|_| ConfigurationError::Usage)?;
                }
                _ => return Err(ConfigurationError::Usage),
            }
        }
        let timings = match std::env::var(TIMINGS) {
            Ok(text) => serde_json::from_str(&text).map_err(|_| ConfigurationError::Malformed(TIMINGS))?,
            Err(_) => Timings::default(),
        };
        Ok(Self {
            listen,
            machine: parsed(environment::MACHINE, |text| text.parse().ok())?,
            generation: parsed(environment::GENERATION, |text| text.parse().ok())?,
            origin: parsed(environment::DIAL_ORIGIN, Origin::parse)?,
            platform: parsed(environment::PLATFORM_KEY, |text| Verifier::from_text(text).ok())?,
            guest_socket: std::env::var_os(GUEST_SOCKET)
                .map_or_else(|| PathBuf::from("/.sprite/api.sock"), PathBuf::from),
            timings,
            scope: std::env::var(SCOPE).unwrap_or_else(|_| "snapvm".to_owned()),
            by_cgroups: std::env::var_os(CGROUPS).is_none_or(|value| value != "off"),
            next_binary: std::env::var_os(NEXT_BINARY).map_or_else(|| NEXT_BINARY_PATH.into(), PathBuf::from),
            protocol: std::env::var(PROTOCOL).ok().and_then(|text| text.parse().ok()).unwrap_or(PROTOCOL_VERSION),
        })
    }
}

fn parsed<T>(name: &'static str, read: impl FnOnce(&str) -> Option<T>) -> Result<T, ConfigurationError> {
    let text = std::env::var(name).map_err(|_| ConfigurationError::Missing(name))?;
    read(&text).ok_or(ConfigurationError::Malformed(name))
}
