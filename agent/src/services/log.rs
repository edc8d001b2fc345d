//! A service's log: what it writes to standard output and error, as it is, in one file with one predecessor.
//!
//! Absent on purpose: lines, time stamps, levels. The file belongs to the machine's user, who may remove it: it is
//! made again at the next rotation or start.

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::rc::Rc;

use tokio::net::unix::pipe::Receiver;

/// Size at which a log becomes the predecessor.
const ROTATE_AT: u64 = 10 * 1024 * 1024;

/// A log that any number of pipes write to.
pub struct Log {
    path: PathBuf,
    open: RefCell<Option<(File, u64)>>,
    pipes: RefCell<Vec<Rc<Receiver>>>,
}

impl Log {
    /// The log of a service. The name may be no path.
    #[must_use]
    pub fn new(name: &str) -> Rc<Self> {
        let file = format!("{}.log", name.replace('/', "_"));
        Rc::new(Self {
            path: crate::guest::log_folder().join(file),
            open: RefCell::default(),
            pipes: RefCell::default(),
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
            let mut buffer = vec![0; 16 * 1024];
            while pipe.readable().await.is_ok() {
                // Between reading and appending nothing is awaited: a hand-over finds no byte under way.
                match pipe.try_read(&mut buffer) {
                    Ok(0) => break,
                    Ok(length) => log.append(buffer.get(..length).unwrap_or_default()),
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

    /// A log that cannot be written must not stop its service: what does not fit on the disk is lost.
    fn append(&self, bytes: &[u8]) {
        let mut open = self.open.borrow_mut();
        if open.is_none() {
            *open = self.create().ok();
        }
        let Some((file, size)) = open.as_mut() else { return };
        let _ = file.write_all(bytes);
        *size = size.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if *size >= ROTATE_AT {
            *open = None;
            let _ = std::fs::rename(&self.path, self.path.with_extension("log.1"));
        }
    }

    fn create(&self) -> io::Result<(File, u64)> {
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let file = OpenOptions::new().create(true).append(true).open(&self.path)?;
        let size = file.metadata()?.len();
        Ok((file, size))
    }
}
