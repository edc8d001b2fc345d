//! Generated files that are checked in: written by one command, and compared by tests.

use anyhow::{Context, Result, bail};

use crate::{paths, progress};

/// Writes a file of the repository, or with `check` fails when it differs, naming the first line that does.
pub(crate) fn write_or_check(file: &str, text: &str, check: bool, command: &str) -> Result<()> {
    let path = paths::root().join(file);
    let old = std::fs::read_to_string(&path).unwrap_or_default();
    if old == text {
        progress::say(&format!("{file} is up to date"));
        return Ok(());
    }
    if check {
        let line = old.lines().zip(text.lines()).take_while(|(old, new)| old == new).count();
        let show = |text: &str| text.lines().nth(line).unwrap_or("(the end)").to_owned();
        bail!(
            "{file} is out of date; run `{command}` and look at what changed. Line {}:\n  is:     {}\n  should: {}",
            line + 1,
            show(&old),
            show(text)
        );
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(&path, text).with_context(|| format!("cannot write {file}"))?;
    progress::say(&format!("{file} is written"));
    Ok(())
}
