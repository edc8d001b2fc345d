//! One request to an awake sprite. Bodies and frames are passed on as the platform's own streams; wasm never sees them.
//!
//! The Worker takes our cookies and tokens off here; the agent applies the full table of headers again, since both
//! edges add some after us.

use snapvm_durable::machine_gateway::command::Lease;
use snapvm_protocol::headers::{
    ACCOUNT, AGENT_MARK, APP_HOST, APP_SCHEME, AUTHORIZATION, CLIENT_ADDRESS, OWN_PREFIX, PORT, TICKET,
    is_allowed_set_cookie, strip_own_cookies,
};
use worker::{Env, Fetch, Headers, Method, Request, RequestInit, RequestRedirect, Response};

use crate::error::Error;
use crate::sprites::Client;

/// On whose behalf, and where to.
#[derive(Debug, Clone)]
pub struct Passenger {
    /// The app's host, as the visitor typed it.
    pub host: String,
    /// `http` or `https`.
    pub scheme: String,
    /// The port in the machine.
    pub port: u16,
    /// The visitor's account.
    pub account: String,
}

/// What became of a request.
#[derive(Debug)]
pub enum Outcome {
    /// The machine's own answer.
    Answer(Response),
    /// The machine did not take it: it sleeps, or its agent is not there.
    NotTaken,
}

/// Whether a request may be sent a second time: it asks for something and brings nothing.
#[must_use]
pub fn may_repeat(request: &Request) -> bool {
    matches!(request.method(), Method::Get | Method::Head | Method::Options) && request.inner().body().is_none()
}

/// Sends a request.
///
/// # Errors
/// [`Error::Platform`] when it cannot be made.
pub async fn send(request: Request, env: &Env, lease: &Lease, passenger: &Passenger) -> Result<Outcome, Error> {
    let url = request.url()?;
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let target = format!("{}{}{query}", lease.url, url.path());
    let mut init = RequestInit::new();
    init.with_method(request.method())
        .with_headers(headers(&request, env, lease, passenger)?)
        .with_redirect(RequestRedirect::Manual);
    if let Some(body) = request.inner().body() {
        init.with_body(Some(body.into()));
    }
    let Ok(response) = Fetch::Request(Request::new_with_init(&target, &init)?).send().await else {
        return Ok(Outcome::NotTaken);
    };
    let mark = response.headers().get(AGENT_MARK)?;
    match (mark.as_deref(), response.status_code()) {
        // Frames are spliced by the runtime as long as the response is not touched.
        (Some(_), 101) => Ok(Outcome::Answer(response)),
        (Some("agent"), 410 | 503) => Ok(Outcome::NotTaken),
        (Some(_), _) => cleaned(response).map(Outcome::Answer),
        (None, _) => Ok(Outcome::NotTaken),
    }
}

fn headers(request: &Request, env: &Env, lease: &Lease, passenger: &Passenger) -> Result<Headers, Error> {
    let headers = Headers::new();
    let mut address = None;
    for (name, value) in request.headers().entries() {
        match name.as_str() {
            "cookie" => {
                if let Some(cookies) = strip_own_cookies(&value) {
                    headers.set("cookie", &cookies)?;
                }
            }
            "authorization" => {
                if !value.contains("snap_") {
                    headers.set(AUTHORIZATION, &value)?;
                }
            }
            "cf-connecting-ip" => address = Some(value),
            "host" => {}
            name if name.starts_with(OWN_PREFIX) => {}
            _ => headers.append(&name, &value)?,
        }
    }
    headers.set("authorization", &format!("Bearer {}", Client::new(env)?.token()))?;
    headers.set(TICKET, &lease.ticket)?;
    headers.set(PORT, &passenger.port.to_string())?;
    headers.set(APP_HOST, &passenger.host)?;
    headers.set(APP_SCHEME, &passenger.scheme)?;
    headers.set(ACCOUNT, &passenger.account)?;
    if let Some(address) = address {
        headers.set(CLIENT_ADDRESS, &address)?;
    }
    Ok(headers)
}

/// Without our own headers and without cookies that an app may not set. The body stays the platform's stream.
fn cleaned(response: Response) -> Result<Response, Error> {
    let headers = Headers::new();
    for (name, value) in response.headers().entries() {
        if !name.starts_with(OWN_PREFIX) && (name != "set-cookie" || is_allowed_set_cookie(&value)) {
            headers.append(&name, &value)?;
        }
    }
    Ok(response.with_headers(headers))
}
