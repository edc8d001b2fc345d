//! The character that was printed last, with the marks that came on it (pure). A mark joins only what was printed just
//! before it, and nothing once the cursor has been moved: so what a snapshot renders ends before that character, and
//! the character follows as it came.

use snapvm_protocol::sequences::Event;
use unicode_width::UnicodeWidthChar;

/// Longest character with its marks, in bytes, that is kept apart.
const LONGEST: u64 = 256;

/// Where the last character begins, if nothing but marks came after it.
#[derive(Debug, Default)]
pub struct Letter {
    from: Option<u64>,
}

impl Letter {
    /// Printable ASCII was printed up to `end`.
    pub fn text(&mut self, end: u64) {
        self.from = end.checked_sub(1);
    }

    /// What a byte brought about that ends the code point `code`, whose first byte is at `begin`.
    pub fn observe(&mut self, event: Event, begin: u64, code: u32) {
        match event {
            Event::None => {}
            Event::Print => {
                let width = char::from_u32(code).and_then(UnicodeWidthChar::width).unwrap_or(0);
                self.from = if width > 0 { Some(begin) } else { self.from.filter(|from| begin - from < LONGEST) };
            }
            _ => self.from = None,
        }
    }

    /// Nothing joins it any more.
    pub fn forget(&mut self) {
        self.from = None;
    }

    /// Where it begins.
    #[must_use]
    pub fn begin(&self) -> Option<u64> {
        self.from
    }
}
