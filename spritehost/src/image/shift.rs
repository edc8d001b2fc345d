//! Shifts every owner in a tree into the guests' id range.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::path::Path;

use super::ImageError;
use crate::container::{ID_COUNT, ID_SHIFT};

/// Shifts the tree once and returns how many files it has. Ids that are shifted already stay, so that a run over a
/// half-shifted tree finishes it.
pub(super) fn tree(root: &Path) -> Result<u64, ImageError> {
    let mut count = 0;
    let mut folders = vec![root.to_owned()];
    one(root)?;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(ImageError::at(&folder))? {
            let entry = entry.map_err(ImageError::at(&folder))?;
            let path = entry.path();
            one(&path)?;
            count += 1;
            if entry.file_type().map_err(ImageError::at(&path))?.is_dir() {
                folders.push(path);
            }
        }
    }
    Ok(count)
}

fn one(path: &Path) -> Result<(), ImageError> {
    let metadata = fs::symlink_metadata(path).map_err(ImageError::at(path))?;
    let shift = |id: u32| if id < ID_COUNT { id + ID_SHIFT } else { id };
    lchown(path, Some(shift(metadata.uid())), Some(shift(metadata.gid()))).map_err(ImageError::at(path))?;
    if !metadata.is_symlink() {
        // chown clears set-uid and set-gid bits: sudo and su would be lost.
        let mode = fs::Permissions::from_mode(metadata.mode() & 0o7777);
        fs::set_permissions(path, mode).map_err(ImageError::at(path))?;
    }
    Ok(())
}
