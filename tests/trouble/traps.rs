//! The table of traps in `docs/sprites-protocol.md` names tests that are there.

use std::collections::BTreeSet;

#[test]
fn every_trap_of_the_reference_has_a_test() {
    let root = xtask::paths::root();
    let reference = std::fs::read_to_string(root.join("docs/sprites-protocol.md")).unwrap();
    let (_, table) = reference.split_once("## Traps").expect("a table of traps");
    let (table, _) = table.split_once("\n## ").expect("something after it");
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(rows.len() >= 15, "{} traps", rows.len());
    let mut named = BTreeSet::new();
    for row in rows {
        let tests: Vec<(&str, &str)> = row.split('`').filter_map(|word| word.split_once("::")).collect();
        assert!(!tests.is_empty(), "no test: {row}");
        named.extend(tests);
    }
    for (file, test) in named {
        let text = std::fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let at = text.find(&format!("fn {test}()")).unwrap_or_else(|| panic!("{file} has no test {test}"));
        let before = text[..at].trim_end().trim_end_matches("async").trim_end();
        assert!(
            before.ends_with(']') && before.rsplit('\n').next().unwrap().contains("test"),
            "{file}: {test} is no test"
        );
    }
}
