//! What was done to the terminals, and what went wrong.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::progress;

/// Counts that all sessions add to.
#[derive(Debug, Default)]
pub struct Counts {
    /// Sessions begun.
    pub begun: AtomicU64,
    /// Sessions that ended and were compared.
    pub sessions: AtomicU64,
    /// Sessions whose agent was killed under them.
    pub lost: AtomicU64,
    /// Clients.
    pub clients: AtomicU64,
    /// Bytes that guests noted as written.
    pub written: AtomicU64,
    /// Bytes that clients got.
    pub received: AtomicU64,
    /// Inputs that guests noted as read.
    pub inputs: AtomicU64,
    /// Connections that clients cut.
    pub cut: AtomicU64,
    /// Connections that clients closed.
    pub closed: AtomicU64,
    /// Connections that broke under clients.
    pub broke: AtomicU64,
    /// Times that a client did not read for a while.
    pub stalls: AtomicU64,
    /// Times that a session stood still until its object was evicted.
    pub rests: AtomicU64,
    /// Times that bytes were gone, and it was said which.
    pub gone: AtomicU64,
    /// Snapshots.
    pub snapshots: AtomicU64,
    /// Deaths of the Worker.
    pub worker_deaths: AtomicU64,
    /// Deaths of agents.
    pub agent_deaths: AtomicU64,
    /// Ordered sleeps.
    pub sleeps: AtomicU64,
    /// Ordered sleeps that somebody's wake called off.
    pub called_off: AtomicU64,
    /// Releases with another agent.
    pub releases: AtomicU64,
    /// Agents that were upgraded in place.
    pub upgrades: AtomicU64,
    /// Inputs that lost sessions were said not to have got.
    pub unapplied: AtomicU64,
}

/// The counts, and the violations in words.
#[derive(Debug)]
pub struct Tally {
    counts: Counts,
    violations: Mutex<Vec<String>>,
    seed: u64,
}

impl Tally {
    pub(crate) fn new(seed: u64) -> Self {
        Self { counts: Counts::default(), violations: Mutex::default(), seed }
    }

    /// One more.
    pub(crate) fn add(&self, which: impl Fn(&Counts) -> &AtomicU64) {
        self.add_many(which, 1);
    }

    /// Some more.
    pub(crate) fn add_many(&self, which: impl Fn(&Counts) -> &AtomicU64, many: u64) {
        which(&self.counts).fetch_add(many, Ordering::Relaxed);
    }

    /// How many there are.
    pub fn count(&self, which: impl Fn(&Counts) -> &AtomicU64) -> u64 {
        which(&self.counts).load(Ordering::Relaxed)
    }

    /// Takes one of the sessions that may still be begun.
    pub(crate) fn begins(&self, at_most: Option<u64>) -> bool {
        let before = self.counts.begun.fetch_add(1, Ordering::Relaxed);
        at_most.is_none_or(|most| before < most)
    }

    /// Something went wrong.
    pub(crate) fn violation(&self, text: String) {
        progress::say(&format!("VIOLATION: {text}"));
        self.violations.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }

    /// What went wrong.
    pub fn violations(&self) -> Vec<String> {
        self.violations.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether anything did.
    pub fn violated(&self) -> bool {
        !self.violations.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let count = |which: fn(&Counts) -> &AtomicU64| self.count(which);
        write!(
            formatter,
            "soak terminal: {} sessions ({} lost with their agent), {} clients, {:.1} MiB written, {:.1} MiB received, \
             {} inputs ({} not applied in lost sessions); faults: {} disconnects ({} cut, {} closed, {} broken), \
             {} stalls, {} evictions, {} Worker deaths, {} agent deaths, {} upgrades after {} releases, \
             {} sleeps and {} called off; {} gaps told, {} snapshots; {} violations; seed {}",
            count(|counts| &counts.sessions),
            count(|counts| &counts.lost),
            count(|counts| &counts.clients),
            mib(count(|counts| &counts.written)),
            mib(count(|counts| &counts.received)),
            count(|counts| &counts.inputs),
            count(|counts| &counts.unapplied),
            count(|counts| &counts.cut) + count(|counts| &counts.closed) + count(|counts| &counts.broke),
            count(|counts| &counts.cut),
            count(|counts| &counts.closed),
            count(|counts| &counts.broke),
            count(|counts| &counts.stalls),
            count(|counts| &counts.rests),
            count(|counts| &counts.worker_deaths),
            count(|counts| &counts.agent_deaths),
            count(|counts| &counts.upgrades),
            count(|counts| &counts.releases),
            count(|counts| &counts.sleeps),
            count(|counts| &counts.called_off),
            count(|counts| &counts.gone),
            count(|counts| &counts.snapshots),
            self.violations().len(),
            self.seed,
        )
    }
}
