//! The models: the same promises held against pure state machines in one thread, where ten thousand sessions take
//! minutes. `cargo xtask soak terminal --model` is the agent's stream (`agent/examples/model.rs`), `soak lifecycle` a
//! machine's life (`durable/examples/lifecycle.rs`).

use anyhow::{Context, Result};

use crate::build;

/// Runs the model; whether nothing went wrong. Its last line says what was done.
///
/// # Errors
/// When it cannot be built.
pub fn model(sessions: usize, keystrokes: usize, seed: u64) -> Result<bool> {
    run("snapvm-agent", "model", [sessions.to_string(), keystrokes.to_string(), seed.to_string()])
}

/// Runs the model of a machine's life; whether nothing went wrong. Its last line says what was done.
///
/// # Errors
/// When it cannot be built.
pub fn lifecycle(sequences: u64, operations: u64, seed: u64) -> Result<bool> {
    run("snapvm-durable", "lifecycle", [sequences, operations, seed].map(|number| number.to_string()))
}

fn run(package: &str, example: &str, arguments: [String; 3]) -> Result<bool> {
    let mut command = build::cargo();
    command.args(["run", "--quiet", "--profile", "native", "--package", package, "--example", example, "--"]);
    command.args(arguments);
    Ok(command.status().context("cannot run cargo")?.success())
}
