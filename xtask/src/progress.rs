//! Saying what is going on: one line for each step, and a sign of life from anything long.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// A long step says that it still runs at least this often.
const SIGN_OF_LIFE: Duration = Duration::from_secs(10);
/// How often a child is looked at.
const POLL: Duration = Duration::from_millis(50);

/// Says a step.
pub(crate) fn say(text: &str) {
    println!("xtask: {text}");
}

/// Runs a command as a step: its output is shown as it comes, and a line every 10 s says that it still runs.
///
/// # Errors
/// When it can't be started or fails.
pub(crate) fn run(what: &str, mut command: Command) -> Result<()> {
    let started = Instant::now();
    let program = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null());
    let mut child = command.spawn().with_context(|| format!("{what}: cannot run {program}"))?;
    let mut said = started;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if said.elapsed() >= SIGN_OF_LIFE {
            said = Instant::now();
            say(&format!("… {what}: {} s", started.elapsed().as_secs()));
        }
        std::thread::sleep(POLL);
    };
    if !status.success() {
        bail!("{what} failed ({status}): the output above says why");
    }
    // Quick steps are not worth a second line.
    if started.elapsed() >= Duration::from_secs(3) {
        say(&format!("{what}: done in {} s", started.elapsed().as_secs()));
    }
    Ok(())
}

/// What a command prints, or nothing if it can't be run or fails.
pub(crate) fn output(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
