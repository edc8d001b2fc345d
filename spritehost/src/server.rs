//! `serve`: checks that it can work, opens the API, and stops in order.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
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
use crate::faults::{self, When};
use crate::host::{Host, RuntimeError};
use crate::image::{self, ImageError};

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
    if options.faults {
        faults::listen(host.shared.clone(), &host.shared.store.file("faults.sock"))?;
    }
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
                let operation = faults::operation(request.method(), request.uri().path()).unwrap_or_default();
                if let Some(response) = host.shared.faults.strike(operation, When::Before).await {
                    return response;
                }
                let done: Result<Response, Infallible> = router.call(request.map(Body::new)).await;
                let Ok(response) = done;
                host.shared.faults.strike(operation, When::After).await.unwrap_or(response)
            }
        };
        tokio::spawn(connection(stream, answer));
    }
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
