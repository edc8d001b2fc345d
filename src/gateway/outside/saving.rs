//! What a machine's record is told of it, and that of a prepared one, which nobody has a history of.

use snapvm_durable::machine_gateway::outside::{Line, Record};
use snapvm_durable::machine_gateway::state::Machine;

use crate::db::Argument;

/// What the database says then.
#[derive(serde::Deserialize)]
pub(super) struct Saved {
    pub(super) epoch: u64,
}

/// For `gateway_state`.
pub(super) fn machine(record: &Record, machine: &Machine, line: Option<Line<'_>>) -> Vec<Argument> {
    let history = line.map(|line| line.history);
    let [name, id, url] = sprite(record);
    vec![
        record.machine.to_string().into(),
        machine.state.as_str().into(),
        machine.reason.clone().into(),
        line.map(|line| line.id.to_owned()).into(),
        history.map(|history| history.kind.to_string()).into(),
        history.map(|history| history.detail.clone()).into(),
        history.and_then(|history| history.by.actor.clone()).into(),
        name,
        id,
        url,
        history.map(|history| history.by.cause.as_str().to_owned()).into(),
        history.map(|history| history.at_ms.to_string()).into(),
        machine.desired().as_str().into(),
        record.written.to_string().into(),
        i32::try_from(record.generation).unwrap_or(i32::MAX).into(),
    ]
}

/// For `gateway_prepared`.
pub(super) fn prepared(record: &Record, machine: &Machine) -> Vec<Argument> {
    let [name, id, url] = sprite(record);
    vec![
        record.machine.to_string().into(),
        machine.state.as_str().into(),
        machine.reason.clone().into(),
        record.written.to_string().into(),
        name,
        id,
        url,
    ]
}

/// Name, id and URL of its sprite, once there is one.
fn sprite(record: &Record) -> [Argument; 3] {
    let name = record.sprite_id.as_ref().map(|_| record.sprite_name());
    [name.into(), record.sprite_id.clone().into(), record.sprite_url.clone().into()]
}
