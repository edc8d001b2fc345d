//! Modes that the terminal-state crate does not know, or knows differently from xterm.js.
//!
//! They are followed at the end of the output and outlive the emulator, so they are also what tells whether output
//! scrolls the whole main screen.

use snapvm_protocol::sequences::{Event, Sequences};

/// Kitty's limit is not specified; nobody nests this deep.
const KEYBOARD_MAX: usize = 16;

/// The modes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Modes {
    /// The last mouse protocol that was set and not reset: in xterm.js there is one at a time.
    mouse: Option<u32>,
    /// The same for how its reports are written.
    encoding: Option<u32>,
    application_keypad: bool,
    new_line: bool,
    reverse_wrap: bool,
    alternate_scroll: bool,
    colour_scheme: bool,
    synchronized: bool,
    modify_other_keys: u32,
    main_keyboard: Vec<u32>,
    alternate_keyboard: Vec<u32>,
    /// Whether the alternate screen is shown.
    pub alternate: bool,
    /// First and last row of the scroll region, as they were given.
    region: (u32, u32),
    margins: bool,
    origin: bool,
    /// Whether origin mode comes back with the saved cursor of the main and of the alternate screen.
    saved_origin: (bool, bool),
    /// Lines are not wrapped.
    pub no_wrap: bool,
}

impl Modes {
    /// Takes what one byte brought about.
    pub fn observe(&mut self, event: Event, sequences: &Sequences) {
        match event {
            Event::Csi(last) => self.control(last, sequences),
            Event::Escape(last) if sequences.intermediates() == Some(&[]) => match last {
                b'c' => *self = Self::default(),
                b'=' => self.application_keypad = true,
                b'>' => self.application_keypad = false,
                b'7' => self.save(),
                b'8' => self.restore(),
                _ => {}
            },
            _ => {}
        }
    }

    /// The terminal has another size: scroll region and margins are gone.
    pub fn resized(&mut self) {
        (self.region, self.margins) = ((0, 0), false);
    }

    /// Whether what is written scrolls the whole main screen, in a terminal of this many rows.
    #[must_use]
    pub fn scrolls_all(&self, rows: u16) -> bool {
        let is_whole = self.region.0 <= 1 && (self.region.1 == 0 || self.region.1 >= u32::from(rows));
        is_whole && !self.margins && !self.origin && !self.alternate
    }

    /// A saved cursor brings its origin mode back.
    fn save(&mut self) {
        let (main, alternate) = &mut self.saved_origin;
        *if self.alternate { alternate } else { main } = self.origin;
    }

    fn restore(&mut self) {
        let (main, alternate) = self.saved_origin;
        self.origin = if self.alternate { alternate } else { main };
    }

    fn control(&mut self, last: u8, sequences: &Sequences) {
        let parameters = sequences.parameters();
        let first = parameters.first().copied().unwrap_or(0);
        match (sequences.prefix(), sequences.intermediates(), last) {
            (Some(b'?'), Some([]), b'h' | b'l') => {
                for mode in parameters {
                    self.private(*mode, last == b'h');
                }
            }
            (None, Some([]), b'h' | b'l') if parameters.contains(&20) => self.new_line = last == b'h',
            (None, Some([]), b'r') => self.region = (first, parameters.get(1).copied().unwrap_or(0)),
            (None, Some([]), b's') => self.save(),
            (None, Some([]), b'u') => self.restore(),
            (None, Some([b'!']), b'p') => {
                (self.region, self.margins, self.origin) = ((0, 0), false, false);
                (self.application_keypad, self.no_wrap) = (false, false);
                self.save();
            }
            (Some(b'>'), Some([]), b'm') if first == 4 || parameters.is_empty() => {
                self.modify_other_keys = parameters.get(1).copied().unwrap_or(0);
            }
            (Some(b'>'), Some([]), b'u') => {
                let keyboard = self.keyboard();
                keyboard.push(first);
                if keyboard.len() > KEYBOARD_MAX {
                    keyboard.remove(0);
                }
            }
            (Some(b'<'), Some([]), b'u') => {
                let count = usize::try_from(first.max(1)).unwrap_or(usize::MAX);
                let keyboard = self.keyboard();
                keyboard.truncate(keyboard.len().saturating_sub(count));
            }
            (Some(b'='), Some([]), b'u') => {
                let how = parameters.get(1).copied().unwrap_or(1);
                let keyboard = self.keyboard();
                if keyboard.is_empty() {
                    keyboard.push(0);
                }
                if let Some(flags) = keyboard.last_mut() {
                    *flags = match how {
                        2 => *flags | first,
                        3 => *flags & !first,
                        _ => first,
                    };
                }
            }
            _ => {}
        }
    }

    fn private(&mut self, mode: u32, set: bool) {
        match mode {
            6 => self.origin = set,
            7 => self.no_wrap = !set,
            45 => self.reverse_wrap = set,
            66 => self.application_keypad = set,
            69 => self.margins = set,
            9 | 1000 | 1002 | 1003 => self.mouse = set.then_some(mode),
            1005 | 1006 | 1015 | 1016 => self.encoding = set.then_some(mode),
            1007 => self.alternate_scroll = set,
            47 | 1047 => self.alternate = set,
            1049 if set => {
                self.save();
                self.alternate = true;
            }
            1049 => {
                self.alternate = false;
                self.restore();
            }
            1048 if set => self.save(),
            1048 => self.restore(),
            2026 => self.synchronized = set,
            2031 => self.colour_scheme = set,
            _ => {}
        }
    }

    fn keyboard(&mut self) -> &mut Vec<u32> {
        if self.alternate { &mut self.alternate_keyboard } else { &mut self.main_keyboard }
    }

    /// Appends what sets these modes in an emulator that was reset, whatever the crate's own output set before.
    pub fn render(&self, out: &mut Vec<u8>) {
        let mut put = |text: String| out.extend_from_slice(text.as_bytes());
        put("\x1b[?1000l\x1b[?1006l".into());
        for mode in [self.mouse, self.encoding].into_iter().flatten() {
            put(format!("\x1b[?{mode}h"));
        }
        put(if self.application_keypad { "\x1b=" } else { "\x1b>" }.into());
        let set = [(self.reverse_wrap, 45), (self.alternate_scroll, 1007), (self.colour_scheme, 2031)];
        for (_, mode) in set.into_iter().filter(|(set, _)| *set) {
            put(format!("\x1b[?{mode}h"));
        }
        if self.new_line {
            put("\x1b[20h".into());
        }
        if self.modify_other_keys != 0 {
            put(format!("\x1b[>4;{}m", self.modify_other_keys));
        }
        for flags in if self.alternate { &self.alternate_keyboard } else { &self.main_keyboard } {
            put(format!("\x1b[>{flags}u"));
        }
        if self.synchronized {
            put("\x1b[?2026h".into());
        }
    }
}
