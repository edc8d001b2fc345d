//! Sprites: look, make, list, delete. None of these calls wakes one.
//!
//! Absent on purpose: updating the URL's settings, which are given at creation and never changed by us.

use snapvm_protocol::sprites::{CreateSprite, Sprite, SpriteList};
use worker::Method;

use super::transport::Ask;
use super::{Client, Error};

impl Client {
    /// A sprite, or that there is none.
    ///
    /// # Errors
    /// Whatever keeps that from being known.
    pub async fn get(&self, name: &str) -> Result<Option<Sprite>, Error> {
        match self.ask(Ask::records(Method::Get, format!("/v1/sprites/{name}"))).await {
            Ok(answer) => answer.read().map(Some),
            Err(Error::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A page of the sprites whose names begin so, with all that is known of them.
    ///
    /// # Errors
    /// [`Error::Refused`] for a place that the provider does not know any more, among others.
    pub async fn list(&self, prefix: &str, after: Option<&str>) -> Result<SpriteList, Error> {
        let mut path = format!("/v1/sprites?bulk_load=true&max_results=50&prefix={prefix}");
        if let Some(after) = after {
            path.push_str("&continuation_token=");
            path.extend(::url::form_urlencoded::byte_serialize(after.as_bytes()));
        }
        self.ask(Ask::records(Method::Get, path)).await?.read()
    }

    /// What the account uses, and how much it may: a page with next to nothing on it.
    ///
    /// # Errors
    /// Whatever keeps that from being known.
    pub async fn counts(&self) -> Result<SpriteList, Error> {
        self.ask(Ask::records(Method::Get, "/v1/sprites?bulk_load=true&max_results=1".into())).await?.read()
    }

    /// Makes a sprite. Not to be repeated without a look whether the first try made it.
    ///
    /// # Errors
    /// [`Error::Limited`] among others.
    pub async fn create(&self, wanted: &CreateSprite) -> Result<Sprite, Error> {
        let ask = Ask::records(Method::Post, "/v1/sprites".into()).once().within(60_000).json(wanted)?;
        self.ask(ask).await?.read()
    }

    /// Gives a sprite these labels in place of those that it has.
    ///
    /// # Errors
    /// Whatever keeps it.
    pub async fn label(&self, name: &str, labels: &[String]) -> Result<(), Error> {
        let ask = Ask::records(Method::Put, format!("/v1/sprites/{name}"));
        self.ask(ask.json(&serde_json::json!({"labels": labels}))?).await.map(|_| ())
    }

    /// Deletes a sprite; one that is not there is deleted.
    ///
    /// # Errors
    /// Whatever keeps it.
    pub async fn delete(&self, name: &str) -> Result<(), Error> {
        match self.ask(Ask::records(Method::Delete, format!("/v1/sprites/{name}")).within(60_000)).await {
            Ok(_) | Err(Error::Missing { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
