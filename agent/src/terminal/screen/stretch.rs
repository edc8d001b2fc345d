//! Output that only scrolls by (pure): what an emulator need not be fed, because nothing of it will be left.
//!
//! Parsing takes much longer than looking. A *stretch* is output that does nothing but write lines and set attributes,
//! on the main screen and without margins. When so many rows have begun in it that screen and scrollback are full of
//! them, everything before the first of those rows has gone by, except for the attributes, titles and the like that
//! were set on the way. Those are few ([`reduce`]), so a flood costs next to nothing, and what is shown is exact.
//!
//! Rows are counted only where it is certain that one begins, and in which column: after a line feed, and where text of
//! one column per character reaches the edge.

use std::collections::VecDeque;

use snapvm_protocol::sequences::{Event, Sequences, Text};

use super::modes::Modes;
use crate::terminal::ring::Ring;

/// Longest sequence, and most bytes of sequences, that are carried over a gap.
const CARRIED_MAX: usize = 16 * 1024;

/// Follows the stretch at the end of the output.
#[derive(Debug)]
pub struct Stretch {
    /// Where it began.
    from: u64,
    columns: u64,
    /// Rows that fill screen and scrollback, whatever row the cursor was in.
    needed: usize,
    /// The last rows that began in it: offset and column.
    rows: VecDeque<(u64, u64)>,
    column: Option<u64>,
}

/// What a sequence does to a stretch.
#[derive(Debug, PartialEq, Eq)]
enum Effect {
    /// Nothing that outlives its row.
    Passes,
    /// It has to be carried over a gap.
    Carried,
    /// It sets attributes, after resetting all of them if it says so.
    Attributes(bool),
    /// It ends the stretch.
    Ends,
}

impl Stretch {
    /// A stretch that begins at `from`, in a terminal of this many columns.
    #[must_use]
    pub fn new(from: u64, columns: u16, needed: usize) -> Self {
        Self { from, columns: columns.into(), needed, rows: VecDeque::new(), column: None }
    }

    /// Where the stretch began.
    #[must_use]
    pub fn from(&self) -> u64 {
        self.from
    }

    /// The first row that is still needed, and the column it begins in; `None` while too few have begun.
    #[must_use]
    pub fn cut(&self) -> Option<(u64, u64)> {
        self.rows.front().copied().filter(|_| self.rows.len() >= self.needed)
    }

    /// `length` printable ASCII characters from `offset` on.
    pub fn text(&mut self, offset: u64, length: u64, modes: &Modes) {
        let Some(column) = self.column else { return };
        let to = column.saturating_add(length);
        if modes.no_wrap {
            self.column = Some(to.min(self.columns.saturating_sub(1)));
            return;
        }
        let end = offset.saturating_add(length);
        let mut row = offset.saturating_add(self.columns.saturating_sub(column));
        while row < end {
            self.begin(row, 0);
            row = row.saturating_add(self.columns);
        }
        // Behind the last column means that the next character wraps.
        self.column = Some(if to > self.columns { (to - 1) % self.columns + 1 } else { to });
    }

    /// Anything else that one byte brought about; `after` is the offset behind it.
    pub fn observe(&mut self, event: Event, sequences: &Sequences, after: u64) {
        match event {
            Event::None | Event::Put(_) | Event::End(_) => {}
            Event::Print => self.column = None,
            Event::Control(b'\r') => self.column = Some(0),
            Event::Control(0x0a..=0x0c) => {
                self.column = self.column.filter(|column| *column < self.columns && sequences.is_ground());
                if let Some(column) = self.column {
                    self.begin(after, column);
                }
            }
            Event::Control(0x08 | 0x09) => self.column = None,
            Event::Control(0x80..) => self.end(after),
            Event::Control(_) => {}
            Event::Escape(last) => {
                if escape(last, sequences) == Effect::Ends {
                    self.end(after);
                }
            }
            Event::Csi(last) => match control(last, sequences) {
                Effect::Ends => self.end(after),
                Effect::Passes if matches!(last, b'C' | b'D' | b'G' | b'`') => self.column = None,
                _ => {}
            },
        }
    }

    fn begin(&mut self, row: u64, column: u64) {
        self.rows.push_back((row, column));
        if self.rows.len() > self.needed {
            self.rows.pop_front();
        }
    }

