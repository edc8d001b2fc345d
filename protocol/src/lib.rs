//! What two SnapVM programs say to each other.
//!
//! Names and ids, the machine lifecycle, tickets between our own parts, terminal frames and how a terminal's output is
//! read, one-shot commands, logs of services, a machine's variables, the messages of the agent's control socket, an
//! organization's live updates, the headers of the path to an app, and the types of the Sprites API.
//!
//! Invariants:
//! * Pure: no I/O, no clock, no randomness. Time and random bytes are arguments.
//! * Every decoder takes arbitrary bytes, is bounded, and never panics.
//!
//! Absent on purpose: anything that only one program needs.

pub mod agent;
pub mod exec;
pub mod feed;
#[doc(hidden)]
pub mod fuzz;
pub mod headers;
pub mod hosts;
pub mod ids;
pub mod lifecycle;
pub mod logs;
pub mod names;
pub mod queries;
pub mod roles;
pub mod sequences;
pub mod services;
pub mod sprites;
pub mod terminal;
pub mod tickets;
pub mod variables;
