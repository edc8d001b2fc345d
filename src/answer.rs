//! Answers of the API, before they become a platform response.

use crate::error::{Error, Problem};

/// What goes back to the client.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// JSON, or empty for 204.
    pub body: String,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// The platform's own response, in place of everything else: an upgraded socket, which must not be touched.
    pub upgraded: Option<worker::Response>,
    /// A body that comes as a stream of the platform's, in place of `body`.
    pub stream: Option<worker::ResponseBody>,
}

impl Answer {
    /// JSON with a status.
    #[must_use]
    pub fn json(status: u16, body: String) -> Self {
        Self { status, body, headers: Vec::new(), upgraded: None, stream: None }
    }

    /// A stream with a status. Its headers say what it is.
    #[must_use]
    pub fn stream(status: u16, stream: worker::ResponseBody) -> Self {
        Self { stream: Some(stream), ..Self::json(status, String::new()) }
    }

    /// 204.
    #[must_use]
    pub fn nothing() -> Self {
        Self::json(204, String::new())
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The platform's response. Nothing of the API may be cached or sniffed.
    ///
    /// # Errors
    /// [`Error::Platform`] when a header cannot be set.
    pub fn respond(self) -> Result<worker::Response, Error> {
        if let Some(response) = self.upgraded {
            return Ok(response);
        }
        let headers = worker::Headers::new();
        headers.set("cache-control", "no-store")?;
        headers.set("x-content-type-options", "nosniff")?;
        for (name, value) in &self.headers {
            headers.append(name, value)?;
        }
        if let Some(stream) = self.stream {
            return Ok(worker::Response::from_body(stream)?.with_status(self.status).with_headers(headers));
        }
        if self.body.is_empty() {
            return Ok(worker::Response::empty()?.with_status(self.status).with_headers(headers));
        }
        if !headers.has("content-type")? {
            headers.set("content-type", "application/json")?;
        }
        Ok(worker::Response::ok(self.body)?.with_status(self.status).with_headers(headers))
    }
}

/// A refusal as a problem document.
#[must_use]
pub fn refuse(problem: &Problem, request_id: &str) -> Answer {
    let document = serde_json::json!({
        "type": "about:blank",
        "title": title(problem.status),
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
        "field": problem.field,
        "retry_after_seconds": problem.retry_after_seconds,
        "request_id": request_id,
    });
    let mut answer = Answer::json(problem.status, document.to_string())
        .with("content-type", "application/problem+json".into())
        .with("x-request-id", request_id.to_owned());
    if let Some(seconds) = problem.retry_after_seconds {
        answer = answer.with("retry-after", seconds.to_string());
    }
    answer
}

fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad request",
        401 => "Not signed in",
        403 => "Not allowed",
        404 => "Not found",
        405 => "Method not allowed",
        409 => "Conflict",
        413 => "Too large",
        415 => "Wrong content type",
        422 => "Invalid",
        426 => "Upgrade required",
        429 => "Too many requests",
        503 => "Unavailable",
        _ => "Error",
    }
}
