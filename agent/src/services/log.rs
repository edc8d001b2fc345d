//! A service's log: what it writes to standard output and error, in lines with times, in files of the guest.
//!
//! ```text
//! pipes ─▶ Lines (times, long lines, too fast) ─▶ {name}.log ─full─▶ {name}.log.{number} ─too many─▶ gone
//!                                                   └────────── reader ──▶ pages, batches
//! ```
//!
//! Invariants:
//! * A service never waits for its log: what comes is read at once. What cannot be kept is left out, and counted.
//! * Memory does not grow with what is written, nor with who reads.
//! * A line goes to one file, and lines of two pipes are never mixed.

pub mod files;
pub mod line;
pub mod reader;

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::{Rc, Weak};
use std::time::Duration;

use tokio::net::unix::pipe::Receiver;
use tokio::sync::watch;

use crate::agent::Agent;
use crate::clock::Reading;
use files::{Files, Opened, ROTATE_AT};
use line::Lines;

/// Bytes read at once.
const READ: usize = 64 * 1024;

thread_local! {
    /// For all logs, since nothing is awaited between reading and writing.
    static ROOM: RefCell<Vec<u8>> = RefCell::new(vec![0; READ]);
}

/// A log that any number of pipes write to.
pub struct Log {
    files: Files,
    agent: Weak<Agent>,
    open: RefCell<Option<(File, u64)>>,
    lines: RefCell<Lines>,
    /// Whose line has not ended.
    writer: Cell<Option<i32>>,
    /// Whether somebody waits to say what was left out.
    saying: Cell<bool>,
    pipes: RefCell<Vec<Rc<Receiver>>>,
    changed: watch::Sender<()>,
}

impl Log {
    /// The log of a service. The name may be no path.
    #[must_use]
    pub fn new(agent: &Rc<Agent>, service: &str) -> Rc<Self> {
        Rc::new(Self {
            files: Files::new(service),
            agent: Rc::downgrade(agent),
            open: RefCell::default(),
            lines: RefCell::default(),
            writer: Cell::default(),
            saying: Cell::default(),
            pipes: RefCell::default(),
            changed: watch::Sender::new(()),
        })
    }

    /// A pipe whose other end goes to the log until every process that holds it is gone.
    ///
    /// # Errors
    /// When no pipe can be made.
    pub fn pipe(self: &Rc<Self>) -> io::Result<io::PipeWriter> {
        let (reader, writer) = io::pipe()?;
        // A start begins with the file as it is named now, in case somebody moved it.
        *self.open.borrow_mut() = None;
        self.take(reader.into())?;
        Ok(writer)
    }

    /// Takes what comes through a pipe.
    ///
    /// # Errors
    /// When it is none.
    pub fn take(self: &Rc<Self>, reader: OwnedFd) -> io::Result<()> {
        let flags = rustix::fs::fcntl_getfl(&reader)?;
        rustix::fs::fcntl_setfl(&reader, flags | rustix::fs::OFlags::NONBLOCK)?;
        let pipe = Rc::new(Receiver::from_owned_fd(reader)?);
        self.pipes.borrow_mut().push(Rc::clone(&pipe));
        let log = Rc::clone(self);
        tokio::task::spawn_local(async move {
            while pipe.readable().await.is_ok() {
                // Between reading and writing nothing is awaited: a hand-over finds no byte under way.
                let read = ROOM.with_borrow_mut(|room| {
                    let read = pipe.try_read(room);
                    if let Ok(length) = read {
                        log.append(pipe.as_raw_fd(), room.get(..length).unwrap_or_default());
                    }
                    read
                });
                match read {
                    Ok(0) => break,
                    // Others have their turn, too.
                    Ok(_) => tokio::task::yield_now().await,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => break,
                }
            }
            log.pipes.borrow_mut().retain(|other| !Rc::ptr_eq(other, &pipe));
        });
        Ok(())
    }

    /// The descriptors of its pipes, for a hand-over.
    #[must_use]
    pub fn descriptors(&self) -> Vec<i32> {
        self.pipes.borrow().iter().map(Rc::as_ref).map(AsRawFd::as_raw_fd).collect()
    }

    /// Its files as they are now.
    #[must_use]
    pub fn read(&self) -> Vec<Opened> {
        self.files.open()
    }

    /// Says when there is something new.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Removes its files: the service is gone for good.
    pub fn remove(&self) {
        *self.open.borrow_mut() = None;
        self.files.remove();
    }

    fn append(self: &Rc<Self>, pipe: i32, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 4);
        let mut lines = self.lines.borrow_mut();
        if self.writer.replace(Some(pipe)) != Some(pipe) {
            lines.end(&mut out);
        }
        lines.take(bytes, Reading::take().boot, &self.stamp(), &mut out);
        let has_dropped = lines.has_dropped();
        drop(lines);
        self.write(&out);
        if has_dropped && !self.saying.replace(true) {
            let log = Rc::clone(self);
            tokio::task::spawn_local(async move {
                tokio::time::sleep(Duration::from_millis(line::WINDOW)).await;
                log.saying.set(false);
                let mut out = Vec::new();
                log.lines.borrow_mut().say_dropped(&log.stamp(), &mut out);
                log.write(&out);
            });
        }
    }

    /// A log that cannot be written must not stop its service: what does not fit on the disk is lost.
    fn write(&self, out: &[u8]) {
        let mut open = self.open.borrow_mut();
        if open.is_none() {
            *open = self.files.append().ok().map(begin);
        }
        let Some((file, size)) = open.as_mut() else { return };
        *size += out.len() as u64;
        // What was read ends anywhere; a file ends with a line.
        let end = memchr::memrchr(b'\n', out).map(|end| end + 1).filter(|_| *size >= ROTATE_AT);
        let (fits, rest) = out.split_at(end.unwrap_or(out.len()));
        let _ = file.write_all(fits);
        if end.is_some() {
            *open = None;
            self.files.rotate();
        }
        if !rest.is_empty()
            && let Some((mut file, size)) = self.files.append().ok()
        {
            let _ = file.write_all(rest);
            *open = Some((file, size + rest.len() as u64));
        }
        self.changed.send_replace(());
    }

    /// The time as far as the platform told it: the guest's own clock may have stood still.
    fn stamp(&self) -> String {
        let reading = Reading::take();
        let known = self.agent.upgrade().map_or(0, |agent| agent.admission.borrow().clock.now(reading));
        line::stamp(if known > 0 { known } else { reading.wall })
    }
}

/// A file whose last line was cut off, by an agent or a machine that ended, begins with a new one.
fn begin((mut file, mut size): (File, u64)) -> (File, u64) {
    use std::os::unix::fs::FileExt as _;
    let mut last = [b'\n'];
    // It is open for writing only, so another descriptor reads.
    let read = size.checked_sub(1).and_then(|at| {
        let path = std::path::Path::new("/proc/self/fd").join(file.as_raw_fd().to_string());
        File::open(path).ok()?.read_exact_at(&mut last, at).ok()
    });
    if read.is_some() && last != [b'\n'] && file.write_all(b"\n").is_ok() {
        size += 1;
    }
    (file, size)
}
