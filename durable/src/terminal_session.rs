//! `TerminalSession`: one object per terminal session, a plain switch between the agent's socket and the clients'
//! sockets. All of them hibernate: an idle terminal keeps no object in memory.
//!
//! ```text
//! client 1 ─┐  frame ▲                    [client id][frame] ▲
//! client 2 ─┼────────┴──── object ───────────────────────────┴── agent
//! client 3 ─┘                 └─ the kept screen, shown while there is no agent
//! ```
//!
//! Invariants:
//! * A client is told `connected` whenever an agent's socket is new to it; it attaches then, and only then.
//! * A reader's input never reaches the agent, and nothing that somebody typed does later than 30 s after a look at
//!   their access.
//! * A client's frames reach the agent in their order, also those that waited for a look.
//! * Frames are neither read beyond their type byte nor kept, but for the kept screen, which is the object's own.
//! * Output costs no storage write; typing one in two seconds.

mod access;
mod clients;
pub mod command;
mod kept;
pub mod object;
pub mod outside;
mod presence;
mod switch;
