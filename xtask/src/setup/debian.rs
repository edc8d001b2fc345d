//! Packages of the system.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::progress;

/// Debian's names for what we run: containers, the base image, the pooler, sprites' networks, the browser of the
/// browser tests; and the C compiler that the agent's static build asks for.
const PACKAGES: [&str; 9] = [
    "ca-certificates",
    "chromium",
    "fonts-dejavu-core",
    "iproute2",
    "mmdebstrap",
    "musl-tools",
    "nftables",
    "pgbouncer",
    "runc",
];

pub(super) fn install() -> Result<()> {
    if progress::output("dpkg-query", &["--version"]).is_none() {
        bail!("this isn't a Debian system: install the equivalents of {} yourself", PACKAGES.join(", "));
    }
    let missing: Vec<&str> = PACKAGES.into_iter().filter(|package| !is_installed(package)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    let sudo = if nix::unistd::geteuid().is_root() {
        None
    } else if progress::output("sudo", &["-n", "true"]).is_some() {
        Some("sudo")
    } else {
        bail!("packages are missing, and installing them needs root. Run: sudo apt-get install {list}");
    };
    progress::say(&format!("installing the packages {list}"));
    progress::run("apt-get update", apt_get(sudo, &["update", "--quiet=2"]))
        .context("the package lists can't be fetched: is the network up?")?;
    let mut command = apt_get(sudo, &["install", "--yes", "--quiet=2", "--no-install-recommends"]);
    command.args(&missing);
    progress::run("apt-get install", command)
        .with_context(|| format!("the packages can't be installed; try: apt-get install {list}"))
}

fn apt_get(sudo: Option<&str>, arguments: &[&str]) -> Command {
    // `env`, because sudo keeps none of our variables.
    let mut command = match sudo {
        Some(sudo) => {
            let mut command = Command::new(sudo);
            command.args(["-n", "env"]);
            command
        }
        None => Command::new("env"),
    };
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]).args(arguments);
    command
}

fn is_installed(package: &str) -> bool {
    progress::output("dpkg-query", &["--show", "--showformat=${db:Status-Status}", package])
        .is_some_and(|status| status == "installed")
}
