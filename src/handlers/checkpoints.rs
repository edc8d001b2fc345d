//! Checkpoints: the order is a record, carried out by the machine's object, which answers to the record.

#[cfg(not(target_arch = "wasm32"))]
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::value::RawValue;
use snapvm_durable::machine_gateway::command::Command;
use snapvm_protocol::ids::{CheckpointId, MachineId};

use super::{machine_path, pass};
use crate::answer::Answer;
use crate::context::{Call, new_id};
use crate::domain::fields;
use crate::error::Error;
use crate::gateway::object;

/// A new checkpoint.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
pub struct CreateCheckpoint {
    /// What for, in up to 200 characters.
    #[serde(default)]
    pub comment: String,
}

/// The database's answer to an order: the machine, for its object, and what the client gets.
#[derive(Deserialize)]
struct Ordered {
    machine: MachineId,
    answer: Box<RawValue>,
}

/// `GET /v1/orgs/{org}/machines/{machine}/checkpoints`: newest first.
///
/// # Errors
/// 404.
pub async fn list(call: Call) -> Result<Answer, Error> {
    let (org, machine) = machine_path(&call)?;
    pass(call.run(vec![org, machine, call.config.offer.checkpoints.into()]).await?)
}

/// `POST …/checkpoints`: 202; it is `making` until its row says otherwise.
///
/// # Errors
/// 404; 409 `limit`, `checkpoint_busy`, or `state` for a machine that has no files yet; 422 for the comment.
pub async fn create(call: Call) -> Result<Answer, Error> {
    let request: CreateCheckpoint = call.read()?;
    let comment = match request.comment.trim() {
        "" => String::new(),
        comment => fields::label("comment", comment, 200)?,
    };
    let most = call.config.offer.checkpoints;
    order(&call, vec![new_id()?.into(), new_id()?.into(), comment.into(), most.into()]).await
}

/// `POST …/checkpoints/{checkpoint}/restore`: 202; the machine is `waking` until it is done.
///
/// # Errors
/// 404; 409 `checkpoint_busy` while something else is done with its checkpoints, `state` for one without files.
pub async fn restore(call: Call) -> Result<Answer, Error> {
    let checkpoint = call.id::<CheckpointId>("checkpoint")?;
    order(&call, vec![checkpoint.into(), new_id()?.into()]).await
}

/// `DELETE …/checkpoints/{checkpoint}`: 202; it is `deleting` until it is gone.
///
/// # Errors
/// 404; 409 `checkpoint_busy`.
pub async fn delete(call: Call) -> Result<Answer, Error> {
    let checkpoint = call.id::<CheckpointId>("checkpoint")?;
    order(&call, vec![checkpoint.into(), new_id()?.into()]).await
}

/// Writes the order, and tells the machine's object. The order stands whether or not the object hears of it: the
/// reconciler finds it within a minute.
async fn order(call: &Call, rest: Vec<crate::db::Argument>) -> Result<Answer, Error> {
    let mut arguments = vec![call.parameter("org")?.into(), call.parameter("machine")?.into()];
    arguments.extend(rest);
    let ordered: Ordered = call.run(arguments).await?.read()?;
    if let Err(error) = object::command(&call.env, ordered.machine, &Command::Checkpoints).await {
        worker::console_warn!("request {}: machine {}: {error}", call.request_id, ordered.machine);
    }
    Ok(Answer::json(202, ordered.answer.get().to_owned()))
}
