//! Where a stack keeps its state: a folder that the caller chose, or a temporary one that goes with the stack.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

const PREFIX: &str = "snapvm-stack-";

/// A stack's folder.
#[derive(Debug)]
pub(crate) struct StackFolder {
    path: PathBuf,
    /// A file that is locked while its owner lives.
    lock: (PathBuf, File),
    temporary: bool,
}

impl StackFolder {
    /// A folder that stays.
    pub(crate) fn kept(path: PathBuf) -> Result<Self> {
        std::fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        let lock_path = path.join("lock");
        let lock = File::create(&lock_path).with_context(|| format!("cannot write {}", lock_path.display()))?;
        if lock.try_lock().is_err() {
            bail!("another run uses {}: stop that one first", path.display());
        }
        Ok(Self { path, lock: (lock_path, lock), temporary: false })
    }

    /// A folder that goes when this value is dropped. Folders whose owners were killed before they could remove them
    /// go first.
    pub(crate) fn temporary() -> Result<Self> {
        let parent = std::env::temp_dir();
        remove_abandoned(&parent);
        let name = format!("{PREFIX}{}", crate::random::hex(6)?);
        let lock_path = parent.join(format!("{name}.lock"));
        let lock = File::create(&lock_path).with_context(|| format!("cannot write {}", lock_path.display()))?;
        lock.lock()?;
        let path = parent.join(name);
        std::fs::create_dir(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self { path, lock: (lock_path, lock), temporary: true })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn is_kept(&self) -> bool {
        !self.temporary
    }
}

impl Drop for StackFolder {
    fn drop(&mut self) {
        // What can't be removed now is abandoned, and goes when the next stack is made.
        if self.temporary && std::fs::remove_dir_all(&self.path).is_ok() {
            let _ = std::fs::remove_file(&self.lock.0);
        }
    }
}

/// Removes temporary folders whose lock nobody holds. Best effort: another process may be doing the same.
fn remove_abandoned(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    for lock_path in entries.flatten().map(|entry| entry.path()) {
        let name = lock_path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !name.starts_with(PREFIX) || lock_path.extension().is_none_or(|extension| extension != "lock") {
            continue;
        }
        let abandoned = File::open(&lock_path).is_ok_and(|lock| lock.try_lock().is_ok());
        if abandoned {
            let _ = std::fs::remove_dir_all(lock_path.with_extension(""));
            let _ = std::fs::remove_file(&lock_path);
        }
    }
}
