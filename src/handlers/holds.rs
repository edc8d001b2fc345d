//! Holds: the record in the database, a copy with the machine's object, which decides about sleep.

#[cfg(not(target_arch = "wasm32"))]
use schemars::JsonSchema;
use serde::Deserialize;
use snapvm_durable::machine_gateway::command::Command;
use snapvm_protocol::ids::HoldId;

use super::{changed, machine_path, pass};
use crate::answer::Answer;
use crate::context::{Call, new_id};
use crate::domain::{fields, times};
use crate::error::{Error, Problem};

/// Minutes of a day.
const MINUTES_MAX: i32 = 24 * 60;

/// A new hold: `until` or `minutes`, at most 24 hours ahead.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
pub struct CreateHold {
    /// What for: shown to whoever asks why the machine is awake.
    pub reason: String,
    /// When it ends, RFC 3339.
    #[serde(default)]
    #[cfg_attr(not(target_arch = "wasm32"), schemars(extend("format" = "date-time")))]
    pub until: Option<String>,
    /// In how many minutes it ends: 1 to 1440.
    #[serde(default)]
    pub minutes: Option<i64>,
}

/// `GET /v1/orgs/{org}/machines/{machine}/holds`: those that last.
///
/// # Errors
/// 404.
pub async fn list(call: Call) -> Result<Answer, Error> {
    let (org, machine) = machine_path(&call)?;
    pass(call.run(vec![org, machine]).await?)
}

/// `POST …/holds`
///
/// # Errors
/// 404; 409 `limit`, or `state` for a machine that is stopped; 422 for a field.
pub async fn create(call: Call) -> Result<Answer, Error> {
    let request: CreateHold = call.read()?;
    let reason = fields::label("reason", &request.reason, 200)?;
    let (until, minutes) = match (request.until, request.minutes) {
        (Some(until), None) => (Some(times::parse("until", &until)?), None),
        (None, Some(minutes)) => (None, Some(fields::within("minutes", minutes, 1..=MINUTES_MAX)?)),
        _ => return Err(Problem::invalid("until", "Say when it ends: either `until` or `minutes`.").into()),
    };
    let (org, machine) = machine_path(&call)?;
    let arguments = vec![org, machine, new_id()?.into(), new_id()?.into(), reason.into(), until.into(), minutes.into()];
    changed(&call, call.run(arguments).await?, &Command::Holds, 201).await
}

/// `DELETE …/holds/{hold}`: ends it early.
///
/// # Errors
/// 404, also when it has ended.
pub async fn delete(call: Call) -> Result<Answer, Error> {
    let hold = call.id::<HoldId>("hold")?;
    let (org, machine) = machine_path(&call)?;
    let reply = call.run(vec![org, machine, hold.into(), new_id()?.into()]).await?;
    changed(&call, reply, &Command::Holds, 201).await
}
