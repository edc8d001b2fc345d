//! Requests of our own to a machine's agent: a ticket from the object, the request to the sprite, and what the answer
//! means. What the agent sends goes on as the platform's own stream.

use futures::future::{Either, select};
use serde::Deserialize;
use snapvm_durable::machine_gateway::command::{Command, Lease, Reply};
use snapvm_protocol::headers::{ACCOUNT, AGENT_MARK, TICKET};
use snapvm_protocol::ids::MachineId;
use worker::{
    AbortController, Env, Fetch, Headers, Method, Request, RequestInit, RequestRedirect, Response, ResponseBody,
};

use super::object;
use crate::error::{Error, Problem};
use crate::sprites::Client;

/// How long the agent may take to begin its answer.
const BEGIN_MS: u64 = 20_000;

/// Whoever may ask, as the database says.
#[derive(Debug, Deserialize)]
pub struct Caller {
    /// Where.
    pub machine: MachineId,
    /// The account.
    pub account: String,
    /// The machine's epoch.
    pub epoch: u64,
}

/// A request for the agent.
#[derive(Debug)]
pub struct Ask<'a> {
    /// Where the agent takes it.
    pub path: &'static str,
    /// For whom.
    pub account: &'a str,
    /// JSON.
    pub body: &'a [u8],
    /// The media type that is wanted.
    pub accept: &'static str,
}

/// What a machine's answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The agent does it; its answer follows.
    Begun,
    /// The agent says why it does not.
    Refused,
    /// The agent has enough to do.
    Busy,
    /// The agent did nothing, and will when it has been woken.
    Asleep,
    /// The agent has seen this ticket, or knows better than the object what is good.
    TicketRefused,
    /// The agent knows nothing of such requests, or not of this kind.
    TooOld,
    /// Nobody knows whether the agent got it.
    Unknown,
}

fn verdict(mark: Option<&str>, status: u16) -> Verdict {
    match (mark, status) {
        (Some("agent"), 200) => Verdict::Begun,
        (Some("agent"), 409) => Verdict::Refused,
        (Some("agent"), 429) => Verdict::Busy,
        (Some("agent"), 410 | 503) => Verdict::Asleep,
        (Some("agent"), 403) => Verdict::TicketRefused,
        (Some("agent"), 400 | 404) => Verdict::TooOld,
        // The runtime's own, while the sprite sleeps; or something that listens in the agent's place.
        _ => Verdict::Unknown,
    }
}

/// A ticket from the object, which may wake the machine for it, once for everybody; that may take up to a minute.
///
/// # Errors
/// 404; 409 for a machine that is not woken; 502 for a runtime that is not safe; 503.
pub async fn ticket(env: &Env, machine: MachineId, command: &Command) -> Result<Lease, Error> {
    match object::command(env, machine, command).await? {
        Reply::Lease(lease) => Ok(lease),
        Reply::Refused { code, detail } => Err(match code.as_str() {
            "asleep" | "stopped" | "failed" | "deleting" | "awake_limit" => Problem::new(409, &code, detail),
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

/// Asks, and waits for the beginning of the answer.
///
/// # Errors
/// When the platform fails; a machine that does not answer is a [`Verdict`].
pub async fn send(env: &Env, lease: &Lease, ask: &Ask<'_>) -> Result<(Verdict, Option<Response>), Error> {
    let headers = Headers::new();
    headers.set("authorization", &format!("Bearer {}", Client::new(env)?.token()))?;
    headers.set("content-type", "application/json")?;
    headers.set("accept", ask.accept)?;
    headers.set(TICKET, &lease.ticket)?;
    headers.set(ACCOUNT, ask.account)?;
    let mut init = RequestInit::new();
    init.with_method(Method::Post)
        .with_headers(headers)
        .with_redirect(RequestRedirect::Manual)
        .with_body(Some(js_sys::Uint8Array::from(ask.body).into()));
    let request = Request::new_with_init(&format!("{}{}", lease.url, ask.path), &init)?;
    let controller = AbortController::default();
    let (fetch, signal) = (Fetch::Request(request), controller.signal());
    let sending = Box::pin(fetch.send_with_signal(&signal));
    let patience = Box::pin(worker::Delay::from(std::time::Duration::from_millis(BEGIN_MS)));
    match select(sending, patience).await {
        Either::Left((Ok(response), _)) => {
            let mark = response.headers().get(AGENT_MARK)?;
            Ok((verdict(mark.as_deref(), response.status_code()), Some(response)))
        }
        Either::Left((Err(_), _)) => Ok((Verdict::Unknown, None)),
        Either::Right(_) => {
            // A caller that goes takes along what it asked for.
            controller.abort();
            Ok((Verdict::Unknown, None))
        }
    }
}

/// The stream of an answer that has begun, or what it means that none has.
///
/// # Errors
/// [`problem`].
pub fn stream(verdict: Verdict, response: Option<&Response>) -> Result<ResponseBody, Error> {
    match (verdict, response.map(Response::body)) {
        (Verdict::Begun, Some(ResponseBody::Stream(stream))) => Ok(ResponseBody::Stream(stream.clone())),
        (verdict, _) => Err(problem(verdict).into()),
    }
}

/// What every verdict but the good ones means to the client.
#[must_use]
pub fn problem(verdict: Verdict) -> Problem {
    match verdict {
        Verdict::TooOld => Problem::new(
            409,
            "agent_too_old",
            "The agent in this machine is older than this deployment and does not know this.",
        ),
        Verdict::TicketRefused => {
            Problem::unavailable("ticket_refused", "Access to the machine is just changing. Try again in a moment.")
        }
        Verdict::Busy => Problem {
            status: 429,
            ..Problem::unavailable("busy", "The machine's agent has enough to do. Try again in a moment.")
        },
        Verdict::Begun | Verdict::Refused | Verdict::Asleep | Verdict::Unknown => {
            Problem::unavailable("no_answer", "The machine does not answer. Try again in a moment.")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_agents_own_word_is_taken_for_it() {
        for status in [200, 302, 400, 403, 404, 409, 410, 429, 502, 503] {
            assert_eq!(verdict(None, status), Verdict::Unknown, "{status}");
            assert_eq!(verdict(Some("app"), status), Verdict::Unknown, "{status}");
        }
        assert_eq!(verdict(Some("agent"), 200), Verdict::Begun);
        assert_eq!(verdict(Some("agent"), 101), Verdict::Unknown);
    }

    #[test]
    fn an_agent_that_knows_nothing_of_it_is_too_old() {
        // It has nothing under the path, or a field in the request that it does not know.
        assert_eq!(verdict(Some("agent"), 404), Verdict::TooOld);
        assert_eq!(verdict(Some("agent"), 400), Verdict::TooOld);
    }
}
