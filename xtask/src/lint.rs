//! `cargo xtask lint`: formatting, lints for both of the Worker's worlds, the console's own, and what no file may hold.

mod tracked_files;

use std::process::Command;

use anyhow::{Result, bail};

use crate::{build, paths, progress};

/// Runs every check, all of them even when one fails.
///
/// # Errors
/// Names the checks that failed.
pub fn lint() -> Result<()> {
    let mut failed = Vec::new();
    for (what, arguments) in CARGO_CHECKS {
        progress::say(what);
        let mut command = build::cargo();
        command.args(arguments);
        if progress::run(what, command).is_err() {
            failed.push(what);
        }
    }
    let console = paths::root().join("console");
    if console.join("package.json").is_file() {
        progress::say("the console's lints");
        let mut command = Command::new("npm");
        command.args(["run", "--silent", "lint"]).current_dir(&console);
        if progress::run("the console's lints", command).is_err() {
            failed.push("the console's lints");
        }
    }
    progress::say("what no file may hold");
    if let Err(error) = tracked_files::check() {
        progress::say(&format!("{error:#}"));
        failed.push("what no file may hold");
    }
    if failed.is_empty() {
        progress::say("no complaints");
        return Ok(());
    }
    bail!("failed: {}", failed.join("; "))
}

const CARGO_CHECKS: [(&str, &[&str]); 3] = [
    ("formatting", &["fmt", "--all", "--check"]),
    ("lints, native", &["clippy", "--quiet", "--workspace", "--all-targets", "--", "--deny", "warnings"]),
    (
        "lints, wasm",
        &[
            "clippy",
            "--quiet",
            "--package",
            "snapvm",
            "--package",
            "snapvm-passwords",
            "--lib",
            "--target",
            "wasm32-unknown-unknown",
            "--",
            "--deny",
            "warnings",
        ],
    ),
];
