//! The edge: what answers at a sprite's URL.
//!
//! ```text
//! caller ──▶ edge: may it? (302 to the sign-in page) ──▶ wake (once for all waiters) ──▶ guest's port 8080
//! ```
//!
//! As the provider's edge: `Authorization` is taken away unless the URL is public; with nothing on port 8080 a request
//! hangs; `http_port` of services means nothing; a WebSocket keeps the sprite awake. Each request has a connection to
//! the guest of its own, and when the sprite is put to sleep none is left.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper_util::rt::TokioIo;
use snapvm_protocol::sprites::UrlAuth;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use crate::api::bearer;
use crate::faults::{Struck, When};
use crate::operations::URL;
use crate::server::{self, Dropped};
use crate::sprite::{Awake, Boot, Guard, Sprite, SpriteError};

mod headers;

/// How long a request may wait for something to listen on port 8080.
const PATIENCE: Duration = Duration::from_mins(1);
/// Between the first tries to connect: a program that is just starting listens within milliseconds.
const RETRY_FIRST: Duration = Duration::from_millis(2);
/// Between the later ones.
const RETRY_MAX: Duration = Duration::from_millis(50);

/// Serves a sprite's URL. After its deletion the port answers 404 until this program ends.
pub(crate) async fn serve(sprite: Arc<Sprite>, listener: TcpListener) {
    loop {
        let Ok((stream, peer)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let sprite = sprite.clone();
        tokio::spawn(server::connection(stream, move |request| {
            let sprite = sprite.clone();
            async move {
                let shared = sprite.shared();
                let response = match shared.faults.strike(URL, When::Before).await {
                    Struck::Answered(response) => response,
                    Struck::Go | Struck::Twice | Struck::Cut => {
                        let response = answer(&sprite, request, peer.ip()).await;
                        shared.faults.after(URL, response).await
                    }
                };
                shared.calls.count(URL, response.status().as_u16());
                response
            }
        }));
    }
}

async fn answer(sprite: &Arc<Sprite>, mut request: Request<Incoming>, client: std::net::IpAddr) -> Response {
    if sprite.is_gone() {
        return not_found();
    }
    if sprite.auth() == UrlAuth::Sprite {
        if !bearer(request.headers()).is_some_and(|token| sprite.shared().options.token.matches(token)) {
            return sign_in(sprite, &request);
        }
        request.headers_mut().remove(header::AUTHORIZATION);
    }
    let reached = async {
        let awake = sprite.awake().await?;
        let stream = reach(&awake.boot).await?;
        Ok((awake, stream))
    };
    let (awake, stream) = match tokio::time::timeout(PATIENCE, reached).await {
        Ok(Ok(reached)) => reached,
        Ok(Err(SpriteError::Gone)) => return not_found(),
        Ok(Err(SpriteError::Limited(limited))) => return limited.in_text(),
        Ok(Err(error)) => {
            tracing::warn!(%error, sprite = sprite.record().name, "a request could not wake it");
            return (StatusCode::BAD_GATEWAY, "the sprite could not be started\n").into_response();
        }
        Err(_) => {
            let mut response = Response::default();
            response.extensions_mut().insert(Dropped);
            return response;
        }
    };
    headers::add(request.headers_mut(), client);
    match forward(awake, stream, request).await {
        Ok(response) => response,
        Err(_) => (StatusCode::BAD_GATEWAY, "the sprite closed the connection\n").into_response(),
    }
}

/// Connects to port 8080, however long nothing listens there.
async fn reach(boot: &Boot) -> Result<TcpStream, SpriteError> {
    let (started, mut wait) = (Instant::now(), RETRY_FIRST);
    loop {
        match boot.connect_app().await {
            Ok(stream) => return Ok(stream),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {}
            Err(error) => return Err(error.into()),
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = boot.over.cancelled() => return Err(SpriteError::Stopped),
        }
        if started.elapsed() > Duration::from_millis(500) {
            wait = (wait * 2).min(RETRY_MAX);
        }
    }
}

/// Sends one request over a connection of its own; the sprite stays awake until the answer's last byte, or the end of
/// the upgraded connection.
async fn forward(awake: Awake, stream: TcpStream, mut request: Request<Incoming>) -> Result<Response, hyper::Error> {
    let upgrade = request.headers().contains_key(header::UPGRADE).then(|| hyper::upgrade::on(&mut request));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let cut = awake.boot.cut();
    tokio::spawn(async move {
        tokio::select! {
            _ = connection.with_upgrades() => {}
            () = cut.cancelled() => {}
        }
    });
    let mut response = sender.send_request(request).await?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        if let Some(upgrade) = upgrade {
            let inner = hyper::upgrade::on(&mut response);
            tokio::spawn(relay(awake, upgrade, inner));
        }
        return Ok(response.map(|_| Body::empty()));
    }
    Ok(response.map(|body| Body::new(Guarded { body, _guard: awake.guard })))
}

/// Passes bytes of an upgraded connection on, both ways.
async fn relay(awake: Awake, outer: hyper::upgrade::OnUpgrade, inner: hyper::upgrade::OnUpgrade) {
    let cut = awake.boot.cut();
    let passing = async {
        let (outer, inner) = tokio::try_join!(outer, inner).ok()?;
        tokio::io::copy_bidirectional(&mut TokioIo::new(outer), &mut TokioIo::new(inner)).await.ok()
    };
    tokio::select! {
        _ = passing => {}
        () = cut.cancelled() => {}
    }
}

/// A response's body that keeps its sprite awake.
struct Guarded {
    body: Incoming,
    _guard: Guard,
}

impl hyper::body::Body for Guarded {
    type Data = bytes::Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "sprite not found\n").into_response()
}

/// Where people without a token are sent.
fn sign_in(sprite: &Sprite, request: &Request<Incoming>) -> Response {
    let shared = sprite.shared();
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let back = format!("{}{path}", sprite.url());
    let back: String = url_encoded(&back);
    let location = format!("http://{}:{}/sign-in?return_to={back}", shared.options.public_host, shared.instance);
    let location = HeaderValue::try_from(location).unwrap_or(HeaderValue::from_static("/sign-in"));
    (StatusCode::FOUND, [(header::LOCATION, location)]).into_response()
}

fn url_encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
