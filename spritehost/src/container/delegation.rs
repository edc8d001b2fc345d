//! A control group that the guest may divide, so that whoever supervises programs in it finds all of them again.
//!
//! It is the container's own one in the unified hierarchy. The guest's user may make groups below it and move the
//! guest's processes between them, and nothing else: limits, controllers and the freezer stay the host's, and so does
//! how many groups there may be. A host without that hierarchy gives none, and guests do without.

use std::fs;
use std::io;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use super::ID_SHIFT;
use crate::guest::USER;

/// Most groups that a guest may make.
const GROUPS_MAX: &str = "1000";
/// How deep they may be in each other.
const DEPTH_MAX: &str = "8";

/// Makes the group before runc does, and gives the guest's user its part of it; the folder that is to be shown to the
/// guest, or nothing.
pub(super) fn delegate(cgroup: &str) -> Option<PathBuf> {
    let folder = super::cgroup::unified()?.join(cgroup);
    match make(&folder) {
        Ok(()) => Some(folder),
        Err(error) => {
            tracing::warn!("guests cannot divide their control group: {error}");
            None
        }
    }
}

fn make(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("cgroup.max.descendants"), GROUPS_MAX)?;
    fs::write(folder.join("cgroup.max.depth"), DEPTH_MAX)?;
    for part in [folder, &folder.join("cgroup.procs")] {
        chown(part, Some(ID_SHIFT + USER), Some(ID_SHIFT + USER))?;
    }
    Ok(())
}

/// Removes a group with those that a guest has made below it; one that is not empty stays.
pub(super) fn remove(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    let _ = fs::remove_dir(folder);
}
