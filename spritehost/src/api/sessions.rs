//! Programs that callers run: list, look at, attach to, end. Every call wakes the sprite.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::query::{self, Pairs};
use super::{ApiFailure, exec, ndjson, session_socket};
use crate::arguments::parse_duration;
use crate::host::Host;
use crate::sprite::Sprite;
use crate::sprite::sessions::{Found, Session};

/// How long a session has after a signal where the caller doesn't say.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest.
const PATIENCE_MAX: Duration = Duration::from_mins(5);
/// A session that has said nothing for this long is not active.
const ACTIVE: chrono::TimeDelta = chrono::TimeDelta::seconds(30);

type Named = Path<(String, String)>;

/// `GET …/exec`
pub(super) async fn list(sprite: &Arc<Sprite>) -> Result<Response, ApiFailure> {
    let awake = sprite.awake().await?;
    let sessions: Vec<Value> = awake.boot.sessions.list().iter().map(|session| view(session)).collect();
    Ok(Json(json!({ "count": sessions.len(), "sessions": sessions })).into_response())
}

/// `GET …/exec/{session}`: with an upgrade it attaches.
pub(crate) async fn attach(
    State(host): State<Arc<Host>>,
    Path((name, id)): Named,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiFailure> {
    let awake = host.find(&name)?.awake().await?;
    let Found::Running(session) = awake.boot.sessions.find(&id) else {
        return Err(ApiFailure::not_found("session not found"));
    };
    let Ok(upgrade) = upgrade else { return Ok(Json(view(&session)).into_response()) };
    let (boot, activity) = (awake.boot.clone(), awake.guard.activity());
    let attachment = session.attach();
    Ok(exec::upgraded(upgrade, async move |socket| {
        session_socket::serve(socket, &boot, &activity, attachment, false).await;
    }))
}

/// `POST …/exec/{session}/kill?signal=SIGTERM&timeout=10s`: signals, waits, kills.
pub(crate) async fn kill(
    State(host): State<Arc<Host>>,
    Path((name, id)): Named,
    Query(pairs): Pairs,
) -> Result<Response, ApiFailure> {
    let asked = query::first(&pairs, "signal").unwrap_or("SIGTERM").to_owned();
    let signal = session_socket::signal_of(&asked).ok_or_else(|| ApiFailure::bad_request("unknown signal"))?;
    let patience = query::first(&pairs, "timeout").map_or(Ok(PATIENCE), parse_duration);
    let patience = patience.map_err(|error| ApiFailure::bad_request(format!("timeout: {error}")))?.min(PATIENCE_MAX);
    let awake = host.find(&name)?.awake().await?;
    let session = match awake.boot.sessions.find(&id) {
        Found::Running(session) => session,
        Found::Ended => return Err(ApiFailure::gone("the session has ended")),
        Found::Unknown => return Err(ApiFailure::not_found("session not found")),
    };
    let (events, response) = ndjson::stream();
    tokio::spawn(async move {
        let about = &session.about;
        let mut code = session.code.clone();
        let told = json!({ "message": format!("sent {asked}"), "signal": asked, "pid": about.pid });
        events.send("signal", told).await;
        awake.boot.signal(about.operation, signal).await;
        let mut kind = "exited";
        let mut ended = tokio::time::timeout(patience, code.wait_for(Option::is_some)).await.is_ok();
        if !ended {
            events.send("timeout", json!({ "message": "it goes on", "pid": about.pid })).await;
            awake.boot.signal(about.operation, Signal::KILL).await;
            kind = "killed";
            ended = tokio::time::timeout(PATIENCE, code.wait_for(Option::is_some)).await.is_ok();
        }
        let exit_code = *code.borrow();
        if ended {
            events.send(kind, json!({ "pid": about.pid, "exit_code": exit_code })).await;
        } else {
            events.send("error", json!({ "message": "it does not end", "pid": about.pid })).await;
        }
        events.send("complete", json!({ "pid": about.pid, "exit_code": exit_code })).await;
    });
    Ok(response)
}

fn view(session: &Session) -> Value {
    let (about, (last, rate)) = (&session.about, session.traffic());
    json!({
        "id": about.pid.to_string(), "created": crate::clock::text(session.created), "command": about.command,
        "workdir": about.workdir, "tty": about.tty, "bytes_per_second": rate,
        "is_active": chrono::Utc::now().signed_duration_since(last) < ACTIVE, "last_activity": crate::clock::text(last),
    })
}
