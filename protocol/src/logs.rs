//! Logs of services: what is asked for, and what comes back.
//!
//! ```text
//! client ─query─▶ Worker ─LogsRequest, logs ticket─▶ agent ─▶ files in the guest
//!    ◀─ one LogPage, or LogBatch events while it is followed, as the agent writes them ─┘
//! ```
//!
//! Invariants:
//! * A [`Cursor`] names a place between two lines. It stays good while logs grow and are rotated; a place whose lines are
//!   gone is older than everything.
//! * Every answer is bounded: in lines, in bytes, and in the time that a search may take.
//!
//! Absent on purpose: levels, fields, streams. A line is a time and a text; what else is in it is the service's business.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Where the agent takes requests.
pub const LOGS_PATH: &str = "/.snapvm/agent/logs";
/// Longest request, in bytes.
pub const REQUEST_MAX: usize = 16 * 1024;
/// Lines of a page, unless the request says otherwise.
pub const LINES_DEFAULT: u32 = 200;
/// Most lines of a page that a request may ask for.
pub const LINES_MAX: u32 = 1000;
/// Longest text to search for, in bytes.
pub const SEARCH_MAX: usize = 200;
/// Longest text of a line, in bytes: what a service writes beyond it is the next line.
pub const LINE_MAX: usize = 8 * 1024;
/// Most bytes of text in one page or batch, but for its last line.
pub const TEXT_MAX: usize = 1024 * 1024;
/// Most requests at once in one machine.
pub const READERS_MAX: usize = 32;

/// A place between two lines of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// Which of the log's files: each rotation begins one with the next number.
    pub file: u64,
    /// Where in it, in bytes.
    pub offset: u64,
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Cursor {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "LogCursor".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^[0-9]{1,15}\\.[0-9]{1,15}$"})
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.file, self.offset)
    }
}

/// Not the text of a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("This is no cursor: send one as an answer had it.")]
pub struct InvalidCursor;

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let (file, offset) = text.split_once('.').ok_or(InvalidCursor)?;
        let number = |text: &str| {
            let is_plain = (1..=15).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|_| is_plain && (text == "0" || !text.starts_with('0'))).ok_or(InvalidCursor)
        };
        Ok(Self { file: number(file)?, offset: number(offset)? })
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What the Worker asks of the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogsRequest {
    /// Which service.
    pub service: String,
    /// Most lines of the page, or of the first batch.
    #[serde(default = "lines_default")]
    pub lines: u32,
    /// Only what is before this place; the newest when absent.
    #[serde(default)]
    pub before: Option<Cursor>,
    /// Follow from this place on.
    #[serde(default)]
    pub after: Option<Cursor>,
    /// Only lines with this text in them, whatever the case of its letters.
    #[serde(default)]
    pub search: Option<String>,
    /// Send what comes as events, until the caller goes.
    #[serde(default)]
    pub follow: bool,
}

const fn lines_default() -> u32 {
    LINES_DEFAULT
}

/// A field that cannot be accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {detail}")]
pub struct InvalidField {
    /// Which.
    pub field: &'static str,
    /// What would be accepted.
    pub detail: String,
}

impl LogsRequest {
    /// Looks at every field. The service's name is part of a path in the guest.
    ///
    /// # Errors
    /// The first field that is wrong.
    pub fn check(&self) -> Result<(), InvalidField> {
        let refuse = |field, detail: String| Err(InvalidField { field, detail });
        if !crate::services::is_name(&self.service) {
            return refuse("service", "This is not the name of a service.".into());
        }
        if !(1..=LINES_MAX).contains(&self.lines) {
            return refuse("lines", format!("This must be a number from 1 to {LINES_MAX}."));
        }
        match &self.search {
            Some(text) if text.is_empty() || text.len() > SEARCH_MAX || text.contains(['\n', '\0']) => {
                return refuse("search", format!("This is text of 1 to {SEARCH_MAX} bytes, without line breaks."));
            }
            _ => {}
        }
        if self.follow && self.before.is_some() {
            return refuse("before", "What is followed has no end: send `after`, or neither.".into());
        }
        if !self.follow && self.after.is_some() {
            return refuse("after", "This is for `follow` only.".into());
        }
        Ok(())
    }
}

