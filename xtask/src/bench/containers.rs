//! The peers of a cold wake: the same program in the same image, started by `runc run` alone and by `podman start`, until
//! it answers the first request. Both on the host's network, without a network of their own to set up.
//!
//! Podman is Debian's (`apt-get install podman`), told to use runc; where it is not installed it is not measured.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::app;
use crate::client::Connection;
use crate::ports::{self, ReservedPort};
use crate::stack::Stack;
use crate::{paths, progress};

/// Longest time until a program answers.
const PATIENCE: Duration = Duration::from_secs(30);
const CONTAINER: &str = "snapvm-bench";

/// Both peers.
pub(super) struct Containers {
    folder: PathBuf,
    runc_port: ReservedPort,
    podman_port: ReservedPort,
    has_podman: bool,
}

impl Containers {
    /// Writes what runc needs, and makes podman's container.
    pub(super) fn prepare(stack: &Stack) -> Result<Self> {
        let folder = stack.dir.join("containers");
        std::fs::create_dir_all(&folder)?;
        let containers = Self {
            folder,
            runc_port: ports::reserve()?,
            podman_port: ports::reserve()?,
            has_podman: progress::output("podman", &["--version"]).is_some(),
        };
        containers.write_bundle()?;
        if !containers.has_podman {
            progress::say("podman is not installed, so it is not measured: apt-get install podman");
            return Ok(containers);
        }
        let rootfs = format!("{}:O", paths::base_image().join("rootfs").display());
        let mut arguments = containers.podman_arguments();
        // Limits that podman would choose may be more than we have to give.
        let made = ["create", "--name", CONTAINER, "--network", "host", "--ulimit", "nofile=4096:4096", "--ulimit"];
        arguments.extend(made.map(str::to_owned));
        arguments.extend(["nproc=1000:1000".to_owned(), "--rootfs".to_owned(), rootfs]);
        arguments.extend(["python3", "-c"].map(str::to_owned));
        arguments.push(app::program(containers.podman_port.number));
        let output = Command::new("podman").args(&arguments).output()?;
        if !output.status.success() {
            bail!("podman create: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(containers)
    }

    /// What `runc spec` writes, without a network namespace, on the image itself.
    fn write_bundle(&self) -> Result<()> {
        let made = Command::new("runc").arg("spec").current_dir(&self.folder).output()?;
        if !made.status.success() {
            bail!("runc spec: {}", String::from_utf8_lossy(&made.stderr));
        }
        let path = self.folder.join("config.json");
        let mut config: Value = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
        *config.pointer_mut("/root").context("a root")? =
            json!({ "path": paths::base_image().join("rootfs"), "readonly": true });
        let process = config.pointer_mut("/process").and_then(Value::as_object_mut).context("a process")?;
        process.insert("terminal".into(), json!(false));
        process.insert("args".into(), json!(["python3", "-c", app::program(self.runc_port.number)]));
        process.remove("rlimits");
        let namespaces = config.pointer_mut("/linux/namespaces").and_then(Value::as_array_mut);
        namespaces.context("namespaces")?.retain(|namespace| namespace["type"] != "network");
        std::fs::write(path, config.to_string())?;
        Ok(())
    }

    fn podman_arguments(&self) -> Vec<String> {
        let folder = |name: &str| self.folder.join(name).display().to_string();
        let fixed = ["--cgroup-manager", "cgroupfs", "--runtime", "runc", "--storage-driver", "vfs"];
        let mut arguments = vec!["--root".to_owned(), folder("root"), "--runroot".to_owned(), folder("run")];
        arguments.extend(fixed.map(str::to_owned));
        arguments.extend(["--events-backend".to_owned(), "none".to_owned()]);
        arguments
    }

    /// From `runc run` to the first answer.
    pub(super) async fn runc(&self) -> Result<Duration> {
        let before = Instant::now();
        self.run_runc(&["run", "--detach", CONTAINER])?;
        until_answered(self.runc_port.number).await?;
        let time = before.elapsed();
        self.run_runc(&["delete", "--force", CONTAINER])?;
        Ok(time)
    }

    fn run_runc(&self, arguments: &[&str]) -> Result<()> {
        // A detached container keeps the streams that it was given.
        let status = Command::new("runc")
            .arg("--root")
            .arg(self.folder.join("runc"))
            .args(arguments)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        if !status.success() {
            bail!("runc {}: {status}", arguments.join(" "));
        }
        Ok(())
    }

    /// From `podman start` to the first answer; nothing where there is no podman.
    pub(super) async fn podman(&self) -> Result<Option<Duration>> {
        if !self.has_podman {
            return Ok(None);
        }
        let before = Instant::now();
        self.run_podman(&["start", CONTAINER])?;
        until_answered(self.podman_port.number).await?;
        let time = before.elapsed();
        self.run_podman(&["stop", "--time", "0", CONTAINER])?;
        Ok(Some(time))
    }

    fn run_podman(&self, arguments: &[&str]) -> Result<()> {
        let output =
            Command::new("podman").args(self.podman_arguments()).args(arguments).stdin(Stdio::null()).output()?;
        if !output.status.success() {
            bail!("podman {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }

    /// Leaves nothing behind.
    pub(super) fn remove(&self) -> Result<()> {
        if self.has_podman {
            self.run_podman(&["rm", "--force", CONTAINER])?;
        }
        Ok(())
    }
}

/// Asks until the program answers.
async fn until_answered(port: u16) -> Result<()> {
    let started = Instant::now();
    loop {
        if let Ok(mut connection) = Connection::open(port, "localhost").await
            && let Ok(answer) = connection.ask("GET", "/", &[], None).await
            && answer.status == 200
        {
            return Ok(());
        }
        if started.elapsed() > PATIENCE {
            bail!("nothing answers on port {port}");
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
