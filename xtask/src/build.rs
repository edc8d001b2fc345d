//! `cargo xtask build`: everything that runs, from the sources.
//!
//! Cargo and npm know by themselves what is up to date; the steps after Cargo (`wasm-bindgen`, `wasm-opt`, the
//! bundler) run only when Cargo's output differs from what they last saw.

mod assets;
pub(crate) mod check;
pub(crate) mod stamp;
mod wasm;

use std::process::Command;

use anyhow::{Result, bail};

use crate::{paths, progress};

/// What to build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Both Workers.
    Worker,
    /// The agent, for the inside of sprites.
    Agent,
    /// The runtime.
    Spritehost,
    /// The web console.
    Console,
}

/// All targets, in the order in which they are built.
pub const ALL: [Target; 4] = [Target::Agent, Target::Spritehost, Target::Console, Target::Worker];

impl Target {
    /// A target by its name on the command line.
    ///
    /// # Errors
    /// When there is no such target.
    pub fn parse(name: &str) -> Result<Self> {
        Ok(match name {
            "worker" => Self::Worker,
            "agent" => Self::Agent,
            "spritehost" => Self::Spritehost,
            "console" => Self::Console,
            other => bail!("nothing is called {other}: worker, agent, spritehost or console"),
        })
    }
}

/// Builds targets, and puts together the Worker's assets.
///
/// # Errors
/// When a build fails, or when the Worker's bundle isn't what `wrangler.toml` says.
pub fn build(targets: &[Target]) -> Result<()> {
    for target in targets {
        match target {
            Target::Agent => native("snapvm-agent", Some("x86_64-unknown-linux-musl"))?,
            Target::Spritehost => native("snapvm-spritehost", None)?,
            Target::Console => console()?,
            Target::Worker => {
                wasm::build(&paths::root())?;
                wasm::build(&paths::root().join("passwords"))?;
                check::check()?;
            }
        }
    }
    assets::assemble()
}

/// Looks at the built Worker again, without building.
///
/// # Errors
/// When its bundle isn't what `wrangler.toml` says.
pub fn check() -> Result<()> {
    check::check()
}

/// `cargo` as it is run for everything in the workspace.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(paths::root());
    command
}

/// Builds a native binary in the profile for those.
pub(crate) fn native(package: &str, target: Option<&str>) -> Result<()> {
    progress::say(&format!("building {package}"));
    let mut command = cargo();
    command.args(["build", "--quiet", "--profile", "native", "--package", package]);
    if let Some(target) = target {
        command.args(["--target", target]);
    }
    progress::run(&format!("building {package}"), command)
}

/// Vite builds the console again every time; it is skipped when no file of it changed.
fn console() -> Result<()> {
    let folder = paths::root().join("console");
    if !folder.join("package.json").is_file() {
        return Ok(());
    }
    let inputs = stamp::of_folder(&folder, &["node_modules", "dist", "test-results"])?
        + &stamp::of_folder(&paths::root().join("docs"), &[])?;
    if folder.join("dist/index.html").is_file() && stamp::is_current("console", &inputs) {
        return Ok(());
    }
    progress::say("building the console");
    let mut command = Command::new("npm");
    command.args(["run", "--silent", "build"]).current_dir(&folder);
    progress::run("building the console", command)?;
    stamp::write("console", &inputs)
}
