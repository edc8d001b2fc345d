//! What a terminal shows, for those who have not followed it from the start: snapshots.
//!
//! Keeping an emulator for every session would cost tens of megabytes each (some 100 bytes for a cell) and parsing all
//! output at once would slow bulk output down. So the emulator is not kept: a session holds a *base*, which is
//! the last snapshot, and the ring has the bytes from there on. Only when a snapshot is wanted, or when the ring is
//! about to lose bytes that no base stands for, an emulator is loaded from the base and fed from the ring; after the
//! snapshot it is dropped again, and the snapshot is the new base. A quiet session has never had an emulator.
//!
//! ```text
//!   offset 0 ........ base ............ fed ................ ground .. end
//!                     └ snapshot        └ emulator, if loaded └ the next snapshot can stand for this
//! ```
//!
//! Every byte is looked at once as it comes ([`Modes`], [`Stretch`], and where a sequence or a character is cut), which
//! costs a fraction of reading it. What scrolled by is not fed at all ([`Stretch`]). A snapshot stands for the last offset at which nothing is cut, so what follows is whole. Only where
//! a sequence is longer than [`LONG`] does it stand for the end, and ends with the beginning of a sequence that
//! swallows the rest.
//!
//! Invariants: what is not in the base or the emulator is in the ring, as long as [`Screen::follow`] is called after
//! each read; a snapshot is at most as long as asked for, contains no queries, and ends in the ground state or
//! swallowing; a panic of the emulator costs the lines from before the ring, never the session.

pub mod emulator;
pub mod letter;
pub mod modes;
pub mod stretch;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use snapvm_protocol::queries;
use snapvm_protocol::sequences::Sequences;
use snapvm_protocol::terminal::{RING_BYTES, SNAPSHOT_MAX};

use super::ring::Ring;
use crate::journal::note;
use emulator::{Dimensions, Emulator};
use letter::Letter;
use modes::Modes;
use stretch::Stretch;

/// A sequence longer than this is not waited for.
const LONG: u64 = 64 * 1024;
/// Bytes that may be in the ring alone: what is read at once must fit beside them.
const UNFED_MAX: u64 = (RING_BYTES - 512 * 1024) as u64;
/// How much is fed at once when the ring is full, so that nobody waits for it.
const SLICE: u64 = 64 * 1024;
/// Sizes that are remembered until the emulator takes them.
const SIZES_MAX: usize = 64;
/// What a snapshot begins with: everything back to the start, colours too.
const RESET: &[u8] = b"\x1bc\x1b]104\x1b\\\x1b]110\x1b\\\x1b]111\x1b\\\x1b]112\x1b\\";

/// A terminal's state as output that brings an emulator of its size there.
#[derive(Debug)]
pub struct Snapshot {
    /// It stands for everything before.
    pub offset: u64,
    /// The terminal's size.
    pub size: Dimensions,
    /// The output.
    pub bytes: Vec<u8>,
    /// How many bytes at its end are the last character, as it came: the rest renders what was before it.
    pub letter: usize,
    /// Lines that were left out, oldest first.
    pub dropped_lines: u32,
    /// How what follows is to be read.
    pub sequences: Sequences,
}

/// The state of one terminal.
pub struct Screen {
    /// At the end of the output.
    modes: Modes,
    sequences: Sequences,
    stretch: Stretch,
    letter: Letter,
    end: u64,
    /// Where the character begins that is not complete, or the next one.
    begin: u64,
    /// The last offset at which nothing was cut.
    ground: u64,
    /// The terminal's size at the end.
    size: Dimensions,
    /// The emulator's state, or where to begin one, at `fed`.
    base: Base,
    fed: u64,
    fed_size: Dimensions,
    fed_sequences: Sequences,
    /// Sizes that came after `fed`.
    sizes: VecDeque<(u64, Dimensions)>,
    /// Up to here an emulator has panicked.
    poisoned: u64,
}

enum Base {
    Blank,
    Snapshot(Rc<Snapshot>),
    Loaded(Box<dyn Emulator>),
}

