//! One-shot commands: who may is one statement, where to is the machine's object, and the machine's own answer goes to
//! the client as it comes.

use snapvm_protocol::exec::{EVENT_STREAM, ExecRequest};

use super::machine_path;
use crate::answer::Answer;
use crate::context::Call;
use crate::error::{Error, Problem};
use crate::gateway::agent::Caller;
use crate::gateway::exec;

/// `POST /v1/orgs/{org}/machines/{machine}/exec`: runs a command, waking the machine if it sleeps. One JSON object at
/// its end, or events as its output comes when the client accepts those.
///
/// # Errors
/// 404; 409 for a machine that is stopped, failed, or whose agent is too old; 422 for a field, also when only the
/// machine can tell; 429 for too many at once; 503 when the machine does not wake in time.
pub async fn create(mut call: Call) -> Result<Answer, Error> {
    let command = call.read::<ExecRequest>()?.check();
    let command = command.map_err(|invalid| Problem::invalid(invalid.field, invalid.detail))?;
    let events = call.accepts_events()?;
    let (org, machine) = machine_path(&call)?;
    let caller: Caller = call.run(vec![org, machine, command.audit_name().into()]).await?.read()?;
    // The bytes that were read go on, so that the agent reads what was looked at here.
    let body = exec::run(&call.env, &caller, std::mem::take(&mut call.body), events).await?;
    let media_type = if events { EVENT_STREAM } else { "application/json" };
    Ok(Answer::stream(200, body).with("content-type", media_type.to_owned()))
}
