//! Files of a sprite, for the file API: as root, and always inside the guest, where no link leads out.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use serde_json::{Value, json};

use super::Control;
use super::programs::USER;
use crate::wire::FromGuest;
use rustix::io::Errno;

/// What is written here belongs to the user.
pub(super) const HOME: &str = "/home/sprite";
/// Logs of services.
const LOGS: &str = "/.sprite/logs/services";
/// Most bytes of a file that claims to be empty.
const UNSIZED_MAX: u64 = 64 * 1024 * 1024;
/// Most entries of one listing.
const ENTRIES_MAX: usize = 10_000;

/// A file to write.
pub(super) struct Target {
    pub(super) path: String,
    pub(super) mode: u32,
    pub(super) parents: bool,
}

/// Writes what a machine needs to know about itself. Nothing here is worth not booting for.
pub(super) fn set_up(hostname: &str, lines: &[String], resolver: &str) {
    let mut hosts = fs::read_to_string("/etc/hosts").unwrap_or_default();
    let own = format!("127.0.1.1\t{hostname}");
    let missing: Vec<&String> =
        std::iter::once(&own).chain(lines).filter(|line| !hosts.lines().any(|have| have == *line)).collect();
    if !missing.is_empty() {
        for line in missing {
            hosts.push_str(line);
            hosts.push('\n');
        }
        let _ = fs::write("/etc/hosts", hosts);
    }
    if fs::read_to_string("/etc/resolv.conf").unwrap_or_default() != resolver {
        // In many images it is a link to somewhere that does not exist in a sprite.
        let _ = fs::remove_file("/etc/resolv.conf");
        let _ = fs::write("/etc/resolv.conf", resolver);
    }
    if fs::read_to_string("/etc/hostname").unwrap_or_default().trim() != hostname {
        let _ = fs::write("/etc/hostname", format!("{hostname}\n"));
    }
}

/// Opens a service's log for appending.
pub(super) fn open_log(service: &str) -> io::Result<File> {
    fs::create_dir_all(LOGS)?;
    OpenOptions::new().create(true).append(true).open(format!("{LOGS}/{service}.log"))
}

/// Writes a file: beside its final name, then in place when the host says that all of it came.
pub(super) fn write(control: &Control, id: u64, target: &Target, pipe: OwnedFd, decision: &mpsc::Receiver<bool>) {
    let outcome = (|| {
        let path = settle(Path::new(&target.path), target.parents)?;
        let partial = path.with_file_name(format!(".spritehost-{id}.partial"));
        let written = receive(&partial, target.mode, &path, pipe);
        let kept = written.and_then(|size| {
            control.tell(&FromGuest::Received { id, size });
            if decision.recv() == Ok(true) { fs::rename(&partial, &path).map(|()| true) } else { Ok(false) }
        });
        if !matches!(kept, Ok(true)) {
            let _ = fs::remove_file(&partial);
        }
        kept.map(|_| path)
    })();
    match outcome {
        Ok(path) => control.tell(&FromGuest::Written { id, path: path.to_string_lossy().into_owned() }),
        Err(error) => control.refuse(id, &error, &target.path),
    }
}

fn receive(partial: &Path, mode: u32, path: &Path, pipe: OwnedFd) -> io::Result<u64> {
    let _ = fs::remove_file(partial);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(partial)?;
    let size = io::copy(&mut File::from(pipe), &mut file)?;
    let owner = if path.starts_with(HOME) { USER } else { 0 };
    chown(partial, Some(owner), Some(owner))?;
    file.set_permissions(Permissions::from_mode(mode & 0o7777))?;
    Ok(size)
}

/// The path that a write ends at: links of the target resolved, missing folders created.
fn settle(path: &Path, parents: bool) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Ok(real) if real.is_dir() => return Err(Errno::ISDIR.into()),
        Ok(real) => return Ok(real),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Err(_) => {}
    }
    let name = path.file_name().ok_or(Errno::INVAL)?;
    let folder = path.parent().ok_or(Errno::INVAL)?;
    if parents {
        create_folders(folder)?;
    }
    Ok(fs::canonicalize(folder)?.join(name))
}

/// Creates a folder and what is missing above it; what lies under the user's home belongs to the user.
fn create_folders(folder: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = folder.ancestors().take_while(|path| fs::symlink_metadata(path).is_err()).collect();
    for path in missing.into_iter().rev() {
        match fs::create_dir(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        if fs::canonicalize(path)?.starts_with(HOME) {
            chown(path, Some(USER), Some(USER))?;
        }
    }
    Ok(())
}

/// Reads a file into the pipe.
pub(super) fn read(control: &Control, id: u64, path: &str, offset: i64, pipe: OwnedFd) {
    let opened = (|| {
        // Not blocking, so that a FIFO without a writer can't hold the thread.
        let mut file =
            OpenOptions::new().read(true).custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed()).open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(Errno::ISDIR.into());
        }
        if !metadata.is_file() {
            return Err(Errno::INVAL.into());
        }
        let from = match u64::try_from(offset) {
            Ok(offset) => offset,
            Err(_) => metadata.len().saturating_sub(offset.unsigned_abs()),
        };
        file.seek(SeekFrom::Start(from))?;
        Ok((file, metadata.len().saturating_sub(from), from))
    })();
    match opened {
        Ok((file, size, offset)) => {
            control.tell(&FromGuest::Opened { id, size, offset });
            // Files of /proc claim to be empty; logs grow while they are read.
            let most = if size == 0 { UNSIZED_MAX } else { size };
            let _ = io::copy(&mut file.take(most), &mut File::from(pipe));
        }
        Err(error) => control.refuse(id, &error, path),
    }
}

/// Lists a folder into the pipe; of a file, the file itself.
pub(super) fn list(control: &Control, id: u64, path: &str, pipe: OwnedFd) {
    let entries = (|| {
        let metadata = fs::metadata(path)?;
        if !metadata.is_dir() {
            return Ok(vec![describe(Path::new(path), &metadata)]);
        }
        let mut entries = Vec::new();
        for entry in fs::read_dir(path)?.take(ENTRIES_MAX) {
            let entry = entry?;
            entries.push(describe(&entry.path(), &entry.metadata()?));
        }
        io::Result::Ok(entries)
    })();
    match entries {
        Ok(entries) => {
            control.tell(&FromGuest::Opened { id, size: 0, offset: 0 });
            let text = json!({ "path": path, "count": entries.len(), "entries": entries }).to_string();
            let _ = File::from(pipe).write_all(text.as_bytes());
        }
        Err(error) => control.refuse(id, &error, path),
    }
}

/// An entry of a listing.
fn describe(path: &Path, metadata: &fs::Metadata) -> Value {
    let kind = if metadata.is_dir() {
        "directory"
    } else if metadata.is_symlink() {
        "symlink"
    } else {
        "file"
    };
    let modified = chrono::DateTime::from_timestamp(metadata.mtime(), 0).unwrap_or_default();
    json!({
        "name": path.file_name().unwrap_or_default().to_string_lossy(), "path": path.to_string_lossy(), "type": kind,
        "size": metadata.len(), "mode": format!("{:04o}", metadata.mode() & 0o7777),
        "modTime": crate::clock::text(modified), "isDir": metadata.is_dir(),
    })
}
