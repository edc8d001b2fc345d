//! Errors as the API writes them: `{"error": code, "message": sentence}`, with `path` and `code` for files.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::host::HostError;
use crate::limits::Limited;
use crate::sprite::SpriteError;
use crate::sprite::files::WriteError;
use crate::wire::WireError;

/// A failed call.
#[derive(Debug)]
pub(crate) struct ApiFailure {
    status: StatusCode,
    /// The API's name of it.
    error: &'static str,
    message: String,
    /// Of the file API: an error code such as `ENOENT`, and the path it is about.
    file: Option<(String, String)>,
    /// The limit that was reached.
    limited: Option<Box<Limited>>,
}

impl ApiFailure {
    fn new(status: StatusCode, error: &'static str, message: impl Into<String>) -> Self {
        Self { status, error, message: message.into(), file: None, limited: None }
    }

    /// The call was not understood.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    /// There is no such thing.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// There is one already.
    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", message)
    }

    /// There was one.
    pub(crate) fn gone(message: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, "gone", message)
    }

    /// No token, or a wrong one.
    pub(crate) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "missing or invalid token")
    }

    fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
    }

    /// Says which path it is about, where a file operation was refused.
    pub(crate) fn about(mut self, path: &str) -> Self {
        if let Some((_, about)) = &mut self.file {
            path.clone_into(about);
        }
        self
    }
}

impl IntoResponse for ApiFailure {
    fn into_response(self) -> Response {
        if let Some(limited) = self.limited {
            return limited.into_response();
        }
        let body = match &self.file {
            Some((code, path)) => json!({ "error": self.message, "code": code, "path": path }),
            None => json!({ "error": self.error, "message": self.message }),
        };
        if self.status.is_server_error() {
            tracing::error!(status = self.status.as_u16(), "{}", self.message);
        }
        (self.status, Json(body)).into_response()
    }
}

impl From<SpriteError> for ApiFailure {
    fn from(error: SpriteError) -> Self {
        let message = error.to_string();
        match error {
            SpriteError::Gone => Self::not_found("sprite not found"),
            SpriteError::Limited(limited) => limited.into(),
            SpriteError::NoCheckpoint => Self::not_found(message),
            SpriteError::Full(_) => Self::conflict(message),
            SpriteError::Wire(WireError::TooLong) => Self::bad_request(message),
            SpriteError::Refused { code, .. } => {
                let status = match code.as_str() {
                    "ENOENT" => StatusCode::NOT_FOUND,
                    "EACCES" => StatusCode::FORBIDDEN,
                    "EIO" => StatusCode::INTERNAL_SERVER_ERROR,
                    _ => StatusCode::BAD_REQUEST,
                };
                Self { file: Some((code, String::new())), ..Self::new(status, "refused", message) }
            }
            SpriteError::Stopped | SpriteError::Silent => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "sprite_unavailable", message)
            }
            _ => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message),
        }
    }
}

impl From<WriteError> for ApiFailure {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Sprite(error) => error.into(),
            WriteError::TooLong => Self::too_large(error.to_string()),
            WriteError::Broken => Self::bad_request(error.to_string()),
        }
    }
}

impl From<HostError> for ApiFailure {
    fn from(error: HostError) -> Self {
        let message = error.to_string();
        match error {
            HostError::Exists => Self::new(StatusCode::BAD_REQUEST, "sprite_exists", message),
            HostError::Limited(limited) => limited.into(),
            HostError::NotFound => Self::not_found(message),
            HostError::Sprite(error) => error.into(),
            HostError::NoPort | HostError::System(_) => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
            }
        }
    }
}

impl From<Limited> for ApiFailure {
    fn from(limited: Limited) -> Self {
        Self { limited: Some(Box::new(limited)), ..Self::new(StatusCode::TOO_MANY_REQUESTS, "limited", "") }
    }
}

impl From<JsonRejection> for ApiFailure {
    fn from(rejection: JsonRejection) -> Self {
        match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Self::too_large(rejection.body_text()),
            _ => Self::bad_request(rejection.body_text()),
        }
    }
}
