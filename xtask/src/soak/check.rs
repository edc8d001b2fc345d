//! What the clients have, held against the notes of the program in the machine (pure).

use snapvm_protocol::agent::TerminalEnd;
use snapvm_protocol::terminal::{Follow, RING_BYTES};

use super::client::{Client, Piece};
use super::guest::{CODE, Notes};

/// What queries are muted with, for who follows a screen.
const MUTED: [u8; 2] = [0x18, 0];

/// How the program ends by itself. Who is told so has everything.
pub(crate) const WHOLE: TerminalEnd = TerminalEnd::Exit { code: CODE };
/// Most bytes that a terminal holds for a program that has not read them.
const TERMINAL_HOLDS: usize = 80 * 1024;

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Bytes that the program wrote.
    pub(crate) written: u64,
    /// Inputs that it read.
    pub(crate) inputs: u64,
    /// What is wrong.
    pub(crate) violations: Vec<String>,
}

/// Compares. The program's output begins at offset `begins`. Who was told that it has ended by itself must have
/// everything, unless its agent `died` with the rest; what others have must be right as far as it goes.
pub(crate) fn compare(notes: &Notes, begins: u64, clients: &[Client], died: bool) -> Findings {
    let mut findings = Findings { written: notes.output.len() as u64, ..Findings::default() };
    let ends = begins + findings.written;
    for client in clients {
        let who = format!("client {} ({:?})", client.plan.number, client.plan.follow);
        for piece in &client.pieces {
            if let Some(wrong) = differs(piece, &notes.output, begins, client.plan.follow) {
                findings.violations.push(format!("{who}: {wrong}"));
            }
        }
        // What fits into the ring is never gone.
        let gaps = client.pieces.len() > 1 || client.pieces.first().is_some_and(|piece| piece.from > 0);
        if client.plan.follow == Follow::Bytes && gaps && ends <= RING_BYTES as u64 {
            let from: Vec<u64> = client.pieces.iter().map(|piece| piece.from).collect();
            findings.violations.push(format!("{who}: gaps before {from:?} in a stream of {ends}"));
        }
        let at = client.follower.offset();
        // While the machine sleeps, the end is told with the last screen.
        let has_all = at == ends || client.kept == Some(ends);
        if client.end() == Some(WHOLE) && !has_all && !died {
            findings.violations.push(format!("{who}: it has the stream up to {at} of {ends}"));
        }
    }
    let typed: Vec<&[Vec<u8>]> = clients.iter().map(|client| client.typed.as_slice()).collect();
    match read_inputs(&notes.input, &typed) {
        Ok(counts) => {
            findings.inputs = counts.iter().sum::<usize>() as u64;
            let has_ended = clients.iter().any(|client| client.end() == Some(WHOLE));
            for (client, count) in clients.iter().zip(&counts) {
                let who = client.plan.number;
                if has_ended && *count != expected(client) {
                    let all = expected(client);
                    findings.violations.push(format!("{count} of {all} inputs of client {who} were read"));
                }
                // What was acknowledged had been written to the terminal, and the program reads all the time.
                let applied = usize::try_from(client.follower.applied()).unwrap_or(usize::MAX).min(client.typed.len());
                let unread = client.typed.get(count + skipped(who)..applied).unwrap_or_default();
                let bytes: usize = unread.iter().map(Vec::len).sum();
                if bytes > TERMINAL_HOLDS {
                    findings.violations.push(format!("{bytes} bytes of client {who} were acknowledged and not read"));
                }
            }
        }
        Err(wrong) => findings.violations.push(wrong),
    }
    findings
}

/// The first client's first line was read by the shell.
fn skipped(number: usize) -> usize {
    usize::from(number == 0)
}

fn expected(client: &Client) -> usize {
    client.typed.len() - skipped(client.plan.number).min(client.typed.len())
}

/// Where a piece has other bytes than the notes.
fn differs(piece: &Piece, output: &[u8], begins: u64, follow: Follow) -> Option<String> {
    let ends = begins + output.len() as u64;
    let piece_ends = piece.from + piece.bytes.len() as u64;
    if piece_ends > ends {
        return Some(format!("it has bytes up to {piece_ends}, and {ends} is the end"));
    }
    let offsets = piece.from..;
    let wrong = piece.bytes.iter().zip(offsets).find(|(got, offset)| {
        let Some(place) = offset.checked_sub(begins) else { return false };
        let wanted = usize::try_from(place).ok().and_then(|place| output.get(place));
        wanted != Some(*got) && !(follow == Follow::Screen && MUTED.contains(got))
    });
    wrong.map(|(got, offset)| format!("byte {offset} is {got:#04x}, in the stream from {begins} to {ends}"))
}

/// How many inputs of each client the program read, if it read each once and in order.
fn read_inputs(mut input: &[u8], typed: &[&[Vec<u8>]]) -> Result<Vec<usize>, String> {
    let mut counts = vec![0; typed.len()];
    while !input.is_empty() {
        let head: Vec<u8> = input.iter().copied().take_while(|byte| *byte != b':').collect();
        let number = std::str::from_utf8(&head).ok().and_then(|text| text.parse::<usize>().ok());
        let next = number.and_then(|number| {
            let count = counts.get_mut(number)?;
            let wanted = typed.get(number)?.get(*count + skipped(number))?;
            *count += 1;
            Some(wanted)
        });
        let wrong = || {
            let text: Vec<u8> = input.iter().copied().take(60).collect();
            format!("after {counts:?} inputs the program read {:?}", String::from_utf8_lossy(&text))
        };
        let Some(wanted) = next else { return Err(wrong()) };
        let here = wanted.len().min(input.len());
        if input.get(..here) != wanted.get(..here) {
            return Err(wrong());
        }
        input = input.get(here..).unwrap_or_default();
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(texts: &[&str]) -> Vec<Vec<u8>> {
        texts.iter().map(|text| text.as_bytes().to_vec()).collect()
    }

    #[test]
    fn inputs_are_read_once_and_in_order() {
        let (first, second) = (typed(&["exec", "0:2:a;", "0:3:b;"]), typed(&["1:1:x;"]));
        let typed = [first.as_slice(), second.as_slice()];
        assert_eq!(read_inputs(b"0:2:a;1:1:x;0:3:b;", &typed), Ok(vec![2, 1]));
        for wrong in [&b"0:2:a;0:2:a;"[..], b"0:3:b;", b"1:1:y;", b"rubbish", b"0:2:a;0:3:b;0:4:c;"] {
            assert!(read_inputs(wrong, &typed).is_err(), "{}", String::from_utf8_lossy(wrong));
        }
    }

    #[test]
    fn a_byte_that_is_another_is_found() {
        let piece = |from, bytes: &[u8]| Piece { from, bytes: bytes.to_vec() };
        let wrong = |piece: &Piece, follow| differs(piece, b"hello", 10, follow);
        assert_eq!(wrong(&piece(8, b"$ hello"), Follow::Bytes), None);
        assert!(wrong(&piece(8, b"$ hallo"), Follow::Bytes).is_some());
        assert!(wrong(&piece(10, b"hello!"), Follow::Bytes).is_some());
        assert!(wrong(&piece(12, b"l\x18"), Follow::Bytes).is_some());
        assert_eq!(wrong(&piece(12, b"l\x18"), Follow::Screen), None);
    }
}
