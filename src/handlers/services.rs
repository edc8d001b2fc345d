//! Services of a machine: definitions in the database, a copy with the agent.

#[cfg(not(target_arch = "wasm32"))]
use schemars::JsonSchema;
use serde::Deserialize;
use snapvm_durable::machine_gateway::command::Command;
use snapvm_protocol::services::needs::Needs;
use snapvm_protocol::services::{AtSleep, DesiredState, Readiness, RestartPolicy, ServiceAction, ServiceDefinition};

use super::{changed, machine_path, pass};
use crate::answer::Answer;
use crate::context::Call;
use crate::db::Reply;
use crate::domain::{fields, supervision};
use crate::error::Error;

/// A service's definition. Its name is in the path.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(target_arch = "wasm32"), derive(JsonSchema))]
pub struct PutService {
    /// The program: a path, or a name looked up in the machine's `PATH`.
    pub command: String,
    /// Its arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// Its working directory; the home directory when absent.
    #[serde(default)]
    pub directory: Option<String>,
    /// Variables added to the default environment.
    #[serde(default)]
    pub environment: std::collections::BTreeMap<String, String>,
    /// The port on which it serves HTTP, where it does.
    #[serde(default)]
    pub http_port: Option<u16>,
    /// What a sleep does to it.
    #[serde(default)]
    pub at_sleep: AtSleep,
    /// Services of the machine that are to be ready before it starts.
    #[serde(default)]
    pub needs: Vec<String>,
    /// How it shows that it is ready; by running for a second when absent.
    #[serde(default)]
    pub ready: Option<Readiness>,
    /// Seconds, 1 to 3600, after which it says that it is not ready yet; 60 when absent.
    #[serde(default)]
    pub ready_limit_seconds: Option<u16>,
    /// When it is started again.
    #[serde(default)]
    pub restart: RestartPolicy,
    /// Whether it runs by itself once in the life of the machine's disk, and then when somebody starts it; `restart` does
    /// not count then.
    #[serde(default)]
    pub once: bool,
    /// Seconds between TERM and KILL, 1 to 300; 10 when absent.
    #[serde(default)]
    pub stop_grace_seconds: Option<u16>,
    /// Whether the machine does not hibernate by itself while it runs.
    #[serde(default)]
    pub keep_awake: bool,
    /// Whether it should be running; `up` when absent.
    #[serde(default)]
    pub desired: Option<DesiredState>,
}

/// `GET /v1/orgs/{org}/machines/{machine}/services`
///
/// # Errors
/// 404.
pub async fn list(call: Call) -> Result<Answer, Error> {
    let (org, machine) = machine_path(&call)?;
    pass(call.run(vec![org, machine]).await?)
}

/// `PUT …/services/{service}`: makes or replaces it.
///
/// # Errors
/// 404; 409 `limit`; 422 for a field, also for needs that are not there or make a cycle.
pub async fn put(call: Call) -> Result<Answer, Error> {
    let request: PutService = call.read()?;
    let definition = ServiceDefinition {
        name: call.parameter("service")?.to_owned(),
        command: request.command,
        args: request.args,
        directory: request.directory.filter(|directory| !directory.is_empty()),
        environment: request.environment,
        http_port: request.http_port,
        at_sleep: request.at_sleep,
        needs: request.needs,
        ready: request.ready,
        ready_limit_seconds: request.ready_limit_seconds,
        restart: request.restart,
        once: request.once,
        stop_grace_seconds: request.stop_grace_seconds,
        keep_awake: request.keep_awake,
        desired: request.desired.unwrap_or(DesiredState::Up),
    };
    fields::service(&definition)?;
    supervision::check(&definition)?;
    let text = serde_json::to_string(&definition).map_err(|_| Error::Internal("a service cannot be written"))?;
    fields::service_text(&text)?;
    let (org, machine) = machine_path(&call)?;
    let name = definition.name.clone();
    let arguments = vec![org, machine, definition.name.into(), text.into(), desired(definition.desired).into()];
    let reply = call.run(arguments).await?;
    if let Some(needs) = cyclic_needs(&reply) {
        return Err(supervision::cyclic(&needs, &name).into());
    }
    changed(&call, reply, &Command::Services, 200).await
}

/// What the machine's services would need, where the database refused that for a cycle. It finds that there is one;
/// naming it takes a walk that is no work for a statement.
fn cyclic_needs(reply: &Reply) -> Option<Needs> {
    #[derive(Deserialize)]
    struct Refused {
        needs: Option<Needs>,
    }
    if reply.status != 422 {
        return None;
    }
    serde_json::from_slice::<Refused>(reply.body.as_bytes()).ok()?.needs
}

/// `DELETE …/services/{service}`
///
/// # Errors
/// 404; 409 `needed` while others need it.
pub async fn delete(call: Call) -> Result<Answer, Error> {
    let (org, machine) = machine_path(&call)?;
    let service = call.parameter("service")?.into();
    let reply = call.run(vec![org, machine, service]).await?;
    changed(&call, reply, &Command::Services, 200).await
}

/// `POST …/services/{service}/start`
///
/// # Errors
/// 404.
pub async fn start(call: Call) -> Result<Answer, Error> {
    act(call, ServiceAction::Start, DesiredState::Up).await
}

/// `POST …/services/{service}/stop`: it stays stopped over sleep.
///
/// # Errors
/// 404.
pub async fn stop(call: Call) -> Result<Answer, Error> {
    act(call, ServiceAction::Stop, DesiredState::Down).await
}

/// `POST …/services/{service}/restart`
///
/// # Errors
/// 404.
pub async fn restart(call: Call) -> Result<Answer, Error> {
    act(call, ServiceAction::Restart, DesiredState::Up).await
}

async fn act(call: Call, action: ServiceAction, wanted: DesiredState) -> Result<Answer, Error> {
    let name = call.parameter("service")?.to_owned();
    let (org, machine) = machine_path(&call)?;
    let arguments = vec![org, machine, name.clone().into(), desired(wanted).into()];
    let reply = call.run_command("services_command", arguments).await?;
    changed(&call, reply, &Command::Service { name, action }, 200).await
}

fn desired(state: DesiredState) -> &'static str {
    match state {
        DesiredState::Up => "up",
        DesiredState::Down => "down",
    }
}
