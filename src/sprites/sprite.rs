//! Sprites: look, make, list, delete. None of these calls wakes one.
//!
//! Absent on purpose: updating. Labels and the URL's settings are given at creation and never changed by us.

use snapvm_protocol::sprites::{CreateSprite, Sprite};
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

    /// Makes a sprite. Not to be repeated without a look whether the first try made it.
    ///
    /// # Errors
    /// [`Error::Limited`] among others.
    pub async fn create(&self, wanted: &CreateSprite) -> Result<Sprite, Error> {
        let ask = Ask::records(Method::Post, "/v1/sprites".into()).once().within(60_000).json(wanted)?;
        self.ask(ask).await?.read()
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
