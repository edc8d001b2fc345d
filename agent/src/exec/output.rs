//! A command's output on its way to its caller: kept for one JSON object, or passed on as events.
//!
//! The answer's head goes out as soon as the program runs, so whoever is between may not take its silence for death:
//! while nothing else is said, every so often comes a line break before the object, or a comment between events.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Bytes, Frame};
use snapvm_protocol::exec::{Chunk, Chunker, ExecExit, ExecResult, event, written};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Allowance;
use crate::http::BodyError;

/// Pieces on their way to the caller; beyond it the program waits.
const PIECES: usize = 8;
/// Bytes read at a time.
const READ: usize = 16 * 1024;
/// How long the caller may take for the next piece of what an ended program left.
const STALLED: Duration = Duration::from_mins(1);

/// How the answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// One JSON object at the end.
    Object,
    /// Server-sent events as output comes.
    Events,
}

/// Which of the two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Out,
    Err,
}

/// The writing side of an answer.
pub(super) struct Output {
    form: Form,
    limit: usize,
    pieces: mpsc::Sender<Bytes>,
    out: RefCell<Kept>,
    err: RefCell<Kept>,
    over: CancellationToken,
    /// The program is over, and the caller did not take the rest in time.
    abandoned: Cell<bool>,
}

#[derive(Default)]
struct Kept {
    bytes: Vec<u8>,
    chunker: Chunker,
    length: usize,
    truncated: bool,
}

/// The reading side: the answer's body.
pub(super) struct Answer {
    pieces: mpsc::Receiver<Bytes>,
    gone: CancellationToken,
    _gone: DropGuard,
    _allowance: Allowance,
}

impl Output {
    pub(super) fn new(form: Form, limit: usize, over: CancellationToken, allowance: Allowance) -> (Self, Answer) {
        let (pieces, receiver) = mpsc::channel(PIECES);
        let gone = CancellationToken::new();
        let answer = Answer { pieces: receiver, gone: gone.clone(), _gone: gone.drop_guard(), _allowance: allowance };
        let output = Self {
            form,
            limit,
            pieces,
            out: RefCell::default(),
            err: RefCell::default(),
            over,
            abandoned: Cell::new(false),
        };
        output.sign_of_life();
        (output, answer)
    }

    /// Says something for as long as this is polled.
    pub(super) async fn keep_alive(&self, every: Duration) -> Infallible {
        loop {
            tokio::time::sleep(every).await;
            self.sign_of_life();
        }
    }

    fn sign_of_life(&self) {
        let sign: &[u8] = if self.form == Form::Events { b": running\n\n" } else { b"\n" };
        // Where there is no room, something is being said.
        let _ = self.pieces.try_send(Bytes::from_static(sign));
    }

    fn kept(&self, stream: Stream) -> &RefCell<Kept> {
        match stream {
            Stream::Out => &self.out,
            Stream::Err => &self.err,
        }
    }

    /// Takes what a program wrote. Waits for a caller who is slower than the program.
    async fn take(&self, stream: Stream, bytes: &[u8]) {
        let chunk = {
            let mut kept = self.kept(stream).borrow_mut();
            let room = self.limit.saturating_sub(kept.length);
            let taken = bytes.get(..room).unwrap_or(bytes);
            kept.truncated |= taken.len() < bytes.len();
            kept.length += taken.len();
            match self.form {
                Form::Object => {
                    kept.bytes.extend_from_slice(taken);
                    None
                }
                Form::Events => kept.chunker.push(taken),
            }
        };
        if let Some(chunk) = chunk {
            self.say(stream, &chunk).await;
        }
    }

    async fn say(&self, stream: Stream, chunk: &Chunk) {
        let name = match stream {
            Stream::Out => "stdout",
            Stream::Err => "stderr",
        };
        if let Ok(text) = event(name, chunk) {
            self.send(text).await;
        }
    }

    async fn send(&self, text: String) {
        if self.abandoned.get() {
            return;
        }
        let patience = async {
            self.over.cancelled().await;
            tokio::time::sleep(STALLED).await;
        };
        tokio::select! {
            // A caller who is gone needs no more of it.
            _ = self.pieces.send(Bytes::from(text)) => {}
            () = patience => self.abandoned.set(true),
        }
    }

    /// Says how it ended: the last piece.
    pub(super) async fn finish(&self, mut exit: ExecExit) {
        exit.stdout_truncated = self.out.borrow().truncated;
        exit.stderr_truncated = self.err.borrow().truncated;
        if self.form == Form::Events {
            for stream in [Stream::Out, Stream::Err] {
                let rest = self.kept(stream).borrow_mut().chunker.finish();
                if let Some(chunk) = rest {
                    self.say(stream, &chunk).await;
                }
            }
            if let Ok(text) = event("exit", &exit) {
                self.send(text).await;
            }
            return;
        }
        let (stdout, stdout_encoding) =
            written(std::mem::take(&mut self.out.borrow_mut().bytes), exit.stdout_truncated);
        let (stderr, stderr_encoding) =
            written(std::mem::take(&mut self.err.borrow_mut().bytes), exit.stderr_truncated);
        let result = ExecResult { exit, stdout, stdout_encoding, stderr, stderr_encoding };
        if let Ok(text) = serde_json::to_string(&result) {
            self.send(text).await;
        }
    }
}

/// Reads a stream to its end, or, once nothing of the session is left, to the end of what had been written by then: a
/// program that left the session may hold the stream open for ever.
pub(super) async fn pump<R: AsyncRead + AsFd + Unpin>(
    pipe: Option<R>,
    stream: Stream,
    output: &Output,
    over: &CancellationToken,
) {
    let Some(mut pipe) = pipe else { return };
    let mut room = vec![0; READ];
    loop {
        let read = tokio::select! {
            biased;
            () = over.cancelled() => break,
            read = pipe.read(&mut room) => read,
        };
        match read {
            Ok(length @ 1..) => output.take(stream, room.get(..length).unwrap_or_default()).await,
            _ => return,
        }
    }
    let mut left = rustix::io::ioctl_fionread(&pipe).unwrap_or(0);
    while left > 0 {
        match rustix::io::read(&pipe, &mut room) {
            Ok(length @ 1..) => {
                output.take(stream, room.get(..length).unwrap_or_default()).await;
                left = left.saturating_sub(length as u64);
            }
            _ => return,
        }
    }
}

impl Answer {
    /// Cancelled when this is dropped: nobody takes the answer any more.
    pub(super) fn gone(&self) -> CancellationToken {
        self.gone.clone()
    }
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.get_mut().pieces.poll_recv(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}
