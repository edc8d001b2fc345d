//! Checkpoints. Making one and looking at them wakes nothing; going back starts the sprite.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use serde_json::{Value, json};
use snapvm_protocol::sprites::{Checkpoint as View, CreateCheckpoint};

use super::ApiFailure;
use super::ndjson::{self, Events};
use crate::disk::Checkpoint;
use crate::host::Host;
use crate::sprite::SpriteError;

/// Longest comment.
const COMMENT_MAX: usize = 4096;

type Named = Path<(String, String)>;

/// `POST …/checkpoint`
pub(crate) async fn create(
    State(host): State<Arc<Host>>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Response, ApiFailure> {
    let sprite = host.find(&name)?;
    let wanted: CreateCheckpoint = match body.as_ref() {
        [] => CreateCheckpoint::default(),
        text => serde_json::from_slice(text).map_err(|error| ApiFailure::bad_request(error.to_string()))?,
    };
    if wanted.comment.len() > COMMENT_MAX {
        return Err(ApiFailure::bad_request(format!("a comment has {COMMENT_MAX} bytes at most")));
    }
    let (events, response) = ndjson::progress();
    tokio::spawn(async move {
        events.send("info", json!({ "data": "Creating checkpoint..." })).await;
        let kept = sprite.checkpoint(wanted.comment).await;
        tell(&events, kept.map(|id| format!("Checkpoint {id} created"))).await;
    });
    Ok(response)
}

/// `GET …/checkpoints`
pub(crate) async fn list(
    State(host): State<Arc<Host>>,
    Path(name): Path<String>,
) -> Result<Json<Vec<View>>, ApiFailure> {
    let disk = host.find(&name)?.record().disk;
    Ok(Json(disk.checkpoints.iter().rev().map(view).collect()))
}

/// `GET …/checkpoints/{id}`
pub(crate) async fn get(State(host): State<Arc<Host>>, Path((name, id)): Named) -> Result<Json<View>, ApiFailure> {
    let disk = host.find(&name)?.record().disk;
    disk.find(&id).map(|checkpoint| Json(view(checkpoint))).ok_or_else(|| SpriteError::NoCheckpoint.into())
}

/// `POST …/checkpoints/{id}/restore`
pub(crate) async fn restore(State(host): State<Arc<Host>>, Path((name, id)): Named) -> Result<Response, ApiFailure> {
    let sprite = host.find(&name)?;
    if sprite.record().disk.find(&id).is_none() {
        return Err(SpriteError::NoCheckpoint.into());
    }
    let (events, response) = ndjson::progress();
    tokio::spawn(async move {
        events.send("info", json!({ "data": format!("Restoring checkpoint {id}...") })).await;
        let restored = sprite.restore(id.clone()).await;
        tell(&events, restored.map(|()| format!("Checkpoint {id} restored"))).await;
    });
    Ok(response)
}

/// `DELETE …/checkpoints/{id}`
pub(crate) async fn delete(State(host): State<Arc<Host>>, Path((name, id)): Named) -> Result<StatusCode, ApiFailure> {
    host.find(&name)?.forget_checkpoint(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn tell(events: &Events, outcome: Result<String, SpriteError>) {
    match outcome {
        Ok(words) => events.send("complete", json!({ "data": words })).await,
        Err(error) => {
            tracing::warn!(%error, "a checkpoint");
            events.send("error", json!({ "error": error.to_string() })).await;
        }
    }
}

fn view(checkpoint: &Checkpoint) -> View {
    View {
        id: checkpoint.id.clone(),
        create_time: checkpoint.created_at.clone(),
        source_id: checkpoint.source.clone(),
        comment: checkpoint.comment.clone(),
        health: String::new(),
        history: Vec::<Value>::new(),
        is_auto: false,
    }
}
