//! Limits of the organization, as the provider has them: how many sprites run at once, and how many are made in a minute.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use snapvm_protocol::sprites::ApiError;

use crate::guest::lock;

/// The time that the number of creations is about.
const WINDOW: Duration = Duration::from_mins(1);
/// What is said about when to try again, where nobody knows.
const RETRY: Duration = Duration::from_secs(5);

/// The limits and what is used of them.
pub(crate) struct Limits {
    running_max: Option<u32>,
    creations_max: Option<u32>,
    running: Mutex<u32>,
    creations: Mutex<VecDeque<Instant>>,
}

/// A running sprite's part of the limit; given back when dropped.
pub(crate) struct Place(Arc<Limits>);

/// A limit is reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Limited {
    code: &'static str,
    message: String,
    limit: u32,
    current: u32,
    window: Option<Duration>,
    retry: Duration,
}

impl Limits {
    /// Limits; none where no number is given.
    pub(crate) fn new(running_max: Option<u32>, creations_max: Option<u32>) -> Arc<Self> {
        Arc::new(Self { running_max, creations_max, running: Mutex::new(0), creations: Mutex::default() })
    }

    /// Most sprites that run at once.
    pub(crate) fn running_max(&self) -> Option<u32> {
        self.running_max
    }

    /// Takes a place for a sprite that is to run.
    pub(crate) fn run(self: &Arc<Self>) -> Result<Place, Limited> {
        let mut running = lock(&self.running);
        match self.running_max {
            Some(limit) if *running >= limit => Err(Limited::running(limit, *running)),
            _ => {
                *running += 1;
                Ok(Place(self.clone()))
            }
        }
    }

    /// Counts a sprite that is to be made now.
    pub(crate) fn create(&self, now: Instant) -> Result<(), Limited> {
        let Some(limit) = self.creations_max else { return Ok(()) };
        let mut creations = lock(&self.creations);
        while creations.front().is_some_and(|made| now.duration_since(*made) >= WINDOW) {
            creations.pop_front();
        }
        let current = u32::try_from(creations.len()).unwrap_or(u32::MAX);
        if current >= limit {
            let oldest = creations.front().map_or(WINDOW, |made| WINDOW.saturating_sub(now.duration_since(*made)));
            return Err(Limited::creations(limit, current, oldest));
        }
        creations.push_back(now);
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut running = lock(&self.0.running);
        *running = running.saturating_sub(1);
    }
}

impl Limited {
    fn running(limit: u32, current: u32) -> Self {
        Self {
            code: "concurrent_sprite_limit_exceeded",
            message: format!("{current} sprites are running, which is the limit"),
            limit,
            current,
            window: None,
            retry: RETRY,
        }
    }

    fn creations(limit: u32, current: u32, retry: Duration) -> Self {
        Self {
            code: "sprite_creation_rate_limited",
            message: format!("{current} sprites were created within a minute, which is the limit"),
            limit,
            current,
            window: Some(WINDOW),
            retry,
        }
    }

    /// A refusal that was ordered, by its code; `None` for a code that there isn't.
    pub(crate) fn ordered(code: &str) -> Option<Self> {
        match code {
            "concurrent_sprite_limit_exceeded" => Some(Self::running(3, 3)),
            "sprite_creation_rate_limited" => Some(Self::creations(10, 10, RETRY)),
            _ => None,
        }
    }

    /// The refusal as text, which is what a sprite's URL answers with.
    pub(crate) fn in_text(&self) -> Response {
        let retry = HeaderValue::from(self.retry_seconds());
        (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, retry)], format!("{self}\n")).into_response()
    }

    fn retry_seconds(&self) -> u64 {
        self.retry.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX)
    }
}

impl IntoResponse for Limited {
    fn into_response(self) -> Response {
        let retry = self.retry_seconds();
        let reset = u64::try_from(crate::clock::now_ms() / 1000).unwrap_or_default() + retry;
        let headers = [
            (header::RETRY_AFTER, HeaderValue::from(retry)),
            (HeaderName::from_static("x-ratelimit-limit"), HeaderValue::from(self.limit)),
            (HeaderName::from_static("x-ratelimit-remaining"), HeaderValue::from(0)),
            (HeaderName::from_static("x-ratelimit-reset"), HeaderValue::from(reset)),
        ];
        let body = ApiError {
            error: self.code.to_owned(),
            message: self.message,
            retry_after_seconds: Some(retry),
            limit: Some(self.limit.into()),
            current_count: Some(self.current.into()),
            window_seconds: self.window.map(|window| window.as_secs()),
            upgrade_available: Some(false),
            upgrade_url: None,
        };
        (StatusCode::TOO_MANY_REQUESTS, headers, Json(body)).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_given_back_and_creations_are_forgotten() {
        let limits = Limits::new(Some(2), Some(2));
        let first = limits.run().unwrap();
        let _second = limits.run().unwrap();
        assert_eq!(limits.run().err().unwrap().current, 2);
        drop(first);
        assert!(limits.run().is_ok());

        let start = Instant::now();
        limits.create(start).unwrap();
        limits.create(start + Duration::from_secs(20)).unwrap();
        let refused = limits.create(start + Duration::from_secs(30)).unwrap_err();
        assert_eq!((refused.retry_seconds(), refused.code), (30, "sprite_creation_rate_limited"));
        limits.create(start + WINDOW).unwrap();
        assert!(limits.create(start + WINDOW).is_err());
        let none = Limits::new(None, None);
        assert!((0..1000).all(|_| none.create(start).is_ok()));
    }
}
