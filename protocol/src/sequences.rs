//! Takes a terminal's output apart byte by byte, exactly as xterm.js 6 does when it is fed UTF-8: where a sequence
//! begins, what kind it is, and where it ends.
//!
//! The states and transitions are those of its VT500 table. What is worth knowing of it: bytes that are not UTF-8
//! are dropped before parsing, so they do not interrupt a sequence; the C1 controls count as such when they come as
//! UTF-8 (`C2 9B` is CSI); an OSC or DCS ends at *any* ESC, not only at one that a backslash follows.
//!
//! Invariants: bounded memory whatever comes; how the bytes are split makes no difference.

/// Parameters that are kept; the rest is read and forgotten.
const PARAMETERS: usize = 16;

/// What one byte brought about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Nothing yet, or nothing at all.
    None,
    /// A character was printed.
    Print,
    /// A control character was executed, possibly within a sequence.
    Control(u8),
    /// An escape sequence is complete; this is its last byte.
    Escape(u8),
    /// A control sequence is complete; this is its last byte.
    Csi(u8),
    /// One more character of a string's payload; those above ASCII are all 0xff.
    Put(u8),
    /// A string is over; `true` if it was not broken off.
    End(bool),
}

/// A kind of string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Text {
    /// `ESC ]`, with its number if that is one.
    Osc(Option<u32>),
    /// `ESC P`, with its one intermediate byte and the last byte of its head.
    Dcs(Option<u8>, u8),
    /// `ESC _`.
    Apc,
    /// `ESC X` or `ESC ^`.
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ground,
    Escape,
    EscapeIntermediate,
    CsiEntry,
    CsiParameter,
    CsiIntermediate,
    CsiIgnore,
    OscNumber,
    Osc,
    OscIgnore,
    Dcs,
    DcsEntry,
    DcsParameter,
    DcsIntermediate,
    DcsIgnore,
    Ignored,
}

/// A character that is still being put together from its bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Character {
    code: u32,
    needed: u8,
    least: u32,
}

/// Where in the output the reader is.
#[derive(Debug, Clone)]
pub struct Sequences {
    state: State,
    character: Character,
    began: bool,
    prefix: Option<u8>,
    intermediates: [u8; 2],
    intermediate_count: u8,
    parameters: [u32; PARAMETERS],
    parameter_count: usize,
    in_sub_parameter: bool,
    text: Text,
}

impl Default for Sequences {
    fn default() -> Self {
        Self {
            state: State::Ground,
            character: Character::default(),
            began: false,
            prefix: None,
            intermediates: [0; 2],
            intermediate_count: 0,
            parameters: [0; PARAMETERS],
            parameter_count: 0,
            in_sub_parameter: false,
            text: Text::Other,
        }
    }
}

impl Sequences {
    /// Whether the next byte begins something new: neither a sequence nor a character is cut here.
    #[must_use]
    pub fn is_ground(&self) -> bool {
        self.state == State::Ground && self.character.needed == 0
    }

    /// Whether the last byte began a sequence.
    #[must_use]
    pub fn began(&self) -> bool {
        self.began
    }

    /// The private marker of the sequence that is complete: `?`, `>`, `<` or `=`.
    #[must_use]
    pub fn prefix(&self) -> Option<u8> {
        self.prefix
    }

    /// The intermediate bytes of the sequence that is complete; `None` when there were more than anybody uses.
    #[must_use]
    pub fn intermediates(&self) -> Option<&[u8]> {
        self.intermediates.get(..usize::from(self.intermediate_count))
    }

    /// The first parameters of the control sequence that is complete, without sub-parameters; one that was left out
    /// is 0.
    #[must_use]
    pub fn parameters(&self) -> &[u32] {
        self.parameters.get(..self.parameter_count.min(PARAMETERS)).unwrap_or_default()
    }

    /// The string that is read or was read last.
    #[must_use]
    pub fn text(&self) -> Text {
        self.text
    }

