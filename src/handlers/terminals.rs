//! Terminal sessions: records, and the way into a session's stream.

#[cfg(not(target_arch = "wasm32"))]
use schemars::JsonSchema;
use serde::Deserialize;
use snapvm_durable::machine_gateway::command::Command;
use snapvm_protocol::ids::{MachineId, TerminalId};

use super::{machine_path, pass};
use crate::answer::Answer;
use crate::context::{Call, new_id};
use crate::domain::fields;
use crate::error::Error;
use crate::gateway::{object, terminals};

/// A new terminal.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
pub struct CreateTerminal {
    /// What its tab says; `Terminal` when absent.
    #[serde(default)]
    pub name: Option<String>,
    /// Where its shell starts, an absolute path; the home directory when absent, or when it cannot be entered.
    #[serde(default)]
    pub directory: Option<String>,
}

/// What can be changed of a terminal.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
pub struct UpdateTerminal {
    /// What its tab says.
    pub name: String,
}

#[derive(Deserialize)]
struct Ended {
    machine: MachineId,
}

/// `GET /v1/orgs/{org}/machines/{machine}/terminals`
///
/// # Errors
/// 404.
pub async fn list(call: Call) -> Result<Answer, Error> {
    let (org, machine) = machine_path(&call)?;
    pass(call.run(vec![org, machine]).await?)
}

/// `POST …/terminals`: the record; its shell starts when somebody opens the stream.
///
/// # Errors
/// 404; 409 `limit`; 422 for a field.
pub async fn create(call: Call) -> Result<Answer, Error> {
    let request: CreateTerminal = call.read()?;
    let name = fields::label("name", request.name.as_deref().unwrap_or("Terminal"), 60)?;
    let directory = request.directory.map(fields::directory).transpose()?;
    let (org, machine) = machine_path(&call)?;
    pass(call.run(vec![org, machine, new_id()?.into(), name.into(), directory.into()]).await?)
}

/// `PATCH …/terminals/{terminal}`
///
/// # Errors
/// 404; 422 for a field.
pub async fn update(call: Call) -> Result<Answer, Error> {
    let request: UpdateTerminal = call.read()?;
    let name = fields::label("name", &request.name, 60)?;
    let terminal = call.id::<TerminalId>("terminal")?;
    let (org, machine) = machine_path(&call)?;
    pass(call.run(vec![org, machine, terminal.into(), name.into()]).await?)
}

/// `DELETE …/terminals/{terminal}`: ends its shell.
///
/// # Errors
/// 404.
pub async fn delete(call: Call) -> Result<Answer, Error> {
    let terminal = call.id::<TerminalId>("terminal")?;
    let (org, machine) = machine_path(&call)?;
    let ended: Ended = call.run(vec![org, machine, terminal.clone().into()]).await?.read()?;
    if let Ok(session) = terminal.parse()
        && let Err(error) = object::command(&call.env, ended.machine, &Command::CloseTerminal { session }).await
    {
        worker::console_warn!("request {}: machine {}: {error}", call.request_id, ended.machine);
    }
    Ok(Answer::nothing())
}

/// `GET …/terminals/{terminal}/stream`: a WebSocket; see `docs/terminal-protocol.md`.
///
/// # Errors
/// 404; 426 for anything but a WebSocket of our sub-protocol.
pub async fn stream(call: Call) -> Result<Answer, Error> {
    let upgraded = terminals::stream(call).await?;
    Ok(Answer { upgraded: Some(upgraded), ..Answer::nothing() })
}
