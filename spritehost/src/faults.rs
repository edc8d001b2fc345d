//! Orders to fail: for tests of what calls this API. Given over a unix socket, with `serve --faults` only.
//!
//! `PUT /faults {"operation":"create_sprite","when":"after","times":1,"answer":{"status":500}}`, where `answer` may also
//! be `"hang"` or `"drop"`; `DELETE /faults` takes all of them back. Operations are named in [`operation`]; `url` is a
//! request to a sprite's URL. `before` means that the work is not done, `after` that it is and only its answer is lost.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::put;
use axum::{Json, Router};
use serde::Deserialize;
use tokio::net::UnixListener;

use crate::guest::lock;
use crate::host::Shared;
use crate::server::Dropped;

/// Before the work or after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum When {
    /// Instead of the work.
    Before,
    /// Instead of its answer.
    After,
}

/// What the caller gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Answer {
    /// An error.
    Status(u16),
    /// Nothing, for ever.
    Hang,
    /// A closed connection.
    Drop,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    operation: String,
    when: When,
    #[serde(default = "once")]
    times: u32,
    answer: Answer,
}

fn once() -> u32 {
    1
}

/// Orders that have not been carried out.
#[derive(Default)]
pub(crate) struct Faults(Mutex<Vec<Order>>);

impl Faults {
    /// Carries out an order, if there is one.
    pub(crate) async fn strike(&self, operation: &str, when: When) -> Option<Response> {
        match self.take(operation, when)? {
            Answer::Status(status) => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                Some((status, "ordered to fail\n").into_response())
            }
            Answer::Hang => std::future::pending().await,
            Answer::Drop => {
                let mut response = Response::default();
                response.extensions_mut().insert(Dropped);
                Some(response)
            }
        }
    }

    fn take(&self, operation: &str, when: When) -> Option<Answer> {
        let mut orders = lock(&self.0);
        let order =
            orders.iter_mut().find(|order| order.operation == operation && order.when == when && order.times > 0)?;
        order.times -= 1;
        let answer = order.answer;
        orders.retain(|order| order.times > 0);
        Some(answer)
    }
}

/// The operation that a request to the API asks for.
pub(crate) fn operation(method: &Method, path: &str) -> Option<&'static str> {
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    Some(match (method.as_str(), segments.as_slice()) {
        ("POST", ["v1", "sprites"]) => "create_sprite",
        ("GET", ["v1", "sprites"]) => "list_sprites",
        ("GET", ["v1", "sprites", _]) => "get_sprite",
        ("PUT", ["v1", "sprites", _]) => "update_sprite",
        ("DELETE", ["v1", "sprites", _]) => "delete_sprite",
        ("POST" | "GET", ["v1", "sprites", _, "exec"]) => "exec",
        ("GET", ["v1", "sprites", _, "fs", "read"]) => "fs_read",
        ("PUT", ["v1", "sprites", _, "fs", "write"]) => "fs_write",
        ("GET", ["v1", "sprites", _, "fs", "list"]) => "fs_list",
        ("GET", ["v1", "sprites", _, "services"]) => "list_services",
        ("GET", ["v1", "sprites", _, "services", _]) => "get_service",
        ("PUT", ["v1", "sprites", _, "services", _]) => "put_service",
        ("DELETE", ["v1", "sprites", _, "services", _]) => "delete_service",
        ("POST", ["v1", "sprites", _, "services", _, "start"]) => "start_service",
        ("POST", ["v1", "sprites", _, "services", _, "stop"]) => "stop_service",
        ("POST", ["v1", "sprites", _, "services", _, "restart"]) => "restart_service",
        ("GET", ["v1", "sprites", _, "services", _, "logs"]) => "service_logs",
        _ => return None,
    })
}

/// Listens for orders.
pub(crate) fn listen(shared: Arc<Shared>, path: &Path) -> io::Result<()> {
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path)?;
    let router = Router::new().route("/faults", put(add).delete(clear)).with_state(shared);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(())
}

async fn add(State(shared): State<Arc<Shared>>, Json(order): Json<Order>) -> StatusCode {
    lock(&shared.faults.0).push(order);
    StatusCode::NO_CONTENT
}

async fn clear(State(shared): State<Arc<Shared>>) -> StatusCode {
    lock(&shared.faults.0).clear();
    StatusCode::NO_CONTENT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_carried_out_as_often_as_asked() {
        let faults = Faults::default();
        let read = |text: &str| serde_json::from_str::<Order>(text).unwrap();
        lock(&faults.0).push(read(r#"{"operation":"exec","when":"after","times":2,"answer":{"status":500}}"#));
        lock(&faults.0).push(read(r#"{"operation":"url","when":"before","answer":"drop"}"#));
        assert_eq!(faults.take("exec", When::Before), None);
        assert_eq!(faults.take("url", When::Before), Some(Answer::Drop));
        assert_eq!(faults.take("url", When::Before), None);
        assert_eq!(faults.take("exec", When::After), Some(Answer::Status(500)));
        assert_eq!(faults.take("exec", When::After), Some(Answer::Status(500)));
        assert_eq!(faults.take("exec", When::After), None);
    }

    #[test]
    fn operations_have_names() {
        assert_eq!(operation(&Method::POST, "/v1/sprites"), Some("create_sprite"));
        assert_eq!(operation(&Method::POST, "/v1/sprites/a/services/b/stop"), Some("stop_service"));
        assert_eq!(operation(&Method::PATCH, "/v1/sprites/a"), None);
    }
}
