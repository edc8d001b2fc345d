//! What `wrangler.toml` says about a Worker: the same file that deploys it configures workerd here, so that the two
//! can't drift apart. Only the top level is read; environments are production's.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

/// One Worker's file.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Wrangler {
    /// Semantics of the runtime as of this day.
    pub(crate) compatibility_date: String,
    /// Exceptions from that.
    #[serde(default)]
    pub(crate) compatibility_flags: Vec<String>,
    /// Plain variables: texts, or values that the Worker gets as JSON.
    #[serde(default)]
    pub(crate) vars: BTreeMap<String, toml::Value>,
    /// Durable Objects.
    #[serde(default)]
    pub(crate) durable_objects: Bindings,
    /// Databases.
    #[serde(default)]
    pub(crate) hyperdrive: Vec<Named>,
    /// Other Workers.
    #[serde(default)]
    pub(crate) services: Vec<Named>,
    /// Static assets.
    pub(crate) assets: Option<Assets>,
}

/// The table `durable_objects`.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Bindings {
    /// One for each namespace.
    #[serde(default)]
    pub(crate) bindings: Vec<ObjectBinding>,
}

/// One namespace of Durable Objects.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ObjectBinding {
    /// What the Worker calls it.
    pub(crate) name: String,
    /// The class that the bundle must export.
    pub(crate) class_name: String,
}

/// A binding of which only the name matters here.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Named {
    /// What the Worker calls it.
    pub(crate) binding: String,
}

/// The table `assets`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Assets {
    /// What the Worker calls them.
    pub(crate) binding: Option<String>,
}

impl Wrangler {
    /// Reads a file.
    ///
    /// # Errors
    /// When it is missing or can't be understood.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("cannot understand {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_top_level_counts() {
        let wrangler: Wrangler = toml::from_str(
            r#"
            name = "snapvm"
            main = "build/index.js"
            compatibility_date = "2026-07-01"
            compatibility_flags = ["no_websocket_standard_binary_type"]
            [vars]
            OFFER = '{"sizes": []}'
            [assets]
            directory = ".state/assets"
            binding = "ASSETS"
            [[durable_objects.bindings]]
            name = "MACHINE_GATEWAY"
            class_name = "MachineGateway"
            [[hyperdrive]]
            binding = "DB"
            id = "x"
            [[services]]
            binding = "PASSWORDS"
            service = "snapvm-passwords"
            [env.production.vars]
            OFFER = "other"
            "#,
        )
        .unwrap();
        assert_eq!(wrangler.vars.len(), 1);
        assert_eq!(wrangler.durable_objects.bindings[0].class_name, "MachineGateway");
        assert_eq!(wrangler.assets.unwrap().binding.as_deref(), Some("ASSETS"));
        assert_eq!(wrangler.services[0].binding, "PASSWORDS");
        assert_eq!(wrangler.hyperdrive[0].binding, "DB");
    }
}
