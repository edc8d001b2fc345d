//! A connection whose bytes reach the HTTP library only where [`super::framing`] is sure of them.
//!
//! In place of a head that is refused, the library is given a request for a path of our own, and after it the end of
//! the connection: so the refusal is answered in its turn behind earlier requests, and marked like any answer.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
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
    stream: TcpStream,
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
        Self { stream, framing: Framing::default(), ready: Vec::new(), taken: 0, over: false }
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
            let mut bytes = [std::mem::MaybeUninit::uninit(); READ];
            let mut buffer = ReadBuf::uninit(&mut bytes);
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut buffer))?;
            if buffer.filled().is_empty() {
                this.over = true;
            }
            this.check(buffer.filled());
        }
    }
}

impl Write for Guarded {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, buffers)
    }
}
