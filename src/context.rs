//! One API call: who asks, for what, and the door to the database. Nothing reaches the database without one.

use serde::de::DeserializeOwned;
use snapvm_protocol::exec::EVENT_STREAM;
use snapvm_protocol::ids::InvalidId;

use crate::authn::Credential;
use crate::config::Config;
use crate::db::{Argument, Database, Operation, Reply};
use crate::error::{Error, Problem};
use crate::gateway::feed;
use crate::platform;

/// Longest request body, in bytes.
pub const BODY_MAX: usize = 1024 * 1024;

/// Everything a handler works with.
#[derive(Debug)]
pub struct Call {
    /// Bindings.
    pub env: worker::Env,
    /// Takes work that outlives the answer.
    pub context: worker::Context,
    /// The deployment.
    pub config: Config,
    /// The operation's id.
    pub operation: &'static str,
    /// Named in every answer, log line and audit row.
    pub request_id: String,
    /// The client's address, as the edge saw it.
    pub address: String,
    /// `User-Agent`, cut to 300 characters.
    pub user_agent: String,
    /// Who asks.
    pub credential: Option<Credential>,
    /// The variable parts of the path.
    pub parameters: Vec<(String, String)>,
    /// The query.
    pub query: Vec<(String, String)>,
    /// The body, at most [`BODY_MAX`].
    pub body: Vec<u8>,
    /// The request itself, for operations that pass it on.
    pub request: worker::Request,
}

impl Call {
    /// A variable part of the path.
    ///
    /// # Errors
    /// [`Error::Internal`] when the route has no such part.
    pub fn parameter(&self, name: &str) -> Result<&str, Error> {
        let found = self.parameters.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).ok_or(Error::Internal("a route lacks a parameter"))
    }

    /// A part of the path that is an id. One that is none names nothing, so it is 404 as any unknown one.
    ///
    /// # Errors
    /// 404.
    pub fn id<T: std::str::FromStr<Err = InvalidId> + ToString>(&self, name: &str) -> Result<String, Error> {
        let id: T = self.parameter(name)?.parse().map_err(|_| Problem::not_found())?;
        Ok(id.to_string())
    }

    /// A value of the query.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The page size asked for.
    ///
    /// # Errors
    /// 422 for `limit`.
    pub fn limit(&self, default: i32, most: i32) -> Result<i32, Error> {
        let Some(text) = self.query("limit") else { return Ok(default) };
        let limit = text.parse().ok().filter(|limit| (1..=most).contains(limit));
        Ok(limit.ok_or_else(|| Problem::invalid("limit", format!("This must be a number from 1 to {most}.")))?)
    }

    /// Whether the client wants to hear events as they happen.
    ///
    /// # Errors
    /// When the platform fails.
    pub fn accepts_events(&self) -> Result<bool, Error> {
        let accept = self.request.headers().get("accept")?.unwrap_or_default();
        let mut ranges = accept.split(',').filter_map(|range| range.split(';').next());
        Ok(ranges.any(|kind| kind.trim() == EVENT_STREAM))
    }

    /// The body, read.
    ///
    /// # Errors
    /// 400 `malformed_body` with the place where reading failed.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Problem::new(400, "malformed_body", format!("The body cannot be read: {error}.")).into())
    }

    /// What is written to the audit log beside the operation, and how app addresses look.
    #[must_use]
    pub fn request_context(&self) -> String {
        serde_json::json!({
            "request_id": self.request_id,
            "address": self.address,
            "apps": self.config.apps_pattern(),
        })
        .to_string()
    }

    /// Runs this call's own operation as its caller.
    ///
    /// # Errors
    /// See [`Database`].
    pub async fn run(&self, arguments: Vec<Argument>) -> Result<Reply, Error> {
        self.ask(self.operation, vec![], arguments).await
    }

    /// Runs a function of several operations, which takes the operation's id before the credential.
    ///
    /// # Errors
    /// See [`Database`].
    pub async fn run_command(&self, name: &'static str, arguments: Vec<Argument>) -> Result<Reply, Error> {
        self.ask(name, vec![self.operation.into()], arguments).await
    }

    /// The call of such a function, for whoever needs a connection for more than one.
    #[must_use]
    pub fn command(&self, name: &'static str, arguments: Vec<Argument>) -> Operation {
        self.operation(name, vec![self.operation.into()], arguments)
    }

    /// Calls a function with who asks, and for what, in front of its own arguments. What it has changed is announced, which
    /// the answer does not wait for.
    async fn ask(&self, name: &'static str, first: Vec<Argument>, rest: Vec<Argument>) -> Result<Reply, Error> {
        let mut reply = Database::connect(&self.env).await?.call(self.operation(name, first, rest)).await?;
        self.announce(std::mem::take(&mut reply.changes));
        Ok(reply)
    }

    /// Announces what a statement has changed, after the answer.
    pub fn announce(&self, changes: String) {
        if !changes.is_empty() {
            let env = self.env.clone();
            self.context.wait_until(async move { feed::announce(&env, &changes).await });
        }
    }

    /// A function with who asks, and for what, in front of its own arguments.
    fn operation(&self, name: &'static str, first: Vec<Argument>, rest: Vec<Argument>) -> Operation {
        let credential = self.credential.as_ref().map(Credential::as_context);
        let mut arguments = first;
        arguments.extend([Argument::Text(credential), self.request_context().into()]);
        arguments.extend(rest);
        Operation { name, arguments }
    }
}

/// A new id.
///
/// # Errors
/// [`Error::Internal`] without randomness.
pub fn new_id() -> Result<String, Error> {
    Ok(snapvm_protocol::ids::Uuid::v7(platform::now_ms(), platform::random()?).to_string())
}
