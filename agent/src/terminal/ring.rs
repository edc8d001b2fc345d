//! The last bytes that a shell wrote, under absolute offsets (pure).
//!
//! Kept in chunks, so that a quiet shell costs one chunk and not the whole capacity, and so that output is read
//! from the terminal straight to where it stays.
//!
//! Invariants: offsets never repeat; `start() <= end()`; at most `capacity` bytes are readable, and one chunk more
//! is held in memory.

use std::collections::VecDeque;

/// Small enough that a quiet shell costs little, large enough that bulk output rarely needs a new one.
const CHUNK: usize = 64 * 1024;
/// How far to look for a line's end when output must begin in the middle.
const LINE_SEARCH: u64 = 4096;

/// The ring.
#[derive(Debug)]
pub struct Ring {
    chunks: VecDeque<Box<[u8]>>,
    spare: Option<Box<[u8]>>,
    /// Offset of the first chunk's first byte.
    base: u64,
    end: u64,
    capacity: u64,
}

impl Ring {
    /// An empty ring.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { chunks: VecDeque::new(), spare: None, base: 0, end: 0, capacity: wide(capacity) }
    }

    /// The offset of the oldest byte that is still here.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.base.max(self.end.saturating_sub(self.capacity))
    }

    /// The offset after the newest byte.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Where to begin when what came before is gone: after the first line's end, so that neither a character nor
    /// an escape sequence is cut, where there is one nearby.
    #[must_use]
    pub fn clean_start(&self) -> u64 {
        let start = self.start();
        if start == 0 {
            return 0;
        }
        let mut at = start;
        let limit = self.end.min(start.saturating_add(LINE_SEARCH));
        while at < limit {
            let piece = self.piece(at, limit - at);
            if piece.is_empty() {
                break;
            }
            if let Some(position) = piece.iter().position(|byte| *byte == b'\n') {
                return at.saturating_add(wide(position)).saturating_add(1);
            }
            at = at.saturating_add(wide(piece.len()));
        }
        start
    }

    /// Free room after the newest byte: never empty, at most `most` bytes. What is written there counts once
    /// [`Ring::commit`] says so.
    pub fn room(&mut self, most: usize) -> &mut [u8] {
        let used = self.end.saturating_sub(self.base);
        if used >= wide(self.chunks.len() * CHUNK) {
            let fresh = self.spare.take().unwrap_or_else(|| vec![0; CHUNK].into_boxed_slice());
            self.chunks.push_back(fresh);
        }
        let from = narrow(used) % CHUNK;
        let to = CHUNK.min(from.saturating_add(most.max(1)));
        self.chunks.back_mut().and_then(|chunk| chunk.get_mut(from..to)).unwrap_or_default()
    }

    /// `length` bytes of the room were filled.
    pub fn commit(&mut self, length: usize) {
        self.end = self.end.saturating_add(wide(length));
        while self.base.saturating_add(wide(CHUNK)) <= self.end.saturating_sub(self.capacity) {
            self.spare = self.chunks.pop_front();
            self.base = self.base.saturating_add(wide(CHUNK));
        }
    }

    /// A ring that goes on where another one was: `bytes` are the last ones, from `start` on.
    #[must_use]
    pub fn resume(capacity: usize, start: u64, bytes: &[u8]) -> Self {
        let mut ring = Self { base: start, end: start, ..Self::new(capacity) };
        ring.push(bytes);
        ring
    }

    /// Everything that is still here, from [`Ring::start`] on.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(narrow(self.end.saturating_sub(self.start())));
        let mut at = self.start();
        while at < self.end {
            let piece = self.piece(at, u64::MAX);
            bytes.extend_from_slice(piece);
            at = at.saturating_add(wide(piece.len().max(1)));
        }
        bytes
    }

    /// Appends bytes.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = self.room(bytes.len());
            let (now, later) = bytes.split_at(room.len().min(bytes.len()));
            room.copy_from_slice(now);
            self.commit(now.len());
            bytes = later;
        }
    }

    /// The longest piece that lies together from `offset` on, at most `most` bytes; empty when `offset` is not here.
    #[must_use]
    pub fn piece(&self, offset: u64, most: u64) -> &[u8] {
        if offset < self.start() || offset >= self.end {
            return &[];
        }
        let from = narrow(offset.saturating_sub(self.base));
        let length = narrow(most.min(self.end - offset));
        let within = from % CHUNK;
        let to = CHUNK.min(within.saturating_add(length));
        self.chunks.get(from / CHUNK).and_then(|chunk| chunk.get(within..to)).unwrap_or_default()
    }
}

fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

fn narrow(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_cut_start_moves_behind_the_lines_end() {
        let mut ring = Ring::new(10);
        ring.push(b"ab\ncd");
        assert_eq!(ring.clean_start(), 0);
        ring.push(b"efghijkl\nmn");
        assert_eq!((ring.start(), ring.clean_start()), (6, 14));
        ring.push(b"opqrstuvwxyz");
        assert_eq!(ring.clean_start(), ring.start());
    }

    proptest! {
        #[test]
        fn it_holds_the_tail_of_everything_written(
            capacity in 1_usize..200_000,
            writes in proptest::collection::vec((1_usize..90_000, any::<u8>()), 0..20),
        ) {
            let (mut ring, mut model) = (Ring::new(capacity), Vec::new());
            for (length, seed) in writes {
                let bytes: Vec<u8> = (0..=u8::MAX).cycle().map(|i| i.wrapping_mul(31).wrapping_add(seed)).take(length).collect();
                ring.push(&bytes);
                model.extend_from_slice(&bytes);
                prop_assert_eq!(ring.end(), model.len() as u64);
                let start = model.len().saturating_sub(capacity);
                prop_assert_eq!(ring.start(), start as u64);
                prop_assert!(ring.chunks.len() * CHUNK <= capacity + 2 * CHUNK);
                prop_assert!(ring.bytes() == model[start..]);
                prop_assert!(ring.clean_start() >= ring.start() && ring.clean_start() <= ring.end());
                let resumed = Ring::resume(capacity, ring.start(), &ring.bytes());
                prop_assert_eq!((resumed.start(), resumed.end()), (ring.start(), ring.end()));
                prop_assert!(resumed.bytes() == ring.bytes());
            }
        }
    }
}
