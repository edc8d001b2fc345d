//! One-shot commands for callers of the API: a ticket, a program, its output, its end.
//!
//! ```text
//! POST + exec ticket ─▶ awake? ticket fresh? room? ─▶ process ─▶ output ─▶ body ─▶ the caller
//!                                                      │ ends: by itself, time, caller gone, access, sleep
//! ```
//!
//! Invariants:
//! * A command has one caller. When the caller's connection goes, or access changes, or the machine is put to sleep,
//!   its whole session gets TERM, after a grace KILL. Nothing of the session is left when a command has ended.
//! * A ticket starts one command, whatever becomes of its answer.
//! * Memory is bounded: so many commands, so many bytes of output kept, a few pieces on their way.
//! * While a command runs, the machine does not count as idle.
//!
//! Absent on purpose: commands without a caller (a service is for that), terminals, and any log of what was run.

mod output;
mod process;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, StatusCode};
use snapvm_protocol::exec::{
    COMMANDS_MAX, Command, DecodeError, EVENT_STREAM, ExecExit, Interruption, OUTPUT_TOTAL, REQUEST_MAX, Refusal,
    decode,
};
use snapvm_protocol::headers::ACCOUNT;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::admission::Wants;
use crate::agent::Agent;
use crate::callers;
use crate::http::guarded::Peer;
use crate::http::{Body, marked, said};
use crate::ingress::connections::Tag;
use output::{Form, Output, Stream};
use process::Process;

/// How long a request's body may take.
const BODY: Duration = Duration::from_secs(30);

/// The commands that run.
pub struct Commands {
    running: watch::Sender<usize>,
    kept: Rc<Cell<usize>>,
    sleeping: Cell<CancellationToken>,
}

impl Default for Commands {
    fn default() -> Self {
        Self { running: watch::Sender::new(0), kept: Rc::default(), sleeping: Cell::default() }
    }
}

/// A command's place among those that run.
struct Place {
    running: watch::Sender<usize>,
    /// Cancelled when the machine is put to sleep.
    sleeping: CancellationToken,
}

/// Bytes of output that an answer may keep, until it has been sent.
struct Allowance {
    kept: Rc<Cell<usize>>,
    bytes: usize,
}

impl Commands {
    /// Whether any command runs.
    #[must_use]
    pub fn are_running(&self) -> bool {
        *self.running.borrow() > 0
    }

    /// Ends all of them for a sleep; returns when they are gone and their callers know, but waits for no caller who
    /// does not listen.
    pub async fn end_all(&self, grace: Duration) {
        self.sleeping.replace(CancellationToken::new()).cancel();
        let mut running = self.running.subscribe();
        let _ = timeout(grace + process::KILLED, running.wait_for(|running| *running == 0)).await;
    }

    fn enter(&self, bytes: usize) -> Result<(Place, Allowance), Refusal> {
        if *self.running.borrow() >= COMMANDS_MAX {
            return Err(Refusal::TooManyCommands);
        }
        if self.kept.get() + bytes > OUTPUT_TOTAL {
            return Err(Refusal::TooMuchOutput);
        }
        self.kept.set(self.kept.get() + bytes);
        self.running.send_modify(|running| *running += 1);
        let sleeping = self.sleeping.take();
        self.sleeping.set(sleeping.clone());
        let allowance = Allowance { kept: Rc::clone(&self.kept), bytes };
        Ok((Place { running: self.running.clone(), sleeping }, allowance))
    }
}

impl Drop for Allowance {
    fn drop(&mut self) {
        self.kept.set(self.kept.get().saturating_sub(self.bytes));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.running.send_modify(|running| *running = running.saturating_sub(1));
    }
}

