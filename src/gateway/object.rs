//! Talking to the object of a machine. Typed commands, JSON bodies; the object's name is the machine's id, which comes
//! from the database and never from a URL.

use std::time::Duration;

use futures::StreamExt;
use futures::future::{Either, select};
use serde::Serialize;
use snapvm_durable::machine_gateway::command::{Command, Reply};
use snapvm_durable::terminal_session::command::Command as TerminalCommand;
use snapvm_protocol::ids::{MachineId, TerminalId};

use crate::context::Call;
use crate::error::Error;

/// Longest time that an answer waits for the objects of many machines.
const PATIENCE: Duration = Duration::from_secs(3);
/// Objects that are told at the same time.
const AT_ONCE: usize = 20;

/// The binding of the object class.
pub const BINDING: &str = "MACHINE_GATEWAY";
/// The binding of the object class of terminal sessions.
pub const TERMINAL_BINDING: &str = "TERMINAL_SESSION";

/// Sends a command to a machine's object, which exists or comes to be near whoever asks first.
///
/// # Errors
/// [`Error::Object`].
pub async fn command(env: &worker::Env, machine: MachineId, command: &Command) -> Result<Reply, Error> {
    let stub = env.durable_object(BINDING)?.get_by_name(&machine.to_string())?;
    send(&stub, machine, command).await
}

/// Tells the objects of many machines, of a change that stands whether or not they hear of it.
pub async fn tell_all(call: &Call, commands: impl Iterator<Item = (MachineId, Command)>) {
    let telling = futures::stream::iter(commands).for_each_concurrent(AT_ONCE, |(machine, told)| async move {
        if let Err(error) = command(&call.env, machine, &told).await {
            worker::console_warn!("request {}: machine {machine}: {error}", call.request_id);
        }
    });
    if let Either::Right(_) = select(Box::pin(telling), Box::pin(worker::Delay::from(PATIENCE))).await {
        worker::console_warn!("request {}: not every machine has heard of {}", call.request_id, call.operation);
    }
}

/// Sends the first command of a machine's life: its object comes to be near the machine's region.
///
/// # Errors
/// [`Error::Object`].
pub async fn create(env: &worker::Env, machine: MachineId, region: &str, command: &Command) -> Result<Reply, Error> {
    let namespace = env.durable_object(BINDING)?;
    let stub = match location_hint(region) {
        Some(hint) => namespace.get_by_name_with_location_hint(&machine.to_string(), hint)?,
        None => namespace.get_by_name(&machine.to_string())?,
    };
    send(&stub, machine, command).await
}

async fn send(stub: &worker::Stub, machine: MachineId, command: &Command) -> Result<Reply, Error> {
    let mut response = post(stub, &format!("https://object/{machine}/command"), written(command)?).await?;
    response.json().await.map_err(|error| Error::Object(error.to_string()))
}

fn written(command: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(command).map_err(|_| Error::Internal("a command cannot be written"))
}

/// Sends a text to an object.
///
/// # Errors
/// [`Error::Object`].
pub async fn post(stub: &worker::Stub, url: &str, body: String) -> Result<worker::Response, Error> {
    let failed = |error: worker::Error| Error::Object(error.to_string());
    let mut init = worker::RequestInit::new();
    init.with_method(worker::Method::Post).with_body(Some(body.into()));
    let request = worker::Request::new_with_init(url, &init).map_err(failed)?;
    let response = stub.fetch_with_request(request).await.map_err(failed)?;
    match response.status_code() {
        200 => Ok(response),
        status => Err(Error::Object(format!("status {status}"))),
    }
}

/// Tells the object of a terminal session.
///
/// # Errors
/// [`Error::Object`].
pub async fn tell_terminal(env: &worker::Env, session: TerminalId, command: &TerminalCommand) -> Result<(), Error> {
    let stub = env.durable_object(TERMINAL_BINDING)?.get_by_name(&session.to_string())?;
    post(&stub, "https://object/command", written(command)?).await.map(|_| ())
}

/// Cloudflare's hint for a provider's region, by its first letters; `None` leaves it to the platform.
fn location_hint(region: &str) -> Option<&'static str> {
    Some(match region {
        "iad" | "ewr" | "bos" | "yyz" | "atl" | "mia" | "ord" => "enam",
        "sjc" | "lax" | "sea" | "dfw" | "den" => "wnam",
        "ams" | "fra" | "lhr" | "cdg" | "mad" | "arn" => "weur",
        "waw" | "otp" => "eeur",
        "nrt" | "hkg" | "sin" | "bom" => "apac",
        "syd" => "oc",
        "gru" | "scl" | "bog" => "sam",
        "jnb" => "afr",
        _ => return None,
    })
}
