//! Callers of one-shot commands.

use std::net::SocketAddr;

use http_body_util::{BodyExt as _, Full};
use hyper::Method;
use hyper::Request;
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use snapvm_protocol::tickets::Purpose;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::http::{Answer, send};
use super::{soon, ticket};

pub const PATH: &str = "/.snapvm/agent/exec";

/// Runs a command with this ticket and waits for its end.
pub async fn with(to: SocketAddr, ticket: &str, command: &Value) -> Answer {
    send(to, Method::POST, PATH, &[("x-snap-ticket", ticket)], command.to_string().as_bytes()).await
}

/// Runs a command and waits for its end.
pub async fn run(to: SocketAddr, command: &Value) -> Answer {
    with(to, &ticket(Purpose::Exec { epoch: 1 }), command).await
}

/// Runs a shell's line and gives its result.
pub async fn shell(to: SocketAddr, line: &str) -> Value {
    result(&run(to, &serde_json::json!({"command": "/bin/sh", "args": ["-c", line]})).await)
}

pub fn result(answer: &Answer) -> Value {
    assert_eq!((answer.status, answer.mark()), (200, Some("agent")), "{}", answer.text());
    serde_json::from_slice(&answer.body).unwrap()
}

/// A caller that reads while the command runs.
pub struct Caller {
    pub status: u16,
    body: Incoming,
    connection: JoinHandle<()>,
    text: String,
}

impl Caller {
    pub async fn open(to: SocketAddr, accept: &str, command: &Value) -> Self {
        Self::send(to, PATH, &ticket(Purpose::Exec { epoch: 1 }), accept, command).await
    }

    /// Asks for something else that answers with events.
    pub async fn ask(to: SocketAddr, path: &str, ticket: &str, request: &Value) -> Self {
        Self::send(to, path, ticket, "text/event-stream", request).await
    }

    async fn send(to: SocketAddr, path: &str, ticket: &str, accept: &str, command: &Value) -> Self {
        soon("the head of an answer", async {
            let stream = TcpStream::connect(to).await.unwrap();
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake::<_, Full<Bytes>>(TokioIo::new(stream)).await.unwrap();
            let connection = tokio::spawn(async move {
                let _ = connection.await;
            });
            let request = Request::post(path)
                .header("host", "sprite.example")
                .header("x-snap-ticket", ticket)
                .header("x-snap-account", "somebody")
                .header("accept", accept)
                .body(Full::from(command.to_string()))
                .unwrap();
            let (parts, body) = sender.send_request(request).await.unwrap().into_parts();
            Self { status: parts.status.as_u16(), body, connection, text: String::new() }
        })
        .await
    }

    pub async fn events(to: SocketAddr, line: &str) -> Self {
        let command = serde_json::json!({"command": "/bin/sh", "args": ["-c", line]});
        let caller = Self::open(to, "text/event-stream", &command).await;
        assert_eq!(caller.status, 200);
        caller
    }

    /// The next event or comment, as it came.
    pub async fn next(&mut self) -> Option<String> {
        soon("an event", async {
            loop {
                if let Some(end) = self.text.find("\n\n") {
                    let rest = self.text.split_off(end + 2);
                    return Some(std::mem::replace(&mut self.text, rest));
                }
                let frame = self.body.frame().await?.unwrap().into_data().unwrap();
                self.text.push_str(std::str::from_utf8(&frame).unwrap());
            }
        })
        .await
    }

    /// The next event: its name and data. Comments are left out.
    pub async fn event(&mut self) -> Option<(String, Value)> {
        loop {
            let text = self.next().await?;
            if text.starts_with(':') {
                continue;
            }
            let (name, data) = text.strip_prefix("event: ").unwrap().split_once("\ndata: ").unwrap();
            return Some((name.to_owned(), serde_json::from_str(data).unwrap()));
        }
    }

    /// The data of the event that has this name; others are left out.
    pub async fn until(&mut self, name: &str) -> Value {
        loop {
            let (found, data) = self.event().await.unwrap_or_else(|| panic!("no {name}"));
            if found == name {
                return data;
            }
        }
    }

    /// What it wrote first, without the line break.
    pub async fn line(&mut self) -> String {
        self.until("stdout").await["text"].as_str().unwrap().trim().to_owned()
    }

    /// Goes away.
    pub fn leave(self) {
        self.connection.abort();
    }
}

/// Waits until there is no such process; one that has ended and is waited for by nobody counts as one.
pub async fn gone(pid: &str) {
    soon(&format!("the end of process {pid}"), async {
        while std::path::Path::new("/proc").join(pid).exists() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    })
    .await;
}
