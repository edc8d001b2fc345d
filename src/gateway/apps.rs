//! Requests to app hosts: who may pass, and what a visitor sees while a machine wakes.

use futures::future::{Either, select};
use snapvm_durable::machine_gateway::cause::By;
use snapvm_durable::machine_gateway::command::Lease;
use snapvm_protocol::headers::RESERVED_PATH;
use snapvm_protocol::hosts::AppHost;
use worker::{Env, Request, Response};

use super::cookies::{APP_COOKIE, Admission, Key};
use super::forward::{self, Outcome, Passenger};
use super::handshake::{self, CALLBACK_PATH};
use super::resolve::{self, Resolved};
use crate::answer::refuse;
use crate::authn::cookie_value;
use crate::config::Config;
use crate::error::{Error, Problem};
use crate::{log, platform};

/// How long a browser's navigation waits for a waking machine before it gets a page that says so.
const PATIENCE_MS: u64 = 2_000;

/// Answers a request to an app's host.
///
/// # Errors
/// Only when no answer can be made at all.
pub async fn answer(
    request: Request,
    env: Env,
    config: Config,
    app: &AppHost,
    request_id: &str,
) -> Result<Response, Error> {
    let navigates = navigates(&request)?;
    match pass(request, &env, &config, app, navigates).await {
        Ok(response) => Ok(response),
        Err(error) => {
            log(&error, request_id);
            let problem = error.problem();
            if navigates && problem.status == 503 {
                return waiting_page(&problem);
            }
            refuse(&problem, request_id).respond()
        }
    }
}

async fn pass(request: Request, env: &Env, config: &Config, app: &AppHost, navigates: bool) -> Result<Response, Error> {
    let url = request.url()?;
    let host = format!("{}.{}", app.label(), config.hosts.apps);
    if url.path() == CALLBACK_PATH {
        return handshake::finish(&request, env, config, &host).await;
    }
    if url.path().starts_with(RESERVED_PATH) {
        return Err(Problem::not_found().into());
    }
    let Some((resolved, admission)) = admitted(&request, env, config, app, &host).await? else {
        if navigates {
            let path = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
            return handshake::begin(config, &host, &path);
        }
        return Err(Problem::new(401, "unauthenticated", "Open this address in a browser first.").into());
    };
    refuse_foreign_socket(&request, config, &host)?;
    let passenger = Passenger {
        host: host.clone(),
        scheme: config.scheme.clone(),
        port: app.port.unwrap_or(resolved.app_port),
        account: admission.account,
    };
    let by = || By::request(&passenger.account, passenger.port);
    let lease = lease(env, &resolved, by(), navigates).await?;
    // Only what brings no body: a copy of a body would be kept in memory for as long as the original is read.
    let again = if forward::may_repeat(&request) { request.clone().ok() } else { None };
    match forward::send(request, env, &lease, &passenger).await? {
        Outcome::Answer(response) => Ok(response),
        Outcome::NotTaken => {
            // The sprite slept, or its agent was not there: the object wakes it, once for everybody.
            resolve::drop_lease(resolved.machine);
            let lease = self::lease(env, &resolved, by(), navigates).await?;
            let Some(request) = again else {
                return Err(Problem::unavailable("waking", "The machine was asleep. Send the request again.").into());
            };
            match forward::send(request, env, &lease, &passenger).await? {
                Outcome::Answer(response) => Ok(response),
                Outcome::NotTaken => {
                    resolve::drop_lease(resolved.machine);
                    Err(Problem::new(502, "no_answer", "The machine does not answer. Try again in a moment.").into())
                }
            }
        }
    }
}

/// The machine and the visitor, if they have been let in: the cookie is ours, for this host, in time, of the present
/// epoch.
async fn admitted(
    request: &Request,
    env: &Env,
    config: &Config,
    app: &AppHost,
    host: &str,
) -> Result<Option<(Resolved, Admission)>, Error> {
    let cookies = request.headers().get("cookie")?.unwrap_or_default();
    let Some(cookie) = cookie_value(&cookies, APP_COOKIE) else { return Ok(None) };
    let Some(admission) = Key::read(env)?.open::<Admission>(cookie) else { return Ok(None) };
    if admission.admits != host || admission.until_ms <= platform::now_ms() {
        return Ok(None);
    }
    let Some(mut resolved) = resolve::machine(env, config, app).await? else { return Ok(None) };
    if admission.epoch > resolved.epoch {
        // Let in after our look-up: look again.
        resolve::forget(app);
        match resolve::machine(env, config, app).await? {
            Some(fresh) => resolved = fresh,
            None => return Ok(None),
        }
    }
    let current = admission.machine == resolved.machine && admission.epoch == resolved.epoch;
    Ok(current.then_some((resolved, admission)))
}

/// A page of another origin must not open a socket with the visitor's cookie.
fn refuse_foreign_socket(request: &Request, config: &Config, host: &str) -> Result<(), Error> {
    if !super::sockets::is_upgrade(request)? {
        return Ok(());
    }
    let own = format!("{}://{host}", config.scheme);
    if request.headers().get("origin")?.is_some_and(|origin| origin == own) {
        return Ok(());
    }
    Err(Problem::new(403, "cross_site", "A WebSocket must come from a page of the same host.").into())
}

/// A lease; a browser's navigation does not wait for it longer than people do.
async fn lease(env: &Env, resolved: &Resolved, by: By, navigates: bool) -> Result<Lease, Error> {
    let asking = Box::pin(resolve::lease(env, resolved, by));
    if !navigates {
        return asking.await;
    }
    let patience = Box::pin(worker::Delay::from(std::time::Duration::from_millis(PATIENCE_MS)));
    match select(asking, patience).await {
        Either::Left((outcome, _)) => outcome,
        Either::Right(_) => {
            Err(Problem::unavailable("waking", "The machine is waking up. This page continues by itself.").into())
        }
    }
}

fn navigates(request: &Request) -> Result<bool, Error> {
    let headers = request.headers();
    let get = request.method() == worker::Method::Get;
    let mode = headers.get("sec-fetch-mode")?;
    let accepts_html = headers.get("accept")?.is_some_and(|accept| accept.contains("text/html"));
    Ok(get && mode.map_or(accepts_html, |mode| mode == "navigate"))
}

/// Says what is happening, and tries again by itself.
fn waiting_page(problem: &Problem) -> Result<Response, Error> {
    let (title, refresh) = match problem.code.as_str() {
        "waking" => ("Waking up", r#"<meta http-equiv="refresh" content="1">"#),
        "provider_limit" => ("Waiting for its turn", r#"<meta http-equiv="refresh" content="5">"#),
        _ => ("Not available", ""),
    };
    let detail = escape(&problem.detail);
    let page = format!(
        r#"<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>{refresh}
<meta name="viewport" content="width=device-width, initial-scale=1"><style>
body{{font:16px/1.5 system-ui,sans-serif;display:grid;place-items:center;min-height:100vh;margin:0;
color-scheme:light dark;background:Canvas;color:CanvasText}}main{{max-width:30rem;padding:2rem}}h1{{font-size:1.25rem}}
</style></head><body><main role="status"><h1>{title}</h1><p>{detail}</p></main></body></html>"#
    );
    let headers = worker::Headers::new();
    headers.set("content-type", "text/html; charset=utf-8")?;
    headers.set("cache-control", "no-store")?;
    headers.set("retry-after", &problem.retry_after_seconds.unwrap_or(5).to_string())?;
    Ok(Response::ok(page)?.with_status(problem.status).with_headers(headers))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
