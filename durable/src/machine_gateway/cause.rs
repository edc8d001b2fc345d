//! What moved a machine, and who: carried by every event that may change its state, written with every line of its
//! history.

use serde::{Deserialize, Serialize};
use snapvm_protocol::lifecycle::Cause;

/// A cause and whose it was.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct By {
    /// What.
    #[serde(default)]
    pub cause: Cause,
    /// The account; nobody for what no person did, or one that nobody knows.
    #[serde(default)]
    pub actor: Option<String>,
    /// The app's port, for a request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

impl By {
    /// Nobody's doing.
    #[must_use]
    pub const fn nobody(cause: Cause) -> Self {
        Self { cause, actor: None, port: None }
    }

    /// Somebody's doing.
    #[must_use]
    pub fn account(cause: Cause, account: impl Into<String>) -> Self {
        Self { cause, actor: Some(account.into()), port: None }
    }

    /// A visitor's request to an app.
    #[must_use]
    pub fn request(account: impl Into<String>, port: u16) -> Self {
        Self { port: Some(port), ..Self::account(Cause::Request, account) }
    }

    /// Whether it was an order, not a need.
    #[must_use]
    pub const fn is_order(&self) -> bool {
        matches!(self.cause, Cause::Hand | Cause::Api)
    }

    /// Why a machine is awake, for people. Who is told beside it.
    #[must_use]
    pub fn wakes(&self) -> String {
        match (self.cause, self.port) {
            (Cause::Hand, _) => "Started by hand.".into(),
            (Cause::Api, _) => "Started over the API.".into(),
            (Cause::Terminal, _) => "Somebody opened a terminal or typed in one.".into(),
            (Cause::Request, Some(port)) => format!("A request to its port {port} came."),
            (Cause::Request, None) => "A request to an app came.".into(),
            (Cause::Command, _) => "A command was to be run.".into(),
            (Cause::Service, _) => "Somebody read a service's log.".into(),
            (Cause::Platform, _) => "SnapVM tries again.".into(),
            (Cause::Hold | Cause::Idle | Cause::Runtime | Cause::Agent, _) => "Somebody needed it.".into(),
        }
    }

    /// How an order came, for people: `by hand`.
    #[must_use]
    pub const fn manner(&self) -> &'static str {
        match self.cause {
            Cause::Api => "over the API",
            _ => "by hand",
        }
    }
}
