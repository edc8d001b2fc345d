//! The log of an organization's changes: numbered, bounded, and what each role may see of it. Pure.

use snapvm_protocol::feed::{Change, least};
use snapvm_protocol::roles::Role;

/// Most changes that are kept.
pub const ENTRIES_MAX: usize = 1000;
/// Most bytes of them, about.
pub const BYTES_MAX: usize = 1024 * 1024;
/// How long one is kept.
pub const KEEP_MS: u64 = 24 * 60 * 60 * 1000;
/// Followers are told at most this often what has changed; meanwhile, changes of one thing become one.
pub const PACE_MS: u64 = 100;

/// A change under its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub seq: u64,
    /// When it was announced, Unix ms.
    pub at_ms: u64,
    /// The change.
    pub change: Change,
}

impl Entry {
    /// As it is kept.
    #[must_use]
    pub fn line(&self) -> String {
        format!("{} {} {}", self.seq, self.at_ms, self.change.line())
    }

    /// Reads what was kept; `None` for anything else.
    #[must_use]
    pub fn read(line: &str) -> Option<Self> {
        let mut words = line.splitn(3, ' ');
        let (seq, at_ms) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        Some(Self { seq, at_ms, change: Change::read(words.next()?)? })
    }

    /// About how long it is.
    fn bytes(&self) -> usize {
        self.change.text.len() + 200
    }

    /// Whether a role is told of it.
    #[must_use]
    pub fn is_for(&self, role: Role) -> bool {
        least(&self.change.kind).is_some_and(|least| role >= least)
    }
}

/// What a new change has done to the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    /// Its number.
    pub seq: u64,
    /// Numbers that are gone.
    pub removed: Vec<u64>,
}

/// The log. The newest entry is never removed, so that the sequence goes on from it.
#[derive(Debug, Clone, Default)]
pub struct Log {
    entries: Vec<Entry>,
    bytes: usize,
    told: u64,
}

impl Log {
    /// What was written down, in the order of its numbers. Whether anybody has seen it is not known, so it counts as seen.
    #[must_use]
    pub fn read(entries: Vec<Entry>) -> Self {
        let bytes = entries.iter().map(Entry::bytes).sum();
        let told = entries.last().map_or(0, |entry| entry.seq);
        Self { entries, bytes, told }
    }

    /// The number of the last change.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.entries.last().map_or(0, |entry| entry.seq)
    }

    /// An entry that was just added.
    #[must_use]
    pub fn newest(&self) -> Option<&Entry> {
        self.entries.last()
    }

    /// Takes a change. `None` when one that is newer has come before it.
    pub fn add(&mut self, change: Change, now_ms: u64) -> Option<Added> {
        let mut removed = Vec::new();
        let same = self.entries.iter().rposition(|entry| entry.change.is_of_the_same(&change));
        if let Some((position, present)) = same.and_then(|at| Some((at, self.entries.get(at)?))) {
            if present.change.version > change.version {
                return None;
            }
            if present.seq > self.told {
                removed.extend(self.remove(position));
            }
        }
        // One that was taken out may have been the last.
        let seq = removed.last().copied().unwrap_or(0).max(self.last()) + 1;
        let entry = Entry { seq, at_ms: now_ms, change };
        self.bytes += entry.bytes();
        self.entries.push(entry);
        while self.entries.len() > 1 && self.is_too_much(now_ms) {
            removed.extend(self.remove(0));
        }
        Some(Added { seq, removed })
    }

    fn is_too_much(&self, now_ms: u64) -> bool {
        let old = self.entries.first().is_some_and(|entry| entry.at_ms + KEEP_MS < now_ms);
        old || self.entries.len() > ENTRIES_MAX || self.bytes > BYTES_MAX
    }

    fn remove(&mut self, position: usize) -> Option<u64> {
        if position >= self.entries.len() {
            return None;
        }
        let entry = self.entries.remove(position);
        self.bytes -= entry.bytes();
        Some(entry.seq)
    }

    /// Followers are told now: none of what there is may change any more.
    pub fn tell(&mut self) {
        self.told = self.last();
    }

    /// Whether everything after a number is still here.
    #[must_use]
    pub fn reaches_back_to(&self, after: u64) -> bool {
        let first = self.entries.first().map_or(1, |entry| entry.seq);
        first <= after.saturating_add(1) && after <= self.last()
    }

    /// What a role is told of what came after a number, oldest first.
    pub fn after(&self, after: u64, role: Role) -> impl Iterator<Item = &Entry> {
        let from = self.entries.partition_point(|entry| entry.seq <= after);
        self.entries.iter().skip(from).filter(move |entry| entry.is_for(role))
    }
}

#[cfg(test)]
mod tests;
