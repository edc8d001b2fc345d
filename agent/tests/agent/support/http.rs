//! Requests to the agent as the sprite's edge sends them.

use std::net::SocketAddr;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{HeaderMap, Method, Request};
use hyper_util::rt::TokioIo;
use snapvm_protocol::tickets::Purpose;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{soon, ticket};

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn mark(&self) -> Option<&str> {
        self.headers.get("x-snap-agent").map(|mark| mark.to_str().unwrap())
    }
}

/// Sends a request with these headers.
pub async fn send(to: SocketAddr, method: Method, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    soon("an answer", async {
        let stream = TcpStream::connect(to).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake::<_, Full<Bytes>>(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path).header("host", "sprite.example");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::from(body.to_vec())).unwrap();
        let (parts, body) = sender.send_request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    })
    .await
}

pub async fn wake(to: SocketAddr, ticket: &str) -> Answer {
    send(to, Method::POST, "/.snapvm/agent/wake", &[("x-snap-ticket", ticket)], b"").await
}

/// A GET of an app with a good lease of this epoch.
pub async fn app(to: SocketAddr, port: u16, path: &str, epoch: u64) -> Answer {
    let ticket = ticket(Purpose::Ingress { epoch });
    send(to, Method::GET, path, &lease(&ticket, &port.to_string()), b"").await
}

pub fn lease<'a>(ticket: &'a str, port: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("x-snap-ticket", ticket),
        ("x-snap-port", port),
        ("x-snap-host", "3000--m--o.apps.example"),
        ("x-snap-scheme", "https"),
        ("x-snap-client-address", "203.0.113.9"),
        ("x-snap-account", "somebody"),
    ]
}

/// Sends bytes as they are; everything that comes back until the end of the connection.
pub async fn raw(to: SocketAddr, bytes: &[u8]) -> String {
    soon("the end of the connection", async {
        let mut stream = TcpStream::connect(to).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    })
    .await
}
