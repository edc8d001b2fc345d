//! Machines: the record, and orders to the machine's gateway object.

#[cfg(not(target_arch = "wasm32"))]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use snapvm_durable::machine_gateway::cause::By;
use snapvm_durable::machine_gateway::command::{Command, Reply};
use snapvm_protocol::ids::MachineId;
use snapvm_protocol::lifecycle::{Cause, MachineState, RuntimeType};

use super::{machine_path, pass};
use crate::answer::Answer;
use crate::context::{Call, new_id};
use crate::domain::fields;
use crate::error::{Error, Problem};
use crate::gateway::object;

/// A new machine. What is absent is the deployment's default.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
pub struct CreateMachine {
    /// Part of its URL; unique in the organization.
    pub name: String,
    /// One of the offered runtime types.
    #[serde(default)]
    pub runtime: Option<RuntimeType>,
    /// One of the offered sizes.
    #[serde(default)]
    pub size: Option<String>,
    /// One of the offered regions.
    #[serde(default)]
    pub region: Option<String>,
    /// Seconds of nothing after which it hibernates: 300 to the organization's maximum, its default when absent.
    #[serde(default)]
    pub idle_seconds: Option<i64>,
    /// A script that bash runs once, when the machine is first there, as its service `first-boot`: at most 30 KiB.
    #[serde(default)]
    pub first_boot: Option<String>,
}

/// Changes to a machine's settings. What is absent stays.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
pub struct UpdateMachine {
    /// Seconds of nothing after which it hibernates: 300 to 86400.
    #[serde(default)]
    pub idle_seconds: Option<i64>,
    /// The port behind the machine's own URL.
    #[serde(default)]
    pub app_port: Option<i64>,
    /// Whether load on its processors, a fifth of one or more, keeps it awake.
    #[serde(default)]
    pub cpu_counts: Option<bool>,
}

/// What an order has led to so far.
#[derive(Debug, Serialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
pub struct Ordered {
    /// The machine's state now.
    pub state: MachineState,
    /// Why, for people.
    pub reason: String,
}

#[derive(Deserialize)]
struct Commanded {
    machine: MachineId,
    actor: String,
    cause: Cause,
}

#[derive(Deserialize)]
struct Identified {
    id: MachineId,
}

/// `GET /v1/orgs/{org}/machines`: by name; `after` continues a page.
///
/// # Errors
/// 404; 422 for `limit`.
pub async fn list(call: Call) -> Result<Answer, Error> {
    let (org, limit) = (call.parameter("org")?.into(), call.limit(50, 100)?);
    let after = call.query("after").map(str::to_owned);
    pass(call.run(vec![org, limit.into(), after.into()]).await?)
}

/// `POST /v1/orgs/{org}/machines`: 201 as soon as the record is written; the machine is `creating`.
///
/// # Errors
/// 409 `name_taken`, `machine_limit` or `awake_limit`; 422 for a field.
pub async fn create(call: Call) -> Result<Answer, Error> {
    let request: CreateMachine = call.read()?;
    let name = fields::machine_name(&request.name)?;
    let offer = &call.config.offer;
    let runtime = pick("runtime", request.runtime, offer.runtimes.iter().copied())?;
    let size = pick("size", request.size, offer.sizes.iter().map(|size| size.id.clone()))?;
    let region = pick("region", request.region, offer.regions.iter().map(|region| region.id.clone()))?;
    let idle = request.idle_seconds.map(|seconds| fields::idle_seconds("idle_seconds", seconds)).transpose()?;
    let first_boot = request.first_boot.map(fields::first_boot).transpose()?;
    let arguments = vec![
        call.parameter("org")?.into(),
        new_id()?.into(),
        new_id()?.into(),
        name.as_str().into(),
        runtime.as_str().into(),
        size.into(),
        region.clone().into(),
        idle.into(),
        offer.quota.machines.into(),
        offer.quota.awake.into(),
        first_boot.into(),
    ];
    let reply = call.run(arguments).await?.accepted()?;
    let Identified { id } = read(&reply.body)?;
    // The record stands: if the object cannot be told now, the reconciler tells it within a minute.
    if let Err(error) = object::create(&call.env, id, &region, &Command::Provision).await {
        worker::console_warn!("request {}: machine {id}: {error}", call.request_id);
    }
    pass(reply)
}

