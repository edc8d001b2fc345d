//! A connection whose bytes reach the HTTP library only where [`super::framing`] is sure of them.
//!
//! In place of a head that is refused, the library is given a request for a path of our own, and after it the end of
//! the connection: so the refusal is answered in its turn behind earlier requests, and marked like any answer.
//!
//! The stream is shared with a [`Peer`], by which a request under way can tell that whoever asked is gone: the library
//! itself does not look before it writes.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};
use rustix::net::Shutdown;
use tokio::net::TcpStream;

use super::framing::{Framing, Refusal, Step};

/// Asked for in place of a malformed head.
pub const MALFORMED_PATH: &str = "/.snapvm/agent/malformed";
/// Asked for in place of a head that is too large.
pub const TOO_LARGE_PATH: &str = "/.snapvm/agent/too-large";

/// Bytes read at a time.
const READ: usize = 16 * 1024;

/// The connection.
pub struct Guarded {
    stream: Arc<TcpStream>,
    framing: Framing,
    /// Checked bytes that the library has not taken yet.
    ready: Vec<u8>,
    taken: usize,
    over: bool,
}

impl Guarded {
    /// Guards a connection.
    #[must_use]
    pub fn new(stream: TcpStream) -> Self {
        Self { stream: Arc::new(stream), framing: Framing::default(), ready: Vec::new(), taken: 0, over: false }
    }

    /// Whoever is at the other end.
    #[must_use]
    pub fn peer(&self) -> Peer {
        Peer(Arc::clone(&self.stream))
    }

    fn poll_try_write(
        &self,
        cx: &mut Context<'_>,
        write: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.poll_write_ready(cx))?;
            match write(&self.stream) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    fn check(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.over {
            let taken = match self.framing.step(bytes) {
                Step::Pass(taken) => {
                    self.ready.extend_from_slice(bytes.get(..taken).unwrap_or_default());
                    taken
                }
                Step::Hold(taken) => taken,
                Step::Head(taken, head) => {
                    self.ready.extend_from_slice(&head);
                    taken
                }
                Step::Refuse(refusal) => {
                    self.over = true;
                    if self.framing.is_between_requests() {
                        let path = match refusal {
                            Refusal::Malformed => MALFORMED_PATH,
                            Refusal::TooLarge => TOO_LARGE_PATH,
                        };
                        let head = format!("GET {path} HTTP/1.1\r\nhost: agent\r\nconnection: close\r\n\r\n");
                        self.ready.extend_from_slice(head.as_bytes());
                    }
                    0
                }
            };
            bytes = bytes.get(taken..).unwrap_or_default();
        }
    }
}

impl Read for Guarded {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, mut cursor: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            let waiting = this.ready.get(this.taken..).unwrap_or_default();
            if !waiting.is_empty() {
                let length = waiting.len().min(cursor.remaining());
                cursor.put_slice(waiting.get(..length).unwrap_or_default());
                this.taken += length;
                if this.taken == this.ready.len() {
                    this.ready.clear();
                    this.taken = 0;
                }
                return Poll::Ready(Ok(()));
            }
            if this.over {
                return Poll::Ready(Ok(()));
            }
            let mut bytes = [0; READ];
            ready!(this.stream.poll_read_ready(cx))?;
            let length = match this.stream.try_read(&mut bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                read => read?,
            };
            if length == 0 {
                this.over = true;
            }
            this.check(bytes.get(..length).unwrap_or_default());
        }
    }
}

impl Write for Guarded {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_try_write(cx, |stream| stream.try_write(bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What a socket took is on its way.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match rustix::net::shutdown(&*self.stream, Shutdown::Write) {
            // The other end was quicker.
            Ok(()) | Err(rustix::io::Errno::NOTCONN) => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(error.into())),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_try_write(cx, |stream| stream.try_write_vectored(buffers))
    }
}

/// The other end of a connection.
#[derive(Debug, Clone)]
pub struct Peer(Arc<TcpStream>);

impl Peer {
    /// Waits until the other end has closed, or will say nothing more, which callers of ours do only to leave. To be
    /// asked while a request is answered whose body has been read. Somebody who sends more meanwhile is there.
    pub async fn gone(&self) {
        if let Ok(1..) = self.0.peek(&mut [0]).await {
            std::future::pending::<()>().await;
        }
    }
}
