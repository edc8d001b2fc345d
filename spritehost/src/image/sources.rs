//! The host's own Debian package sources, as one-line entries for mmdebstrap.
//!
//! Only the distribution itself is taken: suites of the host's release with the component `main`. Sources of third
//! parties that the host also uses have no business in a guest.

use std::fs;

/// The host's release, such as `bookworm`.
pub(super) fn codename() -> String {
    let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
        .map(|name| name.trim_matches('"').to_owned())
        .unwrap_or_default()
}

/// The host's sources of that release; `None` when there are none.
pub(super) fn of_host(codename: &str) -> Option<String> {
    let mut files = vec![std::path::PathBuf::from("/etc/apt/sources.list")];
    files.extend(fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten().map(|entry| entry.path()));
    files.sort();
    let mut lines = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap_or_default();
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("list") => lines.extend(one_line_entries(&text, codename)),
            Some("sources") => lines.extend(stanzas(&text, codename)),
            _ => {}
        }
    }
    (!lines.is_empty()).then(|| lines.join("\n") + "\n")
}

/// Whether a suite is the distribution's own of this release.
fn is_own(suite: &str, codename: &str) -> bool {
    !codename.is_empty()
        && suite
            .trim_end_matches('/')
            .strip_prefix(codename)
            .is_some_and(|rest| matches!(rest, "" | "-updates" | "-security"))
}

/// Entries of the old format.
fn one_line_entries(text: &str, codename: &str) -> Vec<String> {
    let keep = |line: &&str| {
        let line = line.trim();
        let after_options = line.split_once(']').map_or(line, |(_, rest)| rest);
        let mut words = after_options.split_whitespace().skip_while(|word| *word == "deb").skip(1);
        line.starts_with("deb ")
            && words.next().is_some_and(|suite| is_own(suite, codename))
            && words.any(|component| component == "main")
    };
    text.lines().filter(keep).map(|line| line.trim().to_owned()).collect()
}

/// Stanzas of the deb822 format.
fn stanzas(text: &str, codename: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for stanza in text.split("\n\n") {
        let field = |name: &str| {
            stanza.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
                let (key, value) = line.split_once(':')?;
                key.eq_ignore_ascii_case(name).then(|| value.trim())
            })
        };
        let is_binary = field("Types").unwrap_or("").split_whitespace().any(|kind| kind == "deb");
        let is_main = field("Components").unwrap_or("").split_whitespace().any(|component| component == "main");
        if !is_binary || !is_main || field("Enabled").is_some_and(|value| value.eq_ignore_ascii_case("no")) {
            continue;
        }
        let signed = field("Signed-By").filter(|path| path.starts_with('/'));
        let options = signed.map(|path| format!("[signed-by={path}] ")).unwrap_or_default();
        for address in field("URIs").unwrap_or("").split_whitespace() {
            for suite in field("Suites").unwrap_or("").split_whitespace().filter(|suite| is_own(suite, codename)) {
                lines.push(format!("deb {options}{address} {suite} main"));
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_distribution_itself_is_taken() {
        let text = "Types: deb\n# a comment\nURIs: http://mirror.test/debian\nSuites: bookworm bookworm-updates\n\
            Components: main\nSigned-By: /k.gpg\n\nTypes: deb\nURIs: http://other.test\nSuites: nodistro\nComponents: main\n";
        let expected = [
            "deb [signed-by=/k.gpg] http://mirror.test/debian bookworm main",
            "deb [signed-by=/k.gpg] http://mirror.test/debian bookworm-updates main",
        ];
        assert_eq!(stanzas(text, "bookworm"), expected);
        let list = "deb http://mirror.test/debian bookworm main contrib\ndeb [arch=amd64] http://x.test tool-bookworm main\n\
            deb-src http://mirror.test/debian bookworm main\n# deb http://mirror.test bookworm main\n";
        assert_eq!(one_line_entries(list, "bookworm"), ["deb http://mirror.test/debian bookworm main contrib"]);
        assert!(stanzas(text, "").is_empty());
    }
}
