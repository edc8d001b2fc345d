//! The client of the Sprites API: Fly's, or `spritehost`, which speaks the same.
//!
//! Only calls of `docs/sprites-protocol.md` are used. Redirects are never followed: a 302 is the edge's way to say that
//! a token is missing. The token goes to the API, and to a sprite's URL only after [`Client::checked`].

use futures::future::{Either, select};
use snapvm_durable::machine_gateway::outside::Failure;
use snapvm_protocol::headers;
use snapvm_protocol::sprites::{ApiError, CreateSprite, PutService, Sprite, UrlAuth};
use worker::{Fetch, Headers, Method, Request, RequestInit, RequestRedirect, Response};

use crate::error::Error;
use crate::platform::Variables;

/// Longest time for a call of the API. A cold wake can take a dozen seconds there.
const CALL_MS: u64 = 60_000;
/// Longest part of an error's body that is read into a message.
const MESSAGE_MAX: usize = 300;

/// A client with the provider's organization-wide token. Its `Debug` shows neither.
pub struct Client {
    api: String,
    token: String,
    url_domain: String,
}

impl Client {
    /// From `SPRITES_API_URL`, `SPRITES_TOKEN`, `SPRITES_URL_DOMAIN`.
    ///
    /// # Errors
    /// [`Error::Misconfigured`].
    pub fn new(variables: &impl Variables) -> Result<Self, Error> {
        Ok(Self {
            api: variables.text("SPRITES_API_URL")?.trim_end_matches('/').to_owned(),
            token: variables.text("SPRITES_TOKEN")?,
            url_domain: variables.text("SPRITES_URL_DOMAIN")?,
        })
    }

    /// The provider's token, for requests to a checked sprite's URL.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// A sprite, or that there is none. Does not wake it.
    ///
    /// # Errors
    /// [`Failure::Unavailable`].
    pub async fn get(&self, name: &str) -> Result<Option<Sprite>, Failure> {
        let mut response = self.call(Method::Get, &format!("/v1/sprites/{name}"), None, None).await?;
        match response.status_code() {
            404 => Ok(None),
            _ => read(&mut response).await.map(Some),
        }
    }

    /// Makes a sprite.
    ///
    /// # Errors
    /// [`Failure::Unavailable`] with the provider's words, limits among them.
    pub async fn create(&self, wanted: &CreateSprite) -> Result<Sprite, Failure> {
        let body = serde_json::to_string(wanted).map_err(|error| Failure::Unavailable(error.to_string()))?;
        let mut response = self.call(Method::Post, "/v1/sprites", Some(body.into()), Some("application/json")).await?;
        read(&mut response).await
    }

    /// Deletes a sprite; one that is not there is deleted.
    ///
    /// # Errors
    /// [`Failure::Unavailable`].
    pub async fn delete(&self, name: &str) -> Result<(), Failure> {
        let mut response = self.call(Method::Delete, &format!("/v1/sprites/{name}"), None, None).await?;
        if response.status_code() == 404 { Ok(()) } else { accepted(&mut response).await }
    }

    /// Writes a file, streamed, with its parent directories.
    ///
    /// # Errors
    /// [`Failure::Unavailable`].
    pub async fn write_file(
        &self,
        name: &str,
        path: &str,
        mode: &str,
        content: wasm_bindgen::JsValue,
    ) -> Result<(), Failure> {
        let path = format!("/v1/sprites/{name}/fs/write?path={path}&mode={mode}&mkdirParents=true");
        let mut response = self.call(Method::Put, &path, Some(content), Some("application/octet-stream")).await?;
        accepted(&mut response).await
    }

    /// Gives a file another name, in place of what has it. A file that is not there has it already.
    ///
    /// # Errors
    /// [`Failure::Unavailable`].
    pub async fn rename_file(&self, name: &str, from: &str, to: &str) -> Result<(), Failure> {
        let body = serde_json::json!({ "source": from, "dest": to, "workingDir": "/" }).to_string();
        let path = format!("/v1/sprites/{name}/fs/rename");
        let mut response = self.call(Method::Post, &path, Some(body.into()), Some("application/json")).await?;
        if response.status_code() == 404 { Ok(()) } else { accepted(&mut response).await }
    }

    /// Stops a service, which has ten seconds for it; one that is not defined is stopped.
    ///
    /// # Errors
    /// [`Failure::Unavailable`].
    pub async fn stop_service(&self, name: &str, service: &str) -> Result<(), Failure> {
        let path = format!("/v1/sprites/{name}/services/{service}/stop?timeout=10s");
        let mut response = self.call(Method::Post, &path, None, None).await?;
        if response.status_code() == 404 { Ok(()) } else { accepted(&mut response).await }
    }

    /// Defines a service and starts it.
    ///
    /// # Errors
    /// [`Failure::Unavailable`].
    pub async fn put_service(&self, name: &str, service: &str, definition: &PutService) -> Result<(), Failure> {
        let body = serde_json::to_string(definition).map_err(|error| Failure::Unavailable(error.to_string()))?;
        let path = format!("/v1/sprites/{name}/services/{service}?duration=0s");
        let mut response = self.call(Method::Put, &path, Some(body.into()), Some("application/json")).await?;
        accepted(&mut response).await
    }

