//! Which service needs which (pure): what would be a cycle, and in which order services stop.
//!
//! Names that the graph does not have are left out of account here: whoever takes a definition refuses them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What each service needs, by name.
pub type Needs = BTreeMap<String, Vec<String>>;

/// A shortest cycle through this service, from it back to it; nothing when there is none.
#[must_use]
pub fn cycle(needs: &Needs, through: &str) -> Option<Vec<String>> {
    // Breadth first, with the one that each was reached from.
    let mut reached: BTreeMap<&str, &str> = BTreeMap::new();
    let mut queue = VecDeque::from([through]);
    while let Some(at) = queue.pop_front() {
        for need in needs.get(at).into_iter().flatten() {
            if need == through {
                return Some(back(&reached, at, through));
            }
            if !reached.contains_key(need.as_str()) {
                reached.insert(need, at);
                queue.push_back(need);
            }
        }
    }
    None
}

fn back(reached: &BTreeMap<&str, &str>, last: &str, through: &str) -> Vec<String> {
    let mut path = vec![through.to_owned()];
    let mut at = last;
    while at != through {
        path.push(at.to_owned());
        // Everything that was reached was reached from somewhere.
        let Some(before) = reached.get(at) else { break };
        at = before;
    }
    path.push(through.to_owned());
    path.reverse();
    path
}

/// Of these, the ones that none of the others needs, directly or by way of the others: those to stop first. Where all
/// of them need each other, all of them.
#[must_use]
pub fn unneeded<'a>(needs: &Needs, among: &BTreeSet<&'a str>) -> Vec<&'a str> {
    let mut needed: BTreeSet<&str> = BTreeSet::new();
    for name in among {
        let mut queue: Vec<&str> = needs.get(*name).into_iter().flatten().map(String::as_str).collect();
        while let Some(need) = queue.pop() {
            if needed.insert(need) {
                queue.extend(needs.get(need).into_iter().flatten().map(String::as_str));
            }
        }
    }
    let first: Vec<&str> = among.iter().copied().filter(|name| !needed.contains(name)).collect();
    if first.is_empty() { among.iter().copied().collect() } else { first }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn graph(lines: &[(&str, &[&str])]) -> Needs {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        lines.iter().map(|(name, needs)| ((*name).to_owned(), owned(needs))).collect()
    }

    #[test]
    fn the_shortest_cycle_is_named() {
        let needs = graph(&[("a", &["b", "c"]), ("b", &["d"]), ("c", &["a"]), ("d", &["a"]), ("e", &["a"])]);
        assert_eq!(cycle(&needs, "a").unwrap(), ["a", "c", "a"]);
        assert_eq!(cycle(&needs, "b").unwrap(), ["b", "d", "a", "b"]);
        assert_eq!(cycle(&needs, "e"), None);
        assert_eq!(cycle(&graph(&[("a", &["a"])]), "a").unwrap(), ["a", "a"]);
        assert_eq!(cycle(&needs, "none"), None);
    }

    #[test]
    fn who_needs_others_stops_before_them() {
        let needs = graph(&[("web", &["api"]), ("api", &["db"]), ("db", &[]), ("worker", &["db"])]);
        assert_eq!(unneeded(&needs, &["db", "web", "api", "worker"].into()), ["web", "worker"]);
        assert_eq!(unneeded(&needs, &["db", "api"].into()), ["api"]);
        // Also by way of one that goes on.
        assert_eq!(unneeded(&needs, &["db", "web"].into()), ["web"]);
        assert_eq!(unneeded(&graph(&[("a", &["b"]), ("b", &["a"])]), &["a", "b"].into()), ["a", "b"]);
    }

    /// Graphs of up to twelve services; the second one has edges to earlier names only, so that it has no cycle.
    fn any_graph(forwards: bool) -> impl Strategy<Value = Needs> {
        proptest::collection::vec(proptest::collection::vec(0_usize..12, 0..4), 12).prop_map(move |lines| {
            let name = |number: usize| format!("s{number}");
            let line = |(at, line): (usize, Vec<usize>)| {
                let kept = line.into_iter().filter(|to| forwards || *to < at);
                (name(at), kept.map(name).collect())
            };
            lines.into_iter().enumerate().map(line).collect()
        })
    }

    proptest! {
        #[test]
        fn a_cycle_is_one_and_is_found(needs in any_graph(true)) {
            for name in needs.keys() {
                let mut reached: BTreeSet<&str> = BTreeSet::new();
                let mut queue = vec![name.as_str()];
                while let Some(at) = queue.pop() {
                    queue.extend(needs[at].iter().map(String::as_str).filter(|need| reached.insert(need)));
                }
                let found = cycle(&needs, name);
                prop_assert_eq!(found.is_some(), reached.contains(name.as_str()));
                if let Some(path) = found {
                    prop_assert!(path.first() == Some(name) && path.last() == Some(name));
                    for (from, to) in path.iter().zip(path.iter().skip(1)) {
                        prop_assert!(needs[from].contains(to));
                    }
                }
            }
        }

        #[test]
        fn without_cycles_everything_stops_in_order(needs in any_graph(false)) {
            let mut left: BTreeSet<&str> = needs.keys().map(String::as_str).collect();
            while !left.is_empty() {
                let first = unneeded(&needs, &left);
                prop_assert!(!first.is_empty());
                for name in first {
                    prop_assert!(!left.iter().any(|other| needs[*other].iter().any(|need| need == name)));
                }
                let first = unneeded(&needs, &left);
                left.retain(|name| !first.contains(name));
            }
        }
    }
}