/// Answers a request for a command.
pub async fn answer(agent: &Rc<Agent>, request: Request<Incoming>, peer: &Peer) -> Response<Body> {
    let epoch = match callers::admit(agent, &request, Wants::Command) {
        Ok(epoch) => epoch,
        Err(refused) => return said(refused.status(), &refused.to_string()),
    };
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let tag = agent.connections.open(epoch, header(ACCOUNT));
    let form = if header(ACCEPT.as_str()).as_deref() == Some(EVENT_STREAM) { Form::Events } else { Form::Object };
    agent.activity("command");
    let command = match read(request).await {
        Ok(command) => command,
        Err(error) => return said(StatusCode::BAD_REQUEST, &error),
    };
    match start(agent, command, form, tag, peer.clone()) {
        Ok(body) => {
            let mut response = marked(StatusCode::OK, Bytes::new()).map(|_| body);
            let media_type = if form == Form::Events { EVENT_STREAM } else { "application/json" };
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
            response
        }
        Err(refusal) => {
            let body = serde_json::to_vec(&refusal).unwrap_or_default();
            let mut response = marked(StatusCode::CONFLICT, Bytes::from(body));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }
    }
}

/// The whole request. What is wrong with it is for people, and quotes nothing of it but a field's name.
async fn read(request: Request<Incoming>) -> Result<Command, String> {
    let body = timeout(BODY, Limited::new(request.into_body(), REQUEST_MAX).collect()).await;
    let Ok(Ok(body)) = body else { return Err("the request broke off, or is too long".to_owned()) };
    decode(&body.to_bytes()).map_err(|error| match error {
        DecodeError::Malformed(_) => "the request cannot be read".to_owned(),
        other => other.to_string(),
    })
}

/// Starts a command. Its answer's body ends it when it is dropped.
fn start(agent: &Rc<Agent>, command: Command, form: Form, tag: Tag, peer: Peer) -> Result<Body, Refusal> {
    let keeps = if form == Form::Object { command.output_limit * 2 } else { 0 };
    let (place, allowance) = agent.commands.enter(keeps)?;
    let process = Process::spawn(&command, &agent.variables.borrow())?;
    let over = CancellationToken::new();
    let (output, body) = Output::new(form, command.output_limit, over.clone(), allowance);
    let running = Running {
        agent: Rc::clone(agent),
        time: Duration::from_secs(command.timeout_seconds.into()),
        gone: body.gone(),
        over,
        process,
        output,
        tag,
        peer,
        place,
    };
    tokio::task::spawn_local(running.run(command.stdin));
    Ok(Box::pin(body))
}

/// A command that runs.
struct Running {
    agent: Rc<Agent>,
    process: Process,
    output: Output,
    time: Duration,
    /// Cancelled when nobody takes the answer any more.
    gone: CancellationToken,
    /// Cancelled when nothing of its session is left.
    over: CancellationToken,
    peer: Peer,
    tag: Tag,
    place: Place,
}

/// Why a command is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Time,
    Caller,
    Interrupted(Interruption),
}

impl Running {
    async fn run(mut self, stdin: Vec<u8>) {
        let since = Instant::now();
        let (input, out, err) = self.process.streams();
        let work = async {
            let ((), (), (), ended) = tokio::join!(
                process::feed(input, &stdin, &self.over),
                output::pump(out, Stream::Out, &self.output, &self.over),
                output::pump(err, Stream::Err, &self.output, &self.over),
                self.live(),
            );
            ended
        };
        let (exit, end) = tokio::select! {
            ended = work => ended,
            never = self.output.keep_alive(self.agent.timings.keepalive()) => match never {},
        };
        let (exit_code, signal) = exit;
        self.output
            .finish(ExecExit {
                exit_code,
                signal,
                timed_out: end == Some(End::Time),
                interrupted: match end {
                    Some(End::Interrupted(why)) => Some(why),
                    _ => None,
                },
                stdout_truncated: false,
                stderr_truncated: false,
                duration_ms: u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX),
            })
            .await;
    }

    /// Waits for the program's end or brings it about, and sees that nothing of it is left.
    async fn live(&self) -> ((Option<i32>, Option<i32>), Option<End>) {
        let end = tokio::select! {
            () = self.process.ended() => None,
            () = sleep(self.time) => Some(End::Time),
            () = self.gone.cancelled() => Some(End::Caller),
            () = self.peer.gone() => Some(End::Caller),
            () = self.place.sleeping.cancelled() => Some(End::Interrupted(Interruption::MachineSleeping)),
            () = self.tag.closed.cancelled() => Some(End::Interrupted(Interruption::AccessChanged)),
        };
        if end.is_some() {
            self.process.terminate(self.agent.timings.command_grace()).await;
        }
        self.process.kill_rest().await;
        self.over.cancel();
        (self.process.exit(), end)
    }
}
