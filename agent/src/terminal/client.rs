//! One client of a session (pure): where it is in the stream, and what it has been told.
//!
//! Nothing is queued for a client. What it still has to hear follows from comparing what it knows with what is, so
//! a client that stops reading costs no memory.

use std::ops::Range;
use std::rc::Rc;

use snapvm_protocol::queries::Muter;
use snapvm_protocol::terminal::{ClientMode, Follow, Foreground, WINDOW_BYTES};

use super::screen::Snapshot;

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
    /// What it does with output.
    pub follow: Follow,
    /// Offset of the next byte to send.
    pub cursor: u64,
    /// Everything before it was parsed.
    pub acknowledged: u64,
    /// The size it wants.
    pub wants: (u16, u16),
    /// The size it knows the terminal to have, and whether it knows to own it.
    pub knows: ((u16, u16), bool),
    /// When it last attached, typed or sized, in order.
    pub acted: u64,
    /// Ready is still to be sent.
    pub opening: Option<Opening>,
    /// The snapshot that is being sent, and how much of it was.
    pub snapshot: Option<(Rc<Snapshot>, usize)>,
    /// Bytes of snapshots, and of what came before them or before a gap, that it has not said to have parsed.
    pub unparsed: u64,
    /// Offsets to be reported gone.
    pub gone: Option<(u64, u64)>,
    /// The input number it was told last.
    pub told_input: u32,
    /// Its input may have been sent twice, so tell it the number again even if it is the same.
    pub repeat_input: bool,
    /// Output went before what it is to be told of its input.
    pub overtaken: bool,
    /// Input of it was refused for lack of room, and is to be asked for again.
    pub refused: bool,
    /// What it was told to run in the foreground, if it is to be told.
    pub foreground: Option<Option<Foreground>>,
    /// The end was sent.
    pub told_end: bool,
    /// Queries in these offsets are its emulator's to answer; those of each offset belong to one client at most.
    pub answers: Range<u64>,
    /// Follows its output for queries.
    pub muter: Muter,
}

/// How a client's stream begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// Where it was: it has everything before its cursor.
    Continue,
    /// With a snapshot, or with the oldest bytes that are left. It had output up to its cursor, or none.
    Anew {
        /// Whether it had any.
        had: bool,
    },
}

impl Attached {
    /// How many bytes may be sent to it now.
    #[must_use]
    pub fn window(&self) -> u64 {
        let unacknowledged = self.cursor.saturating_sub(self.acknowledged);
        WINDOW_BYTES.saturating_sub(unacknowledged.saturating_add(self.unparsed))
    }

    /// How much of what was published, in a ring that begins at `start`, may be sent to it now and has nothing else
    /// before it.
    #[must_use]
    pub fn ready(&self, start: u64, published: u64) -> u64 {
        let follows = self.cursor >= start && self.gone.is_none() && self.snapshot.is_none();
        if follows { self.window().min(published.saturating_sub(self.cursor)) } else { 0 }
    }

    /// Whether so much lies between what it parsed and `end` that reading more could only be lost on it.
    #[must_use]
    pub fn is_behind(&self, end: u64) -> bool {
        end.saturating_sub(self.acknowledged) >= WINDOW_BYTES
    }

    /// It parsed everything before `offset`. A snapshot comes before the bytes that `acknowledged` begins with, so an
    /// offset from there on says that it was parsed too.
    pub fn acknowledge(&mut self, offset: u64) {
        if offset >= self.acknowledged && self.snapshot.is_none() {
            self.unparsed = 0;
        }
        self.acknowledged = self.acknowledged.max(offset.min(self.cursor));
    }

    /// Its stream begins with a snapshot.
    pub fn begin_with(&mut self, snapshot: Rc<Snapshot>) {
        let output = self.cursor.saturating_sub(self.acknowledged);
        self.unparsed = self.unparsed.saturating_add(output).saturating_add(snapshot.bytes.len() as u64);
        (self.cursor, self.acknowledged) = (snapshot.offset, snapshot.offset);
        self.muter = Muter::at(snapshot.sequences.clone());
        self.snapshot = Some((snapshot, 0));
    }

    /// Mutes what is not its to answer in bytes from `offset` on.
    pub fn mute(&mut self, mut offset: u64, mut bytes: &mut [u8]) {
        while !bytes.is_empty() {
            let is_own = self.answers.contains(&offset);
            let until = if is_own {
                self.answers.end
            } else if offset < self.answers.start {
                self.answers.start
            } else {
                u64::MAX
            };
            let length = usize::try_from(until - offset).unwrap_or(usize::MAX).min(bytes.len());
            let (piece, rest) = bytes.split_at_mut(length);
            self.muter.follow(piece, !is_own);
            (bytes, offset) = (rest, offset.saturating_add(length as u64));
        }
    }

    /// Offsets before `start` are gone: goes on from there. What it was sent and has not parsed goes on to count until
    /// it says that it parsed something behind the gap.
    pub fn skip_to(&mut self, start: u64) {
        let from = self.gone.map_or(self.cursor, |(from, _)| from);
        self.gone = Some((from, start));
        self.unparsed = self.unparsed.saturating_add(self.cursor.saturating_sub(self.acknowledged));
        (self.cursor, self.acknowledged) = (start, start);
    }
}
