//! Wall-clock time as the API writes it.

use chrono::{DateTime, SecondsFormat, Utc};

/// Now, as RFC 3339 with milliseconds.
pub(crate) fn now() -> String {
    text(Utc::now())
}

/// A time, as RFC 3339 with milliseconds.
pub(crate) fn text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Now, in Unix milliseconds.
pub(crate) fn now_ms() -> i64 {
    Utc::now().timestamp_millis()
}
