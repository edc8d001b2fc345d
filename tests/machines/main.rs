//! Machines with a real runtime behind them, through the front door: terminals, apps, sleep, deletion.
//!
//! One stack for all tests. Its sprites are frozen a second after nothing keeps them awake, and lose their memory
//! twelve seconds later. Needs root, as `spritehost` does.

mod admission;
mod apps;
mod at_sleep;
mod checkpoints;
mod deletion;
mod eviction;
mod exec;
mod feed;
mod first_boot;
mod holds;
mod idle;
mod logs;
mod quotas;
mod runtime;
mod services;
mod sleep;
mod stop;
mod terminals;
mod terminals_access;
mod terminals_cost;
mod terminals_kept;
mod terminals_memory;
mod terminals_pauses;
mod terminals_people;
mod variables;

use std::sync::OnceLock;
use std::time::Duration;

use snapvm_tests::World;
use snapvm_tests::machines::{builder, shared};

/// How long a frozen sprite keeps its memory: long enough to be woken from it on a busy computer.
const COLD_AFTER: Duration = Duration::from_secs(12);

/// How long an organization's feed waits for followers to come back.
const FEED_ALONE_SECONDS: &str = "3";

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    shared(&WORLD, || builder().cold_after(COLD_AFTER).variable("FEED_ALONE_SECONDS", FEED_ALONE_SECONDS))
}
