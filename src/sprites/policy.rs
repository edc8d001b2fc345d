//! What a sprite may reach. In force at once and at every boot; wakes nothing.

use snapvm_protocol::sprites::NetworkPolicy;
use worker::Method;

use super::transport::Ask;
use super::{Client, Error};

impl Client {
    /// Sets what a sprite may reach.
    ///
    /// # Errors
    /// Whatever keeps it.
    pub async fn set_network_policy(&self, name: &str, policy: &NetworkPolicy) -> Result<(), Error> {
        let ask = Ask::records(Method::Post, format!("/v1/sprites/{name}/policy/network")).json(policy)?;
        self.ask(ask).await.map(drop)
    }
}
