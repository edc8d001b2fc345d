//! The HTTP API: one table of routes, and what all of them share.
//!
//! Everything needs the organization's token. What is not in the table answers 404, whatever the method, so that
//! nobody comes to depend on more than `docs/sprites-protocol.md` lists.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};

use crate::host::Host;

mod checkpoints;
mod error;
mod exec;
mod files;
pub(crate) mod guest_socket;
mod ndjson;
mod policy;
mod ports;
mod proxy;
mod query;
mod services;
mod session_socket;
mod sessions;
mod sprites;
mod watch;

pub(crate) use error::ApiFailure;

/// Longest JSON body.
const JSON_MAX: usize = 1024 * 1024;
/// The runtime version that calls about one sprite report.
const VERSION: HeaderValue = HeaderValue::from_static("0.0.1-rc48");

/// All routes.
pub(crate) fn router(host: Arc<Host>) -> Router {
    let one = Router::new()
        .route("/", get(sprites::get).put(sprites::update).delete(sprites::delete))
        .route("/upgrade", post(sprites::upgrade))
        .route("/exec", get(exec::socket).post(exec::once))
        .route("/exec/{session}", get(sessions::attach))
        .route("/exec/{session}/kill", post(sessions::kill))
        .route("/policy/network", get(policy::get).post(policy::set))
        .route("/proxy", get(proxy::socket))
        .route("/ports/watch", get(ports::watch))
        .route("/fs/read", get(files::read))
        .route("/fs/write", put(files::write).layer(DefaultBodyLimit::disable()))
        .route("/fs/list", get(files::list))
        .route("/fs/delete", delete(files::delete))
        .route("/fs/rename", post(files::rename))
        .route("/fs/copy", post(files::copy))
        .route("/fs/chmod", post(files::chmod))
        .route("/fs/chown", post(files::chown))
        .route("/fs/watch", get(watch::socket))
        .route("/checkpoint", post(checkpoints::create))
        .route("/checkpoints", get(checkpoints::list))
        .route("/checkpoints/{checkpoint}", get(checkpoints::get).delete(checkpoints::delete))
        .route("/checkpoints/{checkpoint}/restore", post(checkpoints::restore))
        .route("/services", get(services::list))
        .route("/services/signal", post(services::signal))
        .route("/services/{service}", get(services::get).put(services::put).delete(services::delete))
        .route("/services/{service}/start", post(services::start))
        .route("/services/{service}/stop", post(services::stop))
        .route("/services/{service}/restart", post(services::restart))
        .route("/services/{service}/logs", get(services::logs));
    Router::new()
        .route("/v1/sprites", get(sprites::list).post(sprites::create))
        .nest("/v1/sprites/{name}", one)
        .fallback(not_found)
        .method_not_allowed_fallback(not_found)
        .layer(DefaultBodyLimit::max(JSON_MAX))
        .layer(middleware::from_fn_with_state(host.clone(), authenticate))
        .with_state(host)
}

async fn not_found() -> ApiFailure {
    ApiFailure::not_found("not found")
}

/// The token of a request, if it has one.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

async fn authenticate(State(host): State<Arc<Host>>, request: Request, next: Next) -> Response {
    if !bearer(request.headers()).is_some_and(|token| host.shared.options.token.matches(token)) {
        return ApiFailure::unauthorized().into_response();
    }
    let mut response = next.run(request).await;
    response.headers_mut().insert(HeaderName::from_static("sprite-version"), VERSION);
    response
}
