//! `cargo xtask dev`: the whole of `SnapVM` on this machine, with its state kept between runs.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::MissedTickBehavior;

use crate::stack::Stack;
use crate::{build, paths, ports, progress, setup};

/// Where the console is, unless somebody wants it elsewhere.
pub const DEFAULT_PORT: u16 = 8787;
/// The platform calls the scheduled handler this often.
const SCHEDULE: Duration = Duration::from_mins(1);
/// Fly's runtime takes half a minute; whoever presses Hibernate while developing should not wait that long.
const PAUSE: Duration = Duration::from_secs(5);
/// How often we look whether everything still runs.
const WATCH: Duration = Duration::from_secs(1);

/// How to run.
#[derive(Debug)]
pub struct DevOptions {
    /// The Worker's port.
    pub port: u16,
    /// Whether machines have a runtime. Without it nothing needs root.
    pub spritehost: bool,
}

/// Sets up, builds, starts everything, and stops it on Ctrl-C.
///
/// # Errors
/// When something can't be started, or ends by itself.
pub async fn dev(options: DevOptions) -> Result<()> {
    // Before the long work, not after it.
    ports::require_free(options.port, "the console and the API")?;
    setup::setup()?;
    build::build(&build::ALL)?;

    progress::say("starting");
    let mut terminate = signal(SignalKind::terminate())?;
    let stack = tokio::select! {
        stack = Stack::builder()
            .port(options.port)
            .state_dir(state_dir(options.port))
            .spritehost(options.spritehost)
            .warm_after(PAUSE)
            .start() => stack?,
        outcome = tokio::signal::ctrl_c() => return Ok(outcome?),
        _ = terminate.recv() => return Ok(()),
    };
    println!("\n  SnapVM runs at {}/   (Ctrl-C stops it)\n", stack.console);
    println!("  logs and data: {}", stack.dir.display());

    let outcome = tokio::select! {
        outcome = watch(&stack) => outcome,
        outcome = tokio::signal::ctrl_c() => outcome.context("cannot wait for Ctrl-C"),
        _ = terminate.recv() => Ok(()),
    };
    progress::say("stopping");
    stack.stop().await?;
    outcome
}

/// State has the port in it (in cookies, and in the addresses that agents were told), so each port has its own.
fn state_dir(port: u16) -> PathBuf {
    let name = if port == DEFAULT_PORT { "dev".to_owned() } else { format!("dev-{port}") };
    paths::state().join(name)
}

/// Calls the scheduled handler, and returns when a component ended by itself.
async fn watch(stack: &Stack) -> Result<()> {
    let mut schedule = tokio::time::interval(SCHEDULE);
    schedule.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick is at once; the platform's first is up to a minute away.
    schedule.tick().await;
    let mut look = tokio::time::interval(WATCH);
    loop {
        tokio::select! {
            _ = schedule.tick() => {
                if let Err(error) = stack.run_scheduled().await {
                    progress::say(&format!("{error:#}; see {}", stack.worker()?.log().display()));
                }
            }
            _ = look.tick() => {
                for component in stack.components() {
                    if let Some(failure) = component.failure().await? {
                        return Err(failure);
                    }
                }
            }
        }
    }
}
