//! Answers that are a stream of JSON lines: the last word counts, and the stream may end before it. Pure.

use snapvm_protocol::sprites::{CheckpointEvent, CheckpointEventKind};

/// How a stream of lines about a checkpoint ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Done.
    Complete,
    /// It failed, in the provider's words.
    Error(String),
    /// The stream broke off, or something in it cannot be read: nobody knows.
    Unknown,
}

/// How these lines end. What comes after the last word is not looked at; a line that is cut is none.
#[must_use]
pub fn ending(body: &[u8]) -> Ending {
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        let Ok(event) = serde_json::from_slice::<CheckpointEvent>(line) else { continue };
        match event.kind {
            CheckpointEventKind::Complete => return Ending::Complete,
            CheckpointEventKind::Error => {
                let words = event.error.or(event.data).unwrap_or_default();
                let words: String = words.chars().filter(|character| !character.is_control()).take(300).collect();
                return Ending::Error(words);
            }
            CheckpointEventKind::Info | CheckpointEventKind::Other => {}
        }
    }
    Ending::Unknown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_counts_and_may_be_missing() {
        let whole = b"{\"type\":\"info\",\"data\":\"x\"}\n{\"type\":\"new\"}\nrubbish\n{\"type\":\"complete\",\"data\":\"v1\"}\n";
        assert_eq!(ending(whole), Ending::Complete);
        // Wherever it breaks off before its last line has ended.
        for length in 0..whole.len() - 2 {
            assert_eq!(ending(&whole[..length]), Ending::Unknown, "{length} bytes");
        }
        // The newline after the last word may be what is missing.
        assert_eq!(ending(&whole[..whole.len() - 1]), Ending::Complete);
        assert_eq!(ending(b"{\"type\":\"error\",\"error\":\"disk\\u0007 full\"}\n"), Ending::Error("disk full".into()));
        assert_eq!(ending(b"{\"type\":\"error\"}"), Ending::Error(String::new()));
        assert_eq!(ending(b""), Ending::Unknown);
    }
}