    /// What, put after anything else, brings an emulator that has not seen the sequence into a state in which it
    /// swallows the rest of it. Empty in the ground state.
    #[must_use]
    pub fn swallowing(&self) -> &'static [u8] {
        match self.state {
            State::Ground => b"",
            State::Escape | State::EscapeIntermediate => b"\x1b ",
            State::CsiEntry | State::CsiParameter | State::CsiIntermediate | State::CsiIgnore => b"\x1b[0?",
            State::OscNumber | State::Osc | State::OscIgnore => b"\x1b]x",
            State::Dcs | State::DcsEntry | State::DcsParameter | State::DcsIntermediate | State::DcsIgnore => {
                b"\x1bP0?"
            }
            State::Ignored => b"\x1bX",
        }
    }

    /// The last character above ASCII that is complete.
    #[must_use]
    pub fn character(&self) -> u32 {
        self.character.code
    }

    /// Takes one byte.
    pub fn advance(&mut self, byte: u8) -> Event {
        self.began = false;
        if byte < 0x80 {
            self.character.needed = 0;
            return self.code(byte);
        }
        if byte & 0xc0 == 0x80 {
            return self.continuation(byte);
        }
        let (code, needed, least) = match byte {
            0xc0..=0xdf => (byte & 0x1f, 1, 0x80),
            0xe0..=0xef => (byte & 0x0f, 2, 0x800),
            0xf0..=0xf7 => (byte & 0x07, 3, 0x1_0000),
            _ => (0, 0, 0),
        };
        self.character = Character { code: code.into(), needed, least };
        Event::None
    }

    fn continuation(&mut self, byte: u8) -> Event {
        if self.character.needed == 0 {
            return Event::None;
        }
        self.character.code = self.character.code << 6 | u32::from(byte & 0x3f);
        self.character.needed -= 1;
        if self.character.needed > 0 {
            return Event::None;
        }
        match self.character.code {
            code if code < self.character.least => Event::None,
            0xfeff | 0xd800..=0xdfff | 0x11_0000.. => Event::None,
            code @ 0x80..=0x9f => u8::try_from(code).map_or(Event::None, |code| self.code(code)),
            _ => self.wide(),
        }
    }

    /// A character above the C1 controls.
    fn wide(&mut self) -> Event {
        match self.state {
            State::Ground => Event::Print,
            State::Osc | State::Dcs => Event::Put(0xff),
            State::OscNumber => self.to(State::OscIgnore),
            State::CsiIgnore | State::DcsIgnore | State::OscIgnore => Event::None,
            State::Ignored => {
                self.state = State::Ground;
                Event::End(false)
            }
            _ => self.to(State::Ground),
        }
    }

    fn to(&mut self, state: State) -> Event {
        self.state = state;
        Event::None
    }

    /// Whether a string is read whose end means something.
    fn is_in_text(&self) -> bool {
        matches!(self.state, State::OscNumber | State::Osc | State::OscIgnore | State::Dcs | State::Ignored)
    }

    /// A sequence begins at this byte.
    fn begin(&mut self, state: State) -> Event {
        let was_in_text = self.is_in_text();
        self.began = true;
        self.enter(state);
        if was_in_text { Event::End(false) } else { Event::None }
    }

    /// After an ESC it turns out which kind of sequence began there.
    fn enter(&mut self, state: State) -> Event {
        self.state = state;
        self.prefix = None;
        self.intermediate_count = 0;
        self.parameter_count = 0;
        self.in_sub_parameter = false;
        Event::None
    }

    fn enter_text(&mut self, state: State, text: Text) -> Event {
        self.text = text;
        self.enter(state)
    }

    /// A character up to the C1 controls.
    fn code(&mut self, code: u8) -> Event {
        match code {
            0x1b => {
                let is_end = self.is_in_text();
                self.begin(State::Escape);
                return if is_end { Event::End(true) } else { Event::None };
            }
            0x18 | 0x1a | 0x80..=0x8f | 0x91..=0x97 | 0x99 | 0x9a => {
                let was_in_text = self.is_in_text();
                self.state = State::Ground;
                return if was_in_text { Event::End(false) } else { Event::Control(code) };
            }
            0x9c => {
                let is_end = self.is_in_text();
                self.state = State::Ground;
                return if is_end { Event::End(true) } else { Event::None };
            }
            0x90 => return self.begin(State::DcsEntry),
            0x9b => return self.begin(State::CsiEntry),
            0x9d | 0x98 | 0x9e | 0x9f => {
                let event = self.begin(State::Escape);
                // ESC and the C1 control less 0x40 are the same.
                self.escape(code - 0x40);
                return event;
            }
            _ => {}
        }
        match self.state {
            State::Ground => ground(code),
            State::Escape | State::EscapeIntermediate => self.escape(code),
            State::CsiEntry | State::CsiParameter | State::CsiIntermediate | State::CsiIgnore => self.csi(code),
            State::OscNumber | State::Osc | State::OscIgnore => self.osc(code),
            State::DcsEntry | State::DcsParameter | State::DcsIntermediate | State::DcsIgnore => self.dcs(code),
            State::Dcs if code == 0x7f => Event::None,
            State::Dcs | State::Ignored => Event::Put(code),
        }
    }

    fn escape(&mut self, code: u8) -> Event {
        match code {
            0x00..=0x1f => Event::Control(code),
            0x20..=0x2f => {
                self.collect(code);
                self.to(State::EscapeIntermediate)
            }
            0x7f.. => Event::None,
            b'P' if self.state == State::Escape => self.enter(State::DcsEntry),
            b'[' if self.state == State::Escape => self.enter(State::CsiEntry),
            b']' if self.state == State::Escape => self.enter_text(State::OscNumber, Text::Osc(None)),
            b'_' if self.state == State::Escape => self.enter_text(State::Ignored, Text::Apc),
            b'X' | b'^' if self.state == State::Escape => self.enter_text(State::Ignored, Text::Other),
            _ => {
                self.state = State::Ground;
                Event::Escape(code)
            }
        }
    }

    fn csi(&mut self, code: u8) -> Event {
        match (code, self.state) {
            (0x00..=0x1f, _) => Event::Control(code),
            (0x7f.., _) => Event::None,
            (0x40..=0x7e, State::CsiIgnore) => self.to(State::Ground),
            (0x40..=0x7e, _) => {
                self.state = State::Ground;
                Event::Csi(code)
            }
            (_, State::CsiIgnore) => Event::None,
            (0x20..=0x2f, _) => {
                self.collect(code);
                self.to(State::CsiIntermediate)
            }
            (0x30..=0x3b, State::CsiEntry | State::CsiParameter) => {
                self.parameter(code);
                self.to(State::CsiParameter)
            }
            (0x3c..=0x3f, State::CsiEntry) => {
                self.prefix = Some(code);
                self.to(State::CsiParameter)
            }
            _ => self.to(State::CsiIgnore),
        }
    }

    fn osc(&mut self, code: u8) -> Event {
        match (code, self.state) {
            (0x07, _) => {
                self.state = State::Ground;
                Event::End(true)
            }
            (0x00..=0x1f, _) | (_, State::OscIgnore) => Event::None,
            (b'0'..=b'9', State::OscNumber) => {
                if let Text::Osc(number) = &mut self.text {
                    let digit = u32::from(code - b'0');
                    *number = Some(number.unwrap_or(0).saturating_mul(10).saturating_add(digit));
                }
                Event::None
            }
            (b';', State::OscNumber) => self.to(State::Osc),
            (_, State::OscNumber) => self.to(State::OscIgnore),
            _ => Event::Put(code),
        }
    }

    fn dcs(&mut self, code: u8) -> Event {
        match (code, self.state) {
            (0x00..=0x1f | 0x7f.., _) | (_, State::DcsIgnore) => Event::None,
            (0x40..=0x7e, _) => {
                let intermediate = match (self.prefix, self.intermediates()) {
                    (None, Some([one])) => Some(*one),
                    _ => None,
                };
                self.enter_text(State::Dcs, Text::Dcs(intermediate, code))
            }
            (0x20..=0x2f, _) => {
                self.collect(code);
                self.to(State::DcsIntermediate)
            }
            (0x30..=0x3b, State::DcsEntry | State::DcsParameter) => self.to(State::DcsParameter),
            (0x3c..=0x3f, State::DcsEntry) => {
                self.prefix = Some(code);
                self.to(State::DcsParameter)
            }
            _ => self.to(State::DcsIgnore),
        }
    }

    fn collect(&mut self, code: u8) {
        if let Some(slot) = self.intermediates.get_mut(usize::from(self.intermediate_count)) {
            *slot = code;
        }
        // One more than fits says that they do not fit.
        self.intermediate_count = self.intermediate_count.saturating_add(1).min(3);
    }

    fn parameter(&mut self, code: u8) {
        if self.parameter_count == 0 {
            self.parameter_count = 1;
            self.parameters = [0; PARAMETERS];
        }
        match code {
            b';' => {
                self.parameter_count = self.parameter_count.saturating_add(1);
                self.in_sub_parameter = false;
            }
            b':' => self.in_sub_parameter = true,
            _ if self.in_sub_parameter => {}
            _ => {
                if let Some(value) = self.parameters.get_mut(self.parameter_count - 1) {
                    *value = value.saturating_mul(10).saturating_add(u32::from(code.wrapping_sub(b'0')));
                }
            }
        }
    }
}

fn ground(code: u8) -> Event {
    match code {
        0x00..=0x1f => Event::Control(code),
        0x20..=0x7e => Event::Print,
        _ => Event::None,
    }
}
