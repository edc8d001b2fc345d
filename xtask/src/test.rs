//! `cargo xtask test`: every test of the repository, and at the end what the failed ones said and a line that counts.

mod count;
mod failures;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::stack::{POSTGRES_VARIABLE, Release};
use crate::{build, deploy, paths, progress, setup};
use count::Count;
use failures::Failures;

/// Sets up, builds and runs all tests, or those whose names contain one of `filters`. Returns whether all passed.
///
/// # Errors
/// When the tests can't be run at all.
pub fn test(filters: &[String]) -> Result<bool> {
    setup::setup()?;
    build::build(&build::ALL)?;
    let mut count = Count::default();
    let mut failures = Failures::default();
    if filters.is_empty() {
        deploy::dry_run()?;
        console(&mut count)?;
    }
    progress::say("every test, on Postgres 18");
    rust(&["--workspace"], Release::Eighteen, filters, &mut count, &mut failures)?;
    progress::say("what depends on the database's version, on Postgres 15");
    rust(&["--package=snapvm-tests", "--test=security"], Release::Fifteen, filters, &mut count, &mut failures)?;
    print!("{failures}");
    // The last line, and alone on it: scripts read it.
    println!("{count}");
    Ok(count.failed == 0)
}

fn rust(
    which: &[&str],
    postgres: Release,
    filters: &[String],
    count: &mut Count,
    failures: &mut Failures,
) -> Result<()> {
    let mut command = build::cargo();
    command
        .arg("test")
        .args(which)
        .args(["--no-fail-fast", "--"])
        .args(filters)
        .env(POSTGRES_VARIABLE, postgres.major())
        .env("SNAPVM_ROOT", paths::root())
        .env("SNAPVM_BASE_IMAGE", paths::base_image())
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut child = command.spawn().context("cannot run cargo test")?;
    let mut counted = Count::default();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).split(b'\n') {
            let line = String::from_utf8_lossy(&line?).into_owned();
            println!("{line}");
            counted.add_cargo_line(&line);
            failures.add_cargo_line(&line);
        }
    }
    let status = child.wait()?;
    if !status.success() && counted.failed == 0 {
        // It didn't compile, or a test program died before it could count.
        progress::say(&format!("cargo test ended with {status}, though no test failed; it counts as one failure"));
        counted.failed = 1;
    }
    count.add(&counted);
    Ok(())
}

/// The console's unit tests, where there are any.
fn console(count: &mut Count) -> Result<()> {
    let folder = paths::root().join("console");
    if !folder.join("node_modules/vitest").is_dir() {
        return Ok(());
    }
    let report = paths::state().join("console-tests.json");
    // A report of an earlier run must not be counted.
    let _ = std::fs::remove_file(&report);
    let mut command = Command::new("npm");
    command
        .args(["run", "--silent", "test", "--", "--reporter=default", "--reporter=json", "--outputFile"])
        .arg(&report)
        .current_dir(&folder);
    let passed = progress::run("the console's tests", command).is_ok();
    let mut counted = Count::default();
    if let Ok(text) = std::fs::read_to_string(&report) {
        counted.add_vitest_report(&text)?;
    }
    if !passed && counted.failed == 0 {
        counted.failed = 1;
    }
    count.add(&counted);
    Ok(())
}
