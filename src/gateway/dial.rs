//! Sockets that agents dial. Signatures are checked here, before an object is touched; whether the agent is still the
//! bound one, and whether its ticket was used before, only the object knows.

use snapvm_durable::dial::Dial;
use snapvm_protocol::ids::{MachineId, TerminalId};
use snapvm_protocol::tickets::TicketError;
use worker::{Env, Request, Response};

use super::object::{BINDING, TERMINAL_BINDING};
use super::outside::signer;
use crate::error::{Error, Problem};
use crate::platform;

/// Passes an agent's dial to the object it is for.
///
/// # Errors
/// 404 for another path, 426 for anything but a WebSocket, 403 for a bad ticket.
pub async fn forward(request: Request, env: &Env) -> Result<Response, Error> {
    let path = request.path();
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let (machine, binding, name) = match segments.as_slice() {
        ["agent", "v1", "machines", machine, "control"] => {
            let machine = id::<MachineId>(machine)?;
            (machine, BINDING, machine.to_string())
        }
        ["agent", "v1", "machines", machine, "terminals", session] => {
            (id::<MachineId>(machine)?, TERMINAL_BINDING, id::<TerminalId>(session)?.to_string())
        }
        _ => return Err(Problem::not_found().into()),
    };
    if !super::sockets::is_upgrade(&request)? {
        return Err(Problem::new(426, "upgrade", "This is a WebSocket.").into());
    }
    let admitted = Dial::read(&request)?.check(machine, &signer(env)?.verifier(), platform::now_ms());
    admitted.map_err(|error: TicketError| Problem::new(403, "ticket", format!("{error}.")))?;
    let stub = env.durable_object(binding)?.get_by_name(&name)?;
    stub.fetch_with_request(request).await.map_err(|error| Error::Object(error.to_string()))
}

fn id<T: std::str::FromStr>(text: &str) -> Result<T, Error> {
    text.parse().map_err(|_| Problem::not_found().into())
}
