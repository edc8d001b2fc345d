//! The base image of all sprites, made by `spritehost` itself.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{build, paths, progress};

pub(super) fn build() -> Result<()> {
    build::native("snapvm-spritehost", None)?;
    if !nix::unistd::geteuid().is_root() {
        bail!("the base image needs root today, because spritehost makes containers: run this command with sudo");
    }
    let mut command = Command::new(paths::spritehost());
    command.args(["image", "build", "--output"]).arg(paths::base_image()).env("PATH", crate::stack::path_with_sbin());
    progress::run("making the base image", command)
        .context("there is no base image; it is fetched from Debian's mirrors: is the network up?")
}
