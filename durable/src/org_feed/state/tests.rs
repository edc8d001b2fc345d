use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn change(kind: &str, thing: &str, version: u64) -> Change {
    Change { kind: kind.into(), thing: thing.into(), version, text: format!(r#"{{"kind": "{kind}"}}"#) }
}

#[test]
fn an_untold_change_gives_way_to_a_newer_one_of_the_same_thing() {
    let mut log = Log::default();
    assert_eq!(log.add(change("machine", "a", 1), 0), Some(Added { seq: 1, removed: vec![] }));
    assert_eq!(log.add(change("machine", "a", 3), 0), Some(Added { seq: 2, removed: vec![1] }));
    assert_eq!(log.add(change("machine", "a", 2), 0), None, "it comes too late");
    log.tell();
    assert_eq!(log.add(change("machine", "a", 2), 0), None, "also when the newer one has been told");
    assert_eq!(log.add(change("machine", "a", 4), 0), Some(Added { seq: 3, removed: vec![] }));
    assert_eq!(log.add(change("services", "a", 0), 0), Some(Added { seq: 4, removed: vec![] }));
    assert_eq!(log.add(change("services", "b", 0), 0), Some(Added { seq: 5, removed: vec![] }));
    assert_eq!(log.add(change("services", "a", 0), 0), Some(Added { seq: 6, removed: vec![4] }));
}

#[test]
fn what_is_a_day_old_goes_and_the_newest_stays() {
    let mut log = Log::default();
    log.add(change("event", "a", 0), 0);
    log.add(change("event", "b", 0), 10);
    assert_eq!(log.add(change("event", "c", 0), KEEP_MS + 5), Some(Added { seq: 3, removed: vec![1] }));
    assert_eq!(log.add(change("event", "d", 0), 9 * KEEP_MS), Some(Added { seq: 4, removed: vec![2, 3] }));
    assert!(log.reaches_back_to(3) && log.reaches_back_to(4));
    assert!(!log.reaches_back_to(2) && !log.reaches_back_to(5) && !log.reaches_back_to(u64::MAX));
}

#[test]
fn an_empty_log_has_told_everything() {
    let log = Log::default();
    assert!(log.reaches_back_to(0) && !log.reaches_back_to(1));
}

/// Somebody who follows, and what they know by it.
#[derive(Default)]
struct Follower {
    seq: u64,
    known: BTreeMap<(String, String), u64>,
    seen: Vec<u64>,
}

impl Follower {
    fn hear(&mut self, log: &Log, role: Role) {
        for entry in log.after(self.seq, role) {
            assert!(entry.is_for(role), "{entry:?} for {role:?}");
            self.seen.push(entry.seq);
            self.know(entry);
        }
        self.seq = log.last();
    }

    fn know(&mut self, entry: &Entry) {
        let key = (entry.change.kind.clone(), entry.change.thing.clone());
        // A client keeps what it has when that is newer: the log forgets, and then cannot know what comes too late.
        let known = self.known.entry(key).or_insert(entry.change.version);
        *known = (*known).max(entry.change.version);
    }
}

#[derive(Debug, Clone)]
enum Step {
    Change {
        kind: &'static str,
        thing: u8,
        version: u64,
        after_ms: u64,
    },
    Tell,
    /// The follower hears what there is, wherever it stopped.
    Hear,
    /// The object is evicted.
    Evict,
}

fn step() -> impl Strategy<Value = Step> {
    let kind = prop_oneof![Just("machine"), Just("services"), Just("audit"), Just("credential"), Just("new-kind")];
    let version = 1_u64..20;
    // Now and then hours pass.
    let after_ms = prop_oneof![9 => 0_u64..50, 1 => 0_u64..KEEP_MS];
    let change = (kind, 0_u8..4, version, after_ms).prop_map(|(kind, thing, version, after_ms)| {
        let version = if kind == "machine" { version } else { 0 };
        Step::Change { kind, thing, version, after_ms }
    });
    prop_oneof![8 => change, 2 => Just(Step::Tell), 2 => Just(Step::Hear), 1 => Just(Step::Evict)]
}

proptest! {
    /// Whenever a follower hears, it knows the newest of everything that its role may see, or is sent to read again; and
    /// it never sees anything else, nothing twice, nothing out of order.
    #[test]
    fn who_follows_knows_the_newest(
        steps in proptest::collection::vec(step(), 1..300),
        role in prop_oneof![Just(Role::Viewer), Just(Role::Member), Just(Role::Admin), Just(Role::Owner)],
    ) {
        let (mut log, mut follower, mut now) = (Log::default(), Follower::default(), 0);
        let mut newest: BTreeMap<(String, String), u64> = BTreeMap::new();
        let mut last = 0;
        for step in steps {
            match step {
                Step::Change { kind, thing, version, after_ms } => {
                    now += after_ms;
                    let change = change(kind, &thing.to_string(), version);
                    let key = (kind.to_owned(), thing.to_string());
                    if let Some(added) = log.add(change, now) {
                        prop_assert!(added.seq > last, "{} after {last}", added.seq);
                        prop_assert!(added.removed.iter().all(|gone| *gone < added.seq));
                        last = added.seq;
                    }
                    let known = newest.entry(key).or_insert(version);
                    *known = (*known).max(version);
                }
                Step::Tell => log.tell(),
                Step::Evict => log = Log::read(log.entries.iter().map(|entry| Entry::read(&entry.line()).unwrap()).collect()),
                Step::Hear => {
                    log.tell();
                    if log.reaches_back_to(follower.seq) {
                        follower.hear(&log, role);
                        for ((kind, thing), version) in &follower.known {
                            let newest = newest.get(&(kind.clone(), thing.clone())).copied().unwrap_or(0);
                            prop_assert!(*version >= newest, "{kind} {thing}: {version:?}, not {newest:?}");
                        }
                    } else {
                        // It reads again: everything that it may see, as it is now.
                        follower = Follower { seq: log.last(), seen: follower.seen, ..Follower::default() };
                        for ((kind, thing), version) in &newest {
                            if least(kind).is_some_and(|least| role >= least) {
                                follower.known.insert((kind.clone(), thing.clone()), *version);
                            }
                        }
                    }
                }
            }
            prop_assert!(log.entries.len() <= ENTRIES_MAX && log.bytes <= BYTES_MAX);
        }
        prop_assert!(follower.seen.is_sorted_by(|a, b| a < b));
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn the_log_is_bounded(count in 1_usize..1500, size in 0_usize..4000) {
        let mut log = Log::default();
        let mut kept = std::collections::BTreeSet::new();
        for number in 0..count {
            let mut change = change("event", &number.to_string(), 0);
            change.text = format!("{{\"detail\": \"{}\"}}", "x".repeat(size));
            let added = log.add(change, 0).unwrap();
            kept.insert(added.seq);
            for gone in added.removed {
                prop_assert!(kept.remove(&gone));
            }
        }
        prop_assert!(log.entries.len() <= ENTRIES_MAX && log.bytes <= BYTES_MAX);
        // What is told to have been removed is what is gone: the rows in SQLite stay as many.
        prop_assert_eq!(kept.len(), log.entries.len());
        prop_assert_eq!(log.last(), u64::try_from(count).unwrap());
    }
}
