//! SnapVM as people see it: a browser goes through the console, against one private stack with a real runtime.
//!
//! What is done and checked is in the scripts beside this file, which drive headless Chromium with `playwright-core`.
//! They read and press only what the console shows to everybody. A script prints its steps with their times, ends with
//! a non-zero code and a sentence when something is not as it should be, and leaves a picture of that moment with the
//! others in `.state/screenshots/`. Needs root, as `spritehost` does, and Chromium (`SNAPVM_CHROMIUM` says where
//! another one is).

use std::path::Path;
use std::process::ExitStatus;
use std::sync::OnceLock;
use std::time::Duration;

use nix::sys::signal::Signal;
use snapvm_tests::World;
use snapvm_tests::machines::{builder, shared};
use tokio::sync::Mutex;
use tokio::time::Instant;
use xtask::paths;
use xtask::process::{Process, ProcessSpec};

/// How long a frozen sprite keeps its memory.
const COLD_AFTER: Duration = Duration::from_secs(8);

/// For one script, Chromium's start included. The script gives up by itself earlier, with a picture.
const PATIENCE: Duration = Duration::from_mins(5);
const SCRIPT_PATIENCE: Duration = Duration::from_mins(4);

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    shared(&WORLD, || builder().cold_after(COLD_AFTER))
}

#[tokio::test]
async fn a_newcomer_goes_the_whole_way() {
    run("story").await;
}

#[tokio::test]
async fn a_viewer_watches_and_changes_nothing() {
    run("viewer").await;
}

#[tokio::test]
async fn a_terminal_survives_a_bad_network_and_a_sleeping_machine() {
    run("terminals").await;
}

#[tokio::test]
async fn what_surrounds_a_terminal() {
    run("windows").await;
}

#[tokio::test]
async fn a_machine_says_why_it_is_awake_and_is_kept_so() {
    run("holds").await;
}

#[tokio::test]
async fn a_machine_goes_back_to_a_checkpoint() {
    run("checkpoints").await;
}

#[tokio::test]
async fn a_services_log_is_followed_and_searched() {
    run("logs").await;
}

#[tokio::test]
async fn variables_are_pasted_and_secrets_not_shown() {
    run("variables").await;
}

#[tokio::test]
async fn a_machine_is_set_up_when_it_is_created() {
    run("setup").await;
}

#[tokio::test]
async fn an_idle_machine_warns_before_it_sleeps() {
    snapvm_tests::rows::shorten_idle(&world().superuser().await, "drowsy", 50).await;
    run("idle").await;
}

#[tokio::test]
async fn what_one_person_does_another_sees_without_asking() {
    run("live").await;
}

#[tokio::test]
async fn every_page_fits_in_light_and_dark_on_desks_and_phones() {
    run("pages").await;
}

/// Runs `NAME.mjs` to its end. One at a time: browsers take all the processor they get.
async fn run(name: &str) {
    static TURN: Mutex<()> = Mutex::const_new(());
    let _turn = TURN.lock().await;
    let world = world();
    let log = world.stack.dir.join(format!("{name}.log"));
    let mut script = start(world, name, &log);
    let status = end(&mut script, Instant::now() + PATIENCE).await;
    let printed = std::fs::read_to_string(&log).unwrap_or_default();
    println!("{printed}");
    match status {
        Some(status) => assert!(status.success(), "{name}.mjs ended with {status}; what it printed is above"),
        None => panic!("{name}.mjs did not end within {PATIENCE:?}; what it printed is above"),
    }
}

fn start(world: &World, name: &str, log: &Path) -> Process {
    let stack = &world.stack;
    let spritehost = stack.spritehost.as_ref().expect("this stack has a runtime");
    let environment = [
        ("SNAPVM_CONSOLE", stack.console.clone()),
        ("SNAPVM_SPRITES", spritehost.url.clone()),
        ("SNAPVM_SPRITES_TOKEN", spritehost.token.clone()),
        ("SNAPVM_SCREENSHOTS", paths::state().join("screenshots").display().to_string()),
        ("SNAPVM_PATIENCE_SECONDS", SCRIPT_PATIENCE.as_secs().to_string()),
    ];
    let spec = ProcessSpec {
        name: format!("{name}.mjs"),
        program: paths::node_module(".bin/node"),
        arguments: vec![paths::root().join(format!("tests/e2e/{name}.mjs")).display().to_string()],
        environment: environment.map(|(name, value)| (name.to_owned(), value)).to_vec(),
        log: log.to_path_buf(),
        signal_at_parent_death: Signal::SIGTERM,
        refuses_root: false,
    };
    spec.spawn().expect("node starts")
}

/// How it ended; `None` when it did not by then.
async fn end(script: &mut Process, deadline: Instant) -> Option<ExitStatus> {
    loop {
        if let Some(status) = script.ended().expect("the kernel says how it ended") {
            return Some(status);
        }
        if Instant::now() >= deadline {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
