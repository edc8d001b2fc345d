//! Asking a service whether it is ready: over loopback, which nobody's idle clock sees.
//!
//! Asked from its start until it says yes, ever more rarely, and never again after that: readiness is about starting,
//! not about health.

use std::time::Duration;

use http_body_util::Empty;
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use snapvm_protocol::services::Readiness;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between the first two questions.
const FIRST: Duration = Duration::from_millis(50);
/// Between later ones.
const LAST: Duration = Duration::from_secs(2);

/// The wait before the question after this many.
#[must_use]
pub fn pause(asked: u32) -> Duration {
    FIRST.saturating_mul(1 << asked.min(8)).min(LAST)
}

/// Whether it is ready, by this sign; one of time is none that can be asked for.
pub async fn ask(readiness: &Readiness, http_port: Option<u16>) -> bool {
    let asked = async {
        match readiness {
            Readiness::Http { path } => match http_port {
                Some(port) => answers(port, path).await.unwrap_or(false),
                None => false,
            },
            Readiness::Tcp { port } => crate::loopback::connect(*port).await.is_ok_and(|stream| !is_own(&stream)),
            Readiness::Delay { .. } => false,
        }
    };
    timeout(PATIENCE, asked).await.unwrap_or(false)
}

async fn answers(port: u16, path: &str) -> Option<bool> {
    let stream = crate::loopback::connect(port).await.ok()?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
    let request = Request::get(path)
        .header("host", format!("localhost:{port}"))
        .header("user-agent", "snapvm-agent")
        .body(Empty::<Bytes>::new())
        .ok()?;
    let response = sender.send_request(request);
    tokio::pin!(response, connection);
    let response = tokio::select! {
        response = &mut response => response,
        // The answer may have come with the connection's end.
        _ = &mut connection => response.await,
    };
    Some(response.ok()?.status().as_u16() < 500)
}

/// Whether a connection leads back to itself, as one to a port that nobody listens on may where the kernel chose that
/// very port for this side.
fn is_own(stream: &TcpStream) -> bool {
    stream.local_addr().ok() == stream.peer_addr().ok()
}
