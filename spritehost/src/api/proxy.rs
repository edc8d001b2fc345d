//! `/proxy`: one TCP connection of a sprite over a WebSocket.
//!
//! The caller says `{"host","port"}`; the answer is `{"status":"connected","target"}`, and from there on binary messages
//! are the connection's bytes, both ways. `localhost` is the sprite's. Other addresses are reached from inside the
//! sprite, as one of its programs would.
//!
//! Absent on purpose: names other than `localhost`; whoever needs one resolves it in the sprite.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::ApiFailure;
use crate::host::Host;
use crate::sprite::{Awake, Boot};

/// How long the caller may take to say where to, and how long connecting may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest message that says where to.
const ASKED_MAX: usize = 1024;
/// Largest message of a caller.
const MESSAGE_MAX: usize = 1024 * 1024;
/// Size of the pieces in which bytes are passed on.
const PIECE: usize = 32 * 1024;

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    host: String,
    port: u16,
}

/// `GET …/proxy` with an upgrade.
pub(crate) async fn socket(
    State(host): State<Arc<Host>>,
    Path(name): Path<String>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiFailure> {
    let upgrade = upgrade.map_err(|_| ApiFailure::not_found("not found"))?;
    let awake = host.find(&name)?.awake().await?;
    let upgrade = upgrade.max_message_size(MESSAGE_MAX).max_frame_size(MESSAGE_MAX);
    Ok(upgrade.on_upgrade(async move |socket| {
        let cut = awake.boot.cut();
        tokio::select! {
            () = serve(socket, &awake) => {}
            () = cut.cancelled() => {}
        }
    }))
}

async fn serve(mut socket: WebSocket, awake: &Awake) {
    let connected = tokio::time::timeout(PATIENCE, async {
        let (host, port) = asked(&mut socket).await?;
        connect(&awake.boot, &host, port).await.map_err(|error| error.to_string())
    });
    let stream = match connected.await.unwrap_or_else(|_| Err("it took too long".to_owned())) {
        Ok((stream, target)) => {
            let told = json!({ "status": "connected", "target": target.to_string() });
            if socket.send(Message::text(told.to_string())).await.is_err() {
                return;
            }
            stream
        }
        Err(error) => {
            let _ = socket.send(Message::text(json!({ "status": "error", "error": error }).to_string())).await;
            let _ = socket.send(Message::Close(None)).await;
            return;
        }
    };
    relay(socket, stream).await;
}

/// Where the caller wants to.
async fn asked(socket: &mut WebSocket) -> Result<(String, u16), String> {
    loop {
        match socket.recv().await {
            Some(Ok(Message::Text(text))) if text.len() <= ASKED_MAX => {
                let Asked { host, port } = serde_json::from_str(&text).map_err(|error| error.to_string())?;
                return Ok((host, port));
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            _ => return Err("the first message has to say where to".to_owned()),
        }
    }
}

/// Connects from inside the sprite.
async fn connect(boot: &Boot, host: &str, port: u16) -> std::io::Result<(TcpStream, SocketAddr)> {
    let addresses: Vec<IpAddr> = match host {
        "" | "localhost" => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
        other => other.parse().into_iter().collect(),
    };
    let mut refused = std::io::Error::other("host must be localhost or an address");
    for address in addresses {
        let target = SocketAddr::new(address, port);
        match boot.reach(target).await {
            Ok(stream) => return Ok((stream, target)),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

/// Passes bytes on until either side has had enough.
async fn relay(socket: WebSocket, stream: TcpStream) {
    let (mut sink, mut incoming) = socket.split();
    let (mut reader, mut writer) = stream.into_split();
    let outward = async {
        let mut buffer = BytesMut::with_capacity(PIECE);
        while let Ok(1..) = (&mut reader).take(PIECE as u64).read_buf(&mut buffer).await {
            let piece: Bytes = buffer.split().freeze();
            if sink.send(Message::Binary(piece)).await.is_err() {
                return;
            }
            buffer.reserve(PIECE);
        }
        let _ = sink.send(Message::Close(None)).await;
    };
    let inward = async {
        while let Some(Ok(message)) = incoming.next().await {
            match message {
                Message::Binary(bytes) if writer.write_all(&bytes).await.is_err() => {
                    // What the program still says is worth passing on.
                    std::future::pending::<()>().await;
                }
                Message::Close(_) => return,
                _ => {}
            }
        }
    };
    tokio::select! {
        () = outward => {}
        () = inward => {}
    }
}
