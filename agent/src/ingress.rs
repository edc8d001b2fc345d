//! App requests: from the platform's lease to a program on loopback, and its answer back.
//!
//! ```text
//! ticket, epoch ─▶ awake? connected? ─▶ port ─▶ connect ─▶ headers filtered ─▶ answer filtered, marked `app`
//!                                                  └ WebSocket: bytes flow only after the app's 101
//! ```
//!
//! Invariants: only `127.0.0.1` and `::1` are dialed, only on ports an app may use; bodies are streamed; one request
//! per connection to an app, so nothing of one visitor's request can be read as another's.

pub mod connections;
pub mod filter;
mod flow;

use std::io;
use std::rc::Rc;
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use snapvm_protocol::headers::{ACCOUNT, AGENT_MARK, PORT};
use snapvm_protocol::hosts::parse_port;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::agent::Agent;
use crate::clock::Reading;
use crate::http::{Body, closing, one_ticket, said};
use connections::Tag;
use flow::Flow;

/// How long after a wake a port that refuses may belong to a service that is starting.
const STARTING_MS: u64 = 10_000;
/// How soon it is tried again, at least and at most.
const STARTING_RETRY: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(20));

/// Why an app request got no answer of its app.
#[derive(Debug, thiserror::Error)]
enum IngressError {
    #[error("{0}")]
    Refused(String),
    #[error("the machine is asleep")]
    Asleep,
    #[error("the machine has lost its connection to the platform")]
    Gone,
    #[error("the port is not one of an app")]
    Port,
    #[error("nothing listens on port {0}")]
    Nothing(u16),
    #[error("the app on port {0} could not be reached")]
    Unreachable(u16),
    #[error("the app on port {0} gave no proper answer")]
    Answer(u16),
    #[error("the app on port {0} did not answer in time")]
    Slow(u16),
    #[error("access to the app has changed")]
    Closed,
}

impl IngressError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Refused(_) | Self::Closed => StatusCode::FORBIDDEN,
            Self::Asleep => StatusCode::GONE,
            Self::Gone => StatusCode::SERVICE_UNAVAILABLE,
            Self::Port => StatusCode::BAD_REQUEST,
            Self::Nothing(_) | Self::Unreachable(_) | Self::Answer(_) => StatusCode::BAD_GATEWAY,
            Self::Slow(_) => StatusCode::GATEWAY_TIMEOUT,
        }
    }
}

/// Answers an app request.
pub async fn answer(agent: &Rc<Agent>, request: Request<Incoming>) -> Response<Body> {
    let was_upgrade = request.headers().contains_key(hyper::header::UPGRADE);
    let response = match forward(agent, request).await {
        Ok(response) => response,
        Err(error) => said(error.status(), &error.to_string()),
    };
    // What follows a refused upgrade on its connection may be anything: it is never read as a request.
    if was_upgrade && response.status() != StatusCode::SWITCHING_PROTOCOLS { closing(response) } else { response }
}

async fn forward(agent: &Rc<Agent>, request: Request<Incoming>) -> Result<Response<Body>, IngressError> {
    let ticket = one_ticket(&request).ok_or_else(|| IngressError::Refused("a ticket is needed".to_owned()))?;
    let admitted = agent.admission.borrow_mut().ingress(ticket, Reading::take());
    let (epoch, is_newer) = admitted.map_err(|error| IngressError::Refused(error.to_string()))?;
    if is_newer {
        agent.connections.close_before(epoch);
    }
    if agent.phase.borrow().is_asleep() {
        return Err(IngressError::Asleep);
    }
    if agent.link.gone_for() >= agent.timings.gone {
        return Err(IngressError::Gone);
    }
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let port = header(PORT).and_then(parse_port).ok_or(IngressError::Port)?;
    let tag = agent.connections.open(epoch, header(ACCOUNT).map(str::to_owned));
    agent.activity("request");
    let closed = tag.closed.clone();
    tokio::select! {
        response = exchange(agent, request, port, tag) => response,
        () = closed.cancelled() => Err(IngressError::Closed),
    }
}

async fn exchange(
    agent: &Rc<Agent>,
    mut request: Request<Incoming>,
    port: u16,
    tag: Tag,
) -> Result<Response<Body>, IngressError> {
    let websocket = filter::is_websocket(request.headers());
    let stream = connect_patiently(agent, port).await?;
    let _ = stream.set_nodelay(true);
    let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
        .handshake::<_, Body>(TokioIo::new(stream))
        .await
        .map_err(|_| IngressError::Answer(port))?;
    let driver = tokio::task::spawn_local(async move {
        // Its end shows in the answer.
        let _ = connection.with_upgrades().await;
    });
    let visitor = websocket.then(|| hyper::upgrade::on(&mut request));
    let headers = filter::request(request.headers(), websocket);
    let (parts, body) = request.into_parts();
    let mut forwarded = Request::new(Box::pin(body.map_err(Into::into)) as Body);
    *forwarded.method_mut() = parts.method;
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    *forwarded.uri_mut() = target.parse().map_err(|_| IngressError::Answer(port))?;
    *forwarded.headers_mut() = headers;
    let response = tokio::time::timeout(agent.timings.response(), sender.send_request(forwarded)).await;
    let mut response = match response {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => return Err(IngressError::Answer(port)),
        Err(_) => {
            driver.abort();
            return Err(IngressError::Slow(port));
        }
    };
    let switches = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    if switches && visitor.is_none() {
        // It switches to what nobody asked for.
        driver.abort();
        return Err(IngressError::Answer(port));
    }
    let app = switches.then(|| hyper::upgrade::on(&mut response));
    let (parts, body) = response.into_parts();
    let mut answer = match (visitor, app) {
        (Some(visitor), Some(app)) => {
            let agent = Rc::clone(agent);
            tokio::task::spawn_local(flow::join(agent, visitor, app, tag));
            Response::new(crate::http::bodyless())
        }
        _ => Response::new(Box::pin(Flow::new(body, Rc::clone(agent), tag)) as Body),
    };
    *answer.status_mut() = parts.status;
    *answer.headers_mut() = filter::response(&parts.headers, switches);
    answer.headers_mut().insert(AGENT_MARK, HeaderValue::from_static("app"));
    Ok(answer)
}

/// A service that the wake is just starting does not listen yet: for a while after one, its visitors wait for it.
async fn connect_patiently(agent: &Rc<Agent>, port: u16) -> Result<TcpStream, IngressError> {
    let since = Instant::now();
    loop {
        match connect(port).await {
            Err(IngressError::Nothing(_)) if is_starting(agent) => {
                // However long it takes to start, hardly longer is waited.
                let (least, most) = STARTING_RETRY;
                tokio::time::sleep((since.elapsed() / 8).clamp(least, most)).await;
            }
            outcome => return outcome,
        }
    }
}

fn is_starting(agent: &Rc<Agent>) -> bool {
    agent.woken_at.get().is_some_and(|at| Reading::take().boot < at + STARTING_MS)
}

async fn connect(port: u16) -> Result<TcpStream, IngressError> {
    crate::loopback::connect(port).await.map_err(|error| match error.kind() {
        io::ErrorKind::ConnectionRefused => IngressError::Nothing(port),
        _ => IngressError::Unreachable(port),
    })
}
