//! What the disk knows of services that run once: begun, or ended and how, in one small file for each.
//!
//! ```text
//! (nothing) ─write Begun─▶ spawn … exit ─write Ended─▶        a checkpoint has what was known when it was made
//! ```
//!
//! Invariant: nothing is spawned whose beginning is not on the disk, so that whatever ends a machine, a script that is
//! to run once is never begun twice by itself. The files are the machine's: removing one makes its service new.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;

use super::lifecycle::Past;

/// Longest file that is read.
const SIZE_MAX: u64 = 4096;

/// What is known of a service; nothing when it was never begun. A file that cannot be read says that it was.
#[must_use]
pub fn read(service: &str) -> Option<Past> {
    let mut text = String::new();
    match File::open(path(service)) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return None,
        Err(_) => return Some(Past::Begun),
        Ok(file) => file.take(SIZE_MAX).read_to_string(&mut text).ok(),
    };
    Some(serde_json::from_str(&text).unwrap_or(Past::Begun))
}

/// Writes what is to be known from now on, and returns once it is on the disk.
///
/// # Errors
/// What the system says; then it is known as before.
pub fn write(service: &str, past: &Past) -> io::Result<()> {
    let folder = crate::guest::once_folder();
    std::fs::create_dir_all(&folder)?;
    let path = path(service);
    let next = path.with_added_extension("next");
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).open(&next)?;
    file.write_all(&serde_json::to_vec(past)?)?;
    file.sync_all()?;
    std::fs::rename(&next, &path)?;
    File::open(&folder)?.sync_all()
}

/// Its service is gone for good: another one of its name is new.
pub fn forget(service: &str) {
    let _ = std::fs::remove_file(path(service));
}

/// Removes what is known of services that are not among these: their definitions went while nobody was there to hear
/// it.
pub fn sweep(services: &[String]) {
    let Ok(folder) = std::fs::read_dir(crate::guest::once_folder()) else { return };
    for entry in folder.flatten() {
        let name = entry.file_name();
        if !services.iter().any(|service| name.to_str().is_some_and(|name| file_name(service) == name)) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn path(service: &str) -> PathBuf {
    crate::guest::once_folder().join(file_name(service))
}

fn file_name(service: &str) -> String {
    format!("{}.json", service.replace('/', "_"))
}
