//! An answer that is read while it comes: server-sent events, or one object after a while.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;

use crate::client::{Driver, listed};

/// Longest time between two pieces.
const PATIENCE: Duration = Duration::from_secs(45);

/// An answer that has begun.
#[derive(Debug)]
pub struct Events {
    asked: String,
    /// The status.
    pub status: u16,
    /// Headers, in the order in which they came.
    pub headers: Vec<(String, String)>,
    body: Incoming,
    text: String,
    _driver: Driver,
}

impl Events {
    pub(crate) fn new(asked: String, response: hyper::Response<Incoming>, driver: Driver) -> Self {
        let (parts, body) = response.into_parts();
        let headers = listed(&parts.headers);
        Self { asked, status: parts.status.as_u16(), headers, body, text: String::new(), _driver: driver }
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The next event or comment, as it came.
    pub async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let rest = self.text.split_off(end + 2);
                return Some(std::mem::replace(&mut self.text, rest));
            }
            let frame = tokio::time::timeout(PATIENCE, self.body.frame()).await;
            let frame = frame.unwrap_or_else(|_| panic!("{}: silent for {PATIENCE:?}", self.asked))?;
            let frame = frame.unwrap_or_else(|error| panic!("{}: {error}", self.asked));
            if let Ok(data) = frame.into_data() {
                self.text.push_str(std::str::from_utf8(&data).expect("events are text"));
            }
        }
    }

    /// The next event: its name and its data.
    pub async fn event(&mut self) -> Option<(String, Value)> {
        loop {
            let text = self.next().await?;
            if text.starts_with(':') {
                continue;
            }
            let parts = text.strip_prefix("event: ").and_then(|text| text.split_once("\ndata: "));
            let (name, data) = parts.unwrap_or_else(|| panic!("{}: no event: {text:?}", self.asked));
            return Some((name.to_owned(), serde_json::from_str(data).expect("an event's data is JSON")));
        }
    }

    /// The data of the next event of this name.
    pub async fn until(&mut self, name: &str) -> Value {
        loop {
            let (found, data) = self.event().await.unwrap_or_else(|| panic!("{}: no {name}", self.asked));
            if found == name {
                return data;
            }
        }
    }
}
