//! Makes the queries in a terminal's output harmless, so that an emulator that is fed history, or that is not the
//! one to answer, does not answer them.
//!
//! A query is a sequence that an emulator answers by typing: where is the cursor, what are you, which colour is
//! that. What follows from its *last* byte can be prevented there without changing anything before it, so this works
//! on a stream that has partly been sent: lengths and offsets stay.
//!
//! | query | its end | becomes |
//! |---|---|---|
//! | control sequence, `ESC Z` | the final byte | CAN |
//! | OSC, DCS, APC | BEL, or ST as `C2 9C` | CAN for the (last) byte |
//! | OSC, DCS, APC | ESC, and the backslash of an ST | CAN, and NUL |
//! | ENQ | itself | NUL, which breaks no sequence off |
//!
//! Where something other than a backslash follows the ESC, that sequence is blanked out too: its ESC had to go.
//!
//! Invariants: no length changes; bytes outside of queries do not; twice is the same as once; it makes no difference
//! how the bytes are split. Sequences are read as xterm.js reads them ([`crate::sequences`]).

use crate::sequences::{Event, Sequences, Text};

const CANCEL: u8 = 0x18;
const ENQUIRY: u8 = 0x05;

/// Follows one client's output.
#[derive(Debug, Clone, Default)]
pub struct Muter {
    sequences: Sequences,
    /// Whether the sequence that is read is to be muted: decided where it begins.
    mute: bool,
    /// The same for what a byte 0xc2 may begin.
    lead: bool,
    /// The ESC that began the present sequence was taken away.
    blank: bool,
    payload: Payload,
}

/// What of a string's payload decides whether it is a query.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Payload {
    /// The first characters of the present field.
    field: [u8; 3],
    length: usize,
    /// Fields that are over.
    fields: usize,
    found: bool,
    over: bool,
}

impl Muter {
    /// Follows output that is read like this so far.
    #[must_use]
    pub fn at(sequences: Sequences) -> Self {
        Self { sequences, ..Self::default() }
    }

    /// Takes the next bytes; queries that begin in them are muted if `mute` says so, here or when they end.
    pub fn follow(&mut self, bytes: &mut [u8], mute: bool) {
        let mut at = 0;
        while let Some(rest) = bytes.get_mut(at..) {
            if self.sequences.is_ground() {
                let Some(skip) = memchr::memchr3(0x1b, 0xc2, ENQUIRY, rest) else { return };
                at += skip;
            }
            let Some(byte) = bytes.get_mut(at) else { return };
            *byte = self.take(*byte, mute);
            at += 1;
        }
    }

    /// Takes bytes without changing them: what a client has already.
    pub fn pass(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.take(*byte, false);
        }
    }

    fn take(&mut self, byte: u8, mute: bool) -> u8 {
        if byte == 0xc2 {
            self.lead = mute;
        }
        let event = self.sequences.advance(byte);
        let is_query = match event {
            Event::Csi(last) => is_control_query(&self.sequences, last),
            Event::Escape(last) => last == b'Z' && self.sequences.intermediates() == Some(&[]),
            Event::Put(character) => {
                self.payload.put(self.sequences.text(), character);
                false
            }
            Event::End(true) => self.payload.is_query(self.sequences.text()),
            _ => false,
        };
        let (mute_ended, was_blank) = (self.mute, self.blank);
        if self.sequences.began() {
            self.mute = if byte < 0x80 { mute } else { self.lead };
            self.payload = Payload::default();
            self.blank = false;
        } else if self.sequences.is_ground() {
            self.blank = false;
        }
        match event {
            Event::Control(ENQUIRY) if mute => 0,
            Event::Control(_) => byte,
            // A byte 0xc2 that nothing follows is dropped by the emulator, and what it begins there is new.
            _ if was_blank && !self.sequences.began() && byte != 0xc2 => 0,
            _ if is_query && mute_ended => {
                self.blank = byte == 0x1b;
                CANCEL
            }
            _ => byte,
        }
    }
}

/// Mutes all queries in bytes that are a whole stream.
#[must_use]
pub fn muted(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    Muter::default().follow(&mut bytes, true);
    bytes
}

/// Whether an emulator answers a control sequence.
fn is_control_query(sequences: &Sequences, last: u8) -> bool {
    let Some(intermediates) = sequences.intermediates() else { return false };
    let first = sequences.parameters().first().copied().unwrap_or(0);
    match (sequences.prefix(), intermediates, last) {
        // Device status (DSR, CPR), device attributes (DA1 to DA3), terminal parameters (DECREQTPARM).
        (None | Some(b'?'), [], b'n') | (None | Some(b'>' | b'='), [], b'c') | (None, [], b'x') => true,
        // Modes (DECRQM).
        (None | Some(b'?'), b"$", b'p') => true,
        // The terminal's version, kitty's keyboard flags, xterm's modifier keys, graphics attributes.
        (Some(b'>'), [], b'q') | (Some(b'?'), [], b'u' | b'm' | b'S') => true,
        // Reports of the window; the other operations are not answered.
        (None, [], b't') => matches!(first, 11 | 13 | 14 | 15 | 16 | 18..=21),
        // Presentation state, terminal state, checksums, locator, displayed extent, preferred set, attributes.
        (None, b"$", b'u' | b'w') | (None, b"*", b'y') | (None, b"'", b'|') => true,
        (None, b"\"", b'v') | (None, b"&", b'u') | (None, b"#", b'|') => true,
        _ => false,
    }
}

impl Payload {
    fn put(&mut self, text: Text, character: u8) {
        let ends_field = match text {
            Text::Osc(Some(21)) => matches!(character, b';' | b'='),
            Text::Osc(_) => character == b';',
            Text::Apc => matches!(character, b',' | b';'),
            Text::Dcs(..) | Text::Other => return,
        };
        if self.over {
            return;
        }
        if ends_field {
            self.end_field(text);
            // The rest of a kitty graphics command is data.
            self.over = text == Text::Apc && character == b';';
            return;
        }
        // What the APC is about comes before its first key.
        let is_head = text == Text::Apc && self.fields == 0;
        if is_head {
            self.over = character != b'G';
            self.fields = 1;
            return;
        }
        if let Some(slot) = self.field.get_mut(self.length) {
            *slot = character;
        }
        self.length = self.length.saturating_add(1);
    }

    fn end_field(&mut self, text: Text) {
        let field = self.field.get(..self.length);
        self.found |= match text {
            Text::Osc(_) => field == Some(b"?"),
            Text::Apc => field == Some(b"a=q"),
            Text::Dcs(..) | Text::Other => false,
        };
        self.length = 0;
        self.fields = self.fields.saturating_add(1);
    }

    fn is_query(mut self, text: Text) -> bool {
        if !self.over {
            self.end_field(text);
        }
        match text {
            Text::Osc(Some(4 | 5 | 10..=19 | 21 | 52)) | Text::Apc => self.found,
            // Settings (DECRQSS) and capabilities (XTGETTCAP).
            Text::Dcs(Some(b'$' | b'+'), b'q') => true,
            Text::Osc(_) | Text::Dcs(..) | Text::Other => false,
        }
    }
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
