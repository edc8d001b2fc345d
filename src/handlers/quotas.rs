//! Quotas: how many machines an organization may have, how many of them awake, and for how long they may idle.

#[cfg(not(target_arch = "wasm32"))]
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::value::RawValue;
use snapvm_durable::machine_gateway::command::Command;
use snapvm_protocol::ids::MachineId;

use super::pass;
use crate::answer::Answer;
use crate::context::Call;
use crate::db::Argument;
use crate::domain::fields;
use crate::error::Error;
use crate::gateway::object;

/// An organization's own limits. What is absent is as the deployment has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
pub struct PutQuotas {
    /// Most machines.
    #[serde(default)]
    pub machines: Option<i64>,
    /// Most machines that are awake at the same time. Those that are awake already stay so.
    #[serde(default)]
    pub awake: Option<i64>,
    /// Seconds of nothing after which a new machine hibernates that does not say: 300 to 86400.
    #[serde(default)]
    pub idle_seconds: Option<i64>,
    /// The longest that a machine may have: 300 to 86400. Machines with longer ones get it.
    #[serde(default)]
    pub idle_seconds_max: Option<i64>,
}

/// The database's answer to a change.
#[derive(Deserialize)]
struct Changed {
    /// Awake machines whose settings changed with it.
    machines: Vec<MachineId>,
    answer: Box<RawValue>,
}

/// `GET /v1/orgs/{org}/quotas`
///
/// # Errors
/// 404.
pub async fn get(call: Call) -> Result<Answer, Error> {
    let mut arguments = vec![call.parameter("org")?.into()];
    arguments.extend(deployment(&call));
    pass(call.run(arguments).await?)
}

/// `PUT /v1/orgs/{org}/quotas`
///
/// # Errors
/// 403 `role`; 404; 422 for a field.
pub async fn put(call: Call) -> Result<Answer, Error> {
    let request: PutQuotas = call.read()?;
    let count =
        |field, number: Option<i64>| number.map(|number| fields::within(field, number, 0..=1_000_000)).transpose();
    let seconds = |field, number: Option<i64>| number.map(|number| fields::idle_seconds(field, number)).transpose();
    let (machines, awake) = (count("machines", request.machines)?, count("awake", request.awake)?);
    let idle = seconds("idle_seconds", request.idle_seconds)?;
    let idle_max = seconds("idle_seconds_max", request.idle_seconds_max)?;
    fields::idle_order(idle, idle_max)?;
    let mut arguments =
        vec![call.parameter("org")?.into(), machines.into(), awake.into(), idle.into(), idle_max.into()];
    arguments.extend(deployment(&call));
    let changed: Changed = call.run(arguments).await?.read()?;
    // One that does not hear of it reads its settings at its next wake.
    object::tell_all(&call, changed.machines.into_iter().map(|machine| (machine, Command::Settings))).await;
    Ok(Answer::json(200, changed.answer.get().to_owned()))
}

fn deployment(call: &Call) -> [Argument; 2] {
    let quota = &call.config.offer.quota;
    [quota.machines.into(), quota.awake.into()]
}
