//! What can go wrong while a request is answered, and what each failure means: whether the client may try again, what
//! it may see, and which kind it is for metrics.
//!
//! A failure is logged once, where it is turned into an answer (`router`).

use serde::{Deserialize, Serialize};

/// A refusal in the words of the API: becomes an `application/problem+json` document (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The HTTP status.
    #[serde(skip)]
    pub status: u16,
    /// A stable code for programs.
    pub code: String,
    /// A sentence for people: what happened, and what to do.
    pub detail: String,
    /// The field of the request that it is about.
    #[serde(default)]
    pub field: Option<String>,
    /// When to try again.
    #[serde(default)]
    pub retry_after_seconds: Option<u32>,
}

impl Problem {
    /// A refusal.
    #[must_use]
    pub fn new(status: u16, code: &str, detail: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), detail: detail.into(), field: None, retry_after_seconds: None }
    }

    /// 422: a field of the request that cannot be accepted.
    #[must_use]
    pub fn invalid(field: &str, detail: impl Into<String>) -> Self {
        Self { field: Some(field.to_owned()), ..Self::new(422, "invalid", detail) }
    }

    /// 404 for whatever is not there.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(404, "not_found", "There is nothing here.")
    }

    /// 401 for a request without a credential.
    #[must_use]
    pub fn unauthenticated() -> Self {
        Self::new(401, "unauthenticated", "Sign in, or send an API token.")
    }

    /// 503 with a time to try again.
    #[must_use]
    pub fn unavailable(code: &str, detail: impl Into<String>) -> Self {
        Self { retry_after_seconds: Some(5), ..Self::new(503, code, detail) }
    }
}

/// Why an answer could not be given.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request was refused.
    #[error("refused: {}", .0.code)]
    Refused(Problem),
    /// A variable or a secret is missing or wrong.
    #[error("the deployment's configuration: {0}")]
    Misconfigured(&'static str),
    /// Postgres or its pooler cannot be reached, or did not answer in time.
    #[error("the database cannot be reached: {0}")]
    DatabaseUnreachable(String),
    /// Postgres answered with an error that no operation expects.
    #[error("the database refused a statement: {0}")]
    DatabaseFailed(String),
    /// An object of ours cannot be reached, or failed.
    #[error("an object failed: {0}")]
    Object(String),
    /// The Worker that hashes passwords failed.
    #[error("the password service failed: {0}")]
    Passwords(String),
    /// The platform's own API failed.
    #[error("the platform failed: {0}")]
    Platform(String),
    /// A bug.
    #[error("unexpected: {0}")]
    Internal(&'static str),
}

/// For metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The client's doing.
    Client,
    /// A dependency's.
    Dependency,
    /// Ours.
    Ours,
}

impl Error {
    /// Whose failure it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Refused(_) => Kind::Client,
            Self::DatabaseUnreachable(_) | Self::Object(_) | Self::Passwords(_) => Kind::Dependency,
            Self::Misconfigured(_) | Self::DatabaseFailed(_) | Self::Platform(_) | Self::Internal(_) => Kind::Ours,
        }
    }

    /// Whether the same request may succeed a little later.
    #[must_use]
    pub fn may_be_retried(&self) -> bool {
        match self {
            Self::Refused(problem) => problem.retry_after_seconds.is_some(),
            Self::DatabaseUnreachable(_) | Self::Object(_) | Self::Passwords(_) => true,
            Self::Misconfigured(_) | Self::DatabaseFailed(_) | Self::Platform(_) | Self::Internal(_) => false,
        }
    }

    /// What the client sees: never more than a refusal says or a dependency's name.
    #[must_use]
    pub fn problem(&self) -> Problem {
        match self {
            Self::Refused(problem) => problem.clone(),
            Self::DatabaseUnreachable(_) => {
                Problem::unavailable("database_unavailable", "The database cannot be reached. Try again in a moment.")
            }
            Self::Object(_) => Problem::unavailable(
                "gateway_unavailable",
                "The machine's gateway did not answer. Try again in a moment.",
            ),
            Self::Passwords(_) => Problem::unavailable(
                "passwords_unavailable",
                "Signing in is not possible right now. Try again in a moment.",
            ),
            Self::Misconfigured(_) | Self::DatabaseFailed(_) | Self::Platform(_) | Self::Internal(_) => Problem::new(
                500,
                "internal",
                "Something went wrong on our side. If it happens again, tell us the request id.",
            ),
        }
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::Refused(problem)
    }
}

impl From<worker::Error> for Error {
    fn from(error: worker::Error) -> Self {
        Self::Platform(error.to_string())
    }
}
