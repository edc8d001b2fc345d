//! Tasks: the runtime's keep-awake marks, over HTTP on its socket in the guest.
//!
//! Invariant: whatever the socket does, the agent goes on; its absence is written to the log once.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use snapvm_protocol::agent::TASK_NAME;
use tokio::net::UnixStream;

use crate::journal::note;

/// How long a task lasts unless renewed. The runtime takes an hour at most.
const EXPIRE: &str = r#"{"expire":"10m"}"#;
/// How long the runtime may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest answer taken.
const ANSWER_MAX: usize = 256 * 1024;

/// A client of the runtime's socket.
pub struct Tasks {
    socket: PathBuf,
    complained: Cell<bool>,
    reported: RefCell<Vec<String>>,
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// The socket.
    #[error("the runtime's socket: {0}")]
    Socket(#[from] std::io::Error),
    /// HTTP on it.
    #[error("the runtime's socket: {0}")]
    Http(#[from] hyper::Error),
    /// The runtime refused.
    #[error("the runtime answered {0}")]
    Status(u16),
    /// The runtime did not answer, or not intelligibly.
    #[error("the runtime did not answer")]
    Answer,
}

#[derive(Deserialize)]
struct List {
    tasks: Vec<Task>,
}

#[derive(Deserialize)]
struct Task {
    name: String,
}

impl Tasks {
    /// A client of the socket at this path.
    #[must_use]
    pub fn new(socket: PathBuf) -> Self {
        Self { socket, complained: Cell::new(false), reported: RefCell::default() }
    }

    /// Takes or renews the agent's own task.
    pub async fn hold(&self) {
        let answer = self.call(Method::PUT, &format!("/v1/tasks/{TASK_NAME}"), EXPIRE).await;
        self.complain(answer);
    }

    /// Drops the agent's own task, and with `all` those of programs in the guest too.
    pub async fn drop_own(&self, all: bool) {
        let others = if all { self.foreign().await.unwrap_or_default() } else { Vec::new() };
        for name in others.iter().map(String::as_str).chain([TASK_NAME]) {
            let answer = self.call(Method::DELETE, &format!("/v1/tasks/{}", escaped(name)), "").await;
            if !matches!(answer, Err(TaskError::Status(404))) {
                self.complain(answer);
            }
        }
    }

    /// Names of the tasks of programs in the guest; `None` when the runtime does not say.
    pub async fn foreign(&self) -> Option<Vec<String>> {
        let answer = self.call(Method::GET, "/v1/tasks", "").await;
        let body = self.complain(answer)?;
        let list: List = serde_json::from_slice(&body).ok()?;
        let mut names: Vec<String> = list.tasks.into_iter().map(|task| task.name).collect();
        names.retain(|name| name != TASK_NAME);
        names.sort();
        Some(names)
    }

    /// Whether these names are others than those last reported.
    pub fn changed(&self, names: &[String]) -> bool {
        let changed = self.reported.borrow().as_slice() != names;
        if changed {
            *self.reported.borrow_mut() = names.to_vec();
        }
        changed
    }

    /// The names last reported, for an object that has to hear them again.
    #[must_use]
    pub fn reported(&self) -> Vec<String> {
        self.reported.borrow().clone()
    }

    fn complain(&self, answer: Result<Bytes, TaskError>) -> Option<Bytes> {
        match answer {
            Ok(body) => {
                self.complained.set(false);
                Some(body)
            }
            Err(error) => {
                if !self.complained.replace(true) {
                    note!("{error}");
                }
                None
            }
        }
    }

    async fn call(&self, method: Method, path: &str, body: &'static str) -> Result<Bytes, TaskError> {
        let exchange = async {
            let stream = UnixStream::connect(&self.socket).await?;
            let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
            let request = Request::builder()
                .method(method)
                .uri(path)
                .header("host", "sprite")
                .header("content-type", "application/json")
                .body(Full::new(Bytes::from_static(body.as_bytes())))
                .map_err(|_| TaskError::Answer)?;
            let answer = async {
                let response = sender.send_request(request).await?;
                let status = response.status();
                let body = Limited::new(response.into_body(), ANSWER_MAX).collect().await;
                if !status.is_success() {
                    return Err(TaskError::Status(status.as_u16()));
                }
                Ok(body.map_err(|_| TaskError::Answer)?.to_bytes())
            };
            tokio::pin!(answer, connection);
            tokio::select! {
                answer = &mut answer => answer,
                // The whole answer may have come with the end of the connection.
                _ = &mut connection => answer.await,
            }
        };
        tokio::time::timeout(PATIENCE, exchange).await.map_err(|_| TaskError::Answer)?
    }
}

/// A name as one path segment.
fn escaped(name: &str) -> String {
    use std::fmt::Write as _;
    name.bytes().fold(String::new(), |mut path, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(path, "%{byte:02X}");
        }
        path
    })
}
