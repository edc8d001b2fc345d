//! A command's way to a machine: a ticket from the object, the request to the sprite, its answer's stream back.
//!
//! ```text
//! ticket ─▶ send ──200──▶ the stream        410, 503, or no answer of the agent's ─▶ ticket (wakes) ─▶ send once more
//! ```
//!
//! Invariant: a command starts at most once. A ticket starts one, so when it is not known whether the first request
//! arrived, the second one shows the same ticket.

use futures::StreamExt;
use futures::future::{Either, select};
use serde::Deserialize;
use snapvm_durable::machine_gateway::cause::By;
use snapvm_durable::machine_gateway::command::{Command, Lease, Reply};
use snapvm_protocol::exec::{EVENT_STREAM, EXEC_PATH, Refusal};
use snapvm_protocol::headers::{ACCOUNT, AGENT_MARK, TICKET};
use snapvm_protocol::ids::MachineId;
use snapvm_protocol::lifecycle::Cause;
use worker::{
    AbortController, Env, Fetch, Headers, Method, Request, RequestInit, RequestRedirect, Response, ResponseBody,
};

use super::object;
use crate::error::{Error, Problem};
use crate::sprites::Client;

/// How long the agent may take to start a program: it answers as soon as that runs.
const START_MS: u64 = 20_000;
/// Longest refusal that is read.
const REFUSAL_MAX: usize = 1024;

/// Whoever may run a command, as the database says.
#[derive(Debug, Deserialize)]
pub struct Caller {
    /// Where.
    pub machine: MachineId,
    /// The account.
    pub account: String,
    /// The machine's epoch.
    pub epoch: u64,
}

/// What a machine's answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// The program runs; its output follows.
    Runs,
    /// The agent says why it did not start one.
    Refused,
    /// The agent did not start it, and will when it has been woken.
    Asleep,
    /// The agent has seen this ticket, or knows better than the object what is good.
    TicketRefused,
    /// The agent knows nothing of commands, or not of this kind.
    TooOld,
    /// Nobody knows whether the agent got it.
    Unknown,
}

fn verdict(mark: Option<&str>, status: u16) -> Verdict {
    match (mark, status) {
        (Some("agent"), 200) => Verdict::Runs,
        (Some("agent"), 409) => Verdict::Refused,
        (Some("agent"), 410 | 503) => Verdict::Asleep,
        (Some("agent"), 403) => Verdict::TicketRefused,
        (Some("agent"), 400 | 404) => Verdict::TooOld,
        // The runtime's own, while the sprite sleeps; or something that listens in the agent's place.
        _ => Verdict::Unknown,
    }
}

/// Runs a command: the machine's stream, as it comes.
///
/// # Errors
/// See [`crate::handlers::exec::create`].
pub async fn run(env: &Env, caller: &Caller, body: Vec<u8>, events: bool) -> Result<ResponseBody, Error> {
    let first = ticket(env, caller).await?;
    let (verdict, response) = send(env, &first, caller, &body, events).await?;
    if !matches!(verdict, Verdict::Asleep | Verdict::Unknown) {
        return answer(verdict, response).await;
    }
    let second = ticket(env, caller).await?;
    let lease = match verdict {
        Verdict::Asleep => second,
        _ => Lease { ticket: first.ticket, ..second },
    };
    match send(env, &lease, caller, &body, events).await? {
        (Verdict::TicketRefused, _) if verdict == Verdict::Unknown => {
            let detail = "The connection to the machine broke. If the command had started, it has been ended.";
            Err(Problem::new(502, "interrupted", detail).into())
        }
        (verdict, response) => answer(verdict, response).await,
    }
}

/// A ticket for one command. The object wakes the machine, once for everybody, and may take up to a minute.
async fn ticket(env: &Env, caller: &Caller) -> Result<Lease, Error> {
    let by = By::account(Cause::Command, &caller.account);
    match object::command(env, caller.machine, &Command::Exec { epoch: caller.epoch, by }).await? {
        Reply::Lease(lease) => Ok(lease),
        Reply::Refused { code, detail } => Err(match code.as_str() {
            "stopped" | "failed" | "deleting" | "awake_limit" => Problem::new(409, &code, detail),
            "not_found" => Problem::not_found(),
            "unsafe_runtime" => Problem::new(502, &code, detail),
            _ => Problem::unavailable(&code, detail),
        }
        .into()),
        // The object forgot the machine meanwhile.
        Reply::State { .. } => Err(Problem::not_found().into()),
        _ => Err(Error::Object("an answer to another command".into())),
    }
}

