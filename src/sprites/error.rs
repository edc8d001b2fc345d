//! Why a call failed: what kind of failure it is, whether the same call may succeed later, and what people may be told.
//! Pure: an answer's status, headers and body go in.

use snapvm_durable::machine_gateway::outside::Failure;
use snapvm_protocol::sprites::ApiError;

/// Longest part of an error's body that gets into a message.
const WORDS_MAX: usize = 300;
/// Seconds after which a refusal is tried again that names no time.
const RETRY_SECONDS: u64 = 10;
/// Longest time that a provider may ask us to wait at once, in seconds: more of it is asked for again.
const RETRY_SECONDS_MAX: u64 = 300;

/// Why a call of the API failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There was no connection, or it broke before the answer had ended. The work may have been done.
    #[error("the runtime cannot be reached")]
    Unreachable,
    /// No answer in time. The work may have been done.
    #[error("the runtime did not answer in time")]
    Silent,
    /// It redirected us to a sign-in page, or said that the token is none.
    #[error("the runtime refused our token")]
    TokenRefused,
    /// A limit of the account is reached.
    #[error("{0}")]
    Limited(Limit),
    /// What the call is about is not there.
    #[error("the runtime has no such thing: {words}")]
    Missing {
        /// Of the file API: `ENOENT`, where the file is what is missing. Without it, it may be the sprite.
        code: Option<String>,
        /// The provider's words.
        words: String,
    },
    /// The call itself was refused: it would be again.
    #[error("the runtime answered {status}: {words}")]
    Refused {
        /// The status.
        status: u16,
        /// The provider's words.
        words: String,
    },
    /// The provider failed at it.
    #[error("the runtime answered {status}: {words}")]
    Broken {
        /// The status.
        status: u16,
        /// The provider's words.
        words: String,
    },
    /// It answered with something that cannot be read.
    #[error("the runtime's answer cannot be read")]
    Unreadable,
    /// Nothing was asked: the provider has failed again and again.
    #[error("the provider is not answering since {since}")]
    Away {
        /// Since when, as RFC 3339 has it.
        since: String,
    },
    /// The sprite's URL may not be given our token.
    #[error("the runtime's URL is not safe to use")]
    Unsafe,
    /// The agent itself refused.
    #[error("its agent refused to wake ({0})")]
    AgentRefused(u16),
    /// Something answered at the sprite's URL that was not its agent.
    #[error("its agent does not answer ({0})")]
    NoAgent(u16),
    /// The platform under us failed.
    #[error("{0}")]
    Platform(String),
}

/// Whose failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The provider's: it is away, or broken. What the breaker counts.
    Provider,
    /// The account's: its limits, its token.
    Account,
    /// One sprite's, or the call's own.
    Call,
}

/// A limit of the account that is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// The provider's name of it, such as `concurrent_sprite_limit_exceeded`; empty where it said none.
    pub code: String,
    /// The limit.
    pub limit: Option<u64>,
    /// How much of it is used.
    pub current: Option<u64>,
    /// The time that it is about, in seconds.
    pub window_seconds: Option<u64>,
    /// When to try again, in seconds.
    pub retry_seconds: u64,
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (what, way_out) = match self.code.as_str() {
            "concurrent_sprite_limit_exceeded" => ("running machines", "Stop a machine, or raise the provider's plan"),
            "sprite_creation_rate_limited" => ("new machines", "Wait, or raise the provider's plan"),
            _ => ("calls", "Wait, or raise the provider's plan"),
        };
        match self.limit {
            Some(limit) => write!(f, "the provider's limit of {limit} {what}")?,
            None => write!(f, "the provider's limit of {what}")?,
        }
        if let Some(window) = self.window_seconds {
            write!(f, " in {window} s")?;
        }
        write!(f, " is reached")?;
        if let Some(current) = self.current {
            write!(f, " ({current} in use)")?;
        }
        write!(f, ". {way_out}")
    }
}

impl Error {
    /// Reads an answer that is none of success.
    #[must_use]
    pub fn from_answer(status: u16, retry_after: Option<&str>, body: &[u8]) -> Self {
        let error: Option<ApiError> = serde_json::from_slice(body).ok();
        let code = serde_json::from_slice(body).ok().and_then(|body: Coded| body.code);
        let words = match &error {
            Some(error) if !error.message.is_empty() => error.message.clone(),
            Some(error) if !error.error.is_empty() => error.error.clone(),
            _ => String::from_utf8_lossy(body.get(..WORDS_MAX * 4).unwrap_or(body)).into_owned(),
        };
        let words: String = words.chars().filter(|character| !character.is_control()).take(WORDS_MAX).collect();
        match status {
            300..=399 | 401 | 403 if code.is_none() => Self::TokenRefused,
            404 => Self::Missing { code, words },
            429 => {
                let error = error.unwrap_or_default();
                let header = retry_after.and_then(|text| text.trim().parse().ok());
                let seconds = header.or(error.retry_after_seconds).unwrap_or(RETRY_SECONDS);
                Self::Limited(Limit {
                    code: error.error.chars().take(80).collect(),
                    limit: error.limit,
                    current: error.current_count,
                    window_seconds: error.window_seconds,
                    retry_seconds: seconds.clamp(1, RETRY_SECONDS_MAX),
                })
            }
            500.. => Self::Broken { status, words },
            _ => Self::Refused { status, words },
        }
    }