fn read<T: serde::de::DeserializeOwned>(body: &str) -> Result<T, Error> {
    serde_json::from_slice(body.as_bytes()).map_err(|error| Error::DatabaseFailed(error.to_string()))
}

fn pick<T: PartialEq + Clone>(
    field: &str,
    wished: Option<T>,
    mut offered: impl Iterator<Item = T> + Clone,
) -> Result<T, Error> {
    let all = offered.clone();
    match wished {
        Some(wish) if all.clone().any(|offer| offer == wish) => Ok(wish),
        Some(_) => Err(Problem::invalid(field, "This deployment does not offer it; see GET /v1/config.").into()),
        None => offered.next().ok_or(Error::Misconfigured("OFFER lacks a default")),
    }
}

/// `GET /v1/orgs/{org}/machines/{machine}`
///
/// # Errors
/// 404.
pub async fn get(call: Call) -> Result<Answer, Error> {
    let (org, machine) = machine_path(&call)?;
    pass(call.run(vec![org, machine]).await?)
}

/// `PATCH /v1/orgs/{org}/machines/{machine}`
///
/// # Errors
/// 404; 422 for a field.
pub async fn update(call: Call) -> Result<Answer, Error> {
    let request: UpdateMachine = call.read()?;
    let idle = request.idle_seconds.map(|seconds| fields::idle_seconds("idle_seconds", seconds)).transpose()?;
    let port = request.app_port.map(|port| fields::app_port("app_port", port)).transpose()?.map(i32::from);
    let (org, machine) = machine_path(&call)?;
    let reply = call.run(vec![org, machine, idle.into(), port.into(), request.cpu_counts.into()]).await?.accepted()?;
    if idle.is_some() || request.cpu_counts.is_some() {
        let Identified { id } = read(&reply.body)?;
        object::command(&call.env, id, &Command::Settings).await?;
    }
    pass(reply)
}

/// `POST …/start`: wakes it, also from `stopped` and `failed`.
///
/// # Errors
/// 404; 409 `awake_limit`, or when it is being deleted.
pub async fn start(call: Call) -> Result<Answer, Error> {
    order(call, |by| Command::Start { by }).await
}

/// `POST …/stop`: asleep until somebody starts it.
///
/// # Errors
/// 404; 409 when its state does not allow it.
pub async fn stop(call: Call) -> Result<Answer, Error> {
    order(call, |by| Command::Stop { by }).await
}

/// `POST …/hibernate`: asleep until somebody needs it.
///
/// # Errors
/// 404; 409 when its state does not allow it.
pub async fn hibernate(call: Call) -> Result<Answer, Error> {
    order(call, |by| Command::Hibernate { by }).await
}

/// `DELETE /v1/orgs/{org}/machines/{machine}`: accepted in every state, and wins.
///
/// # Errors
/// 403 for somebody else's machine; 404.
pub async fn delete(call: Call) -> Result<Answer, Error> {
    order(call, |by| Command::Delete { by }).await
}

async fn order(call: Call, command: impl FnOnce(By) -> Command) -> Result<Answer, Error> {
    let (org, machine) = machine_path(&call)?;
    let quota = &call.config.offer.quota;
    let arguments = vec![org, machine, quota.machines.into(), quota.awake.into()];
    let allowed: Commanded = call.run_command("machines_command", arguments).await?.read()?;
    let by = By::account(allowed.cause, allowed.actor);
    match object::command(&call.env, allowed.machine, &command(by)).await? {
        Reply::State { state, reason } => {
            let body = serde_json::to_string(&Ordered { state, reason });
            Ok(Answer::json(202, body.map_err(|_| Error::Internal("an order cannot be written"))?))
        }
        Reply::Refused { code, detail } => Err(Problem::new(409, &code, detail).into()),
        _ => Err(Error::Object("an answer to another command".into())),
    }
}
