//! Services of a sprite. Every call wakes it.
//!
//! Changes answer with JSON lines as they happen: `started`, `stdout` (what the log got meanwhile), `exit`, `error`,
//! `stopping`, `stopped`, `complete`.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use snapvm_protocol::sprites::PutService;
use tokio::io::AsyncReadExt;
use tokio::sync::watch;
use tokio::time::Instant;

use super::ApiFailure;
use super::ndjson::{self, Events};
use super::query::{self, Pairs};
use super::session_socket::signal_of;
use crate::arguments::parse_duration;
use crate::host::Host;
use crate::names::is_inner_name;
use crate::sprite::services::{State as ServiceState, Status};
use crate::sprite::{Awake, Sprite, files};

/// How long a start is watched where the caller doesn't say.
const WATCH: Duration = Duration::from_secs(5);
/// The longest that it is watched.
const WATCH_MAX: Duration = Duration::from_mins(5);
/// Time between TERM and KILL where the caller doesn't say.
const GRACE: Duration = Duration::from_secs(10);
/// How often a log that is followed is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// Most services of one sprite.
const SERVICES_MAX: usize = 100;
/// Longest definition: it has to fit into one message to process 1.
const DEFINITION_MAX: usize = 64 * 1024;
/// Most bytes of a log that one answer carries.
const LOG_MAX: u64 = 256 * 1024;

type Named = Path<(String, String)>;

/// `GET …/services`
pub(crate) async fn list(State(host): State<Arc<Host>>, Path(name): Path<String>) -> Result<Json<Value>, ApiFailure> {
    list_of(&host.find(&name)?).await
}

/// `GET …/services`, also on the guest socket.
pub(crate) async fn list_of(sprite: &Arc<Sprite>) -> Result<Json<Value>, ApiFailure> {
    let awake = sprite.awake().await?;
    let services = sprite.record().services;
    let views = services.iter().map(|(name, definition)| view(name, definition, &awake.boot.services.state(name)));
    Ok(Json(views.collect()))
}

/// `GET …/services/{service}`
pub(crate) async fn get(
    State(host): State<Arc<Host>>,
    Path((name, service)): Named,
) -> Result<Json<Value>, ApiFailure> {
    let sprite = host.find(&name)?;
    let definition = definition(&sprite, &service)?;
    let awake = sprite.awake().await?;
    let mut value = view(&service, &definition, &awake.boot.services.state(&service));
    // As the provider's: an empty list in lists, null here.
    if definition.needs.is_empty()
        && let Some(fields) = value.as_object_mut()
    {
        fields.insert("needs".into(), Value::Null);
    }
    Ok(Json(value))
}

/// `PUT …/services/{service}`: create or replace, and start.
pub(crate) async fn put(
    State(host): State<Arc<Host>>,
    Path((name, service)): Named,
    Query(pairs): Pairs,
    body: Result<Json<PutService>, JsonRejection>,
) -> Result<Response, ApiFailure> {
    let (sprite, Json(wanted)) = (host.find(&name)?, body?);
    put_to(&sprite, service, &pairs, wanted).await
}

/// `PUT …/services/{service}`, also on the guest socket.
pub(crate) async fn put_to(
    sprite: &Arc<Sprite>,
    service: String,
    pairs: &[(String, String)],
    wanted: PutService,
) -> Result<Response, ApiFailure> {
    // `signal` is a call, not a service.
    if !is_inner_name(&service) || service == "signal" {
        return Err(ApiFailure::bad_request("a service's name has up to 64 letters, digits, '-', '_' and '.'"));
    }
    if wanted.cmd.is_empty() || serde_json::to_vec(&wanted).map_or(usize::MAX, |bytes| bytes.len()) > DEFINITION_MAX {
        return Err(ApiFailure::bad_request("a service needs a cmd, and 64 KiB at most in all"));
    }
    let known = sprite.record().services;
    if !known.contains_key(&service) && known.len() >= SERVICES_MAX {
        return Err(ApiFailure::conflict(format!("a sprite may have {SERVICES_MAX} services")));
    }
    let watch = duration(pairs, "duration", WATCH)?;
    let awake = sprite.awake().await?;
    awake.boot.services.stop(&service, GRACE).await;
    sprite.change(|record| {
        record.services.insert(service.clone(), wanted.clone());
    })?;
    Ok(started(sprite, awake, service, &wanted, watch))
}

