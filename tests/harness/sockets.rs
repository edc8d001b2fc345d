//! WebSockets through the front door, on any of its hosts.

use futures::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::protocol::Message;

use crate::PATIENCE;
use crate::world::World;

/// An open socket.
pub type Socket = WebSocketStream<TcpStream>;

/// What came instead of a socket.
#[derive(Debug, Clone)]
pub struct Refused {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: String,
}

/// Opens a socket on one of the front door's hosts.
///
/// # Errors
/// When the answer is none of a socket.
pub async fn open(world: &World, host: &str, path: &str, headers: &[(&str, &str)]) -> Result<Socket, Refused> {
    let mut request = format!("ws://{host}{path}").into_client_request().expect("a URL");
    for (name, value) in headers {
        let name: HeaderName = name.parse().expect("a header's name");
        request.headers_mut().insert(name, HeaderValue::from_str(value).expect("a header's value"));
    }
    let stream = TcpStream::connect(("127.0.0.1", world.site().port))
        .await
        .map_err(|error| Refused { status: 0, body: error.to_string() })?;
    stream.set_nodelay(true).expect("a socket");
    let opening = tokio_tungstenite::client_async(request, stream);
    match tokio::time::timeout(PATIENCE, opening).await.unwrap_or_else(|_| panic!("{host}{path}: no answer")) {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(response)) => Err(Refused {
            status: response.status().as_u16(),
            body: String::from_utf8_lossy(response.body().as_deref().unwrap_or_default()).into_owned(),
        }),
        Err(error) => Err(Refused { status: 0, body: error.to_string() }),
    }
}

/// The next message; `None` when the socket is gone.
pub async fn next(socket: &mut Socket) -> Option<Message> {
    let message = tokio::time::timeout(PATIENCE, socket.next()).await.expect("a message in time");
    message.and_then(Result::ok)
}

/// Sends a message.
pub async fn send(socket: &mut Socket, message: Message) {
    socket.send(message).await.expect("the socket is open");
}

/// Reads until the other side closes, and gives its code; 0 when it went without one.
pub async fn closed(socket: &mut Socket) -> u16 {
    loop {
        match next(socket).await {
            Some(Message::Close(frame)) => return frame.map_or(0, |frame| frame.code.into()),
            Some(_) => {}
            None => return 0,
        }
    }
}
