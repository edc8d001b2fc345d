//! Orders to fail: for tests of what calls this API.
//!
//! An order names an operation (see `operations.rs`; `url` is a request to a sprite's URL), when it is carried out
//! (`before` the work, which is then not done, or `after` it, when only its answer is lost), how many times, and how.

use std::sync::Mutex;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use serde::Deserialize;

use crate::guest::lock;
use crate::limits::Limited;
use crate::operations;
use crate::server::{ConnectionDropped, Dropped};

/// Before the work or after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum When {
    /// Instead of the work.
    Before,
    /// Instead of its answer.
    After,
}

/// What happens.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// An error in plain text.
    Status(u16),
    /// 429 as the limit of this code would have it.
    Limited(String),
    /// 302 to a sign-in page.
    Redirect,
    /// Nothing, for ever.
    Hang,
    /// A closed connection.
    Drop,
    /// It takes this many milliseconds longer.
    DelayMs(u64),
    /// The work is done twice; the second answer counts.
    Duplicate,
    /// The connection breaks after the first part of the answer, whatever becomes of the work.
    Cut,
}

/// An order.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Order {
    operation: String,
    when: When,
    #[serde(default = "once")]
    times: u32,
    answer: Answer,
}

fn once() -> u32 {
    1
}

/// How a call goes on after the orders were looked at.
pub(crate) enum Struck {
    /// As ever.
    Go,
    /// As ever, but twice.
    Twice,
    /// As ever, but the answer breaks off.
    Cut,
    /// With this answer.
    Answered(Response),
}

/// Orders that have not been carried out.
#[derive(Default)]
pub(crate) struct Faults(Mutex<Vec<Order>>);

impl Order {
    /// Why it makes no sense.
    pub(crate) fn mistake(&self) -> Option<&'static str> {
        let twice = self.answer == Answer::Duplicate;
        match &self.answer {
            _ if !operations::is_known(&self.operation) => Some("there is no such operation"),
            _ if twice && (self.when == When::After || self.operation == operations::URL) => {
                Some("only the API's calls are duplicated, and before the work")
            }
            Answer::Cut if self.when == When::Before => Some("only an answer is cut, which is after the work"),
            Answer::Limited(code) if Limited::ordered(code).is_none() => Some("there is no such limit"),
            _ => None,
        }
    }
}

impl Faults {
    /// Takes an order.
    pub(crate) fn add(&self, order: Order) {
        lock(&self.0).push(order);
    }

    /// Takes all orders back.
    pub(crate) fn clear(&self) {
        lock(&self.0).clear();
    }

    /// Carries out an order, if there is one.
    pub(crate) async fn strike(&self, operation: &str, when: When) -> Struck {
        match self.take(operation, when) {
            None => Struck::Go,
            Some(Answer::Status(status)) => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                Struck::Answered((status, "ordered to fail\n").into_response())
            }
            Some(Answer::Limited(code)) => match Limited::ordered(&code) {
                Some(limited) => Struck::Answered(limited.into_response()),
                None => Struck::Go,
            },
            Some(Answer::Redirect) => {
                let location = HeaderValue::from_static("https://sprites.invalid/sign-in");
                Struck::Answered((StatusCode::FOUND, [(header::LOCATION, location)]).into_response())
            }
            Some(Answer::Hang) => std::future::pending().await,
            Some(Answer::Drop) => {
                let mut response = Response::default();
                response.extensions_mut().insert(Dropped);
                Struck::Answered(response)
            }
            Some(Answer::DelayMs(milliseconds)) => {
                tokio::time::sleep(Duration::from_millis(milliseconds)).await;
                Struck::Go
            }
            Some(Answer::Duplicate) => Struck::Twice,
            Some(Answer::Cut) => Struck::Cut,
        }
    }

    /// Loses an answer, if that was ordered.
    pub(crate) async fn after(&self, operation: &str, response: Response) -> Response {
        match self.strike(operation, When::After).await {
            Struck::Answered(instead) => instead,
            Struck::Cut => cut(response),
            Struck::Go | Struck::Twice => response,
        }
    }

    fn take(&self, operation: &str, when: When) -> Option<Answer> {
        let mut orders = lock(&self.0);
        let order =
            orders.iter_mut().find(|order| order.operation == operation && order.when == when && order.times > 0)?;
        order.times -= 1;
        let answer = order.answer.clone();
        orders.retain(|order| order.times > 0);
        Some(answer)
    }
}

/// The first part of an answer, and then a broken connection.
fn cut(response: Response) -> Response {
    let (parts, body) = response.into_parts();
    let first = body.into_data_stream().take(1);
    let broken = futures_util::stream::once(async {
        // Apart from the first part, which has to be on its way before.
        tokio::time::sleep(Duration::from_millis(50)).await;
        Err(axum::Error::new(ConnectionDropped))
    });
    Response::from_parts(parts, Body::from_stream(first.chain(broken)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Order {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn orders_are_carried_out_as_often_as_asked() {
        let faults = Faults::default();
        faults.add(read(r#"{"operation":"exec","when":"after","times":2,"answer":{"status":500}}"#));
        faults.add(read(r#"{"operation":"url","when":"before","answer":"drop"}"#));
        assert_eq!(faults.take("exec", When::Before), None);
        assert_eq!(faults.take("url", When::Before), Some(Answer::Drop));
        assert_eq!(faults.take("url", When::Before), None);
        assert_eq!(faults.take("exec", When::After), Some(Answer::Status(500)));
        assert_eq!(faults.take("exec", When::After), Some(Answer::Status(500)));
        assert_eq!(faults.take("exec", When::After), None);
    }

    #[test]
    fn orders_that_make_no_sense_are_known() {
        let order = |operation: &str, when: &str, answer: &str| {
            read(&format!(r#"{{"operation":"{operation}","when":"{when}","answer":{answer}}}"#)).mistake().is_some()
        };
        assert!(!order("exec", "before", "\"duplicate\"") && !order("url", "after", r#"{"delay_ms":5}"#));
        assert!(!order("exec", "after", "\"cut\"") && order("exec", "before", "\"cut\""));
        assert!(order("exec", "after", "\"duplicate\"") && order("url", "before", "\"duplicate\""));
        assert!(order("dance", "before", "\"hang\"") && order("exec", "before", r#"{"limited":"x"}"#));
    }
}
