//! `OrgFeed`: one object per organization, which tells whoever follows it what has changed, and those who come back what
//! they have missed.
//!
//! ```text
//! Worker, MachineGateway ──changes, once they are durable──▶ object ──State, Told…──▶ consoles, API clients
//!                                                            object ◀──Heard──
//! ```
//!
//! Invariants:
//! * A change is in SQLite, under a number, before anybody hears of it; numbers only grow.
//! * A follower is told everything after the number that it gave and that its role may see, in order, or that it must
//!   read again. Of two changes of one thing that nobody has seen, only the newer one is told.
//! * Nobody is told anything later than 30 s after a look at their access, nor after word that it may have changed.
//! * Followers who hear nothing cost nothing: the object sleeps, their sockets stay. An alarm is set only for changes that
//!   come within a tenth of a second of others, and for looks that found nothing out.
//! * Where nobody follows, nothing is announced: the record says whether anybody does. It is said to be so when a
//!   follower comes, before they are let in; that nobody does any more, some minutes after the last one went.
//!
//! Absent on purpose: what the organization looks like. The database knows that; the log only says what to read again.

mod access;
mod followers;
pub mod object;
pub mod outside;
pub mod state;
