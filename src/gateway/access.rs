//! A change of access reaches those it is about: the machines at which they may be working are told as soon as the
//! database has it. A machine that does not hear of it closes by itself what is open to them, within 30 s of use.

use futures::StreamExt;
use futures::future::{Either, select};
use serde::Deserialize;
use serde_json::value::RawValue;
use snapvm_durable::machine_gateway::command::Command;
use snapvm_protocol::ids::MachineId;

use super::object;
use crate::answer::Answer;
use crate::context::Call;
use crate::db::Reply;
use crate::error::Error;

/// Longest time that an answer waits for the machines.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(3);
/// Machines that are told at the same time.
const AT_ONCE: usize = 20;

/// The database's answer to a change of access.
#[derive(Deserialize)]
struct Changed {
    machines: Vec<Awake>,
    #[serde(default)]
    answer: Option<Box<RawValue>>,
}

/// A machine at which somebody may be working.
#[derive(Deserialize)]
struct Awake {
    machine: MachineId,
    epoch: u64,
}

/// Tells the machines of a change, and gives what the client gets.
///
/// # Errors
/// The refusal that the reply may be.
pub async fn changed(call: &Call, reply: Reply) -> Result<Answer, Error> {
    let changed: Changed = reply.read()?;
    let telling = futures::stream::iter(changed.machines).for_each_concurrent(AT_ONCE, |awake| async move {
        let command = Command::Access { epoch: awake.epoch };
        if let Err(error) = object::command(&call.env, awake.machine, &command).await {
            worker::console_warn!("request {}: machine {}: {error}", call.request_id, awake.machine);
        }
    });
    if let Either::Right(_) = select(Box::pin(telling), Box::pin(worker::Delay::from(PATIENCE))).await {
        worker::console_warn!("request {}: not every machine has heard of a change of access", call.request_id);
    }
    Ok(match changed.answer {
        Some(answer) => Answer::json(200, answer.get().to_owned()),
        None => Answer::nothing(),
    })
}
