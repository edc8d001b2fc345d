//! The way into a terminal session's stream: who may, and how, is one statement; then the upgrade goes to the
//! session's object, untouched.

use serde::Deserialize;
use snapvm_durable::terminal_session::object::ARRIVAL;
use snapvm_durable::terminal_session::outside::{Arrival, Visitor};
use snapvm_protocol::ids::{MachineId, TerminalId};
use snapvm_protocol::terminal::SUBPROTOCOL;
use worker::Response;

use super::object::TERMINAL_BINDING;
use super::sockets;
use crate::authn::Credential;
use crate::context::Call;
use crate::error::{Error, Problem};

#[derive(Deserialize)]
struct Allowed {
    machine: MachineId,
    account: String,
    person: String,
    write: bool,
    directory: Option<String>,
    deleted: bool,
}

/// `GET …/terminals/{terminal}/stream`, upgraded.
///
/// # Errors
/// 404; 426 for anything but a WebSocket of our sub-protocol.
pub async fn stream(call: Call) -> Result<Response, Error> {
    sockets::require(&call, SUBPROTOCOL)?;
    let session = call.id::<TerminalId>("terminal")?;
    let (org, name) = (call.parameter("org")?.to_owned(), call.parameter("machine")?.to_owned());
    let arguments = vec![org.clone().into(), name.clone().into(), session.clone().into()];
    let allowed: Allowed = call.run(arguments).await?.read()?;
    if allowed.deleted {
        return Err(Problem::new(404, "not_found", "This terminal has been ended.").into());
    }
    let visitor = Visitor {
        credential: call.credential.as_ref().map(Credential::as_context).unwrap_or_default(),
        org,
        name,
        session: session.clone(),
        account: allowed.account,
        person: allowed.person,
        write: allowed.write,
    };
    let arrival = Arrival { visitor, wake: call.query("wake") == Some("true"), directory: allowed.directory };
    let url = format!("https://object/{}/{session}/client", allowed.machine);
    let stub = call.env.durable_object(TERMINAL_BINDING)?.get_by_name(&session)?;
    let arrival = serde_json::to_string(&arrival).map_err(|_| Error::Internal("an arrival cannot be written"))?;
    sockets::hand_over(&stub, &url, ARRIVAL, &sockets::in_ascii(&arrival)).await
}
