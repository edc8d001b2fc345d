//! Files in `tests/output/` that are made by tests and checked in, so that a change of them is a readable diff.

use std::path::PathBuf;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("output").join(name)
}

/// A table without the spaces at the ends of its lines.
pub fn trimmed(table: &str) -> String {
    table.lines().map(str::trim_end).collect::<Vec<_>>().join("\n") + "\n"
}

/// Compares a text with the checked-in file; with `SNAPVM_UPDATE_OUTPUT=1` writes it.
pub fn locked(name: &str, text: &str) {
    let path = path(name);
    if std::env::var_os("SNAPVM_UPDATE_OUTPUT").is_some() {
        std::fs::write(&path, text).expect("tests/output can be written");
        return;
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    if stored == text {
        return;
    }
    let gone = stored.lines().filter(|line| !text.lines().any(|other| other == *line)).map(|line| format!("- {line}"));
    let new = text.lines().filter(|line| !stored.lines().any(|other| other == *line)).map(|line| format!("+ {line}"));
    let difference: Vec<String> = gone.chain(new).collect();
    panic!(
        "tests/output/{name} is not what this run made. If the change is meant, run the test again with \
         SNAPVM_UPDATE_OUTPUT=1 and commit the file.\n{}",
        difference.join("\n")
    );
}
