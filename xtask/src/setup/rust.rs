//! Rust: the compiler's version and targets, and the two tools that Cargo builds.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use crate::{paths, progress};

/// The version of `worker-build`: the same as the crate `worker`'s.
pub(crate) const WORKER_BUILD: &str = "0.8.7";
/// The version of `wasm-bindgen-cli`: exactly the one of the crate in `Cargo.lock`.
pub(crate) const WASM_BINDGEN: &str = "0.2.129";

/// The first version that the workspace compiles with.
const RUST: (u32, u32) = (1, 95);
const TARGETS: [&str; 2] = ["wasm32-unknown-unknown", "x86_64-unknown-linux-musl"];

/// A program that Cargo builds for us.
struct Tool {
    program: &'static str,
    package: &'static str,
    version: &'static str,
    /// Whether it is worth optimizing. `worker-build` only starts other programs, and compiles in less than half the
    /// processor time without (99 s against 232 s).
    optimized: bool,
}

const TOOLS: [Tool; 2] = [
    Tool { program: "wasm-bindgen", package: "wasm-bindgen-cli", version: WASM_BINDGEN, optimized: true },
    Tool { program: "worker-build", package: "worker-build", version: WORKER_BUILD, optimized: false },
];

pub(super) fn check_version() -> Result<()> {
    let text = progress::output("rustc", &["--version"]).unwrap_or_default();
    let mut numbers = text.split(' ').nth(1).unwrap_or_default().split('.').map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        bail!("`rustc --version` can't be read: install Rust {}.{} with rustup", RUST.0, RUST.1);
    };
    if (major, minor) < RUST {
        bail!("Rust {major}.{minor} is too old: install {}.{} or newer (`rustup update stable`)", RUST.0, RUST.1);
    }
    Ok(())
}

pub(super) fn add_targets() -> Result<()> {
    let libraries = |target: &str| {
        progress::output("rustc", &["--print", "target-libdir", "--target", target])
            .is_some_and(|folder| std::path::Path::new(&folder).is_dir())
    };
    let missing: Vec<&str> = TARGETS.into_iter().filter(|target| !libraries(target)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if progress::output("rustup", &["--version"]).is_none() {
        bail!("Rust lacks the targets {}, and there is no rustup to add them", missing.join(" and "));
    }
    progress::say(&format!("adding the Rust targets {}", missing.join(" and ")));
    let mut command = Command::new("rustup");
    command.args(["target", "add"]).args(&missing);
    progress::run("rustup target add", command)
}

pub(super) fn install_tools() -> Result<()> {
    for Tool { program, package, version, optimized } in TOOLS {
        if find(program).is_ok() {
            continue;
        }
        progress::say(&format!("compiling {package} {version} (a few minutes, once)"));
        let mut command = Command::new("cargo");
        command
            .args(["install", "--quiet", "--locked", "--root"])
            .arg(paths::tools())
            .arg(format!("{package}@{version}"));
        if !optimized {
            command.arg("--debug").env("CARGO_PROFILE_DEV_DEBUG", "0");
        }
        progress::run(&format!("compiling {package}"), command)?;
    }
    Ok(())
}

/// The tool in the repository's own folder, or on the search path, if its version is the pinned one.
pub(super) fn find(program: &str) -> Result<PathBuf> {
    let Some(Tool { version, .. }) = TOOLS.into_iter().find(|tool| tool.program == program) else {
        bail!("{program} is no tool of ours");
    };
    for candidate in [paths::tools().join("bin").join(program), PathBuf::from(program)] {
        let found = progress::output(&candidate, &["--version"]);
        if found.is_some_and(|text| text.split_whitespace().any(|word| word == version)) {
            return Ok(candidate);
        }
    }
    bail!("{program} {version} isn't installed: run `cargo xtask setup`")
}
