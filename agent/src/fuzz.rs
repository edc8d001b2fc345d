//! The agent's decoders of outside bytes as plain functions, for fuzzers; see `snapvm_protocol::fuzz`.

use sha2::{Digest as _, Sha256};

use crate::handover::format;
use crate::http::framing::{Framing, HEAD_MAX, Step};
use crate::services::log::line::{Lines, parse, stamp};
use crate::terminal::ring::Ring;
use crate::terminal::screen::Screen;
use snapvm_protocol::logs::LINE_MAX;
use snapvm_protocol::terminal::{RING_BYTES, SNAPSHOT_MAX};

/// A name, and the function that takes the bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: &[Target] =
    &[("http_framing", http_framing), ("handover", handover), ("screen", screen), ("log_lines", log_lines)];

/// A connection's requests: read in one piece or byte by byte, they are the same.
pub fn http_framing(bytes: &[u8]) {
    let (whole, piecewise) = (follow(bytes, usize::MAX), follow(bytes, 1));
    assert_eq!(whole, piecewise, "where a request ends must not depend on how it arrives");
}

/// The heads that were passed on, and whether it was refused.
fn follow(mut bytes: &[u8], most: usize) -> (Vec<Vec<u8>>, bool) {
    let (mut framing, mut heads) = (Framing::default(), vec![]);
    while !bytes.is_empty() {
        let piece = bytes.get(..bytes.len().min(most)).unwrap_or_default();
        let taken = match framing.step(piece) {
            Step::Pass(taken) | Step::Hold(taken) => taken,
            Step::Head(taken, head) => {
                assert!(head.len() <= HEAD_MAX + 4, "a head has a limit");
                heads.push(head);
                taken
            }
            Step::Refuse(_) => return (heads, true),
        };
        assert!(taken > 0 && taken <= piece.len(), "it goes on, and not past the end");
        bytes = bytes.get(taken..).unwrap_or_default();
    }
    (heads, false)
}

/// What an agent leaves to its successor, as it is and with the digest that belongs to it.
pub fn handover(bytes: &[u8]) {
    handed_over(bytes);
    handed_over(&[bytes, Sha256::digest(bytes).as_slice()].concat());
}

fn handed_over(bytes: &[u8]) {
    if let Ok(state) = format::decode(bytes) {
        let Ok(again) = format::encode(state.clone()) else { return };
        assert_eq!(format::decode(&again).ok(), Some(state), "it writes back to the same");
    }
}

/// A terminal that is shown anything, in a size that the first two bytes say, and another after half of it: the
/// snapshot has a limit and asks nothing.
pub fn screen(bytes: &[u8]) {
    let Some((&[columns, rows], output)) = bytes.split_first_chunk::<2>() else { return };
    let size = |columns: u8, rows: u8| (u16::from(columns).max(1), u16::from(rows % 80).max(1));
    let (mut ring, mut screen) = (Ring::new(RING_BYTES), Screen::new(size(columns, rows)));
    let (first, second) = output.split_at(output.len() / 2);
    for half in [first, second] {
        let mut rest = half;
        while !rest.is_empty() {
            let room = ring.room(rest.len());
            let (now, later) = rest.split_at(room.len());
            room.copy_from_slice(now);
            ring.commit(now.len());
            screen.follow(&ring);
            rest = later;
        }
        screen.resize(&ring, size(rows, columns));
    }
    if let Some(snapshot) = screen.snapshot(&ring) {
        assert!(snapshot.bytes.len() <= SNAPSHOT_MAX && snapshot.offset <= ring.end());
        let muted = snapvm_protocol::queries::muted(&snapshot.bytes);
        assert!(muted == snapshot.bytes, "a snapshot asks nothing: {}", snapshot.bytes.escape_ascii());
    }
}

/// What a service writes, and what is read of its file: in pieces of a size that the first byte says it is the same as in
/// one, every line has a time and a bounded text, and no byte of it but line breaks is lost. The bytes as a file that
/// somebody else has written are read, too.
pub fn log_lines(bytes: &[u8]) {
    for line in bytes.split(|byte| *byte == b'\n') {
        // A byte that is not UTF-8 becomes a character of three.
        assert!(parse(line).text.len() <= 3 * LINE_MAX, "what is read of a file is bounded");
    }
    let Some((&size, written)) = bytes.split_first() else { return };
    let (time, keep) = (stamp(i64::from(size) * 86_400_000), |piece: &[u8]| piece.to_vec());
    let pieces: Vec<Vec<u8>> = written.chunks(usize::from(size).max(1)).map(keep).collect();
    let file = |pieces: &[Vec<u8>]| {
        let (mut lines, mut file) = (Lines::default(), vec![]);
        for piece in pieces {
            lines.take(piece, 0, &time, &mut file);
        }
        file
    };
    let whole = file(&[written.to_vec()]);
    assert!(whole == file(&pieces), "it does not matter how it arrives");
    let mut kept = Vec::new();
    for line in whole.split_inclusive(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        assert_eq!(parse(line).at.as_deref(), Some(time.as_str()), "each line has its time");
        let text = line.get(time.len() + 1..).unwrap_or_default();
        assert!(text.len() <= LINE_MAX, "a line has a limit");
        kept.extend_from_slice(text);
    }
    assert!(kept.iter().eq(written.iter().filter(|byte| **byte != b'\n')), "nothing is lost");
}