impl std::fmt::Debug for Screen {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Screen").field("fed", &self.fed).field("ground", &self.ground).finish_non_exhaustive()
    }
}

impl Screen {
    /// An empty screen.
    #[must_use]
    pub fn new(size: Dimensions) -> Self {
        Self {
            modes: Modes::default(),
            sequences: Sequences::default(),
            stretch: stretch_from(0, size),
            letter: Letter::default(),
            end: 0,
            begin: 0,
            ground: 0,
            size,
            base: Base::Blank,
            fed: 0,
            fed_size: size,
            fed_sequences: Sequences::default(),
            sizes: VecDeque::new(),
            poisoned: 0,
        }
    }

    /// A screen that goes on where another one of this size made a snapshot, at this offset; without one, with what the
    /// ring has.
    #[must_use]
    pub fn resume(ring: &Ring, size: Dimensions, snapshot: Option<(u64, Vec<u8>)>) -> Self {
        let mut screen = Self::new(size);
        let mut start = ring.clean_start();
        if let Some((offset, bytes)) = snapshot.filter(|(offset, _)| *offset >= ring.start()) {
            // It sets all modes, and if it ends within a sequence, so does what follows begin.
            screen.look_at(&bytes);
            let sequences = screen.sequences.clone();
            start = offset;
            let snapshot = Snapshot { offset, size, bytes, letter: 0, dropped_lines: 0, sequences };
            screen.base = Base::Snapshot(Rc::new(snapshot));
        }
        (screen.end, screen.begin, screen.ground, screen.fed) = (start, start, start, start);
        screen.letter.forget();
        screen.stretch = stretch_from(start, size);
        screen.follow(ring);
        screen
    }

    /// Looks at what was read.
    pub fn follow(&mut self, ring: &Ring) {
        while self.end < ring.end() {
            let piece = ring.piece(self.end, u64::MAX);
            if piece.is_empty() {
                // Cannot be: it is called after each read.
                self.end = ring.end();
                break;
            }
            self.look_at(piece);
        }
        if self.end.saturating_sub(self.fed) > UNFED_MAX {
            self.skip(ring);
        }
        if self.end.saturating_sub(self.fed) > UNFED_MAX {
            // What is read at once is half a slice, so this keeps up.
            let to = self.fed.saturating_add(SLICE);
            self.feed(ring, to);
        }
    }

    fn look_at(&mut self, mut piece: &[u8]) {
        while let Some((byte, others)) = piece.split_first() {
            if self.sequences.is_ground() {
                let length = piece.iter().position(|byte| !matches!(byte, 0x20..=0x7e)).unwrap_or(piece.len());
                if length > 0 {
                    self.stretch.text(self.end, length as u64, &self.modes);
                    self.end = self.end.saturating_add(length as u64);
                    (self.begin, self.ground) = (self.end, self.end);
                    self.letter.text(self.end);
                    piece = piece.get(length..).unwrap_or_default();
                    continue;
                }
            }
            piece = others;
            self.end = self.end.saturating_add(1);
            let event = self.sequences.advance(*byte);
            self.modes.observe(event, &self.sequences);
            self.stretch.observe(event, &self.sequences, self.end);
            self.letter.observe(event, self.begin, self.sequences.character());
            if self.sequences.is_ground() {
                (self.begin, self.ground) = (self.end, self.end);
            }
        }
    }

    /// Leaves out what has scrolled by, where that is certain and worth it.
    fn skip(&mut self, ring: &Ring) {
        let Some((cut, column)) = self.stretch.cut() else { return };
        if !self.modes.scrolls_all(self.size.1)
            || cut < self.fed.saturating_add(SLICE)
            || self.stretch.from() > self.fed
        {
            return;
        }
        while !self.fed_sequences.is_ground() && self.fed < cut {
            self.feed(ring, self.fed.saturating_add(1));
        }
        let Some(rest) = stretch::reduce(ring, self.fed, cut, column) else { return };
        self.apply_sizes_until(self.fed);
        // No line of before will be left, so none has to be remembered.
        let bytes = self.guarded(|emulator| {
            emulator.feed(&rest);
            emulator.render(0)
        });
        (self.fed, self.fed_sequences) = (cut, Sequences::default());
        if let Some(bytes) = bytes {
            let (size, sequences) = (self.fed_size, Sequences::default());
            let snapshot = Snapshot { offset: cut, size, bytes, letter: 0, dropped_lines: 0, sequences };
            self.base = Base::Snapshot(Rc::new(snapshot));
        }
    }

