//! What no tracked file may hold: paths of the machine it was written on, and hosts of package registries.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::paths;

/// Put together here, so that this file doesn't hold them.
const REGISTRIES: [&str; 4] = [
    concat!("registry.", "npmjs.org"),
    concat!("registry.", "yarnpkg.com"),
    concat!("static.", "crates.io"),
    concat!("index.", "crates.io"),
];

pub(super) fn check() -> Result<()> {
    let root = paths::root();
    let output = Command::new("git").args(["ls-files", "-z"]).current_dir(&root).output().context("cannot run git")?;
    if !output.status.success() {
        bail!("`git ls-files` failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let here = root.display().to_string();
    let mut found = Vec::new();
    for name in String::from_utf8_lossy(&output.stdout).split('\0').filter(|name| !name.is_empty()) {
        // A file that was removed but not yet from git has nothing to hold.
        let Ok(bytes) = std::fs::read(root.join(name)) else { continue };
        found.extend(complaints(name, &String::from_utf8_lossy(&bytes), &here));
    }
    if found.is_empty() {
        return Ok(());
    }
    bail!("{}", found.join("\n"))
}

fn complaints(name: &str, text: &str, here: &str) -> Vec<String> {
    let lock = name.ends_with("package-lock.json");
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let mut complain = |what: &str| found.push(format!("{name}:{}: {what}", index + 1));
        if REGISTRIES.iter().any(|host| line.contains(host)) {
            complain("names a package registry's host");
        }
        if line.contains(here) {
            complain("has a path of this machine");
        }
        if lock && line.trim_start().starts_with("\"resolved\": \"http") {
            complain("has a download address (npm's setting omit-lockfile-registry-resolved keeps them out)");
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::complaints;

    #[test]
    fn registries_paths_and_addresses_are_found() {
        let host = format!("see https://{}/x", super::REGISTRIES[0]);
        assert_eq!(complaints("a.md", &host, "/somewhere/snapvm"), ["a.md:1: names a package registry's host"]);
        assert_eq!(complaints("a.md", "\n/somewhere/snapvm/src", "/somewhere/snapvm").len(), 1);
        let lock = "  \"resolved\": \"https://example.com/x.tgz\",";
        assert_eq!(complaints("console/package-lock.json", lock, "/somewhere/snapvm").len(), 1);
        assert!(complaints("a.json", lock, "/somewhere/snapvm").is_empty());
    }
}
