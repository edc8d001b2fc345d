//! `/.sprite/api.sock`: what programs in a sprite may ask about it. Any of them may, without a token.

use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use snapvm_protocol::sprites::PutService;
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

use super::query::Pairs;
use super::{ApiFailure, VERSION, services};
use crate::names::{is_inner_name, task_life};
use crate::sprite::Sprite;
use crate::sprite::tasks::{Set, Task};

/// Longest JSON body.
const BODY_MAX: usize = 128 * 1024;

/// Serves a sprite's socket until its boot is over.
pub(crate) fn start(sprite: Arc<Sprite>, listener: UnixListener, over: CancellationToken) {
    let router = Router::new()
        .route("/info", get(info))
        .route("/v1/tasks", get(list_tasks).post(create_task))
        .route("/v1/tasks/{task}", put(renew_task).delete(delete_task))
        .route("/v1/services", get(list_services))
        .route("/v1/services/{service}", put(put_service))
        .fallback(not_found)
        .method_not_allowed_fallback(not_found)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(sprite);
    tokio::spawn(async move {
        tokio::select! {
            _ = axum::serve(listener, router) => {}
            () = over.cancelled() => {}
        }
    });
}

async fn not_found(State(sprite): State<Arc<Sprite>>, method: Method, uri: Uri) -> ApiFailure {
    sprite.shared().calls.unlisted(&format!("guest {method}"), uri.path());
    ApiFailure::not_found("not found")
}

async fn info(State(sprite): State<Arc<Sprite>>) -> Json<Value> {
    let view = sprite.view();
    Json(json!({
        "sprite_id": view.id, "sprite_name": view.name, "sprite_url": view.url,
        "version": VERSION.to_str().unwrap_or_default(), "org": view.organization,
    }))
}

#[derive(Deserialize)]
struct CreateTask {
    name: String,
    expire: String,
}

#[derive(Deserialize)]
struct RenewTask {
    expire: String,
}

async fn list_tasks(State(sprite): State<Arc<Sprite>>) -> Json<Value> {
    let tasks: Vec<Value> = sprite.tasks.list().iter().map(|(name, task)| task_view(name, task)).collect();
    Json(json!({ "tasks": tasks }))
}

async fn create_task(
    State(sprite): State<Arc<Sprite>>,
    body: Result<Json<CreateTask>, JsonRejection>,
) -> Result<Response, ApiFailure> {
    let Json(wanted) = body?;
    set_task(&sprite, &wanted.name, &wanted.expire, false)
}

async fn renew_task(
    State(sprite): State<Arc<Sprite>>,
    Path(name): Path<String>,
    body: Result<Json<RenewTask>, JsonRejection>,
) -> Result<Response, ApiFailure> {
    let Json(wanted) = body?;
    set_task(&sprite, &name, &wanted.expire, true)
}

async fn delete_task(State(sprite): State<Arc<Sprite>>, Path(name): Path<String>) -> Result<StatusCode, ApiFailure> {
    if sprite.tasks.clear(&name) { Ok(StatusCode::NO_CONTENT) } else { Err(ApiFailure::not_found("task not found")) }
}

async fn list_services(State(sprite): State<Arc<Sprite>>) -> Result<Json<Value>, ApiFailure> {
    services::list_of(&sprite).await
}

async fn put_service(
    State(sprite): State<Arc<Sprite>>,
    Path(service): Path<String>,
    Query(pairs): Pairs,
    body: Result<Json<PutService>, JsonRejection>,
) -> Result<Response, ApiFailure> {
    let Json(wanted) = body?;
    services::put_to(&sprite, service, &pairs, wanted).await
}

fn set_task(sprite: &Sprite, name: &str, expire: &str, may_exist: bool) -> Result<Response, ApiFailure> {
    if !is_inner_name(name) {
        return Err(ApiFailure::bad_request("a task's name has up to 64 letters, digits, '-', '_' and '.'"));
    }
    let life = task_life(expire).ok_or_else(|| ApiFailure::bad_request("expire must be a duration of at most 1h"))?;
    let status = match sprite.tasks.set(name, life, may_exist) {
        Set::Created => StatusCode::CREATED,
        Set::Renewed => StatusCode::OK,
        Set::Exists => return Err(ApiFailure::conflict("a task of this name exists")),
        Set::TooMany => return Err(ApiFailure::conflict("too many tasks")),
    };
    let task = sprite.tasks.list().into_iter().find(|(held, _)| held == name);
    Ok((status, Json(task.map_or(Value::Null, |(name, task)| task_view(&name, &task)))).into_response())
}

fn task_view(name: &str, task: &Task) -> Value {
    json!({
        "name": name, "started_at": crate::clock::text(task.started_at),
        "expires_at": crate::clock::text(task.expires_at),
    })
}
