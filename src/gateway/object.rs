//! Talking to the object of a machine. Typed commands, JSON bodies; the object's name is the machine's id, which comes
//! from the database and never from a URL.

use snapvm_durable::machine_gateway::command::{Command, Reply};
use snapvm_protocol::ids::MachineId;

use crate::error::Error;

/// The binding of the object class.
pub const BINDING: &str = "MACHINE_GATEWAY";

/// Sends a command to a machine's object, which exists or comes to be near whoever asks first.
///
/// # Errors
/// [`Error::Object`].
pub async fn command(env: &worker::Env, machine: MachineId, command: &Command) -> Result<Reply, Error> {
    let stub = env.durable_object(BINDING)?.get_by_name(&machine.to_string())?;
    send(&stub, command).await
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
    send(&stub, command).await
}

async fn send(stub: &worker::Stub, command: &Command) -> Result<Reply, Error> {
    let failed = |error: worker::Error| Error::Object(error.to_string());
    let body = serde_json::to_string(command).map_err(|_| Error::Internal("a command cannot be written"))?;
    let mut init = worker::RequestInit::new();
    init.with_method(worker::Method::Post).with_body(Some(body.into()));
    let request = worker::Request::new_with_init("https://object/command", &init).map_err(failed)?;
    let mut response = stub.fetch_with_request(request).await.map_err(failed)?;
    if response.status_code() != 200 {
        return Err(Error::Object(format!("status {}", response.status_code())));
    }
    response.json().await.map_err(failed)
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
