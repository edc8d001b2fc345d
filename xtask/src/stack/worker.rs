//! The Workers in workerd, the one that hashes passwords in a process of its own: their configuration from `wrangler.toml`, the built bundles, and this stack's variables.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};
use nix::sys::signal::Signal;

use super::component::{Component, ComponentSpec, Ready};
use super::config::{self, Modules, PasswordsConfig, WorkerdConfig};
use super::pgbouncer::write_private;
use super::postgres::DATABASE;
use super::secrets::Secrets;
use super::wrangler::Wrangler;
use crate::process::ProcessSpec;

/// Where a Worker's bundle and its file are.
#[derive(Debug, Clone)]
pub(crate) struct Bundle {
    /// The folder with `index.js`.
    pub(crate) modules: PathBuf,
    /// Its `wrangler.toml`.
    pub(crate) wrangler: PathBuf,
}

impl Bundle {
    /// The bundle that `cargo xtask build` makes of a crate's folder.
    pub(crate) fn built(folder: &Path) -> Self {
        Self { modules: folder.join("build"), wrangler: folder.join("wrangler.toml") }
    }

    /// Copies the bundle beside the configuration, in a folder of this name: workerd embeds only what lies below its
    /// configuration, and a build that happens meanwhile then changes nothing under a running stack.
    fn copy(&self, folder: &Path, name: &'static str) -> Result<Modules> {
        let from = &self.modules;
        if !from.join("index.js").is_file() {
            bail!("{} isn't there: run `cargo xtask build`", from.join("index.js").display());
        }
        let to = folder.join(name);
        std::fs::create_dir_all(&to)?;
        std::fs::copy(from.join("index.js"), to.join("index.js"))?;
        let wasm = from.join("index_bg.wasm").is_file();
        if wasm {
            std::fs::copy(from.join("index_bg.wasm"), to.join("index_bg.wasm"))?;
        }
        Ok(Modules { folder: name, wasm })
    }
}

/// What workerd needs to know.
#[derive(Debug)]
pub(crate) struct WorkerOptions<'a> {
    /// Where the configuration goes, and the objects' data.
    pub(crate) folder: &'a Path,
    pub(crate) main: &'a Bundle,
    /// The port of the Worker that hashes, where there is one.
    pub(crate) passwords_port: Option<u16>,
    /// The folder of static assets.
    pub(crate) assets: &'a Path,
    pub(crate) port: u16,
    pub(crate) cron_port: u16,
    pub(crate) pgbouncer_port: u16,
    pub(crate) secrets: &'a Secrets,
    /// The Sprites API, if there is one.
    pub(crate) sprites_url: Option<String>,
    /// Variables that the caller chose; they win over everything.
    pub(crate) extra: &'a BTreeMap<String, String>,
}

/// The main Worker's configuration, in a stack's folder.
pub(super) fn configuration(folder: &Path) -> PathBuf {
    folder.join("workerd/config.capnp")
}

/// Writes the configuration, and says what to run.
pub(crate) fn prepare(options: &WorkerOptions<'_>) -> Result<Component> {
    let file = configuration(options.folder);
    let folder = options.folder.join("workerd");
    let objects = options.folder.join("objects");
    std::fs::create_dir_all(&folder)?;
    std::fs::create_dir_all(&objects)?;
    std::fs::create_dir_all(options.assets)?;

    let wrangler = Wrangler::read(&options.main.wrangler)?;
    let text = config::render(&WorkerdConfig {
        modules: options.main.copy(&folder, "main")?,
        wrangler: &wrangler,
        variables: &variables(options)?,
        passwords_port: options.passwords_port,
        assets: options.assets,
        objects: &objects,
        port: options.port,
        cron_port: options.cron_port,
        pgbouncer_port: options.pgbouncer_port,
        database: DATABASE,
        database_user: &|binding| database_user(binding, options.secrets),
    });
    write_private(&file, &text)?;
    std::fs::write(folder.join("assets.js"), include_str!("assets.js"))?;
    std::fs::write(folder.join("cron.js"), include_str!("cron.js"))?;

    Ok(component("workerd", &file, options.folder.join("workerd.log"), options.port))
}

