//! Input that is applied once (pure), however often and over however many sockets it is sent.
//!
//! Each tab has a key, under which its input is numbered from 1. A number is *accepted* when it is the next one, and
//! *applied* when its bytes have been written to the terminal; only then is it acknowledged.
//!
//! Invariants: `applied <= accepted`; both only grow; a number above the next one is never accepted, since what lies
//! between would be lost.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// Keys remembered per session. Forgetting one could apply its unacknowledged input twice.
const KEYS_MAX: usize = 256;

/// What to do with input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Write it.
    Apply,
    /// It was accepted before.
    Duplicate,
    /// Something before it is missing.
    Gap,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Key {
    accepted: u32,
    applied: u32,
    used: u64,
}

/// The keys of a session.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    entries: HashMap<String, Key>,
    uses: u64,
    /// After this, an unknown key may be an old one whose count goes on.
    forgotten: bool,
}

impl Keys {
    /// The highest number applied for a key; 0 for an unknown one.
    #[must_use]
    pub fn applied(&self, key: &str) -> u32 {
        self.entries.get(key).map_or(0, |entry| entry.applied)
    }

    /// Whether input of this number is the next one.
    pub fn accept(&mut self, key: &str, number: u32) -> Verdict {
        self.uses += 1;
        let uses = self.uses;
        if let Some(entry) = self.entries.get_mut(key) {
            entry.used = uses;
            return match number.checked_sub(entry.accepted) {
                Some(1) => {
                    entry.accepted = number;
                    Verdict::Apply
                }
                Some(2..) => Verdict::Gap,
                Some(0) | None => Verdict::Duplicate,
            };
        }
        if number == 0 {
            return Verdict::Duplicate;
        }
        if number != 1 && !self.forgotten {
            return Verdict::Gap;
        }
        self.forget_one();
        self.entries.insert(key.to_owned(), Key { accepted: number, applied: number - 1, used: uses });
        Verdict::Apply
    }

    /// Input of this number has been written.
    pub fn written(&mut self, key: &str, number: u32) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.applied = entry.applied.max(number).min(entry.accepted);
        }
    }

    /// The terminal did not take input of this number: it may come again.
    pub fn refused(&mut self, key: &str, number: u32) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.accepted = entry.accepted.min(number.saturating_sub(1)).max(entry.applied);
        }
    }

    fn forget_one(&mut self) {
        if self.entries.len() < KEYS_MAX {
            return;
        }
        let settled = self.entries.iter().filter(|(_, key)| key.accepted == key.applied);
        if let Some(oldest) = settled.min_by_key(|(_, key)| key.used).map(|(name, _)| name.clone()) {
            self.entries.remove(&oldest);
            self.forgotten = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_taken_in_order_and_once() {
        let mut keys = Keys::default();
        assert_eq!(keys.accept("a", 2), Verdict::Gap);
        assert_eq!(keys.accept("a", 1), Verdict::Apply);
        assert_eq!(keys.accept("a", 1), Verdict::Duplicate);
        assert_eq!(keys.accept("a", 3), Verdict::Gap);
        assert_eq!(keys.applied("a"), 0);
        keys.written("a", 1);
        assert_eq!(keys.applied("a"), 1);
        assert_eq!(keys.accept("a", 2), Verdict::Apply);
        keys.refused("a", 2);
        assert_eq!(keys.accept("a", 2), Verdict::Apply);
    }

    #[test]
    fn the_last_keys_are_remembered_and_a_forgotten_one_goes_on() {
        let mut keys = Keys::default();
        for n in 0..KEYS_MAX + 10 {
            assert_eq!(keys.accept(&format!("k{n}"), 1), Verdict::Apply);
            keys.written(&format!("k{n}"), 1);
        }
        for n in KEYS_MAX - 64..KEYS_MAX + 10 {
            assert_eq!(keys.accept(&format!("k{n}"), 1), Verdict::Duplicate);
        }
        assert_eq!(keys.accept("k0", 7), Verdict::Apply);
    }

    proptest! {
        /// A tab that sends its next inputs, loses its socket, and sends everything unacknowledged again.
        #[test]
        fn each_number_is_applied_once_and_in_order(steps in proptest::collection::vec((0_usize..3, 0_u8..5), 1..80)) {
            let mut keys = Keys::default();
            let mut applied: Vec<(usize, u32)> = vec![];
            let mut pending: Vec<(usize, u32)> = vec![];
            let mut next = [1_u32; 3];
            let names = ["a", "b", "c"];
            for (tab, kind) in steps {
                match kind {
                    0..=2 => {
                        if keys.accept(names[tab], next[tab]) == Verdict::Apply {
                            pending.push((tab, next[tab]));
                        }
                        next[tab] += 1;
                    }
                    3 => for (tab, number) in pending.drain(..) {
                        keys.written(names[tab], number);
                        applied.push((tab, number));
                    },
                    _ => for number in keys.applied(names[tab]) + 1..next[tab] {
                        if keys.accept(names[tab], number) == Verdict::Apply {
                            pending.push((tab, number));
                        }
                    },
                }
            }
            applied.extend(pending);
            for tab in 0..3 {
                let numbers: Vec<u32> = applied.iter().filter(|(of, _)| *of == tab).map(|(_, n)| *n).collect();
                prop_assert_eq!(&numbers, &(1..=u32::try_from(numbers.len()).unwrap()).collect::<Vec<_>>());
            }
        }
    }
}
