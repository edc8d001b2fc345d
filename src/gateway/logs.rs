//! A log's way from a machine: a ticket from the object, the request to the sprite, its answer's stream back. A machine
//! that sleeps is woken for it only when the caller says so.

use snapvm_durable::machine_gateway::cause::By;
use snapvm_durable::machine_gateway::command::Command;
use snapvm_protocol::exec::EVENT_STREAM;
use snapvm_protocol::lifecycle::Cause;
use snapvm_protocol::logs::{LOGS_PATH, LogsRequest};
use worker::{Env, ResponseBody};

use super::agent::{self, Ask, Caller, Verdict};
use crate::error::Error;

/// Reads a log: the machine's stream, as it comes.
///
/// # Errors
/// See [`crate::handlers::logs::get`].
pub async fn read(env: &Env, caller: &Caller, request: &LogsRequest, wake: bool) -> Result<ResponseBody, Error> {
    let body = serde_json::to_vec(request).map_err(|_| Error::Internal("a request for a log cannot be written"))?;
    let accept = if request.follow { EVENT_STREAM } else { "application/json" };
    let ask = Ask { path: LOGS_PATH, account: &caller.account, body: &body, accept };
    let by = By::account(Cause::Service, &caller.account);
    let command = Command::Logs { epoch: caller.epoch, wake, by };
    let mut lease = agent::ticket(env, caller.machine, &command).await?;
    let (mut verdict, mut response) = agent::send(env, &lease, &ask).await?;
    // The object may just have found out; reading twice is as good as once.
    if matches!(verdict, Verdict::Asleep | Verdict::Unknown) {
        lease = agent::ticket(env, caller.machine, &command).await?;
        (verdict, response) = agent::send(env, &lease, &ask).await?;
    }
    agent::stream(verdict, response.as_ref())
}
