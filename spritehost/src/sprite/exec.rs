//! Runs a caller's program as a session: starts it, follows its output and its end.
//!
//! A frame is one byte that names the stream, then bytes: 0 stdin, 1 stdout, 2 stderr, 3 the exit code, 4 end of stdin.
//! What a program with a terminal says has no such byte.
//!
//! A program without a terminal keeps its sprite awake. One with a terminal doesn't: what it says does, and what it is
//! told.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use rustix::process::Signal;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

use super::link::Operation;
use super::services::exit_code;
use super::sessions::{Attachment, Description, Session};
use super::{Awake, Boot, SpriteError, boot};
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

/// Longest piece of output.
const PIECE: usize = 32 * 1024;
/// Output that is still to come after the exit is waited for this long: children of the program may hold the pipe.
const LATE: Duration = Duration::from_millis(200);

/// What to run, and for how long.
pub(crate) struct Wanted {
    /// The program.
    pub program: Program,
    /// How long it may go on while nobody is attached; for ever without a time.
    pub alone: Option<Duration>,
}

/// Starts a program; the caller is attached to it.
pub(crate) async fn start(awake: Awake, wanted: Wanted) -> Result<Attachment, SpriteError> {
    let Wanted { program, alone } = wanted;
    let tty = program.terminal.is_some();
    let (command, workdir) = (program.arguments.join(" "), program.directory.clone());
    let (stdin, input) = boot::pipe_to_guest()?;
    let (stdout, output) = boot::pipe_from_guest()?;
    let (mut ends, mut pipes) = (vec![input, output], vec![(stdout, (!tty).then_some(stream::STDOUT))]);
    if !tty {
        let (stderr, errors) = boot::pipe_from_guest()?;
        ends.push(errors);
        pipes.push((stderr, Some(stream::STDERR)));
    }
    let (operation, pid) = awake.boot.spawn(program, &boot::borrow(&ends)).await?;
    drop(ends);
    let about = Description { pid, command, workdir, tty, operation: operation.id };
    let session = Session::new(about, stdin);
    awake.boot.sessions.add(&session);
    let attachment = session.attach();
    tokio::spawn(async move {
        let boot = awake.boot.clone();
        let activity = awake.guard.activity();
        let _guard = (!tty).then_some(awake.guard);
        if let Ok(code) = follow(&boot, &session, operation, pipes, alone, &activity).await {
            tracing::debug!(code, "a session has ended");
        }
        // In this order: who has seen the end doesn't find the session any more.
        boot.sessions.remove(&session);
        session.close();
    });
    Ok(attachment)
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
    boot: &Arc<Boot>,
    session: &Arc<Session>,
    mut operation: Operation,
    pipes: Vec<(pipe::Receiver, Option<u8>)>,
    alone: Option<Duration>,
    activity: &Arc<super::activity::Activity>,
) -> Result<u8, SpriteError> {
    let mut output = tokio::task::JoinSet::new();
    for (pipe, stream) in pipes {
        output.spawn(forward(pipe, stream, session.clone(), activity.clone()));
    }
    let id = operation.id;
    let code = tokio::select! {
        code = exit_code(&mut operation) => code?,
        () = abandoned(session, alone) => {
            boot.signal(id, Signal::KILL).await;
            exit_code(&mut operation).await?
        }
    };
    let code = u8::try_from(code).unwrap_or(u8::MAX);
    session.exited(code);
    // A caller that reads slowly still gets everything that the program wrote: while output waits, time doesn't count.
    loop {
        match tokio::time::timeout(LATE, output.join_next()).await {
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(_) if session.is_held_up() => {}
            Err(_) => {
                output.abort_all();
                break;
            }
        }
    }
    Ok(code)
}

/// Waits until nobody has been attached for this long.
async fn abandoned(session: &Session, alone: Option<Duration>) {
    let Some(alone) = alone else { return std::future::pending().await };
    let mut attached = session.attached();
    loop {
        if attached.wait_for(|count| *count == 0).await.is_err() {
            return;
        }
        if tokio::time::timeout(alone, attached.wait_for(|count| *count > 0)).await.is_err() {
            return;
        }
    }
}

/// Forwards one stream.
async fn forward(
    mut pipe: pipe::Receiver,
    stream: Option<u8>,
    session: Arc<Session>,
    activity: Arc<super::activity::Activity>,
) {
    let mut buffer = BytesMut::with_capacity(PIECE + 1);
    loop {
        buffer.clear();
        if let Some(stream) = stream {
            buffer.put_u8(stream);
        }
        match (&mut pipe).take(PIECE as u64).read_buf(&mut buffer).await {
            Ok(1..) => {}
            _ => return,
        }
        activity.traffic();
        session.say(buffer.split().freeze()).await;
        buffer.reserve(PIECE + 1);
    }
}
