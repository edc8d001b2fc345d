//! `SnapVM`'s tasks, as a library: `cargo xtask` is a thin program over it, and the integration tests start private
//! stacks with [`stack`].

pub mod database;
pub mod paths;
pub mod ports;
pub mod process;
mod random;
pub mod stack;
