//! The client of the Sprites API: Fly's, or `spritehost`, which speaks the same. A file for each noun.
//!
//! Invariants:
//! * Only calls of `docs/sprites-protocol.md` are used, which also says which of the provider's traps is handled where.
//! * Redirects are never followed: a 302 is the edge's way to say that a token is missing.
//! * The token goes to the API, and to a sprite's URL only after [`Client::checked`].
//! * Every call has a time limit, and what it answers is read up to a bound.
//! * Only a call that may be done twice is asked again; whatever is not one begins with a look at what is there.
//!
//! Absent on purpose: whatever the product does not do. Terminals, services and commands are the agent's, so of `exec`,
//! attaching, the TCP proxy and the control socket nothing is here.

pub mod breaker;
pub mod checkpoints;
pub mod error;
pub mod files;
pub mod labels;
pub mod lines;
pub mod policy;
pub mod services;
pub mod sprite;
pub mod transport;
pub mod url;

use std::fmt;

use crate::error::Error as DeploymentError;
use crate::platform::Variables;
pub use error::Error;

/// A client with the provider's organization-wide token. Its `Debug` shows no token.
pub struct Client {
    api: String,
    token: String,
    url_domain: String,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("api", &self.api).finish_non_exhaustive()
    }
}

impl Client {
    /// From `SPRITES_API_URL`, `SPRITES_TOKEN`, `SPRITES_URL_DOMAIN`.
    ///
    /// # Errors
    /// [`DeploymentError::Misconfigured`].
    pub fn new(variables: &impl Variables) -> Result<Self, DeploymentError> {
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
}
