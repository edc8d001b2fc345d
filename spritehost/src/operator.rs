//! What only an operator of this machine may ask: over the unix socket `operator.sock` in the state folder, which nobody
//! else gets into.
//!
//! * `GET /calls`: how often each operation was called, and which calls weren't listed.
//! * `PUT /faults`, `DELETE /faults`: orders to fail, with `serve --faults` only.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, put};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::UnixListener;

use crate::faults::Order;
use crate::host::Shared;

/// Listens for the operator.
pub(crate) fn listen(shared: Arc<Shared>, path: &Path) -> io::Result<()> {
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path)?;
    let mut router = Router::new().route("/calls", get(calls));
    if shared.options.faults {
        router = router.route("/faults", put(add).delete(clear));
    }
    let router = router.with_state(shared);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(())
}

async fn calls(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let mut calls: BTreeMap<&str, u64> = BTreeMap::new();
    for ((operation, _), count) in shared.calls.counted() {
        *calls.entry(operation).or_default() += count;
    }
    Json(json!({ "calls": calls, "unlisted": shared.calls.all_unlisted().1 }))
}

async fn add(
    State(shared): State<Arc<Shared>>,
    Json(order): Json<Order>,
) -> Result<StatusCode, (StatusCode, &'static str)> {
    if let Some(mistake) = order.mistake() {
        return Err((StatusCode::BAD_REQUEST, mistake));
    }
    shared.faults.add(order);
    Ok(StatusCode::NO_CONTENT)
}

async fn clear(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.faults.clear();
    StatusCode::NO_CONTENT
}
