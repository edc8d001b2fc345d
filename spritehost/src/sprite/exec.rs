//! Programs that a caller runs in a sprite: their input and output as frames.
//!
//! A frame is one byte that names the stream, then bytes: 0 stdin, 1 stdout, 2 stderr, 3 the exit code, 4 end of stdin.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use rustix::process::Signal;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::mpsc;

use super::link::Operation;
use super::services::exit_code;
use super::{Awake, SpriteError, boot};
use crate::wire::Program;

/// Stream numbers of frames.
pub(crate) mod stream {
    /// To the program.
    pub(crate) const STDIN: u8 = 0;
    /// From the program.
    pub(crate) const STDOUT: u8 = 1;
    /// From the program.
    pub(crate) const STDERR: u8 = 2;
    /// One byte: its exit code.
    pub(crate) const EXIT: u8 = 3;
    /// Nothing more to the program.
    pub(crate) const STDIN_END: u8 = 4;
}

/// Longest piece of output in a frame.
const PIECE: usize = 32 * 1024;
/// Frames that wait for a slow caller; then the program waits.
const BACKLOG: usize = 16;
/// Output that is still to come after the exit is waited for this long: children of the program may hold the pipe.
const LATE: Duration = Duration::from_millis(200);
/// How long a program may go on after its caller has gone.
const AFTER_DISCONNECT: Duration = Duration::from_secs(10);

/// A running program.
pub(crate) struct Execution {
    /// Its process id in the guest.
    pub pid: u32,
    /// Its stdin.
    pub stdin: pipe::Sender,
    /// Its output as frames; the last is the exit's.
    pub frames: mpsc::Receiver<Bytes>,
    /// The exit code, once there is one.
    pub code: tokio::sync::watch::Receiver<Option<i32>>,
}

/// Starts a program. The sprite stays awake until it has ended.
pub(crate) async fn start(awake: Awake, program: Program) -> Result<Execution, SpriteError> {
    let (stdin, input) = boot::pipe_to_guest()?;
    let (stdout, output) = boot::pipe_from_guest()?;
    let (stderr, errors) = boot::pipe_from_guest()?;
    let ends = [input, output, errors];
    let (operation, pid) = awake.boot.spawn(program, &boot::borrow(&ends)).await?;
    drop(ends);
    let (sender, frames) = mpsc::channel(BACKLOG);
    let (exit, code) = tokio::sync::watch::channel(None);
    tokio::spawn(async move {
        let ended = follow(&awake, operation, &sender, stdout, stderr).await;
        if let Ok(code) = ended {
            exit.send_replace(Some(code));
            let byte = u8::try_from(code).unwrap_or(u8::MAX);
            let _ = sender.send(frame(stream::EXIT, &[byte])).await;
        }
        drop(awake);
    });
    Ok(Execution { pid, stdin, frames, code })
}

/// A frame.
pub(crate) fn frame(stream: u8, bytes: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(bytes.len() + 1);
    frame.put_u8(stream);
    frame.put_slice(bytes);
    frame.freeze()
}

/// Forwards output and waits for the end.
async fn follow(
    awake: &Awake,
    mut operation: Operation,
    frames: &mpsc::Sender<Bytes>,
    stdout: pipe::Receiver,
    stderr: pipe::Receiver,
) -> Result<i32, SpriteError> {
    let mut output = tokio::spawn({
        let frames = frames.clone();
        async move {
            tokio::join!(forward(stdout, stream::STDOUT, &frames), forward(stderr, stream::STDERR, &frames));
        }
    });
    let id = operation.id;
    let code = tokio::select! {
        code = exit_code(&mut operation) => code?,
        () = frames.closed() => {
            if let Ok(code) = tokio::time::timeout(AFTER_DISCONNECT, exit_code(&mut operation)).await {
                code?
            } else {
                awake.boot.signal(id, Signal::KILL).await;
                exit_code(&mut operation).await?
            }
        }
    };
    // A caller that reads slowly still gets everything that the program wrote: while frames wait, time doesn't count.
    loop {
        match tokio::time::timeout(LATE, &mut output).await {
            Ok(_) => break,
            Err(_) if frames.capacity() == 0 && !frames.is_closed() => {}
            Err(_) => {
                output.abort();
                break;
            }
        }
    }
    Ok(code)
}

/// Forwards one stream.
async fn forward(mut pipe: pipe::Receiver, stream: u8, frames: &mpsc::Sender<Bytes>) {
    let mut buffer = BytesMut::with_capacity(PIECE + 1);
    loop {
        buffer.clear();
        buffer.put_u8(stream);
        match (&mut pipe).take(PIECE as u64).read_buf(&mut buffer).await {
            Ok(1..) => {}
            _ => return,
        }
        if frames.send(buffer.split().freeze()).await.is_err() {
            return;
        }
        buffer.reserve(PIECE + 1);
    }
}
