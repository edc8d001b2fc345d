//! `cargo xtask soak terminal --model`: the same promise held against the agent's pure stream in one thread, where
//! ten thousand sessions take some minutes. The program is the agent's (`agent/examples/model.rs`).

use anyhow::{Context, Result};

use crate::build;

/// Runs the model; whether nothing went wrong. Its last line says what was done.
///
/// # Errors
/// When it cannot be built.
pub fn model(sessions: usize, keystrokes: usize, seed: u64) -> Result<bool> {
    let mut command = build::cargo();
    command.args(["run", "--quiet", "--profile", "native", "--package", "snapvm-agent", "--example", "model", "--"]);
    command.args([sessions.to_string(), keystrokes.to_string(), seed.to_string()]);
    Ok(command.status().context("cannot run cargo")?.success())
}
