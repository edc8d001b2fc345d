//! The listener on 8080: *wake* and commands for the platform, everything else for apps.
//!
//! Invariant: every answer is marked, so that whoever asks can tell it from one of the runtime's edge: `app` when an
//! app gave it, `agent` when the agent did.

pub mod framing;
pub mod guarded;

use std::cell::Cell;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use snapvm_protocol::agent::{WAKE_PATH, WakeReply};
use snapvm_protocol::exec::EXEC_PATH;
use snapvm_protocol::headers::{AGENT_MARK, RESERVED_PATH, TICKET};
use snapvm_protocol::logs::LOGS_PATH;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::agent::Agent;
use crate::clock::Reading;
use crate::exec;
use crate::ingress;
use crate::journal::note;
use crate::logs;
use guarded::{Guarded, Peer};

/// A body of either maker.
pub type Body = Pin<Box<dyn hyper::body::Body<Data = Bytes, Error = BodyError>>>;

/// Why a body was cut short.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The app's connection broke.
    #[error("the app's answer broke off")]
    App(#[from] hyper::Error),
    /// Access changed, or the machine sleeps.
    #[error("the connection was closed")]
    Closed,
}

/// Connections at once. Beyond it the kernel's queue is where they wait.
const CONNECTIONS_MAX: u32 = 1024;

/// The listening socket. What comes while it is paused waits in the kernel's queue, over an exec too.
pub struct Listener {
    socket: TcpListener,
    accepting: watch::Sender<bool>,
    open: watch::Sender<u32>,
}

impl Listener {
    /// Listens.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        Ok(Self::new(TcpListener::bind(address).await?))
    }

    /// Goes on with the socket of an agent before this one.
    ///
    /// # Errors
    /// When it is none.
    pub fn resume(descriptor: OwnedFd) -> io::Result<Self> {
        let socket = std::net::TcpListener::from(descriptor);
        socket.set_nonblocking(true)?;
        Ok(Self::new(TcpListener::from_std(socket)?))
    }

    fn new(socket: TcpListener) -> Self {
        Self { socket, accepting: watch::Sender::new(true), open: watch::Sender::new(0) }
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Its descriptor, for a hand-over.
    #[must_use]
    pub fn descriptor(&self) -> i32 {
        self.socket.as_raw_fd()
    }

    /// Lets new connections wait, and has those that are open end with the answer they are waiting for.
    pub fn pause(&self) {
        self.accepting.send_replace(false);
    }

    /// Waits until no connection is open but those that were upgraded.
    pub async fn all_closed(&self) {
        // The sender lives in self.
        let _ = self.open.subscribe().wait_for(|open| *open == 0).await;
    }

    fn is_accepting(&self) -> bool {
        *self.accepting.borrow()
    }

    async fn paused(&self) {
        let _ = self.accepting.subscribe().wait_for(|accepting| !*accepting).await;
    }

    /// Takes new connections.
    pub fn accept(&self) {
        self.accepting.send_replace(true);
    }

    async fn next(&self) -> io::Result<TcpStream> {
        let mut accepting = self.accepting.subscribe();
        loop {
            // The sender lives in self.
            let _ = accepting.wait_for(|accepting| *accepting).await;
            tokio::select! {
                accepted = self.socket.accept() => return accepted.map(|(stream, _)| stream),
                _ = accepting.changed() => {}
            }
        }
    }
}

