//! What every test of the whole stands on: one private stack for each test binary, clients that speak to its front
//! door as a browser or a program does, and people with organizations to act as.
//!
//! * Every answer to an operation of `docs/openapi.json` is compared with that document, in the client itself
//!   ([`contract`]), so that no test can forget it. A 500 is a bug and fails whichever test caused it.
//! * The stack is the one that `cargo xtask dev` runs: the built Worker in workerd, Postgres behind `PgBouncer` in
//!   transaction mode, the Worker's role `snap_app` ([`world`] asserts that).
//! * Nothing sleeps: what takes time is polled with a deadline ([`until`]). What is random has a printed seed
//!   ([`chance`]).
//!
//! Absent on purpose: mocks. Rows that no operation makes (an expired session) are written by the superuser, and the
//! test says so.

pub mod agent;
pub mod apps;
pub mod chance;
pub mod checkpoints;
pub mod client;
pub mod contract;
pub mod events;
pub mod feed;
pub mod locked;
pub mod machines;
pub mod people;
pub mod releases;
pub mod rows;
pub mod sockets;
pub mod sprites;
pub mod terminal;
pub mod wire;
pub mod world;

use std::time::Duration;

pub use client::{Answer, Client};
pub use people::{Org, Person};
pub use world::{World, world};

/// Longest time for anything that no test says otherwise of.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks again until there is an answer, or fails after `patience`.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, patience: Duration, mut ask: impl FnMut() -> F) -> T {
    let deadline = tokio::time::Instant::now() + patience;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(tokio::time::Instant::now() < deadline, "{what}: not within {patience:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