    /// Whose failure it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Unreachable | Self::Silent | Self::Broken { .. } | Self::Away { .. } => Kind::Provider,
            Self::Limited(_) | Self::TokenRefused => Kind::Account,
            Self::Missing { .. }
            | Self::Refused { .. }
            | Self::Unreadable
            | Self::Unsafe
            | Self::AgentRefused(_)
            | Self::NoAgent(_)
            | Self::Platform(_) => Kind::Call,
        }
    }

    /// Whether the same call may succeed a moment later, if it may be done twice. One that was not answered in time
    /// has cost its time already.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable | Self::Broken { status: 500 | 502 | 503 | 504, .. })
    }

    /// Whether the work may have been done all the same.
    #[must_use]
    pub fn may_be_done(&self) -> bool {
        matches!(self, Self::Unreachable | Self::Silent | Self::Broken { .. } | Self::Unreadable)
    }
}

/// What an error's body has besides, where the file API sent it.
#[derive(serde::Deserialize)]
struct Coded {
    #[serde(default)]
    code: Option<String>,
}

/// What the objects make of it.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Unsafe => Self::UnsafeRuntime,
            Error::Limited(limit) => Self::Limited { limit: limit.to_string(), retry_ms: limit.retry_seconds * 1000 },
            error => Self::Unavailable(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, body: &str) -> Error {
        Error::from_answer(status, None, body.as_bytes())
    }

    #[test]
    fn a_redirect_is_a_refused_token() {
        assert_eq!(read(302, ""), Error::TokenRefused);
        assert_eq!(read(401, r#"{"error":"unauthorized"}"#), Error::TokenRefused);
        // The file API's "permission denied" is about a file.
        assert_eq!(
            read(403, r#"{"error":"permission denied","code":"EACCES","path":"/x"}"#),
            Error::Refused { status: 403, words: "permission denied".into() }
        );
    }

    #[test]
    fn an_error_may_be_plain_text() {
        assert_eq!(read(500, "no\u{7}w\n"), Error::Broken { status: 500, words: "now".into() });
        assert_eq!(read(400, "[]"), Error::Refused { status: 400, words: "[]".into() });
        assert_eq!(read(400, r#"{"error":"taken"}"#), Error::Refused { status: 400, words: "taken".into() });
        let Error::Broken { words, .. } = read(502, &"é".repeat(100_000)) else { panic!() };
        assert_eq!(words.chars().count(), WORDS_MAX);
    }

    #[test]
    fn a_missing_file_is_no_missing_sprite() {
        let file = read(404, r#"{"error":"no such file","code":"ENOENT","path":"/x"}"#);
        assert!(matches!(file, Error::Missing { code: Some(code), .. } if code == "ENOENT"));
        for body in [r#"{"error":"not_found","message":"sprite not found"}"#, "sprite not found\n", ""] {
            assert!(matches!(read(404, body), Error::Missing { code: None, .. }), "{body}");
        }
    }

    #[test]
    fn a_limit_says_what_when_and_what_helps() {
        let body = r#"{"error":"concurrent_sprite_limit_exceeded","message":"m","limit":3,"current_count":3,
            "retry_after_seconds":7}"#;
        let Error::Limited(limit) = read(429, body) else { panic!() };
        assert_eq!(limit.retry_seconds, 7);
        assert_eq!(
            limit.to_string(),
            "the provider's limit of 3 running machines is reached (3 in use). Stop a machine, or raise the \
             provider's plan"
        );
        // The header counts more than the body, a bare 429 has a time of its own, and none is believed without a bound.
        let seconds = |header, body: &str| match Error::from_answer(429, header, body.as_bytes()) {
            Error::Limited(limit) => limit.retry_seconds,
            other => panic!("{other:?}"),
        };
        assert_eq!(seconds(Some("12"), body), 12);
        assert_eq!(seconds(None, "slow down"), RETRY_SECONDS);
        assert_eq!(seconds(Some("Wed, 21 Oct 2026 07:28:00 GMT"), "slow down"), RETRY_SECONDS);
        assert_eq!(seconds(Some("999999"), ""), RETRY_SECONDS_MAX);
        assert_eq!(seconds(Some("0"), ""), 1);
        let rate = r#"{"error":"sprite_creation_rate_limited","limit":10,"window_seconds":60}"#;
        assert!(read(429, rate).to_string().contains("limit of 10 new machines in 60 s is reached"));
    }
}
