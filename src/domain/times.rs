//! Times as the API writes them: RFC 3339.

use chrono::{DateTime, SecondsFormat, Utc};

use crate::error::Problem;

/// A time that a client wrote, in UTC.
///
/// # Errors
/// 422 for the field.
pub fn parse(field: &str, text: &str) -> Result<String, Problem> {
    let read = DateTime::parse_from_rfc3339(text).map_err(|_| {
        Problem::invalid(field, "This must be a time with its zone (RFC 3339), such as 2026-03-01T17:00:00Z.")
    })?;
    Ok(write(read.to_utc()))
}

/// A time that a program counts, Unix ms. `None` for one that no calendar has.
#[must_use]
pub fn from_ms(ms: u64) -> Option<String> {
    DateTime::from_timestamp_millis(i64::try_from(ms).ok()?).map(write)
}

fn write(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_in_utc() {
        for (text, expected) in [
            ("2026-03-01T17:00:00Z", "2026-03-01T17:00:00.000Z"),
            ("2026-03-01T17:00:00.25+02:00", "2026-03-01T15:00:00.250Z"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(parse("until", text).as_deref(), Ok(expected));
        }
        assert_eq!(from_ms(1_772_384_400_250).as_deref(), Some("2026-03-01T17:00:00.250Z"));
        assert_eq!(from_ms(u64::MAX), None);
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for wrong in ["", "tomorrow", "2026-03-01", "2026-03-01T17:00:00", "2026-02-30T00:00:00Z", "infinity", "1"] {
            assert!(parse("until", wrong).is_err(), "{wrong}");
        }
    }
}
