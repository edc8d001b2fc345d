//! Trouble: what breaks, lies or attacks, and that each has a defined answer, nothing hangs, and nothing that was
//! acknowledged is lost. Tests that kill a part have a stack of their own; the others share one.

mod agent;
mod checkpoints;
mod control_plane;
mod dial;
mod frames;
mod isolation;
mod keys;
mod kills;
mod lost_sprites;
mod orphans;
mod prepared;
mod provider;
mod provisioning;
mod runtime;
mod traps;
mod upgrade;

use std::sync::OnceLock;

use snapvm_tests::World;
use snapvm_tests::machines::{builder, shared};

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    shared(&WORLD, builder)
}
