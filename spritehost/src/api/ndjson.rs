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
pub(crate) struct Events {
    lines: mpsc::Sender<Bytes>,
    stamp: Stamp,
}

/// How an event says when it was.
#[derive(Clone, Copy)]
enum Stamp {
    /// `timestamp`, in Unix milliseconds.
    Timestamp,
    /// `time`, as RFC 3339.
    Time,
}

impl Events {
    /// Whether the caller has gone.
    pub(crate) fn is_over(&self) -> bool {
        self.lines.is_closed()
    }

    /// Sends an event with the present time; a caller who has gone misses it.
    pub(crate) async fn send(&self, kind: &str, mut event: Value) {
        if let Some(fields) = event.as_object_mut() {
            fields.insert("type".into(), json!(kind));
            match self.stamp {
                Stamp::Timestamp => fields.insert("timestamp".into(), json!(crate::clock::now_ms())),
                Stamp::Time => fields.insert("time".into(), json!(crate::clock::now())),
            };
        }
        let _ = self.lines.send(Bytes::from(event.to_string() + "\n")).await;
    }
}

/// An answer of events of services and sessions, and the end that feeds it.
pub(crate) fn stream() -> (Events, Response) {
    stamped(Stamp::Timestamp)
}

/// An answer of events of checkpoints, and the end that feeds it.
pub(crate) fn progress() -> (Events, Response) {
    stamped(Stamp::Time)
}

fn stamped(stamp: Stamp) -> (Events, Response) {
    let (lines, receiver) = mpsc::channel(BACKLOG);
    let response = ([(header::CONTENT_TYPE, "application/x-ndjson")], body(receiver)).into_response();
    (Events { lines, stamp }, response)
}

/// A body out of what comes through a channel.
pub(crate) fn body(receiver: mpsc::Receiver<Bytes>) -> Body {
    Body::from_stream(futures_util::stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|piece| (Ok::<_, Infallible>(piece), receiver))
    }))
}