    /// The terminal has another size from here on.
    pub fn resize(&mut self, ring: &Ring, size: Dimensions) {
        if size == self.size {
            return;
        }
        self.size = size;
        self.modes.resized();
        self.letter.forget();
        self.stretch = stretch_from(self.end, size);
        if let Some(last) = self.sizes.back_mut().filter(|(offset, _)| *offset == self.end) {
            last.1 = size;
        } else {
            self.sizes.push_back((self.end, size));
        }
        if self.sizes.len() > SIZES_MAX {
            let to = self.sizes.front().map_or(self.end, |(offset, _)| *offset);
            self.feed(ring, to);
        }
    }

    /// Whether the next snapshot is in memory already.
    #[must_use]
    pub fn is_at_hand(&self) -> bool {
        matches!(&self.base, Base::Snapshot(base) if (base.offset, base.size) == (self.point(), self.size))
    }

    /// The terminal's state, at most [`SNAPSHOT_MAX`] long; `None` where there is no making one.
    pub fn snapshot(&mut self, ring: &Ring) -> Option<Rc<Snapshot>> {
        let offset = self.point();
        if let Base::Snapshot(snapshot) = &self.base
            && self.is_at_hand()
        {
            return Some(Rc::clone(snapshot));
        }
        // Once from the base, once from the ring alone, once without what cannot be read.
        for _ in 0..3 {
            let letter = self.letter.begin().filter(|begin| offset == self.ground && *begin >= self.fed);
            let to = letter.unwrap_or(offset);
            self.feed(ring, self.stretch.from().min(to));
            self.skip(ring);
            self.feed(ring, to);
            if self.fed < to {
                continue;
            }
            self.apply_sizes();
            if let Some(snapshot) = self.render(ring, SNAPSHOT_MAX).map(Rc::new) {
                self.base = Base::Snapshot(Rc::clone(&snapshot));
                return Some(snapshot);
            }
        }
        None
    }

    /// The same, at most `most` bytes long.
    pub fn short_snapshot(&mut self, ring: &Ring, most: usize) -> Option<Rc<Snapshot>> {
        let whole = self.snapshot(ring)?;
        if whole.bytes.len() <= most {
            return Some(whole);
        }
        let short = self.render(ring, most).map(|short| {
            // The emulator knows only of the lines that the whole one has.
            let dropped_lines = short.dropped_lines.saturating_add(whole.dropped_lines);
            Rc::new(Snapshot { dropped_lines, ..short })
        });
        self.base = Base::Snapshot(whole);
        short
    }

    /// What a snapshot can stand for now.
    #[must_use]
    pub fn point(&self) -> u64 {
        if self.end - self.ground > LONG { self.end } else { self.ground }
    }

    /// What the emulator shows, and behind it the last character where that has not been fed.
    fn render(&mut self, ring: &Ring, most: usize) -> Option<Snapshot> {
        let (size, modes) = (self.size, self.modes.clone());
        let mut letter = Vec::new();
        let mut offset = self.fed;
        while let piece @ [_, ..] = ring.piece(offset, self.point().saturating_sub(offset)) {
            letter.extend_from_slice(piece);
            offset = offset.saturating_add(piece.len() as u64);
        }
        let sequences = if self.fed == self.end { self.sequences.clone() } else { Sequences::default() };
        let rendered = self.guarded(|emulator| {
            render_within(most, emulator::lines(size), |lines| {
                let mut bytes = RESET.to_vec();
                bytes.extend_from_slice(&emulator.render(lines));
                modes.render(&mut bytes);
                bytes.extend_from_slice(sequences.swallowing());
                // A program chooses what the emulator remembers: a colour that is a question, and no colour.
                let mut bytes = queries::muted(&bytes);
                bytes.extend_from_slice(&letter);
                bytes
            })
        })?;
        let (bytes, dropped_lines) = rendered?;
        Some(Snapshot { offset, size: self.fed_size, bytes, letter: letter.len(), dropped_lines, sequences })
    }

