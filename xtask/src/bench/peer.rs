//! The peer: `bench/peers/hono`, bundled, in a workerd of its own beside the stack's, before the same `PgBouncer`.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;

use crate::ports::{self, ReservedPort};
use crate::process::{Process, ProcessSpec};
use crate::stack::Stack;
use crate::{paths, progress};

/// A running peer.
#[derive(Debug)]
pub(crate) struct Peer {
    process: Process,
    port: ReservedPort,
}

impl Peer {
    /// Installs, bundles and starts it.
    pub(crate) async fn start(stack: &Stack) -> Result<Self> {
        let folder = stack.dir.join("peer");
        std::fs::create_dir_all(&folder)?;
        bundle(&folder)?;
        let port = ports::reserve()?;
        let file = folder.join("config.capnp");
        // It holds a password.
        let mut writer = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&file)?;
        writer.write_all(configuration(stack, port.number)?.as_bytes())?;
        let mut process = ProcessSpec {
            name: "the peer's workerd".into(),
            program: paths::node_module("@cloudflare/workerd-linux-64/bin/workerd"),
            arguments: vec!["serve".into(), file.display().to_string()],
            environment: Vec::new(),
            log: stack.dir.join("peer.log"),
            signal_at_parent_death: Signal::SIGKILL,
            refuses_root: false,
        }
        .spawn()?;
        let started = Instant::now();
        while ports::is_free(port.number) {
            if let Some(failure) = process.failure()? {
                return Err(failure);
            }
            if started.elapsed() > Duration::from_secs(30) {
                bail!("the peer doesn't listen");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(Self { process, port })
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port.number
    }

    /// Ends it.
    pub(crate) async fn stop(self) -> Result<()> {
        self.process.stop(Signal::SIGTERM, Duration::from_secs(5)).await
    }
}

fn bundle(folder: &Path) -> Result<()> {
    let bench = paths::root().join("bench");
    if !bench.join("node_modules/postgres/package.json").is_file() {
        let mut command = Command::new("npm");
        command.current_dir(&bench).args(["ci", "--no-audit", "--no-fund"]);
        progress::run("installing the peer's packages", command)?;
    }
    let mut command = Command::new(paths::node_module("@esbuild/linux-x64/bin/esbuild"));
    command
        .current_dir(&bench)
        .arg("peers/hono/index.js")
        .args(["--bundle", "--minify", "--format=esm", "--conditions=workerd", "--log-level=warning"])
        .args(["--external:node:*", "--external:cloudflare:*"])
        .arg(format!("--outfile={}", folder.join("index.js").display()));
    progress::run("bundling the peer", command)
}

/// The same compatibility date as SnapVM's Worker, and what postgres.js needs.
fn configuration(stack: &Stack, port: u16) -> Result<String> {
    let url = &stack.database.app;
    let (user, rest) = url.strip_prefix("postgresql://").and_then(|rest| rest.split_once(':')).context("a URL")?;
    let (password, rest) = rest.split_once('@').context("a URL with a password")?;
    let (address, database) = rest.split_once('/').context("a URL with a database")?;
    let date = crate::stack::Wrangler::read(&paths::root().join("wrangler.toml"))?.compatibility_date;
    Ok(format!(
        r#"using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .main),
    (name = "postgres", external = (address = "{address}", tcp = ()))
  ],
  sockets = [(name = "http", address = "127.0.0.1:{port}", http = (), service = "main")]
);
const main :Workerd.Worker = (
  modules = [(name = "index.js", esModule = embed "index.js")],
  compatibilityDate = "{date}",
  compatibilityFlags = ["nodejs_compat"],
  bindings = [
    (name = "APPS", text = "http://*.apps.localhost:{worker}"),
    (name = "DB", hyperdrive = (designator = "postgres", database = "{database}", user = "{user}",
      password = "{password}", scheme = "postgresql"))
  ]
);
"#,
        worker = stack.port,
    ))
}