    /// Starts a service that is defined.
    ///
    /// # Errors
    /// [`Failure::Unavailable`].
    pub async fn start_service(&self, name: &str, service: &str) -> Result<(), Failure> {
        let path = format!("/v1/sprites/{name}/services/{service}/start?duration=0s");
        let mut response = self.call(Method::Post, &path, None, None).await?;
        accepted(&mut response).await
    }

    /// Whether our token may be sent to a sprite's URL: it is the recorded sprite, its URL lies under the configured
    /// domain, and the edge lets nobody in without the token.
    ///
    /// # Errors
    /// [`Failure::UnsafeRuntime`].
    pub fn checked(&self, sprite: Sprite, recorded_id: Option<&str>) -> Result<Sprite, Failure> {
        let host = url::Url::parse(&sprite.url).ok().and_then(|url| url.host_str().map(str::to_owned));
        let under_domain = host.is_some_and(|host| {
            host == self.url_domain || host.strip_suffix(&self.url_domain).is_some_and(|rest| rest.ends_with('.'))
        });
        let closed = sprite.url_settings.as_ref().is_none_or(|settings| settings.auth == UrlAuth::Sprite);
        let recorded = recorded_id.is_none_or(|id| id == sprite.id);
        if under_domain && closed && recorded { Ok(sprite) } else { Err(Failure::UnsafeRuntime) }
    }

    /// Asks the agent behind a checked URL to wake.
    ///
    /// # Errors
    /// [`Failure::Unavailable`] for anything but the agent's own 202.
    pub async fn wake(&self, url: &str, ticket: &str, timeout_ms: u64) -> Result<(), Failure> {
        let init = self.init(Method::Post, None, None).map_err(platform)?;
        init.headers.set(headers::TICKET, ticket).map_err(platform)?;
        let url = format!("{}{}", url.trim_end_matches('/'), snapvm_protocol::agent::WAKE_PATH);
        let response = send(&url, &init, timeout_ms).await?;
        let marked = response.headers().has(headers::AGENT_MARK).unwrap_or(false);
        match response.status_code() {
            202 if marked => Ok(()),
            status if marked => Err(Failure::Unavailable(format!("its agent refused to wake ({status})"))),
            302 => Err(Failure::Unavailable("the runtime refused our token".into())),
            status => Err(Failure::Unavailable(format!("its agent does not answer ({status})"))),
        }
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<wasm_bindgen::JsValue>,
        content_type: Option<&str>,
    ) -> Result<Response, Failure> {
        let init = self.init(method, body, content_type).map_err(platform)?;
        send(&format!("{}{path}", self.api), &init, CALL_MS).await
    }

    fn init(
        &self,
        method: Method,
        body: Option<wasm_bindgen::JsValue>,
        content_type: Option<&str>,
    ) -> worker::Result<RequestInit> {
        let headers = Headers::new();
        headers.set("authorization", &format!("Bearer {}", self.token))?;
        if let Some(content_type) = content_type {
            headers.set("content-type", content_type)?;
        }
        let mut init = RequestInit::new();
        init.with_method(method).with_headers(headers).with_body(body).with_redirect(RequestRedirect::Manual);
        Ok(init)
    }
}

async fn send(url: &str, init: &RequestInit, timeout_ms: u64) -> Result<Response, Failure> {
    let request = Request::new_with_init(url, init).map_err(platform)?;
    let controller = worker::AbortController::default();
    let signal = controller.signal();
    let fetch = Fetch::Request(request);
    let sending = Box::pin(fetch.send_with_signal(&signal));
    let timeout = Box::pin(worker::Delay::from(std::time::Duration::from_millis(timeout_ms)));
    match select(sending, timeout).await {
        Either::Left((outcome, _)) => outcome.map_err(|_| Failure::Unavailable("the runtime cannot be reached".into())),
        Either::Right(_) => {
            controller.abort();
            Err(Failure::Unavailable("the runtime did not answer in time".into()))
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "used as a function of map_err")]
fn platform(error: worker::Error) -> Failure {
    Failure::Unavailable(error.to_string())
}

async fn read<T: serde::de::DeserializeOwned>(response: &mut Response) -> Result<T, Failure> {
    if response.status_code() >= 300 {
        return Err(refused(response).await);
    }
    response.json().await.map_err(|_| Failure::Unavailable("the runtime's answer cannot be read".into()))
}

async fn accepted(response: &mut Response) -> Result<(), Failure> {
    if response.status_code() < 300 { Ok(()) } else { Err(refused(response).await) }
}

/// An error in the provider's words. Its body may be JSON or plain text.
async fn refused(response: &mut Response) -> Failure {
    let status = response.status_code();
    if status == 302 {
        return Failure::Unavailable("the runtime refused our token".into());
    }
    let text = response.text().await.unwrap_or_default();
    let words = serde_json::from_str::<ApiError>(&text)
        .map_or(text, |error| if error.message.is_empty() { error.error } else { error.message });
    let words: String = words.chars().filter(|character| !character.is_control()).take(MESSAGE_MAX).collect();
    Failure::Unavailable(format!("the runtime answered {status}: {words}"))
}