/// The same for the Worker that hashes.
pub(crate) fn prepare_passwords(folder: &Path, bundle: &Bundle, port: u16, pepper: &str) -> Result<Component> {
    let configured = folder.join("workerd-passwords");
    std::fs::create_dir_all(&configured)?;
    let text = config::render_passwords(&PasswordsConfig {
        modules: bundle.copy(&configured, "passwords")?,
        wrangler: &Wrangler::read(&bundle.wrangler)?,
        variables: &BTreeMap::from([("PASSWORD_PEPPER".to_owned(), pepper.to_owned())]),
        port,
    });
    let file = configured.join("config.capnp");
    write_private(&file, &text)?;
    Ok(component("the passwords' workerd", &file, folder.join("workerd-passwords.log"), port))
}

fn component(name: &str, configuration: &Path, log: PathBuf, port: u16) -> Component {
    Component::new(ComponentSpec {
        process: ProcessSpec {
            name: name.into(),
            program: crate::paths::node_module("@cloudflare/workerd-linux-64/bin/workerd"),
            // Experimental: handlers of another Worker can be called (cron.js), and objects' files on a local disk.
            arguments: vec!["serve".into(), "--experimental".into(), configuration.display().to_string()],
            environment: Vec::new(),
            log,
            signal_at_parent_death: Signal::SIGKILL,
            refuses_root: false,
        },
        ready: Ready::Accepts(port),
        start_patience: Duration::from_mins(1),
        stop_signal: Signal::SIGTERM,
        stop_patience: Duration::from_secs(5),
        stop_on_drop: false,
        transient_failure: None,
    })
}

/// Scheduled work has a role of its own in the database, and so a binding of its own.
fn database_user(binding: &str, secrets: &Secrets) -> (String, String) {
    if binding.contains("JOBS") {
        ("snap_jobs".into(), secrets.jobs_password.clone())
    } else {
        ("snap_app".into(), secrets.app_password.clone())
    }
}

/// The variables and secrets that a deployment would set.
fn variables(options: &WorkerOptions<'_>) -> Result<BTreeMap<String, String>> {
    let (port, secrets) = (options.port, options.secrets);
    let mut variables = BTreeMap::from(
        [
            ("CONSOLE_ORIGIN", format!("http://localhost:{port}")),
            ("APPS_DOMAIN", format!("apps.localhost:{port}")),
            ("DIAL_ORIGIN", dial_origin(port)),
            ("AGENT_DIGEST", agent_digest(options.assets)?.unwrap_or_default()),
            ("SPRITES_API_URL", options.sprites_url.clone().unwrap_or_default()),
            ("SPRITES_TOKEN", secrets.sprites_token.clone()),
            ("SPRITES_URL_DOMAIN", "127.0.0.1".to_owned()),
            ("PLATFORM_KEY_SEED", secrets.platform_key_seed.clone()),
            ("SERVICE_CREDENTIAL", secrets.service_credential.clone()),
            ("JOBS_CREDENTIAL", secrets.jobs_credential.clone()),
            ("COOKIE_KEY", secrets.cookie_key.clone()),
            ("SECRETS_KEY", secrets.secrets_key.clone()),
            ("PASSWORD_PEPPER", secrets.password_pepper.clone()),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    variables.extend(options.extra.clone());
    Ok(variables)
}

/// The one address outside that sprites reach: they look this name up in their own hosts file.
fn dial_origin(port: u16) -> String {
    format!("http://dial.snapvm.internal:{port}")
}

/// The digest of the agent that `cargo xtask build` put among the assets: the name of the only file there.
pub(crate) fn agent_digest(assets: &Path) -> Result<Option<String>> {
    let Ok(entries) = std::fs::read_dir(assets.join("agent")) else {
        return Ok(None);
    };
    let mut digest = None;
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if digest.replace(name).is_some() {
            bail!("more than one agent among the assets: run `cargo xtask build`");
        }
    }
    Ok(digest)
}
