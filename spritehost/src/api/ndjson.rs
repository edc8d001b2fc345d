//! Answers that are a stream of JSON lines.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// Lines that wait for a slow caller.
const BACKLOG: usize = 64;

/// Where lines go.
#[derive(Clone)]
pub(crate) struct Events(mpsc::Sender<Bytes>);

impl Events {
    /// Whether the caller has gone.
    pub(crate) fn is_over(&self) -> bool {
        self.0.is_closed()
    }

    /// Sends an event with the present time; a caller who has gone misses it.
    pub(crate) async fn send(&self, kind: &str, mut event: Value) {
        if let Some(fields) = event.as_object_mut() {
            fields.insert("type".into(), json!(kind));
            fields.insert("timestamp".into(), json!(crate::clock::now_ms()));
        }
        let _ = self.0.send(Bytes::from(event.to_string() + "\n")).await;
    }
}

/// An answer and the end that feeds it.
pub(crate) fn stream() -> (Events, Response) {
    let (sender, receiver) = mpsc::channel(BACKLOG);
    (Events(sender), ([(header::CONTENT_TYPE, "application/x-ndjson")], body(receiver)).into_response())
}

/// A body out of what comes through a channel.
pub(crate) fn body(receiver: mpsc::Receiver<Bytes>) -> Body {
    Body::from_stream(futures_util::stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|piece| (Ok::<_, Infallible>(piece), receiver))
    }))
}
