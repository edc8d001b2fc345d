//! The database, reached as D1 of the design says: one operation is one statement that calls one function of the
//! schema `api`, which returns a status and a body.
//!
//! One `query_typed` per call with built-in types, never a transaction or a named statement: the shape that works
//! through transaction poolers. A connection lives as long as its request, since sockets belong to one.

use futures::future::{Either, select};
use tokio_postgres::config::SslMode;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, NoTls};

use crate::error::{Error, Problem};
use crate::platform::socket::Socket;

/// Longest time for connecting and for one statement each.
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

/// A function of the schema `api`, and its arguments after the fixed ones.
#[derive(Debug)]
pub struct Operation {
    /// Its name; never made of anything a client sent.
    pub name: &'static str,
    /// Its arguments.
    pub arguments: Vec<Argument>,
}

/// An argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argument {
    /// `text`.
    Text(Option<String>),
    /// `int`.
    Int(Option<i32>),
    /// `boolean`.
    Bool(Option<bool>),
}

impl From<&str> for Argument {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}
impl From<String> for Argument {
    fn from(text: String) -> Self {
        Self::Text(Some(text))
    }
}
impl From<Option<String>> for Argument {
    fn from(text: Option<String>) -> Self {
        Self::Text(text)
    }
}
impl From<i32> for Argument {
    fn from(number: i32) -> Self {
        Self::Int(Some(number))
    }
}
impl From<Option<i32>> for Argument {
    fn from(number: Option<i32>) -> Self {
        Self::Int(number)
    }
}

impl From<Option<bool>> for Argument {
    fn from(answer: Option<bool>) -> Self {
        Self::Bool(answer)
    }
}

/// What a function returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// An HTTP status.
    pub status: u16,
    /// JSON; for a status of 400 and more, code, detail and field of a problem.
    pub body: String,
    /// What it has changed, for the feed: see `migrations/api/feed.sql`. The function has returned when it is read.
    pub changes: String,
}

impl Reply {
    /// The reply, or the refusal that it is.
    ///
    /// # Errors
    /// [`Error::Refused`] for a status of 400 and more.
    pub fn accepted(self) -> Result<Self, Error> {
        if self.status < 400 {
            return Ok(self);
        }
        let mut problem: Problem = serde_json::from_slice(self.body.as_bytes())
            .map_err(|_| Error::DatabaseFailed(format!("a refusal without a code: {}", self.status)))?;
        problem.status = self.status;
        Err(problem.into())
    }

    /// The body of an accepted reply, read.
    ///
    /// # Errors
    /// [`Error::Refused`], or [`Error::DatabaseFailed`] when it has another shape.
    pub fn read<T: serde::de::DeserializeOwned>(self) -> Result<T, Error> {
        serde_json::from_slice(self.accepted()?.body.as_bytes())
            .map_err(|error| Error::DatabaseFailed(error.to_string()))
    }
}

/// A connection.
#[derive(Debug)]
pub struct Database {
    client: Client,
}

impl Database {
    /// Connects through the binding `DB`.
    ///
    /// # Errors
    /// [`Error::DatabaseUnreachable`].
    pub async fn connect(env: &worker::Env) -> Result<Self, Error> {
        Self::connect_to(env, "DB").await
    }

    /// Connects through another binding.
    ///
    /// # Errors
    /// [`Error::DatabaseUnreachable`].
    pub async fn connect_to(env: &worker::Env, binding: &str) -> Result<Self, Error> {
        let pool = env.hyperdrive(binding)?;
        let socket = Socket::connect(&pool.host(), pool.port())
            .map_err(|error| Error::DatabaseUnreachable(error.to_string()))?;
        let mut config = Config::new();
        // The fields, not the connection string: its user and password are not percent-encoded.
        config
            .user(pool.user())
            .password(pool.password())
            .dbname(pool.database())
            .ssl_mode(SslMode::Disable)
            .application_name("snapvm");
        let connecting = config.connect_raw(socket, NoTls);
        let (client, connection) = within(connecting).await?;
        wasm_bindgen_futures::spawn_local(async move {
            // Its end is the client's too, which reports the failure where somebody waits for an answer.
            let _ = connection.await;
        });
        Ok(Self { client })
    }

    /// Calls a function.
    ///
    /// # Errors
    /// [`Error::DatabaseUnreachable`] or [`Error::DatabaseFailed`].
    pub async fn call(&self, operation: Operation) -> Result<Reply, Error> {
        let statement = statement(operation.name, operation.arguments.len());
        let parameters: Vec<(&(dyn ToSql + Sync), Type)> = operation
            .arguments
            .iter()
            .map(|argument| match argument {
                Argument::Text(text) => (text as &(dyn ToSql + Sync), Type::TEXT),
                Argument::Int(number) => (number as &(dyn ToSql + Sync), Type::INT4),
                Argument::Bool(answer) => (answer as &(dyn ToSql + Sync), Type::BOOL),
            })
            .collect();
        let rows = within(self.client.query_typed(&statement, &parameters)).await?;
        let row = rows.first().ok_or_else(|| Error::DatabaseFailed("no row".into()))?;
        let status: i32 = row.try_get(0).map_err(|error| failed(&error))?;
        let body: Option<String> = row.try_get(1).map_err(|error| failed(&error))?;
        let changes: Option<String> = row.try_get(2).map_err(|error| failed(&error))?;
        let status = u16::try_from(status).map_err(|_| Error::DatabaseFailed("not a status".into()))?;
        Ok(Reply { status, body: body.unwrap_or_default(), changes: changes.unwrap_or_default() })
    }
}

fn statement(name: &str, arguments: usize) -> String {
    let mut statement = format!("select status, body, current_setting('app.feed', true) from api.{name}(");
    for position in 1..=arguments {
        if position > 1 {
            statement.push(',');
        }
        statement.push('$');
        statement.push_str(&position.to_string());
    }
    statement.push(')');
    statement
}

async fn within<T>(work: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, Error> {
    match select(Box::pin(work), Box::pin(worker::Delay::from(TIMEOUT))).await {
        Either::Left((outcome, _)) => outcome.map_err(|error| failed(&error)),
        Either::Right(_) => Err(Error::DatabaseUnreachable(format!("no answer in {} s", TIMEOUT.as_secs()))),
    }
}

/// A server's error with the code of a bug, or a connection that is not there.
fn failed(error: &tokio_postgres::Error) -> Error {
    match error.as_db_error() {
        // Class 08 connection, 40 rolled back for another transaction's sake, 53 out of resources, 57 operator
        // intervention and timeouts; PgBouncer's own refusals are 08.
        Some(error) if matches!(error.code().code().get(..2), Some("08" | "40" | "53" | "57")) => {
            Error::DatabaseUnreachable(error.message().to_owned())
        }
        Some(error) => Error::DatabaseFailed(format!("{}: {}", error.code().code(), error.message())),
        None => Error::DatabaseUnreachable(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_calls_one_function() {
        assert_eq!(
            statement("orgs_get", 3),
            "select status, body, current_setting('app.feed', true) from api.orgs_get($1,$2,$3)"
        );
    }

    #[test]
    fn a_refusal_keeps_its_code_and_field() {
        let reply = Reply {
            status: 409,
            body: r#"{"code":"name_taken","detail":"d","field":"name"}"#.into(),
            changes: String::new(),
        };
        let Err(Error::Refused(problem)) = reply.accepted() else { panic!("accepted") };
        assert_eq!(
            (problem.status, problem.code.as_str(), problem.field.as_deref()),
            (409, "name_taken", Some("name"))
        );
    }
}
