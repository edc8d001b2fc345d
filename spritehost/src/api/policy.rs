//! What a sprite may reach. Neither looking nor setting wakes it.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use snapvm_protocol::sprites::NetworkPolicy;

use super::ApiFailure;
use crate::host::Host;
use crate::policy;

/// `GET …/policy/network`
pub(crate) async fn get(
    State(host): State<Arc<Host>>,
    Path(name): Path<String>,
) -> Result<Json<NetworkPolicy>, ApiFailure> {
    Ok(Json(host.find(&name)?.record().policy))
}

/// `POST …/policy/network`
pub(crate) async fn set(
    State(host): State<Arc<Host>>,
    Path(name): Path<String>,
    body: Result<Json<NetworkPolicy>, JsonRejection>,
) -> Result<StatusCode, ApiFailure> {
    let (sprite, Json(wanted)) = (host.find(&name)?, body?);
    policy::check(&wanted).map_err(|error| ApiFailure::bad_request(error.to_string()))?;
    sprite.police(wanted).await?;
    Ok(StatusCode::NO_CONTENT)
}
