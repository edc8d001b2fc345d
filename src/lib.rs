//! SnapVM's Worker: entry, host split, and the shells of the Durable Objects.
//!
//! ```text
//! Host ─▶ console  ─▶ /v1 API (`api`, `router`, `handlers`) · everything else: static assets
//!      ─▶ dial     ─▶ sockets of agents
//!      ─▶ app host ─▶ `gateway`
//! ```
//!
//! Invariants:
//! * No panics: one resets the isolate and every object in it. Lints enforce it.
//! * `platform` is the only place that knows wasm from native.
//! * Bodies and frames of apps never pass through wasm.

pub mod answer;
pub mod api;
pub mod authn;
pub mod authz;
pub mod config;
pub mod context;
pub mod db;
pub mod domain;
pub mod error;
pub mod gateway;
pub mod handlers;
pub mod jobs;
pub mod objects;
#[cfg(not(target_arch = "wasm32"))]
pub mod openapi;
pub mod passwords;
pub mod platform;
pub mod router;
pub mod sealing;
pub mod secrets;
pub mod sprites;

use snapvm_protocol::hosts::Target;
use worker::{Context, Env, Request, Response, event};

use crate::answer::refuse;
use crate::config::Config;
use crate::error::{Error, Problem};

#[event(start)]
fn start() {
    console_error_panic_hook::set_once();
}

/// Every request of every host.
#[event(fetch)]
async fn fetch(request: Request, env: Env, context: Context) -> worker::Result<Response> {
    let request_id = context::new_id().unwrap_or_default();
    match split(request, env, context, &request_id).await {
        Ok(response) => Ok(response),
        Err(error) => {
            log(&error, &request_id);
            refuse(&error.problem(), &request_id).respond().map_err(|error| worker::Error::from(error.to_string()))
        }
    }
}

/// What is ours or a dependency's to mend is logged once, here; refusals are the client's business.
fn log(error: &Error, request_id: &str) {
    if error.kind() != error::Kind::Client {
        worker::console_error!("request {request_id}: {:?}: {error}", error.kind());
    }
}

async fn split(request: Request, env: Env, context: Context, request_id: &str) -> Result<Response, Error> {
    let config = Config::read(&env)?;
    let url = request.url()?;
    let host = match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => String::new(),
    };
    match config.hosts.parse(&host) {
        Some(Target::Console) if is_api(url.path()) => api::answer(request, env, context, config, request_id).await,
        // Where agents dial the console's own host.
        Some(Target::Console | Target::Dial) if url.path().starts_with("/agent/v1/") => {
            gateway::dial::forward(request, &env).await
        }
        Some(Target::Console) if url.path() == gateway::handshake::CONSOLE_PATH => {
            gateway::handshake::authorize(request, env, config, request_id).await
        }
        Some(Target::Console) => asset(request, &env).await,
        Some(Target::App(app)) => gateway::apps::answer(request, env, config, &app, request_id).await,
        Some(Target::Dial) | None => Err(Problem::not_found().into()),
    }
}

fn is_api(path: &str) -> bool {
    path == "/v1" || path.starts_with("/v1/")
}

/// The console and the documentation. `run_worker_first` is on, so that an app's `/index.html` is the app's.
async fn asset(request: Request, env: &Env) -> Result<Response, Error> {
    let response = env.assets("ASSETS")?.fetch_request(request).await?;
    let headers: worker::Headers = response.headers().entries().collect();
    headers.set("content-security-policy", CONSOLE_POLICY)?;
    headers.set("x-content-type-options", "nosniff")?;
    headers.set("cross-origin-opener-policy", "same-origin")?;
    headers.set("referrer-policy", "same-origin")?;
    Ok(response.with_headers(headers))
}

/// Own scripts only; styles may be inline because the terminal and the component library set them; never framed.
const CONSOLE_POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    font-src 'self' data:; connect-src 'self' ws: wss:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";
