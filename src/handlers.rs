//! One module per resource: read the request, check its fields, make one call, answer.

pub mod accounts;
pub mod audit;
pub mod checkpoints;
pub mod deployment;
pub mod events;
pub mod exec;
pub mod feed;
pub mod holds;
pub mod logs;
pub mod machines;
pub mod members;
pub mod operator;
pub mod orgs;
pub mod ports;
pub mod quotas;
pub mod services;
pub mod sessions;
pub mod terminals;
pub mod tokens;
pub mod usage;
pub mod variables;
pub mod why;

use serde::Deserialize;
use serde_json::value::RawValue;
use snapvm_durable::machine_gateway::command::Command;
use snapvm_protocol::ids::MachineId;

use crate::answer::Answer;
use crate::context::Call;
use crate::db::{Argument, Reply};
use crate::error::Error;
use crate::gateway::object;

/// The database's reply as it is.
///
/// # Errors
/// The refusal that it may be.
fn pass(reply: Reply) -> Result<Answer, Error> {
    let reply = reply.accepted()?;
    Ok(Answer::json(reply.status, reply.body))
}

/// The organization and the machine that the path names.
///
/// # Errors
/// [`Error::Internal`] when the route has no such parts.
fn machine_path(call: &Call) -> Result<(Argument, Argument), Error> {
    Ok((call.parameter("org")?.into(), call.parameter("machine")?.into()))
}

/// The database's answer to a change of what a machine's object has a copy of: the machine, and what the client gets.
#[derive(Deserialize)]
struct Changed {
    machine: MachineId,
    #[serde(default)]
    answer: Option<Box<RawValue>>,
}

/// Tells a machine's object of a change, and answers with what it made, under this status. The change stands whether or
/// not the object hears of it: it reads the record again before that matters.
///
/// # Errors
/// The refusal that the reply may be.
async fn changed(call: &Call, reply: Reply, command: &Command, status: u16) -> Result<Answer, Error> {
    let changed: Changed = reply.read()?;
    if let Err(error) = object::command(&call.env, changed.machine, command).await {
        worker::console_warn!("request {}: machine {}: {error}", call.request_id, changed.machine);
    }
    Ok(match changed.answer {
        Some(answer) => Answer::json(status, answer.get().to_owned()),
        None => Answer::nothing(),
    })
}
