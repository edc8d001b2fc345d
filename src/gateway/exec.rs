//! A command's way to a machine: a ticket from the object, the request to the sprite, its answer's stream back.
//!
//! ```text
//! ticket ─▶ send ──200──▶ the stream        410, 503, or no answer of the agent's ─▶ ticket (wakes) ─▶ send once more
//! ```
//!
//! Invariant: a command starts at most once. A ticket starts one, so when it is not known whether the first request
//! arrived, the second one shows the same ticket.

use futures::StreamExt;
use snapvm_durable::machine_gateway::cause::By;
use snapvm_durable::machine_gateway::command::{Command, Lease};
use snapvm_protocol::exec::{EVENT_STREAM, EXEC_PATH, Refusal};
use snapvm_protocol::lifecycle::Cause;
use worker::{Env, Response, ResponseBody};

use super::agent::{self, Ask, Caller, Verdict};
use crate::error::{Error, Problem};

/// Longest refusal that is read.
const REFUSAL_MAX: usize = 1024;

/// Runs a command: the machine's stream, as it comes.
///
/// # Errors
/// See [`crate::handlers::exec::create`].
pub async fn run(env: &Env, caller: &Caller, body: Vec<u8>, events: bool) -> Result<ResponseBody, Error> {
    let accept = if events { EVENT_STREAM } else { "application/json" };
    let ask = Ask { path: EXEC_PATH, account: &caller.account, body: &body, accept };
    let command = Command::Exec { epoch: caller.epoch, by: By::account(Cause::Command, &caller.account) };
    let first = agent::ticket(env, caller.machine, &command).await?;
    let (verdict, response) = agent::send(env, &first, &ask).await?;
    if !matches!(verdict, Verdict::Asleep | Verdict::Unknown) {
        return answer(verdict, response).await;
    }
    let second = agent::ticket(env, caller.machine, &command).await?;
    let lease = match verdict {
        Verdict::Asleep => second,
        _ => Lease { ticket: first.ticket, ..second },
    };
    match agent::send(env, &lease, &ask).await? {
        (Verdict::TicketRefused, _) if verdict == Verdict::Unknown => {
            let detail = "The connection to the machine broke. If the command had started, it has been ended.";
            Err(Problem::new(502, "interrupted", detail).into())
        }
        (verdict, response) => answer(verdict, response).await,
    }
}

async fn answer(verdict: Verdict, response: Option<Response>) -> Result<ResponseBody, Error> {
    match (verdict, response) {
        (Verdict::Refused, Some(response)) => {
            let said = refusal(response).await;
            Err(said.map_or_else(|| agent::problem(Verdict::Unknown), problem).into())
        }
        (verdict, response) => agent::stream(verdict, response.as_ref()),
    }
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
    fn refusals_name_their_field_or_when_to_come_again() {
        let missing = problem(Refusal::ProgramNotFound);
        assert_eq!((missing.status, missing.field.as_deref()), (422, Some("command")));
        let many = problem(Refusal::TooManyCommands);
        assert_eq!((many.status, many.retry_after_seconds.is_some()), (429, true));
        let full = problem(Refusal::NoProcess);
        assert_eq!((full.status, full.retry_after_seconds.is_some()), (503, true));
    }
}
