//! The way into a terminal session's stream: who may, and how, is one statement; then the upgrade goes to the
//! session's object, untouched.

use serde::Deserialize;
use snapvm_durable::terminal_session::object::ARRIVAL;
use snapvm_durable::terminal_session::outside::{Arrival, Visitor};
use snapvm_protocol::ids::{MachineId, TerminalId};
use snapvm_protocol::terminal::SUBPROTOCOL;
use worker::{Request, Response};

use super::object::TERMINAL_BINDING;
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

/// Whether a request asks for a WebSocket.
///
/// # Errors
/// When the platform fails.
pub fn is_upgrade(request: &Request) -> Result<bool, Error> {
    Ok(request.headers().get("upgrade")?.is_some_and(|value| value.eq_ignore_ascii_case("websocket")))
}

/// `GET …/terminals/{terminal}/stream`, upgraded.
///
/// # Errors
/// 404; 426 for anything but a WebSocket of our sub-protocol.
pub async fn stream(call: Call) -> Result<Response, Error> {
    let offered = call.request.headers().get("sec-websocket-protocol")?.unwrap_or_default();
    if !is_upgrade(&call.request)? || !offered.split(',').any(|name| name.trim() == SUBPROTOCOL) {
        let detail = format!("Open a WebSocket with the sub-protocol {SUBPROTOCOL}.");
        return Err(Problem::new(426, "upgrade", detail).into());
    }
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
    let text = serde_json::to_string(&arrival).map_err(|_| Error::Internal("an arrival cannot be written"))?;
    let headers = worker::Headers::new();
    headers.set("upgrade", "websocket")?;
    headers.set(ARRIVAL, &in_ascii(&text))?;
    let mut init = worker::RequestInit::new();
    init.with_headers(headers);
    let url = format!("https://object/{}/{session}/client", allowed.machine);
    let request = Request::new_with_init(&url, &init)?;
    let stub = call.env.durable_object(TERMINAL_BINDING)?.get_by_name(&session)?;
    stub.fetch_with_request(request).await.map_err(|error| Error::Object(error.to_string()))
}

/// JSON that a header can carry: what is not printable ASCII is inside of strings, and escaped there.
fn in_ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for unit in json.encode_utf16() {
        match u8::try_from(unit) {
            Ok(byte @ 0x20..=0x7e) => text.push(char::from(byte)),
            _ => text.push_str(&format!("\\u{unit:04x}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::in_ascii;

    #[test]
    fn a_header_carries_any_name() {
        let name = "Zoë \u{1f9be}\u{7f}\n\"\\";
        let text = in_ascii(&serde_json::to_string(name).unwrap());
        assert!(text.bytes().all(|byte| (0x20..=0x7e).contains(&byte)), "{text}");
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), name);
    }
}
