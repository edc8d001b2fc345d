//! One call: sent, limited in time, read up to a bound, and asked again where it may be done twice.

use futures::StreamExt;
use futures::future::{Either, select};
use wasm_bindgen::JsValue;
use worker::{AbortController, AbortSignal, Fetch, Headers, Method, Request, RequestInit, RequestRedirect, Response};

use super::breaker;
use super::{Client, Error};
use crate::platform;

/// Most bytes of an answer that are read: a page of 50 sprites has some ten thousand.
const BODY_MAX: usize = 1024 * 1024;
/// How often a call that may be done twice is asked.
const ASKED_MAX: u32 = 3;
/// Time before a call is asked again: of the second time, and up to as much more by chance. Doubles.
const AGAIN_MS: u64 = 150;

/// A call.
pub struct Ask {
    /// Its method.
    pub method: Method,
    /// Its path, from `/v1` on.
    pub path: String,
    /// Its body, and what it is.
    pub body: Option<(JsValue, &'static str)>,
    /// Longest time until the end of the answer.
    pub timeout_ms: u64,
    /// Whether it may be done twice.
    pub repeatable: bool,
    /// Whether it is about the account's records, and needs no sprite that works. Its failures are the provider's.
    pub records: bool,
}

impl Ask {
    /// A call that may be done twice, and is about the account's records.
    #[must_use]
    pub fn records(method: Method, path: String) -> Self {
        Self { method, path, body: None, timeout_ms: 20_000, repeatable: true, records: true }
    }

    /// A call to a sprite, which may have to wake for it: a cold one can take a dozen seconds.
    #[must_use]
    pub fn sprite(method: Method, path: String) -> Self {
        Self { method, path, body: None, timeout_ms: 60_000, repeatable: true, records: false }
    }

    /// With a body of JSON.
    ///
    /// # Errors
    /// [`Error::Platform`] for what JSON cannot hold.
    pub fn json(mut self, body: &impl serde::Serialize) -> Result<Self, Error> {
        let text = serde_json::to_string(body).map_err(|error| Error::Platform(error.to_string()))?;
        self.body = Some((text.into(), "application/json"));
        Ok(self)
    }

    /// With a body that streams, and so can be sent once only.
    #[must_use]
    pub fn stream(mut self, content: JsValue) -> Self {
        self.body = Some((content, "application/octet-stream"));
        self.once()
    }

    /// Not to be done twice.
    #[must_use]
    pub fn once(mut self) -> Self {
        self.repeatable = false;
        self
    }

    /// With another time limit.
    #[must_use]
    pub fn within(mut self, timeout_ms: u64) -> Self {
        self.timeout_ms = timeout_ms;
        self
    }
}

/// An answer of success.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// What it said.
    pub body: Vec<u8>,
    /// Whether that is all of it.
    pub whole: bool,
}

impl Answer {
    /// The body, read.
    ///
    /// # Errors
    /// [`Error::Unreachable`] for one that broke off, [`Error::Unreadable`].
    pub fn read<T: serde::de::DeserializeOwned>(&self) -> Result<T, Error> {
        if !self.whole {
            return Err(Error::Unreachable);
        }
        serde_json::from_slice(&self.body).map_err(|_| Error::Unreadable)
    }
}

impl Client {
    /// Asks, and asks again where it may be done twice and the failure may pass.
    pub(super) async fn ask(&self, ask: Ask) -> Result<Answer, Error> {
        let mut asked = 0;
        loop {
            breaker::pass(platform::now_ms())?;
            let answer = self.ask_once(&ask).await;
            asked += 1;
            if ask.records {
                breaker::learn(&answer, platform::now_ms());
            }
            match answer {
                Err(error) if ask.repeatable && error.is_passing() && asked < ASKED_MAX => {
                    let [chance] = platform::random::<1>().unwrap_or_default();
                    let wait = AGAIN_MS << (asked - 1);
                    pause(wait + wait * u64::from(chance) / 256).await;
                }
                answer => return answer,
            }
        }
    }

    async fn ask_once(&self, ask: &Ask) -> Result<Answer, Error> {
        let (content, kind) = ask.body.clone().unzip();
        let init = self.init(ask.method.clone(), content, kind)?;
        let url = format!("{}{}", self.api, ask.path);
        let mut body = Vec::new();
        let read = within(ask.timeout_ms, |signal| receive(&url, &init, signal, &mut body)).await;
        match read {
            Ok(Ok(received)) if received.status < 300 => Ok(Answer { body, whole: received.whole }),
            Ok(Ok(received)) => Err(Error::from_answer(received.status, received.retry_after.as_deref(), &body)),
            Ok(Err(error)) => Err(error),
            // What came of a stream may be all that matters of it.
            Err(Error::Silent) if !body.is_empty() => Ok(Answer { body, whole: false }),
            Err(error) => Err(error),
        }
    }

    pub(super) fn init(
        &self,
        method: Method,
        body: Option<JsValue>,
        content_type: Option<&str>,
    ) -> Result<RequestInit, Error> {
        let headers = Headers::new();
        headers.set("authorization", &format!("Bearer {}", self.token)).map_err(platform)?;
        if let Some(content_type) = content_type {
            headers.set("content-type", content_type).map_err(platform)?;
        }
        let mut init = RequestInit::new();
        init.with_method(method).with_headers(headers).with_body(body).with_redirect(RequestRedirect::Manual);
        Ok(init)
    }
}

/// What came of an answer besides its body.
struct Received {
    status: u16,
    retry_after: Option<String>,
    whole: bool,
}

async fn receive(url: &str, init: &RequestInit, signal: AbortSignal, body: &mut Vec<u8>) -> Result<Received, Error> {
    let mut response = send(url, init, &signal).await?;
    let status = response.status_code();
    let retry_after = response.headers().get("retry-after").ok().flatten();
    let mut whole = true;
    // An answer without a body has no stream.
    if let Ok(mut stream) = response.stream() {
        while let Some(chunk) = stream.next().await {
            let Ok(chunk) = chunk else {
                whole = false;
                break;
            };
            let room = BODY_MAX - body.len();
            body.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
            if chunk.len() > room {
                whole = false;
                break;
            }
        }
    }
    Ok(Received { status, retry_after, whole })
}

/// Sends a request, and waits for an answer's head.
pub(super) async fn send(url: &str, init: &RequestInit, signal: &AbortSignal) -> Result<Response, Error> {
    let request = Request::new_with_init(url, init).map_err(platform)?;
    Fetch::Request(request).send_with_signal(signal).await.map_err(|_| Error::Unreachable)
}

/// Does something for so long at most; what it sends is aborted then.
pub(super) async fn within<T, F: Future<Output = T>>(
    timeout_ms: u64,
    work: impl FnOnce(AbortSignal) -> F,
) -> Result<T, Error> {
    let controller = AbortController::default();
    let working = Box::pin(work(controller.signal()));
    match select(working, Box::pin(pause(timeout_ms))).await {
        Either::Left((outcome, _)) => Ok(outcome),
        Either::Right(_) => {
            controller.abort();
            Err(Error::Silent)
        }
    }
}

pub(super) async fn pause(milliseconds: u64) {
    worker::Delay::from(std::time::Duration::from_millis(milliseconds)).await;
}

#[expect(clippy::needless_pass_by_value, reason = "used as a function of map_err")]
pub(super) fn platform(error: worker::Error) -> Error {
    Error::Platform(error.to_string())
}
