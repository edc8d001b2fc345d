//! Names of a machine's ports.

#[cfg(not(target_arch = "wasm32"))]
use schemars::JsonSchema;
use serde::Deserialize;

use super::{machine_path, pass};
use crate::answer::Answer;
use crate::context::Call;
use crate::domain::fields;
use crate::error::{Error, Problem};

/// A port's name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
pub struct PutPort {
    /// What is there, for people.
    pub label: String,
}

fn port(call: &Call) -> Result<i32, Error> {
    let port = snapvm_protocol::hosts::parse_port(call.parameter("port")?).ok_or_else(|| {
        Problem::invalid("port", "A port is a number from 1024 to 65535, other than 8080, which is the agent's.")
    })?;
    Ok(i32::from(port))
}

/// `GET /v1/orgs/{org}/machines/{machine}/ports`
///
/// # Errors
/// 404.
pub async fn list(call: Call) -> Result<Answer, Error> {
    let (org, machine) = machine_path(&call)?;
    pass(call.run(vec![org, machine]).await?)
}

/// `PUT /v1/orgs/{org}/machines/{machine}/ports/{port}`
///
/// # Errors
/// 404; 409 `limit`; 422 for a field.
pub async fn put(call: Call) -> Result<Answer, Error> {
    let request: PutPort = call.read()?;
    let label = fields::label("label", &request.label, 60)?;
    let (org, machine, port) = (call.parameter("org")?.into(), call.parameter("machine")?.into(), port(&call)?);
    pass(call.run(vec![org, machine, port.into(), label.into()]).await?)
}

/// `DELETE /v1/orgs/{org}/machines/{machine}/ports/{port}`
///
/// # Errors
/// 404.
pub async fn delete(call: Call) -> Result<Answer, Error> {
    let (org, machine, port) = (call.parameter("org")?.into(), call.parameter("machine")?.into(), port(&call)?);
    pass(call.run(vec![org, machine, port.into()]).await?)
}