    fn end(&mut self, after: u64) {
        self.from = after;
        self.rows.clear();
        self.column = None;
    }
}

fn escape(last: u8, sequences: &Sequences) -> Effect {
    match (sequences.intermediates(), last) {
        (Some([]), b'\\') => Effect::Passes,
        (Some([]), b'=' | b'>') | (Some([b'(' | b')' | b'*' | b'+' | b'-' | b'.' | b'/']), _) => Effect::Carried,
        _ => Effect::Ends,
    }
}

fn control(last: u8, sequences: &Sequences) -> Effect {
    let parameters = sequences.parameters();
    match (sequences.prefix(), sequences.intermediates(), last) {
        (None, Some([]), b'm') => Effect::Attributes(parameters.first().is_none_or(|first| *first == 0)),
        (None | Some(b'?'), Some([]), b'K') | (None, Some([]), b'X' | b'@' | b'P' | b'C' | b'D' | b'G' | b'`') => {
            Effect::Passes
        }
        (_, _, b'n' | b'c') => Effect::Passes,
        (Some(b'?'), Some([]), b'h' | b'l') => {
            let moves_nothing = |mode: &u32| matches!(mode, 1 | 12 | 25 | 1000..=1016 | 2004 | 2026);
            if parameters.iter().all(moves_nothing) { Effect::Carried } else { Effect::Ends }
        }
        (None, Some([b' ']), b'q') | (Some(b'>'), _, _) => Effect::Carried,
        (None, Some([]), b't') => Effect::Carried,
        _ => Effect::Ends,
    }
}

/// What of a stretch between two offsets outlives it, as output that leaves the cursor in this column.
#[must_use]
pub fn reduce(ring: &Ring, from: u64, to: u64, column: u64) -> Option<Vec<u8>> {
    let (mut sequences, mut current) = (Sequences::default(), Vec::new());
    let (mut carried, mut attributes, mut link) = (Vec::new(), Vec::new(), Vec::new());
    let mut at = from;
    while at < to {
        let piece = ring.piece(at, to - at);
        at = at.saturating_add(piece.len().max(1) as u64);
        let mut rest = piece;
        while let Some((byte, others)) = rest.split_first() {
            if sequences.is_ground() {
                let next = memchr::memchr3(0x1b, 0x0e, 0x0f, rest).unwrap_or(rest.len());
                let c1 = memchr::memchr(0xc2, rest).unwrap_or(rest.len());
                if next.min(c1) > 0 {
                    rest = rest.get(next.min(c1)..).unwrap_or_default();
                    continue;
                }
            }
            rest = others;
            let event = sequences.advance(*byte);
            let is_over = matches!(event, Event::End(true));
            if !sequences.began() && !is_over {
                current.push(*byte);
            }
            match event {
                Event::Control(0x0e | 0x0f) => carried.push(*byte),
                Event::End(true) => {
                    current.extend_from_slice(b"\x1b\\");
                    match sequences.text() {
                        Text::Osc(Some(8)) => link = std::mem::take(&mut current),
                        Text::Osc(Some(0..=2 | 4 | 7 | 10..=19 | 104 | 110..=119)) => carried.append(&mut current),
                        _ => {}
                    }
                }
                Event::Escape(last) if escape(last, &sequences) == Effect::Carried => carried.append(&mut current),
                Event::Csi(last) => match control(last, &sequences) {
                    Effect::Carried => carried.append(&mut current),
                    Effect::Attributes(anew) => {
                        if anew {
                            attributes.clear();
                        }
                        attributes.append(&mut current);
                    }
                    _ => {}
                },
                _ => {}
            }
            if sequences.began() {
                current.clear();
                current.extend_from_slice(if *byte == 0x1b { b"\x1b" } else { b"\xc2" });
                if *byte != 0x1b {
                    current.push(*byte);
                }
            } else if sequences.is_ground() {
                current.clear();
            }
            if current.len() + carried.len() + attributes.len() + link.len() > CARRIED_MAX {
                return None;
            }
        }
    }
    carried.append(&mut attributes);
    carried.append(&mut link);
    carried.extend_from_slice(format!("\r\x1b[{}G", column.saturating_add(1)).as_bytes());
    Some(carried)
}