/// Reads a request.
///
/// # Errors
/// A sentence for people.
pub fn decode(bytes: &[u8]) -> Result<LogsRequest, String> {
    if bytes.len() > REQUEST_MAX {
        return Err("the request is too long".to_owned());
    }
    let request: LogsRequest = serde_json::from_slice(bytes).map_err(|_| "the request cannot be read".to_owned())?;
    request.check().map_err(|invalid| invalid.to_string())?;
    Ok(request)
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LogLine {
    /// When it began, RFC 3339 in UTC; null for a line that somebody else put into the file.
    pub at: Option<String>,
    /// What the service wrote, without the line break. Bytes that are not UTF-8 are replaced.
    pub text: String,
}

/// A page of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LogPage {
    /// Whole lines, the oldest first.
    pub lines: Vec<LogLine>,
    /// What there is of a line that has not ended; on the newest page only.
    pub partial: Option<LogLine>,
    /// Send it as `before` to get what was before; null when this is all. A search that took too long, or a page that
    /// was full, goes on there.
    pub older: Option<Cursor>,
    /// Send it as `after` with `follow` to get what comes behind this page; on the newest page only.
    pub newest: Option<Cursor>,
}

/// What came while a log was followed: the data of the event `lines`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LogBatch {
    /// Whether there were lines before these that are gone: the service wrote faster than they were taken.
    pub skipped: bool,
    /// Whole lines.
    pub lines: Vec<LogLine>,
    /// What there is of a line that has not ended.
    pub partial: Option<LogLine>,
    /// Where the next line begins.
    pub newest: Cursor,
}

/// Why nothing more comes: the data of the event `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LogEnd {
    /// What ended it.
    pub reason: crate::exec::Interruption,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request() -> LogsRequest {
        decode(br#"{"service":"web"}"#).unwrap()
    }

    #[test]
    fn a_request_has_defaults_and_each_field_is_looked_at() {
        let plain = request();
        assert_eq!((plain.lines, plain.follow, plain.before, plain.search.clone()), (200, false, None, None));
        let place = Some(Cursor { file: 1, offset: 0 });
        for (field, wrong) in [
            ("service", LogsRequest { service: "../web".into(), ..request() }),
            ("service", LogsRequest { service: String::new(), ..request() }),
            ("lines", LogsRequest { lines: 0, ..request() }),
            ("lines", LogsRequest { lines: 1001, ..request() }),
            ("search", LogsRequest { search: Some(String::new()), ..request() }),
            ("search", LogsRequest { search: Some("a".repeat(201)), ..request() }),
            ("search", LogsRequest { search: Some("a\nb".into()), ..request() }),
            ("before", LogsRequest { before: place, follow: true, ..request() }),
            ("after", LogsRequest { after: place, ..request() }),
        ] {
            assert_eq!(wrong.check().unwrap_err().field, field, "{wrong:?}");
        }
        for good in [
            LogsRequest { after: place, follow: true, ..request() },
            LogsRequest { before: place, search: Some("ä b".into()), ..request() },
        ] {
            assert_eq!(decode(&serde_json::to_vec(&good).unwrap()), Ok(good));
        }
    }

    #[test]
    fn cursors() {
        let cursor = Cursor { file: 12, offset: 0 };
        assert_eq!(serde_json::to_string(&cursor).unwrap(), r#""12.0""#);
        for wrong in ["", ".", "1", "1.", ".1", "+1.2", "1.-2", "01.2", "1.2.3", "1.2 ", "1234567890123456.1", "١.٢"]
        {
            assert_eq!(wrong.parse::<Cursor>(), Err(InvalidCursor), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_cursor_reads_back(file in 0_u64..1_000_000_000_000_000, offset in 0_u64..1_000_000_000_000_000) {
            let cursor = Cursor { file, offset };
            prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,40}") {
            let _ = decode(&bytes);
            if let Ok(cursor) = text.parse::<Cursor>() {
                prop_assert_eq!(cursor.to_string(), text);
            }
        }
    }
}
