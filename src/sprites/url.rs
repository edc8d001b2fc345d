//! A sprite's URL: whether it may be given our token, and the request that wakes its agent.

use snapvm_protocol::headers;
use snapvm_protocol::sprites::{Sprite, UrlAuth};
use worker::Method;

use super::transport::{platform, send, within};
use super::{Client, Error};

impl Client {
    /// Whether our token may be sent to a sprite's URL: it is the recorded sprite, its URL lies under the configured
    /// domain, and the edge lets nobody in without the token.
    ///
    /// # Errors
    /// [`Error::Unsafe`].
    pub fn checked(&self, sprite: Sprite, recorded_id: Option<&str>) -> Result<Sprite, Error> {
        let host = ::url::Url::parse(&sprite.url).ok().and_then(|url| url.host_str().map(str::to_owned));
        let under_domain = host.is_some_and(|host| {
            host == self.url_domain || host.strip_suffix(&self.url_domain).is_some_and(|rest| rest.ends_with('.'))
        });
        let closed = sprite.url_settings.as_ref().is_none_or(|settings| settings.auth == UrlAuth::Sprite);
        let recorded = recorded_id.is_none_or(|id| id == sprite.id);
        if under_domain && closed && recorded { Ok(sprite) } else { Err(Error::Unsafe) }
    }

    /// Asks the agent behind a checked URL to wake. A request that finds nothing on the guest's port 8080 hangs, so it
    /// is given up after `timeout_ms`.
    ///
    /// # Errors
    /// Whatever is not the agent's own 202: unmarked answers are the platform's.
    pub async fn wake(&self, url: &str, ticket: &str, timeout_ms: u64) -> Result<(), Error> {
        let init = self.init(Method::Post, None, None)?;
        init.headers.set(headers::TICKET, ticket).map_err(platform)?;
        let url = format!("{}{}", url.trim_end_matches('/'), snapvm_protocol::agent::WAKE_PATH);
        let response = within(timeout_ms, |signal| async move { send(&url, &init, &signal).await }).await??;
        let marked = response.headers().has(headers::AGENT_MARK).unwrap_or(false);
        match response.status_code() {
            202 if marked => Ok(()),
            status if marked => Err(Error::AgentRefused(status)),
            302 => Err(Error::TokenRefused),
            429 => {
                let retry_after = response.headers().get("retry-after").ok().flatten();
                Err(Error::from_answer(429, retry_after.as_deref(), b""))
            }
            status => Err(Error::NoAgent(status)),
        }
    }
}
