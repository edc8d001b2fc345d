//! Why a machine is awake or asleep: the record says what it is and who holds it, its object what is live.

use futures::future::{Either, select};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use snapvm_durable::machine_gateway::command::{Command, Reply, Why};
use snapvm_protocol::ids::MachineId;
use snapvm_protocol::lifecycle::MachineState;

use super::machine_path;
use crate::answer::Answer;
use crate::context::Call;
use crate::domain::{times, why};
use crate::error::Error;
use crate::gateway::object;

/// How long the object is waited for: a page asks, and the record is an answer too.
const PATIENCE_MS: u64 = 2_000;

/// The database's part: what is the client's, and which object to ask.
#[derive(Deserialize)]
struct Recorded {
    machine: MachineId,
    answer: Map<String, Value>,
}

/// `GET /v1/orgs/{org}/machines/{machine}/why`
///
/// # Errors
/// 404.
pub async fn get(call: Call) -> Result<Answer, Error> {
    let (org, machine) = machine_path(&call)?;
    let Recorded { machine, mut answer } = call.run(vec![org, machine]).await?.read()?;
    let live = ask(&call, machine).await;
    let unreadable = || Error::DatabaseFailed("a machine without a state".into());
    let recorded = answer.get("state").cloned().ok_or_else(unreadable)?;
    let recorded: MachineState = serde_json::from_value(recorded).map_err(|_| unreadable())?;
    let state = live.as_ref().map_or(recorded, |live| live.state);
    let tasks = live.as_ref().map_or_else(Vec::new, |live| live.tasks.clone());
    let services = live.as_ref().map_or_else(Vec::new, |live| live.services.clone());
    let holds = answer.get("holds").and_then(Value::as_array).map_or(0, Vec::len);
    let idle_seconds = answer.get("idle_seconds").and_then(Value::as_u64).unwrap_or(0);
    answer.insert("changes".into(), json!(why::changes(state, idle_seconds, holds, &tasks, &services)));
    answer.insert("live".into(), live.is_some().into());
    answer.insert("tasks".into(), json!(tasks));
    answer.insert("services".into(), json!(services));
    let activity = live.as_ref().and_then(|live| live.last_activity);
    let activity = activity.map(|activity| json!({"kind": activity.kind, "at": times::from_ms(activity.at_ms)}));
    answer.insert("last_activity".into(), activity.into());
    answer.insert("sleeps_at".into(), live.as_ref().and_then(|live| live.sleeps_at_ms).and_then(times::from_ms).into());
    if let Some(live) = live {
        // The object is ahead of the record by a write.
        answer.insert("state".into(), json!(live.state));
        answer.insert("reason".into(), live.reason.into());
    }
    Ok(Answer::json(200, Value::Object(answer).to_string()))
}

async fn ask(call: &Call, machine: MachineId) -> Option<Why> {
    let asking = Box::pin(object::command(&call.env, machine, &Command::Why));
    let patience = Box::pin(worker::Delay::from(std::time::Duration::from_millis(PATIENCE_MS)));
    match select(asking, patience).await {
        Either::Left((Ok(Reply::Why(why)), _)) => Some(why),
        Either::Left((Err(error), _)) => {
            worker::console_warn!("request {}: machine {machine}: {error}", call.request_id);
            None
        }
        _ => None,
    }
}
