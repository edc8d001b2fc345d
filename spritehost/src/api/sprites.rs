//! Sprites: create, get, list, update, delete. None of these calls wakes one.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use snapvm_protocol::sprites::{CreateSprite, Sprite as SpriteView, SpriteStatus, UpdateSprite};

use super::query::{self, Pairs};
use super::{ApiFailure, VERSION};
use crate::host::Host;
use crate::names::{SPRITE_NAME_MAX, is_sprite_name};
use crate::sprite::Sprite;

/// Most sprites on a page, and how many where the caller doesn't say.
const PAGE: usize = 50;

/// `POST /v1/sprites`
pub(crate) async fn create(
    State(host): State<Arc<Host>>,
    body: Result<Json<CreateSprite>, JsonRejection>,
) -> Result<Response, ApiFailure> {
    let Json(wanted) = body?;
    if !is_sprite_name(&wanted.name) {
        let message = format!("name must be a lower-case DNS label of at most {SPRITE_NAME_MAX} characters");
        return Err(ApiFailure::bad_request(message));
    }
    let sprite = host.create(wanted).await?;
    Ok((StatusCode::CREATED, Json(detail(&sprite))).into_response())
}

/// `GET /v1/sprites/{name}`
pub(crate) async fn get(State(host): State<Arc<Host>>, Path(name): Path<String>) -> Result<Json<Value>, ApiFailure> {
    Ok(Json(detail(&*host.find(&name)?)))
}

/// `GET /v1/sprites`
pub(crate) async fn list(State(host): State<Arc<Host>>, Query(pairs): Pairs) -> Result<Json<Value>, ApiFailure> {
    let prefix = query::first(&pairs, "prefix").unwrap_or_default();
    let after = query::first(&pairs, "continuation_token").unwrap_or_default();
    let most = query::first(&pairs, "max_results").map_or(Ok(PAGE), str::parse);
    let most = most.ok().filter(|most| (1..=PAGE).contains(most));
    let most = most.ok_or_else(|| ApiFailure::bad_request("max_results must be between 1 and 50"))?;
    let bulk = query::is_set(&pairs, "bulk_load");

    let all = host.all();
    let count = |status| all.iter().filter(|sprite| sprite.status() == status).count();
    let views: Vec<SpriteView> = all.iter().map(|sprite| sprite.view()).collect();
    let mut rest = views.into_iter().filter(|view| view.name.starts_with(prefix) && view.name.as_str() > after);
    let page: Vec<SpriteView> = rest.by_ref().take(most).collect();
    let more = rest.next().is_some();
    let next = page.last().filter(|_| more).map(|view| view.name.clone());
    let items: Vec<Value> = page
        .into_iter()
        .map(|view| {
            if bulk {
                json!(view)
            } else {
                json!({ "name": view.name, "org_slug": view.organization, "updated_at": view.updated_at })
            }
        })
        .collect();
    let (running, limit) = (count(SpriteStatus::Running), host.shared.limits.running_max());
    let (warm, cold) = (count(SpriteStatus::Warm), count(SpriteStatus::Cold));
    Ok(Json(json!({
        "sprites": items, "has_more": more, "next_continuation_token": next,
        "running": running, "warm": warm, "cold": cold, "running_limit": limit,
        "org": {
            "name": host.shared.options.organization, "running": running, "warm": warm, "cold": cold,
            "running_limit": limit, "warm_limit": null,
        },
    })))
}

/// `PUT /v1/sprites/{name}`
pub(crate) async fn update(
    State(host): State<Arc<Host>>,
    Path(name): Path<String>,
    body: Result<Json<UpdateSprite>, JsonRejection>,
) -> Result<Json<Value>, ApiFailure> {
    let (sprite, Json(wanted)) = (host.find(&name)?, body?);
    sprite.change(|record| {
        if let Some(settings) = wanted.url_settings {
            record.auth = settings.auth;
        }
        if let Some(labels) = wanted.labels {
            record.labels = labels;
        }
    })?;
    Ok(Json(detail(&sprite)))
}

/// `POST /v1/sprites/{name}/upgrade`: there is one version, and every sprite has it from its next boot on.
pub(crate) async fn upgrade(State(host): State<Arc<Host>>, Path(name): Path<String>) -> Result<StatusCode, ApiFailure> {
    host.find(&name)?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /v1/sprites/{name}`
pub(crate) async fn delete(State(host): State<Arc<Host>>, Path(name): Path<String>) -> Result<StatusCode, ApiFailure> {
    host.delete(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A sprite with the fields that only single answers have.
fn detail(sprite: &Sprite) -> Value {
    let mut value = json!(sprite.view());
    if let Some(fields) = value.as_object_mut() {
        fields.insert("last_running_at".into(), json!(sprite.record().last_running_at));
        fields.insert("version".into(), json!(VERSION.to_str().unwrap_or_default()));
    }
    value
}