/// `POST …/services/{service}/start`
pub(crate) async fn start(
    State(host): State<Arc<Host>>,
    Path((name, service)): Named,
    Query(pairs): Pairs,
) -> Result<Response, ApiFailure> {
    let sprite = host.find(&name)?;
    let definition = definition(&sprite, &service)?;
    let watch = duration(&pairs, "duration", WATCH)?;
    let awake = sprite.awake().await?;
    if awake.boot.services.state(&service).status == Status::Failed {
        // It may be waiting to be started again: not any longer.
        awake.boot.services.stop(&service, GRACE).await;
    }
    Ok(started(&sprite, awake, service, &definition, watch))
}

/// `POST …/services/{service}/restart`
pub(crate) async fn restart(
    State(host): State<Arc<Host>>,
    Path((name, service)): Named,
    Query(pairs): Pairs,
) -> Result<Response, ApiFailure> {
    let sprite = host.find(&name)?;
    let definition = definition(&sprite, &service)?;
    let watch = duration(&pairs, "duration", WATCH)?;
    let awake = sprite.awake().await?;
    awake.boot.services.stop(&service, GRACE).await;
    Ok(started(&sprite, awake, service, &definition, watch))
}

/// `POST …/services/{service}/stop`
pub(crate) async fn stop(
    State(host): State<Arc<Host>>,
    Path((name, service)): Named,
    Query(pairs): Pairs,
) -> Result<Response, ApiFailure> {
    let sprite = host.find(&name)?;
    definition(&sprite, &service)?;
    let grace = duration(&pairs, "timeout", GRACE)?;
    let awake = sprite.awake().await?;
    let (events, response) = ndjson::stream();
    tokio::spawn(async move {
        events.send("stopping", json!({})).await;
        awake.boot.services.stop(&service, grace).await;
        let state = awake.boot.services.state(&service);
        events.send("stopped", json!({ "exit_code": state.exit_code })).await;
        events.send("complete", json!({ "log_files": log_files(&service) })).await;
    });
    Ok(response)
}

