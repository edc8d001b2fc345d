//! One client of a session (pure): where it is in the stream, and what it has been told.
//!
//! Nothing is queued for a client. What it still has to hear follows from comparing what it knows with what is, so
//! a client that stops reading costs no memory.

use snapvm_protocol::terminal::{ClientMode, WINDOW_BYTES};

/// A client, from Joined to Left.
#[derive(Debug)]
pub struct Client {
    /// Whether it may type.
    pub mode: ClientMode,
    /// Set by Attach.
    pub attached: Option<Attached>,
}

/// What an attached client has and knows.
#[derive(Debug)]
pub struct Attached {
    /// Its tab.
    pub key: String,
    /// Offset of the next byte to send.
    pub cursor: u64,
    /// Everything before it was parsed.
    pub acknowledged: u64,
    /// The size it wants.
    pub wants: (u16, u16),
    /// The size it knows the terminal to have.
    pub knows: (u16, u16),
    /// Ready is still to be sent, with this `reset`.
    pub ready: Option<bool>,
    /// Offsets to be reported gone.
    pub gone: Option<(u64, u64)>,
    /// The input number it was told last.
    pub told_input: u32,
    /// Its input may have been sent twice, so tell it the number again even if it is the same.
    pub repeat_input: bool,
    /// Input of it was refused for lack of room, and is to be asked for again.
    pub refused: bool,
    /// The end was sent.
    pub told_end: bool,
}

impl Attached {
    /// How many bytes may be sent to it now.
    #[must_use]
    pub fn window(&self) -> u64 {
        WINDOW_BYTES.saturating_sub(self.cursor.saturating_sub(self.acknowledged))
    }

    /// Whether so much lies between what it parsed and `end` that reading more could only be lost on it.
    #[must_use]
    pub fn is_behind(&self, end: u64) -> bool {
        end.saturating_sub(self.acknowledged) >= WINDOW_BYTES
    }

    /// It parsed everything before `offset`.
    pub fn acknowledge(&mut self, offset: u64) {
        self.acknowledged = self.acknowledged.max(offset.min(self.cursor));
    }

    /// Offsets before `start` are gone: goes on from there.
    pub fn skip_to(&mut self, start: u64) {
        let from = self.gone.map_or(self.cursor, |(from, _)| from);
        self.gone = Some((from, start));
        self.cursor = start;
        self.acknowledged = self.acknowledged.max(start);
    }
}
