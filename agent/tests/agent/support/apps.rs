//! Apps on loopback.

use std::convert::Infallible;
use std::fmt::Write as _;

use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// An app that answers `/status/N` with N, `/echo` with the body, and anything else with the request's head.
pub async fn start() -> u16 {
    start_on("127.0.0.1:0").await
}

pub async fn start_on(address: &str) -> u16 {
    let listener = TcpListener::bind(address).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let connection =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
            tokio::spawn(connection);
        }
    });
    port
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    if let Some(status) = path.strip_prefix("/status/") {
        let response = Response::builder()
            .status(status.parse::<u16>().unwrap())
            .header("location", "https://sprites.dev/login")
            .header("set-cookie", "a=1; Path=/")
            .header("set-cookie", "snap_app=stolen")
            .header("set-cookie", "b=1; Domain=apps.example")
            .header("x-snap-agent", "agent")
            .body(Full::from("of the app"));
        return Ok(response.unwrap());
    }
    if path == "/echo" {
        let body = request.into_body().collect().await.unwrap().to_bytes();
        return Ok(Response::new(Full::from(body)));
    }
    let mut text = format!("{} {}\n", request.method(), request.uri());
    for (name, value) in request.headers() {
        let _ = writeln!(text, "{name}: {}", String::from_utf8_lossy(value.as_bytes()));
    }
    Ok(Response::new(Full::from(text)))
}

/// An app that echoes WebSocket messages.
pub async fn websocket() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
                while let Some(Ok(message)) = socket.next().await {
                    if socket.send(message).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    port
}

/// An app that answers every connection with these bytes, and reports what it was sent, per connection.
pub async fn raw(answer: &'static [u8]) -> (u16, mpsc::UnboundedReceiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, received) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let sender = sender.clone();
            tokio::spawn(async move {
                let mut all = Vec::new();
                let mut buffer = [0; 4096];
                while !all.windows(4).any(|four| four == b"\r\n\r\n") {
                    match stream.read(&mut buffer).await {
                        Ok(length @ 1..) => all.extend_from_slice(&buffer[..length]),
                        _ => return,
                    }
                }
                let _ = stream.write_all(answer).await;
                let _ = stream.shutdown().await;
                let _ = stream.read_to_end(&mut all).await;
                let _ = sender.send(all);
            });
        }
    });
    (port, received)
}
