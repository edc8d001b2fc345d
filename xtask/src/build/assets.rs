//! The Worker's static assets: the console as built, and the agent's binary under the digest of its bytes.

use std::path::Path;

use anyhow::{Context, Result};

use crate::{digest, paths};

/// Puts the folder together again. Files that are the same are left alone, so that a running stack isn't disturbed.
pub(crate) fn assemble() -> Result<()> {
    let assets = paths::assets();
    std::fs::create_dir_all(&assets)?;
    let console = paths::root().join("console/dist");
    if console.is_dir() {
        remove_unknown(&assets, &console)?;
        copy_folder(&console, &assets)?;
    }
    let agent = paths::agent();
    if agent.is_file() {
        add_agent(&agent, &assets.join("agent"))?;
    }
    Ok(())
}

/// The Worker streams it into sprites; exactly one is there, and its name is its digest.
fn add_agent(binary: &Path, folder: &Path) -> Result<()> {
    let bytes = std::fs::read(binary).with_context(|| format!("cannot read {}", binary.display()))?;
    let name = digest::sha256(&bytes);
    std::fs::create_dir_all(folder)?;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_str() != Some(name.as_str()) {
            std::fs::remove_file(entry.path())?;
        }
    }
    write_if_different(&folder.join(name), &bytes)
}

/// Removes what an older build of the console left; the agent's folder isn't the console's.
fn remove_unknown(assets: &Path, console: &Path) -> Result<()> {
    for entry in std::fs::read_dir(assets)? {
        let entry = entry?;
        let (path, source) = (entry.path(), console.join(entry.file_name()));
        if entry.file_name() == "agent" {
            continue;
        }
        if path.is_dir() {
            if source.is_dir() {
                remove_unknown(&path, &source)?;
            } else {
                std::fs::remove_dir_all(&path)?;
            }
        } else if !source.is_file() {
            std::fs::remove_file(&path)?;
        }
    }
    Ok(())
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            write_if_different(&target, &std::fs::read(entry.path())?)?;
        }
    }
    Ok(())
}

fn write_if_different(path: &Path, bytes: &[u8]) -> Result<()> {
    if std::fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    std::fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}
