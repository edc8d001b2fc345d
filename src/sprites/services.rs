//! Services of the runtime. There is one: the agent. People's services are the agent's own.
//!
//! Absent on purpose: restarting, which the provider has lacked (stop, then start), and their state: a service that was
//! stopped is `failed` with code 143 there, so nothing is read from it.

use snapvm_protocol::sprites::PutService;
use worker::Method;

use super::transport::Ask;
use super::{Client, Error};

impl Client {
    /// Defines a service and starts it; one of that name is ended first.
    ///
    /// # Errors
    /// Whatever keeps it from being defined.
    pub async fn put_service(&self, name: &str, service: &str, definition: &PutService) -> Result<(), Error> {
        let path = format!("/v1/sprites/{name}/services/{service}?duration=0s");
        // It ends what runs, so it is done again only by whoever knows that nothing is lost by it.
        self.ask(Ask::sprite(Method::Put, path).once().json(definition)?).await.map(drop)
    }

    /// Starts a service that is defined.
    ///
    /// # Errors
    /// [`Error::Missing`] when there is none of that name.
    pub async fn start_service(&self, name: &str, service: &str) -> Result<(), Error> {
        let path = format!("/v1/sprites/{name}/services/{service}/start?duration=0s");
        self.ask(Ask::sprite(Method::Post, path)).await.map(drop)
    }

    /// Stops a service, which has ten seconds for it; one that is not defined is stopped.
    ///
    /// # Errors
    /// Whatever keeps that from being known.
    pub async fn stop_service(&self, name: &str, service: &str) -> Result<(), Error> {
        let path = format!("/v1/sprites/{name}/services/{service}/stop?timeout=10s");
        match self.ask(Ask::sprite(Method::Post, path)).await {
            Ok(_) | Err(Error::Missing { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
