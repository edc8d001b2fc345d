//! What happens to files, for the file API: inotify as JSON lines.
//!
//! Absent on purpose: telling the two halves of a move apart, and what happens in the moment between a folder's creation
//! and its first watch.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use serde_json::{Value, json};

use super::Control;
use crate::wire::FromGuest;

/// Most folders that one caller watches.
const FOLDERS_MAX: usize = 8192;
/// Room for the kernel's events.
const ROOM: usize = 16 * 1024;

/// Watches until the pipe's other end is closed.
pub(super) fn watch(control: &Control, id: u64, paths: &[String], recursive: bool, pipe: OwnedFd) {
    let started = (|| {
        let mut watched = Watched {
            inotify: inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?,
            paths: HashMap::new(),
            recursive,
        };
        for path in paths {
            watched.add(&fs::canonicalize(path)?)?;
        }
        io::Result::Ok(watched)
    })();
    match started {
        Ok(watched) => {
            control.tell(&FromGuest::Opened { id, size: 0, offset: 0 });
            let _ = watched.tell(&mut File::from(pipe));
        }
        Err(error) => control.refuse(id, &error, paths.first().map_or("", String::as_str)),
    }
}

struct Watched {
    inotify: OwnedFd,
    /// By the kernel's number of the watch.
    paths: HashMap<i32, PathBuf>,
    recursive: bool,
}

impl Watched {
    fn add(&mut self, path: &Path) -> io::Result<()> {
        if self.paths.len() >= FOLDERS_MAX {
            return Err(Errno::INVAL.into());
        }
        let wanted = WatchFlags::CREATE
            | WatchFlags::MODIFY
            | WatchFlags::DELETE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE
            | WatchFlags::MOVE_SELF
            | WatchFlags::ATTRIB;
        let number = inotify::add_watch(&self.inotify, path, wanted)?;
        self.paths.insert(number, path.to_owned());
        if self.recursive && fs::symlink_metadata(path)?.is_dir() {
            for entry in fs::read_dir(path)?.flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    self.add(&entry.path())?;
                }
            }
        }
        Ok(())
    }

    fn tell(mut self, pipe: &mut File) -> io::Result<()> {
        let mut room = [const { MaybeUninit::uninit() }; ROOM];
        loop {
            let inotify = self.inotify.try_clone()?;
            // Nothing is asked of the pipe: it only tells when nobody reads it any more.
            let mut polled = [PollFd::new(&inotify, PollFlags::IN), PollFd::new(pipe, PollFlags::empty())];
            match poll(&mut polled, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            if polled.get(1).is_some_and(|pipe| !pipe.revents().is_empty()) {
                return Ok(());
            }
            let mut reader = inotify::Reader::new(inotify.as_fd(), &mut room);
            let (mut lines, mut new) = (String::new(), Vec::new());
            loop {
                let event = match reader.next() {
                    Ok(event) => event,
                    Err(Errno::AGAIN | Errno::INTR) => break,
                    Err(error) => return Err(error.into()),
                };
                let Some(folder) = self.paths.get(&event.wd()) else { continue };
                let name = event.file_name().map(|name| name.to_string_lossy().into_owned());
                let path = name.map_or_else(|| folder.clone(), |name| folder.join(name));
                let flags = event.events();
                if self.recursive
                    && flags.contains(ReadFlags::ISDIR)
                    && flags.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO)
                {
                    new.push(path.clone());
                }
                if let Some(event) = describe(&path, flags) {
                    lines.push_str(&event.to_string());
                    lines.push('\n');
                }
                if flags.contains(ReadFlags::IGNORED) {
                    self.paths.remove(&event.wd());
                }
                if reader.is_buffer_empty() {
                    break;
                }
            }
            for path in new {
                // It may be gone again.
                let _ = self.add(&path);
            }
            pipe.write_all(lines.as_bytes())?;
        }
    }
}

fn describe(path: &Path, flags: ReadFlags) -> Option<Value> {
    let kinds = [
        (ReadFlags::CREATE, "create"),
        (ReadFlags::MODIFY, "write"),
        (ReadFlags::DELETE | ReadFlags::DELETE_SELF, "remove"),
        (ReadFlags::MOVED_FROM | ReadFlags::MOVED_TO | ReadFlags::MOVE_SELF, "rename"),
        (ReadFlags::ATTRIB, "chmod"),
    ];
    let (_, kind) = kinds.into_iter().find(|(wanted, _)| flags.intersects(*wanted))?;
    let size = fs::symlink_metadata(path).map_or(0, |metadata| metadata.len());
    Some(json!({
        "type": "event", "path": path.to_string_lossy(), "event": kind, "timestamp": crate::clock::now(), "size": size,
        "isDir": flags.contains(ReadFlags::ISDIR),
    }))
}