/// Accepts connections for as long as the agent lives.
pub async fn serve(agent: Rc<Agent>) {
    loop {
        let stream = match agent.listener.next().await {
            Ok(stream) => stream,
            Err(error) => {
                // Out of descriptors, mostly: trying at once would only spin.
                note!("no connection could be accepted: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        if *agent.listener.open.borrow() >= CONNECTIONS_MAX {
            continue;
        }
        // Answers go out as they are written.
        let _ = stream.set_nodelay(true);
        let agent = Rc::clone(&agent);
        agent.listener.open.send_modify(|open| *open += 1);
        tokio::task::spawn_local(async move {
            let stream = Guarded::new(stream);
            let peer = stream.peer();
            let asked = Cell::new(false);
            let service = service_fn(|request| {
                asked.set(true);
                answer(&agent, &peer, request)
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .half_close(true)
                .header_read_timeout(None)
                .max_buf_size(framing::HEAD_MAX * 2)
                .serve_connection(stream, service)
                .with_upgrades();
            let mut connection = std::pin::pin!(connection);
            // What goes wrong on a connection is the business of its two ends.
            tokio::select! {
                _ = connection.as_mut() => {}
                () = agent.listener.paused() => {
                    // One that has not asked yet may just be about to: its answer will be its last.
                    if asked.get() {
                        connection.as_mut().graceful_shutdown();
                    }
                    let _ = connection.await;
                }
            }
            agent.listener.open.send_modify(|open| *open = open.saturating_sub(1));
        });
    }
}

async fn answer(agent: &Rc<Agent>, peer: &Peer, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let path = request.uri().path();
    let response = match (request.method(), path) {
        (_, guarded::MALFORMED_PATH) => closing(said(StatusCode::BAD_REQUEST, "the request is malformed")),
        (_, guarded::TOO_LARGE_PATH) => {
            closing(said(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "the request's head is longer than 32 KiB"))
        }
        (&Method::POST, WAKE_PATH) => wake(agent, &request).await,
        (&Method::POST, EXEC_PATH) => exec::answer(agent, request, peer).await,
        (&Method::POST, LOGS_PATH) => logs::answer(agent, request, peer).await,
        (_, path) if path.starts_with(RESERVED_PATH) => said(StatusCode::NOT_FOUND, "nothing is here"),
        (&Method::CONNECT, _) => closing(said(StatusCode::METHOD_NOT_ALLOWED, "this is no proxy")),
        _ => ingress::answer(agent, request).await,
    };
    let is_last = !agent.listener.is_accepting() && response.status() != StatusCode::SWITCHING_PROTOCOLS;
    Ok(if is_last { closing(response) } else { response })
}

async fn wake(agent: &Rc<Agent>, request: &Request<Incoming>) -> Response<Body> {
    let Some(ticket) = one_ticket(request) else { return said(StatusCode::FORBIDDEN, "a ticket is needed") };
    let admitted = agent.admission.borrow_mut().wake(ticket, Reading::take());
    if let Err(error) = admitted {
        note!("a wake was refused: {error}");
        return said(StatusCode::FORBIDDEN, &error.to_string());
    }
    agent.wake(ticket.to_owned());
    let reply = WakeReply {
        boot: agent.identity.boot.clone(),
        protocol: agent.protocol,
        digest: agent.identity.digest().await.to_owned(),
    };
    let body = serde_json::to_vec(&reply).unwrap_or_default();
    let mut response = marked(StatusCode::ACCEPTED, Bytes::from(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(AGENT_MARK, HeaderValue::from_static("1"));
    response
}

/// The request's ticket, if it has exactly one.
pub fn one_ticket(request: &Request<Incoming>) -> Option<&str> {
    let mut tickets = request.headers().get_all(TICKET).iter();
    let ticket = tickets.next()?.to_str().ok()?;
    tickets.next().is_none().then_some(ticket)
}

/// No body.
#[must_use]
pub fn bodyless() -> Body {
    Box::pin(Full::new(Bytes::new()).map_err(|never: Infallible| match never {}))
}

/// An answer of the agent: a sentence.
#[must_use]
pub fn said(status: StatusCode, sentence: &str) -> Response<Body> {
    let mut response = marked(status, Bytes::from(format!("{sentence}\n")));
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

/// The same, as the last one of its connection.
#[must_use]
pub fn closing(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// An answer of the agent.
pub fn marked(status: StatusCode, body: Bytes) -> Response<Body> {
    let body: Body = Box::pin(Full::new(body).map_err(|never: Infallible| match never {}));
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(AGENT_MARK, HeaderValue::from_static("agent"));
    response.headers_mut().insert(hyper::header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