    /// Brings the emulator up to an offset.
    fn feed(&mut self, ring: &Ring, to: u64) {
        if self.fed < ring.start() {
            // The emulator cannot follow: it begins anew with what there is.
            self.begin_anew(ring.clean_start());
        }
        while self.fed < to {
            self.apply_sizes_until(self.fed);
            let next_size = self.sizes.front().map_or(u64::MAX, |(offset, _)| *offset);
            let piece = ring.piece(self.fed, to.min(next_size) - self.fed);
            let after = self.fed.saturating_add(piece.len() as u64);
            if piece.is_empty() {
                return;
            }
            if self.guarded(|emulator| emulator.feed(piece)).is_none() {
                let begin = ring.clean_start().max(self.poisoned);
                self.poisoned = after;
                self.begin_anew(begin);
                return;
            }
            self.fed = after;
            for byte in piece {
                self.fed_sequences.advance(*byte);
            }
        }
    }

    fn apply_sizes(&mut self) {
        self.apply_sizes_until(u64::MAX);
    }

    fn apply_sizes_until(&mut self, offset: u64) {
        while let Some((_, size)) = self.sizes.pop_front_if(|(at, _)| *at <= offset) {
            self.fed_size = size;
            if self.guarded(|emulator| emulator.resize(size)).is_none() {
                self.base = Base::Blank;
            }
        }
    }

    fn begin_anew(&mut self, offset: u64) {
        self.base = Base::Blank;
        (self.fed, self.fed_sequences) = (offset, Sequences::default());
        while let Some((_, size)) = self.sizes.pop_front_if(|(at, _)| *at <= offset) {
            self.fed_size = size;
        }
    }

    /// Has the emulator do something; `None` if it panicked, and then there is none any more.
    fn guarded<T>(&mut self, work: impl FnOnce(&mut dyn Emulator) -> T) -> Option<T> {
        let base = std::mem::replace(&mut self.base, Base::Blank);
        let size = self.fed_size;
        let done = catch_unwind(AssertUnwindSafe(move || {
            let mut emulator = match base {
                Base::Loaded(emulator) => emulator,
                Base::Blank => emulator::new(size),
                Base::Snapshot(snapshot) => {
                    let mut emulator = emulator::new(snapshot.size);
                    let rendered = snapshot.bytes.len().saturating_sub(snapshot.letter);
                    emulator.feed(snapshot.bytes.get(..rendered).unwrap_or_default());
                    emulator
                }
            };
            let value = work(&mut *emulator);
            (emulator, value)
        }));
        match done {
            Ok((emulator, value)) => {
                self.base = Base::Loaded(emulator);
                Some(value)
            }
            Err(_) => {
                note!("the state of a terminal was lost and is put together again");
                None
            }
        }
    }
}

fn stretch_from(offset: u64, size: Dimensions) -> Stretch {
    Stretch::new(offset, size.0, emulator::lines(size) + usize::from(size.1) + 2)
}

/// The longest rendering that fits, and how many lines it lacks.
fn render_within(most: usize, lines: usize, render: impl Fn(usize) -> Vec<u8>) -> Option<(Vec<u8>, u32)> {
    let all = render(lines);
    if all.len() <= most {
        return Some((all, 0));
    }
    let newlines = |bytes: &[u8]| bytes.split(|byte| *byte == b'\n').count();
    let total = newlines(&all);
    let mut lines = lines.saturating_mul(most) / all.len().max(1);
    drop(all);
    loop {
        let fewer = render(lines);
        if fewer.len() <= most {
            let dropped = total.saturating_sub(newlines(&fewer)).max(1);
            return Some((fewer, u32::try_from(dropped).unwrap_or(u32::MAX)));
        }
        if lines == 0 {
            return None;
        }
        lines = lines * 7 / 8;
    }
}

#[cfg(test)]
mod tests;