async fn send(
    env: &Env,
    lease: &Lease,
    caller: &Caller,
    body: &[u8],
    events: bool,
) -> Result<(Verdict, Option<Response>), Error> {
    let headers = Headers::new();
    headers.set("authorization", &format!("Bearer {}", Client::new(env)?.token()))?;
    headers.set("content-type", "application/json")?;
    headers.set("accept", if events { EVENT_STREAM } else { "application/json" })?;
    headers.set(TICKET, &lease.ticket)?;
    headers.set(ACCOUNT, &caller.account)?;
    let mut init = RequestInit::new();
    init.with_method(Method::Post)
        .with_headers(headers)
        .with_redirect(RequestRedirect::Manual)
        .with_body(Some(js_sys::Uint8Array::from(body).into()));
    let request = Request::new_with_init(&format!("{}{EXEC_PATH}", lease.url), &init)?;
    let controller = AbortController::default();
    let (fetch, signal) = (Fetch::Request(request), controller.signal());
    let sending = Box::pin(fetch.send_with_signal(&signal));
    let patience = Box::pin(worker::Delay::from(std::time::Duration::from_millis(START_MS)));
    match select(sending, patience).await {
        Either::Left((Ok(response), _)) => {
            let mark = response.headers().get(AGENT_MARK)?;
            Ok((verdict(mark.as_deref(), response.status_code()), Some(response)))
        }
        Either::Left((Err(_), _)) => Ok((Verdict::Unknown, None)),
        Either::Right(_) => {
            // A caller that goes takes its command along.
            controller.abort();
            Ok((Verdict::Unknown, None))
        }
    }
}

async fn answer(verdict: Verdict, response: Option<Response>) -> Result<ResponseBody, Error> {
    let silent = || Problem::unavailable("no_answer", "The machine does not answer. Try again in a moment.");
    let Some(response) = response else { return Err(silent().into()) };
    Err(match verdict {
        Verdict::Runs => match response.body() {
            ResponseBody::Stream(stream) => return Ok(ResponseBody::Stream(stream.clone())),
            _ => silent(),
        },
        Verdict::Refused => refusal(response).await.map_or_else(silent, problem),
        Verdict::TooOld => Problem::new(
            409,
            "agent_too_old",
            "The agent in this machine is older than this deployment and does not know this command.",
        ),
        Verdict::TicketRefused => {
            Problem::unavailable("ticket_refused", "Access to the machine is just changing. Try again in a moment.")
        }
        Verdict::Asleep | Verdict::Unknown => silent(),
    }
    .into())
}

/// What the agent says, of which only known words are taken: whoever is root in a machine may say anything.
async fn refusal(mut response: Response) -> Option<Refusal> {
    let mut body = Vec::new();
    let mut stream = response.stream().ok()?;
    while let Some(chunk) = stream.next().await {
        body.extend_from_slice(&chunk.ok()?);
        if body.len() > REFUSAL_MAX {
            return None;
        }
    }
    serde_json::from_slice(&body).ok()
}

fn problem(refusal: Refusal) -> Problem {
    let (code, detail) = (refusal.code(), refusal.to_string());
    match (refusal, refusal.field()) {
        (_, Some(field)) => Problem { field: Some(field.to_owned()), ..Problem::new(422, code, detail) },
        (Refusal::NoProcess, None) => Problem::unavailable(code, detail),
        (_, None) => Problem { status: 429, ..Problem::unavailable(code, detail) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_agents_own_word_is_taken_for_it() {
        for status in [200, 302, 400, 403, 404, 409, 410, 502, 503] {
            assert_eq!(verdict(None, status), Verdict::Unknown, "{status}");
            assert_eq!(verdict(Some("app"), status), Verdict::Unknown, "{status}");
        }
        assert_eq!(verdict(Some("agent"), 200), Verdict::Runs);
        assert_eq!(verdict(Some("agent"), 101), Verdict::Unknown);
    }

    #[test]
    fn an_agent_that_knows_nothing_of_commands_is_too_old() {
        // It has nothing under the path, or a field in the request that it does not know.
        assert_eq!(verdict(Some("agent"), 404), Verdict::TooOld);
        assert_eq!(verdict(Some("agent"), 400), Verdict::TooOld);
    }

    #[test]
    fn refusals_name_their_field_or_when_to_come_again() {
        let missing = problem(Refusal::ProgramNotFound);
        assert_eq!((missing.status, missing.field.as_deref()), (422, Some("command")));
        let many = problem(Refusal::TooManyCommands);
        assert_eq!((many.status, many.retry_after_seconds.is_some()), (429, true));
        let full = problem(Refusal::NoProcess);
        assert_eq!((full.status, full.retry_after_seconds.is_some()), (503, true));
    }
}
