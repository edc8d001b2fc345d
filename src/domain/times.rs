//! Times as the API writes them: RFC 3339.

use chrono::{DateTime, Datelike, Days, SecondsFormat, Utc};

use crate::error::Problem;

/// Most days of a span: a quarter.
const SPAN_DAYS_MAX: u64 = 93;

/// A time that a client wrote, in UTC.
///
/// # Errors
/// 422 for the field.
pub fn parse(field: &str, text: &str) -> Result<String, Problem> {
    read(field, text).map(write)
}

/// A span of time that a client wrote: from the start of the present month, and to the present, where it did not.
///
/// # Errors
/// 422 for `from` or `to`.
pub fn span(from: Option<&str>, to: Option<&str>, now_ms: u64) -> Result<(String, String), Problem> {
    let now = i64::try_from(now_ms).ok().and_then(DateTime::from_timestamp_millis).unwrap_or_default();
    let to = to.map_or(Ok(now), |text| read("to", text))?;
    let month = || to.date_naive().with_day(1).and_then(|day| day.and_hms_opt(0, 0, 0)).map(|start| start.and_utc());
    let from = from.map_or_else(|| Ok(month().unwrap_or(to)), |text| read("from", text))?;
    let longest = from.checked_add_days(Days::new(SPAN_DAYS_MAX));
    if from > to {
        return Err(Problem::invalid("from", "This must not be after `to`."));
    }
    if longest.is_none_or(|longest| to > longest) {
        return Err(Problem::invalid("from", format!("At most {SPAN_DAYS_MAX} days can be asked for at a time.")));
    }
    Ok((write(from), write(to)))
}

fn read(field: &str, text: &str) -> Result<DateTime<Utc>, Problem> {
    let read = DateTime::parse_from_rfc3339(text).map_err(|_| {
        Problem::invalid(field, "This must be a time with its zone (RFC 3339), such as 2026-03-01T17:00:00Z.")
    })?;
    Ok(read.to_utc())
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
    fn a_span_is_this_month_unless_it_says_otherwise() {
        const NOW: u64 = 1_772_384_400_250; // 2026-03-01T17:00:00.250Z
        let span = |from, to| span(from, to, NOW).map_err(|problem| problem.field.unwrap_or_default());
        let pair = |from: &str, to: &str| Ok((from.to_owned(), to.to_owned()));
        assert_eq!(span(None, None), pair("2026-03-01T00:00:00.000Z", "2026-03-01T17:00:00.250Z"));
        let february = (Some("2026-02-01T00:00:00Z"), Some("2026-03-01T01:00:00+01:00"));
        assert_eq!(span(february.0, february.1), pair("2026-02-01T00:00:00.000Z", "2026-03-01T00:00:00.000Z"));
        assert_eq!(span(None, february.0), pair("2026-02-01T00:00:00.000Z", "2026-02-01T00:00:00.000Z"));
        assert_eq!(span(Some("x"), None), Err("from".into()));
        assert_eq!(span(None, Some("x")), Err("to".into()));
        assert_eq!(span(Some("2026-03-02T00:00:00Z"), None), Err("from".into()));
        assert_eq!(span(Some("2025-11-01T00:00:00Z"), None), Err("from".into()));
        assert_eq!(span(Some("0001-01-01T00:00:00Z"), Some("9999-12-31T23:59:59Z")), Err("from".into()));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for wrong in ["", "tomorrow", "2026-03-01", "2026-03-01T17:00:00", "2026-02-30T00:00:00Z", "infinity", "1"] {
            assert!(parse("until", wrong).is_err(), "{wrong}");
        }
    }
}
