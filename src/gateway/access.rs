//! A change of access reaches those it is about: the machines at which they may be working are told as soon as the
//! database has it. A machine that does not hear of it closes by itself what is open to them, within 30 s of use.

use serde::Deserialize;
use serde_json::value::RawValue;
use snapvm_durable::machine_gateway::command::Command;
use snapvm_protocol::ids::MachineId;

use super::object;
use crate::answer::Answer;
use crate::context::Call;
use crate::db::Reply;
use crate::error::Error;

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
    let commands = changed.machines.into_iter().map(|awake| (awake.machine, Command::Access { epoch: awake.epoch }));
    object::tell_all(call, commands).await;
    Ok(match changed.answer {
        Some(answer) => Answer::json(200, answer.get().to_owned()),
        None => Answer::nothing(),
    })
}
