//! What each Durable Object does: pure state (`state.rs`) beside a thin object.
//!
//! The shells that the runtime knows by name are in the Worker's `lib.rs`; what an object needs of the world outside
//! (database, Sprites API, time, randomness) it gets through traits.

pub mod access;
mod background;
pub mod dial;
pub mod machine_gateway;
mod memory;
pub mod object;
pub mod org_feed;
pub mod terminal_session;
