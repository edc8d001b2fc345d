//! The deployment's configuration, read once per request from the Worker's variables and secrets.
//!
//! Absent on purpose: defaults for anything that a deployment has to decide.

use serde::{Deserialize, Serialize};
use snapvm_protocol::hosts::Hosts;
use snapvm_protocol::lifecycle::RuntimeType;

use crate::error::Error;
use crate::platform::Variables;

/// What a deployment is made of.
#[derive(Debug, Clone)]
pub struct Config {
    /// `https://console.example`: the only origin whose cookies count.
    pub console_origin: String,
    /// `https` or `http`: the console's, and the apps'.
    pub scheme: String,
    /// The hosts that requests may name.
    pub hosts: Hosts,
    /// Where agents dial.
    pub dial_origin: String,
    /// What machines can be made of.
    pub offer: Offer,
}

/// What machines can be made of, as offered to people.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
pub struct Offer {
    /// Runtime types, the default first.
    pub runtimes: Vec<RuntimeType>,
    /// Sizes, the default first.
    pub sizes: Vec<Size>,
    /// Regions, the default first.
    pub regions: Vec<Region>,
    /// Most checkpoints of a machine.
    #[serde(default = "checkpoints")]
    pub checkpoints: i32,
    /// What one organization may have, unless the operator says otherwise of it.
    pub quota: Quota,
}

const fn checkpoints() -> i32 {
    10
}

/// What an organization may have.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
pub struct Quota {
    /// Machines.
    pub machines: i32,
    /// Machines that are awake at the same time.
    pub awake: i32,
}

/// A size.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
pub struct Size {
    /// Its name in the API.
    pub id: String,
    /// Its name for people.
    pub label: String,
    /// Virtual processors.
    pub cpus: u32,
    /// Memory in MiB.
    pub memory_mb: u32,
    /// Disk in GiB.
    pub disk_gb: u32,
}

/// A region.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(schemars::JsonSchema))]
pub struct Region {
    /// Its name in the API, and the provider's.
    pub id: String,
    /// Its name for people.
    pub label: String,
}

impl Config {
    /// Reads the variables.
    ///
    /// # Errors
    /// [`Error::Misconfigured`] names the variable that is missing or wrong.
    pub fn read(variables: &impl Variables) -> Result<Self, Error> {
        let console_origin = variables.text("CONSOLE_ORIGIN")?;
        let (scheme, console) =
            console_origin.split_once("://").ok_or(Error::Misconfigured("CONSOLE_ORIGIN must be an origin"))?;
        let dial_origin = variables.text("DIAL_ORIGIN")?;
        let (_, dial) = dial_origin.split_once("://").ok_or(Error::Misconfigured("DIAL_ORIGIN must be an origin"))?;
        let offer = serde_json::from_slice(variables.text("OFFER")?.as_bytes())
            .map_err(|_| Error::Misconfigured("OFFER must be JSON: runtimes, sizes, regions, quota"))?;
        Ok(Self {
            scheme: scheme.to_owned(),
            hosts: Hosts { console: console.to_owned(), apps: variables.text("APPS_DOMAIN")?, dial: dial.to_owned() },
            dial_origin,
            offer,
            console_origin,
        })
    }

    /// The pattern that the database writes app addresses with: `*` stands for the host's label.
    #[must_use]
    pub fn apps_pattern(&self) -> String {
        format!("{}://*.{}", self.scheme, self.hosts.apps)
    }
}
