//! `SnapVM`'s tasks, as a library: `cargo xtask` is a thin program over it, and the integration tests start private
//! stacks with [`stack`].

pub mod bench;
pub mod build;
pub mod chance;
mod client;
pub mod database;
mod deploy;
pub mod dev;
mod digest;
pub mod http;
pub mod lint;
mod locked;
pub mod openapi;
pub mod paths;
pub mod ports;
pub mod process;
mod progress;
mod random;
pub mod schema_file;
pub mod setup;
pub mod soak;
pub mod stack;
pub mod test;
