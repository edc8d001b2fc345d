//! `/fs/watch`: what happens to files. Watching keeps no sprite awake.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};

use super::{ApiFailure, files};
use crate::host::Host;
use crate::sprite::files::{Reading, watch};
use crate::sprite::{Awake, Sprite};

/// How long the caller may take to say what it wants to watch.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest message of a caller.
const MESSAGE_MAX: usize = 64 * 1024;
/// Most paths.
const PATHS_MAX: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Subscribe {
    paths: Vec<String>,
    #[serde(default)]
    recursive: bool,
    #[serde(default)]
    working_dir: Option<String>,
}

/// `GET …/fs/watch` with an upgrade.
pub(crate) async fn socket(
    State(host): State<Arc<Host>>,
    Path(name): Path<String>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiFailure> {
    let upgrade = upgrade.map_err(|_| ApiFailure::not_found("not found"))?;
    let sprite = host.find(&name)?;
    let cut = sprite.awake().await?.boot.cut();
    let upgrade = upgrade.max_message_size(MESSAGE_MAX).max_frame_size(MESSAGE_MAX);
    Ok(upgrade.on_upgrade(async move |mut socket| {
        let serving = async {
            if let Err(message) = serve(&mut socket, &sprite).await {
                let _ = socket.send(Message::text(json!({ "type": "error", "message": message }).to_string())).await;
                let _ = socket.send(Message::Close(None)).await;
            }
        };
        tokio::select! {
            () = serving => {}
            () = cut.cancelled() => {}
        }
    }))
}

async fn serve(socket: &mut WebSocket, sprite: &Arc<Sprite>) -> Result<(), String> {
    let asked = tokio::time::timeout(PATIENCE, socket.recv()).await.map_err(|_| "it took too long")?;
    let Some(Ok(Message::Text(text))) = asked else {
        return Err("the first message has to say what to watch".into());
    };
    let Subscribe { paths, recursive, working_dir } = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    if paths.is_empty() || paths.len() > PATHS_MAX {
        return Err(format!("between 1 and {PATHS_MAX} paths"));
    }
    let settled = paths.iter().map(|path| files::settle(working_dir.as_deref(), path)).collect::<Result<Vec<_>, _>>();
    let settled = settled.map_err(|_| "not a path")?;
    let awake = sprite.awake().await.map_err(|error| error.to_string())?;
    let reading = watch(awake, settled.clone(), recursive).await.map_err(|error| error.to_string())?;
    let Reading { pipe, awake: Awake { guard, .. }, .. } = reading;
    // From here on it only looks.
    drop(guard);
    let told = json!({ "type": "subscribed", "paths": settled }).to_string();
    if socket.send(Message::text(told)).await.is_err() {
        return Ok(());
    }
    let mut lines = BufReader::new(pipe).lines();
    loop {
        tokio::select! {
            line = lines.next_line() => {
                let Ok(Some(line)) = line else { return Ok(()) };
                if socket.send(Message::text(line)).await.is_err() {
                    return Ok(());
                }
            }
            message = socket.recv() => match message {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Ok(()),
                Some(Ok(_)) => {}
            },
        }
    }
}
