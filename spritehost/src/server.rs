//! `serve`: checks that it can work, opens the API, and stops in order.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tower_service::Service;

use crate::api;
use crate::arguments::Serve;
use crate::container::{self, ContainerError};
use crate::faults::{Struck, When};
use crate::host::{Host, RuntimeError};
use crate::image::{self, ImageError};
use crate::{memory, metrics, operations, operator};

/// Why `serve` gave up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    /// Not root.
    #[error("spritehost serve needs root: it makes network interfaces, mounts and containers")]
    NotRoot,
    /// No token.
    #[error("SPRITEHOST_TOKEN is not set: it is the API token that callers have to present")]
    NoToken,
    /// Someone may listen there already.
    #[error("can't listen on {address}: {source}")]
    Listen {
        /// Where.
        address: std::net::SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// runc.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// What runs sprites.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// A signal handler or a socket.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// Longest body of a call that is done twice.
const DUPLICATE_MAX: usize = 64 * 1024 * 1024;

/// In a response's extensions: close the connection instead of answering.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dropped;

/// Why a connection was closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is dropped")]
pub(crate) struct ConnectionDropped;

/// Runs until it is told to stop.
pub(crate) async fn run(options: &Serve) -> Result<(), ServeError> {
    if !rustix::process::geteuid().is_root() {
        return Err(ServeError::NotRoot);
    }
    if options.token.is_empty() {
        return Err(ServeError::NoToken);
    }
    container::check().await?;
    raise_open_files();
    let rootfs = image::rootfs(&options.image)?;
    let listener = TcpListener::bind(options.listen)
        .await
        .map_err(|source| ServeError::Listen { address: options.listen, source })?;
    let address = listener.local_addr()?;
    // Before anything needs to be undone, so that no signal is missed.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let host = Host::start(options, address.port(), rootfs).await?;
    operator::listen(host.shared.clone(), &host.shared.store.file("operator.sock"))?;
    if let Some(address) = options.metrics {
        let listener = TcpListener::bind(address).await.map_err(|source| ServeError::Listen { address, source })?;
        println!("metrics on http://{}/metrics", listener.local_addr()?);
        metrics::serve(host.clone(), listener);
    }
    tokio::spawn(memory::watch(host.clone()));
    println!("spritehost listening on http://{address}");
    tokio::select! {
        () = accept(host.clone(), listener) => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    host.stop().await;
    Ok(())
}

/// Allows as many open files as this process may have. Sprites inherit it, since a user namespace can't raise it.
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let most = getrlimit(Resource::Nofile).maximum;
    let _ = setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most });
}

async fn accept(host: Arc<Host>, listener: TcpListener) {
    let router = api::router(host.clone());
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let (host, router) = (host.clone(), router.clone());
        let answer = move |request: Request<Incoming>| {
            let (host, mut router) = (host.clone(), router.clone());
            async move {
                let shared = &host.shared;
                let (method, path) = (request.method().clone(), request.uri().path().to_owned());
                let Some(operation) = operations::operation(method.as_str(), &path) else {
                    shared.calls.unlisted(method.as_str(), &path);
                    return call(&mut router, request.map(Body::new)).await;
                };
                let response = match shared.faults.strike(operation, When::Before).await {
                    Struck::Answered(response) => response,
                    Struck::Go | Struck::Cut => {
                        let response = call(&mut router, request.map(Body::new)).await;
                        shared.faults.after(operation, response).await
                    }
                    Struck::Twice => call_twice(&mut router, request).await,
                };
                shared.calls.count(operation, response.status().as_u16());
                response
            }
        };
        tokio::spawn(connection(stream, answer));
    }
}

async fn call(router: &mut Router, request: Request<Body>) -> Response {
    let done: Result<Response, Infallible> = router.call(request).await;
    let Ok(response) = done;
    response
}

/// Has a call done twice, as a network that repeats itself would; the second answer counts.
async fn call_twice(router: &mut Router, request: Request<Incoming>) -> Response {
    let (parts, body) = request.into_parts();
    let body = match Limited::new(body, DUPLICATE_MAX).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return StatusCode::PAYLOAD_TOO_LARGE.into_response(),
    };
    let again = Request::from_parts(parts.clone(), Body::from(body.clone()));
    let first = call(router, Request::from_parts(parts, Body::from(body))).await;
    // Streams have done their work when they have ended.
    let _ = first.into_body().collect().await;
    call(router, again).await
}

/// Serves HTTP/1.1 on one connection, with upgrades.
pub(crate) async fn connection<S, A, F>(stream: S, answer: A)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response>,
{
    let service = service_fn(|request| {
        let answering = answer(request);
        async move {
            let response = answering.await;
            if response.extensions().get::<Dropped>().is_some() { Err(ConnectionDropped) } else { Ok(response) }
        }
    });
    let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // Errors here are callers that went away, and connections dropped on purpose.
    let _ = connection.with_upgrades().await;
}
