//! Changes of the file system, for the file API: as root, links not followed where that matters.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::path::Path;

use rustix::io::Errno;

use super::Control;
use super::files::HOME;
use super::programs::USER;
use crate::wire::{Change, FromGuest};

/// Makes a change and reports.
pub(super) fn make(control: &Control, id: u64, change: &Change) {
    let (about, made) = match change {
        Change::Delete { path, recursive } => (path, delete(Path::new(path), *recursive)),
        Change::Rename { source, dest } => (source, fs::rename(source, dest).map(|()| 1)),
        Change::Copy { source, dest, recursive, preserve } => {
            (source, copy(Path::new(source), Path::new(dest), *recursive, *preserve))
        }
        Change::Chmod { path, mode, recursive } => {
            let set = |path: &Path, metadata: &fs::Metadata| {
                // A link has no permissions of its own, and what it leads to was not meant.
                let is_link = metadata.is_symlink();
                if is_link { Ok(()) } else { fs::set_permissions(path, Permissions::from_mode(*mode)) }
            };
            // The named path itself may be a link.
            let real = fs::canonicalize(path);
            (path, real.and_then(|real| each(&real, *recursive, &set)))
        }
        Change::Chown { path, uid, gid, recursive } => {
            (path, chown(Path::new(path), uid.as_deref(), gid.as_deref(), *recursive))
        }
    };
    match made {
        Ok(count) => control.tell(&FromGuest::Changed { id, count }),
        Err(error) => control.refuse(id, &error, about),
    }
}

fn delete(path: &Path, recursive: bool) -> io::Result<u64> {
    if path.parent().is_none() {
        return Err(Errno::INVAL.into());
    }
    match (fs::symlink_metadata(path)?.is_dir(), recursive) {
        (true, true) => fs::remove_dir_all(path)?,
        (true, false) => fs::remove_dir(path)?,
        (false, _) => fs::remove_file(path)?,
    }
    Ok(1)
}

/// Copies; what ends up under the user's home belongs to the user, unless owners are kept.
fn copy(source: &Path, dest: &Path, recursive: bool, preserve: bool) -> io::Result<u64> {
    let metadata = fs::symlink_metadata(source)?;
    let mut count = 1;
    if metadata.is_dir() {
        // Into itself it would never end.
        if !recursive || dest.starts_with(source) {
            return Err(if recursive { Errno::INVAL } else { Errno::ISDIR }.into());
        }
        match fs::create_dir(dest) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        for entry in fs::read_dir(source)? {
            let entry = entry?;
            count += copy(&entry.path(), &dest.join(entry.file_name()), recursive, preserve)?;
        }
        fs::set_permissions(dest, metadata.permissions())?;
    } else if metadata.is_symlink() {
        symlink(fs::read_link(source)?, dest)?;
    } else if metadata.is_file() {
        fs::copy(source, dest)?;
    } else {
        return Err(Errno::INVAL.into());
    }
    let usual = if dest.starts_with(HOME) { USER } else { 0 };
    let (uid, gid) = if preserve { (metadata.uid(), metadata.gid()) } else { (usual, usual) };
    lchown(dest, Some(uid), Some(gid))?;
    if !metadata.is_symlink() {
        // Changing the owner clears set-uid bits.
        fs::set_permissions(dest, metadata.permissions())?;
    }
    Ok(count)
}

fn chown(path: &Path, uid: Option<&str>, gid: Option<&str>, recursive: bool) -> io::Result<u64> {
    let user = uid.map(|name| number(name, "/etc/passwd")).transpose()?;
    let group = gid.map(|name| number(name, "/etc/group")).transpose()?;
    each(path, recursive, &|path, metadata| {
        lchown(path, user, group)?;
        let is_link = metadata.is_symlink();
        if is_link { Ok(()) } else { fs::set_permissions(path, metadata.permissions()) }
    })
}

/// Does something to a path and, where it is a folder, to everything in it.
fn each(path: &Path, recursive: bool, work: &dyn Fn(&Path, &fs::Metadata) -> io::Result<()>) -> io::Result<u64> {
    let metadata = fs::symlink_metadata(path)?;
    let mut count = 1;
    if recursive && metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            count += each(&entry?.path(), recursive, work)?;
        }
    }
    work(path, &metadata)?;
    Ok(count)
}

/// The number of a user or a group, by its number or its name.
fn number(name: &str, table: &str) -> io::Result<u32> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    let text = fs::read_to_string(table)?;
    let found = text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok()).flatten()
    });
    found.ok_or_else(|| Errno::INVAL.into())
}
