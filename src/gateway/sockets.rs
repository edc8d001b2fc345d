//! WebSockets of clients, on their way to the object that keeps them: the upgrade is passed on, with the Worker's word on
//! who comes.

use worker::{Request, Response, Stub};

use crate::context::Call;
use crate::error::{Error, Problem};

/// Whether a request asks for a WebSocket.
///
/// # Errors
/// When the platform fails.
pub fn is_upgrade(request: &Request) -> Result<bool, Error> {
    Ok(request.headers().get("upgrade")?.is_some_and(|value| value.eq_ignore_ascii_case("websocket")))
}

/// Refuses anything but a WebSocket of a sub-protocol.
///
/// # Errors
/// 426.
pub fn require(call: &Call, subprotocol: &str) -> Result<(), Error> {
    let offered = call.request.headers().get("sec-websocket-protocol")?.unwrap_or_default();
    if is_upgrade(&call.request)? && offered.split(',').any(|name| name.trim() == subprotocol) {
        return Ok(());
    }
    let detail = format!("Open a WebSocket with the sub-protocol {subprotocol}.");
    Err(Problem::new(426, "upgrade", detail).into())
}

/// Opens the socket at the object, which reads who comes from a header of this name: printable ASCII.
///
/// # Errors
/// [`Error::Object`].
pub async fn hand_over(stub: &Stub, url: &str, header: &str, arrival: &str) -> Result<Response, Error> {
    let headers = worker::Headers::new();
    headers.set("upgrade", "websocket")?;
    headers.set(header, arrival)?;
    let mut init = worker::RequestInit::new();
    init.with_headers(headers);
    let request = Request::new_with_init(url, &init)?;
    stub.fetch_with_request(request).await.map_err(|error| Error::Object(error.to_string()))
}

/// JSON that a header can carry: what is not printable ASCII is inside of strings, and escaped there.
pub(super) fn in_ascii(json: &str) -> String {
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
