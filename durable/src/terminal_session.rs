//! `TerminalSession`: one object per terminal session, a plain switch between the agent's socket and the clients'
//! sockets. All of them hibernate: an idle terminal keeps no object in memory.
//!
//! ```text
//! client 1 ─┐  frame ▲                    [client id][frame] ▲
//! client 2 ─┼────────┴──── object ───────────────────────────┴── agent
//! client 3 ─┘
//! ```
//!
//! Invariants:
//! * A client is told `connected` whenever an agent's socket is new; it attaches then, and only then.
//! * A reader's input never reaches the agent.
//! * Frames are neither read beyond their type byte nor kept.

pub mod command;
pub mod object;
pub mod outside;
mod switch;