/// `DELETE …/services/{service}`
pub(crate) async fn delete(
    State(host): State<Arc<Host>>,
    Path((name, service)): Named,
) -> Result<StatusCode, ApiFailure> {
    let sprite = host.find(&name)?;
    definition(&sprite, &service)?;
    let awake = sprite.awake().await?;
    awake.boot.services.stop(&service, GRACE).await;
    awake.boot.services.forget(&service);
    sprite.change(|record| {
        record.services.remove(&service);
    })?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET …/services/{service}/logs`
pub(crate) async fn logs(
    State(host): State<Arc<Host>>,
    Path((name, service)): Named,
    Query(pairs): Pairs,
) -> Result<Response, ApiFailure> {
    let sprite = host.find(&name)?;
    definition(&sprite, &service)?;
    let lines = query::first(&pairs, "lines").map_or(Ok(100), str::parse::<usize>);
    let lines = lines.map_err(|_| ApiFailure::bad_request("lines must be a number"))?;
    let follow = duration(&pairs, "duration", Duration::ZERO)?;
    let awake = sprite.awake().await?;
    let (text, mut end) = log(&sprite, &service, -i64::try_from(LOG_MAX).unwrap_or(i64::MAX)).await;
    let (events, response) = ndjson::stream();
    tokio::spawn(async move {
        let skipped = text.lines().count().saturating_sub(lines);
        for line in text.lines().skip(skipped) {
            events.send("stdout", json!({ "data": format!("{line}\n") })).await;
        }
        let until = Instant::now() + follow;
        while Instant::now() < until && !events.is_over() {
            tokio::time::sleep(LOOK).await;
            let (text, now) = log(&sprite, &service, end).await;
            if !text.is_empty() {
                events.send("stdout", json!({ "data": text })).await;
                end = now;
            }
        }
        events.send("complete", json!({ "log_files": log_files(&service) })).await;
        drop(awake);
    });
    Ok(response)
}

/// What `signal` is about.
#[derive(Deserialize)]
pub(crate) struct Wanted {
    name: String,
    signal: String,
}

/// `POST …/services/signal`
pub(crate) async fn signal(
    State(host): State<Arc<Host>>,
    Path(name): Path<String>,
    body: Result<Json<Wanted>, JsonRejection>,
) -> Result<StatusCode, ApiFailure> {
    let (sprite, Json(wanted)) = (host.find(&name)?, body?);
    definition(&sprite, &wanted.name)?;
    let signal = signal_of(&wanted.signal).ok_or_else(|| ApiFailure::bad_request("unknown signal"))?;
    let awake = sprite.awake().await?;
    let running = awake.boot.services.state(&wanted.name).operation;
    let operation = running.ok_or_else(|| ApiFailure::conflict("the service does not run"))?;
    awake.boot.signal(operation, signal).await;
    Ok(StatusCode::NO_CONTENT)
}

fn definition(sprite: &Sprite, service: &str) -> Result<PutService, ApiFailure> {
    sprite.record().services.remove(service).ok_or_else(|| ApiFailure::not_found("service not found"))
}

/// A service as the API shows it.
fn view(name: &str, definition: &PutService, state: &ServiceState) -> Value {
    json!({
        "name": name, "cmd": definition.cmd, "args": definition.args, "needs": definition.needs,
        "env": definition.env, "dir": definition.dir, "http_port": definition.http_port, "state": state,
    })
}

fn duration(pairs: &[(String, String)], name: &str, usual: Duration) -> Result<Duration, ApiFailure> {
    let Some(text) = query::first(pairs, name) else { return Ok(usual) };
    let parsed = parse_duration(text).map_err(|error| ApiFailure::bad_request(format!("{name}: {error}")))?;
    Ok(parsed.min(WATCH_MAX))
}

fn log_path(service: &str) -> String {
    format!("/.sprite/logs/services/{service}.log")
}

fn log_files(service: &str) -> Value {
    json!({ "stdout": log_path(service), "stderr": log_path(service) })
}

/// Text of a log from an offset on (negative: from its end), and where it ends.
async fn log(sprite: &Arc<Sprite>, service: &str, offset: i64) -> (String, i64) {
    let Ok(awake) = sprite.awake().await else { return (String::new(), offset) };
    let Ok(reading) = files::read(awake, log_path(service), offset).await else { return (String::new(), 0) };
    let (mut bytes, begin) = (Vec::new(), i64::try_from(reading.offset).unwrap_or(0));
    let _ = reading.pipe.take(LOG_MAX).read_to_end(&mut bytes).await;
    (String::from_utf8_lossy(&bytes).into_owned(), begin + i64::try_from(bytes.len()).unwrap_or(0))
}

/// Starts a service and answers with what happens.
fn started(sprite: &Arc<Sprite>, awake: Awake, service: String, definition: &PutService, watch: Duration) -> Response {
    let (events, response) = ndjson::stream();
    let (sprite, definition) = (sprite.clone(), definition.clone());
    tokio::spawn(async move {
        let (_, end) = log(&sprite, &service, i64::MAX).await;
        let state = awake.boot.services.start(&awake.boot, &service, &definition, &sprite.record().environment);
        let _ = tokio::time::timeout(watch, tell(&events, state.clone())).await;
        if watch.is_zero() {
            settled(&events, state).await;
        }
        let (text, _) = log(&sprite, &service, end).await;
        if !text.is_empty() {
            events.send("stdout", json!({ "data": text })).await;
        }
        events.send("complete", json!({ "log_files": log_files(&service) })).await;
    });
    response
}

/// Reports what becomes of a start, and nothing else, to a caller who doesn't want to watch.
async fn settled(events: &Events, mut state: watch::Receiver<ServiceState>) {
    let known = state.wait_for(|state| state.pid.is_some() || state.status == Status::Failed);
    let known = tokio::time::timeout(GRACE, known).await.is_ok_and(|known| known.is_ok());
    if known {
        let now = state.borrow().clone();
        let (kind, event) = describe(&now);
        events.send(kind, event).await;
    }
}

/// Reports a service's changes for as long as the caller watches, or until it ends.
async fn tell(events: &Events, mut state: watch::Receiver<ServiceState>) {
    loop {
        let now = state.borrow_and_update().clone();
        if now.status == Status::Running || now.status == Status::Failed {
            let (kind, event) = describe(&now);
            events.send(kind, event).await;
        }
        if now.status == Status::Failed || state.changed().await.is_err() {
            return;
        }
    }
}

fn describe(state: &ServiceState) -> (&'static str, Value) {
    match (state.status, state.exit_code) {
        (Status::Failed, Some(code)) => ("exit", json!({ "exit_code": code })),
        (Status::Failed, None) => ("error", json!({ "data": state.error })),
        _ => ("started", json!({ "pid": state.pid })),
    }
}
