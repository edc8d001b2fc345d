//! `cargo xtask openapi`: the API's description from the code, and the console's types from that.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{build, locked, paths, progress};

const DOCUMENT: &str = "docs/openapi.json";
const TYPES: &str = "console/src/api/schema.d.ts";

/// Writes both files, or with `check` fails when one differs.
///
/// # Errors
/// When a generator fails, or a file differs.
pub fn write_or_check(check: bool) -> Result<()> {
    let mut command = build::cargo();
    command.args(["run", "--quiet", "--package", "snapvm", "--example", "openapi"]);
    let text = printed(command, "the generator of the OpenAPI document")?;
    locked::write_or_check(DOCUMENT, &text, check, "cargo xtask openapi")?;

    let console = paths::root().join("console");
    if !console.join("package.json").is_file() {
        return Ok(());
    }
    // The console's own script says which options it wants; its output goes where we can compare it.
    let output = paths::state().join("openapi-schema.d.ts");
    let mut command = Command::new("npm");
    command.args(["run", "--silent", "generate", "--", "--output"]).arg(&output).current_dir(&console);
    progress::run("generating the console's types", command)?;
    let types = std::fs::read_to_string(&output).context("the console's `generate` script wrote nothing")?;
    locked::write_or_check(TYPES, &types, check, "cargo xtask openapi")
}

fn printed(mut command: Command, what: &str) -> Result<String> {
    let output =
        command.stderr(std::process::Stdio::inherit()).output().with_context(|| format!("cannot run {what}"))?;
    if !output.status.success() {
        bail!("{what} failed ({})", output.status);
    }
    Ok(String::from_utf8(output.stdout)?)
}
