//! Stamps: what the inputs of a finished step were.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

fn file(name: &str) -> PathBuf {
    crate::paths::state().join("stamps").join(name)
}

/// Whether the step ran last with these inputs.
pub(crate) fn is_current(name: &str, inputs: &str) -> bool {
    std::fs::read_to_string(file(name)).is_ok_and(|stamp| stamp == inputs)
}

/// Notes that the step ran with these inputs.
pub(crate) fn write(name: &str, inputs: &str) -> Result<()> {
    let file = file(name);
    if let Some(parent) = file.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(&file, inputs).with_context(|| format!("cannot write {}", file.display()))
}

/// A digest of every file's name and content below a folder, but for what lies in folders of these names.
pub(crate) fn of_folder(folder: &Path, without: &[&str]) -> Result<String> {
    let mut files = Vec::new();
    collect(folder, without, &mut files)?;
    files.sort();
    let mut all = Vec::new();
    for path in files {
        let content = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        all.extend(format!("{} {}\n", path.display(), crate::digest::sha256(&content)).bytes());
    }
    Ok(crate::digest::sha256(&all))
}

fn collect(folder: &Path, without: &[&str], files: &mut Vec<PathBuf>) -> Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let entry = entry?;
        let path = entry.path();
        if path.is_dir() {
            if !without.iter().any(|name| *name == entry.file_name()) {
                collect(&path, without, files)?;
            }
        } else {
            files.push(path);
        }
    }
    Ok(())
}
