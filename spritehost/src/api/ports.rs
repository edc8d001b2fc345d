//! `/ports/watch`: which ports programs of a sprite listen on. Watching keeps no sprite awake.

use std::sync::Arc;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::response::Response;
use serde_json::json;

use super::ApiFailure;
use crate::host::Host;
use crate::sprite::Boot;
use crate::sprite::ports::PortWatch;

/// `GET …/ports/watch` with an upgrade.
pub(crate) async fn watch(
    State(host): State<Arc<Host>>,
    Path(name): Path<String>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiFailure> {
    let upgrade = upgrade.map_err(|_| ApiFailure::not_found("not found"))?;
    let boot = host.find(&name)?.awake().await?.boot;
    let cut = boot.cut();
    Ok(upgrade.on_upgrade(async move |socket| {
        tokio::select! {
            () = tell(socket, &boot) => {}
            () = cut.cancelled() => {}
        }
    }))
}

/// Tells until the caller goes.
async fn tell(mut socket: WebSocket, boot: &Arc<Boot>) {
    let mut ports = PortWatch::start(boot).await;
    let mut texts = vec![json!({ "type": "port_list", "ports": ports.list() })];
    loop {
        for text in texts.drain(..) {
            if socket.send(Message::text(text.to_string())).await.is_err() {
                return;
            }
        }
        tokio::select! {
            changes = ports.changes() => texts = changes,
            message = socket.recv() => match message {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => {}
            },
        }
    }
}
