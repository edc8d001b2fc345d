//! What keeps the state of a terminal: behind a trait, so that the crate can be replaced.

use shpool_vterm::{ContentRegion, Size, Term};

/// Lines of scrollback that are kept.
pub const SCROLLBACK: usize = 2000;
/// Cells of scrollback that are kept: less than [`SCROLLBACK`] lines where the terminal is wider than 250 columns,
/// because a cell takes some 100 bytes.
const CELLS: usize = SCROLLBACK * 250;

/// Columns and rows.
pub type Dimensions = (u16, u16);

/// A terminal without a display. It may panic: whoever uses it catches that.
pub trait Emulator {
    /// Takes output.
    fn feed(&mut self, bytes: &[u8]);
    /// Changes the size.
    fn resize(&mut self, size: Dimensions);
    /// Both screens, the last `lines` lines of the main one, modes, title and cursor, as output that brings another
    /// emulator of this size into the same state. It contains no queries.
    fn render(&self, lines: usize) -> Vec<u8>;
}

/// A new terminal.
#[must_use]
pub fn new(size: Dimensions) -> Box<dyn Emulator> {
    Box::new(Term::new(lines(size), shape(size)))
}

/// How many lines a terminal of this size holds: the screen and its scrollback.
#[must_use]
pub fn lines((columns, rows): Dimensions) -> usize {
    SCROLLBACK.min(CELLS / usize::from(columns.max(1))) + usize::from(rows)
}

fn shape((columns, rows): Dimensions) -> Size {
    Size { width: columns.into(), height: rows.into() }
}

impl Emulator for Term {
    fn feed(&mut self, bytes: &[u8]) {
        self.process(bytes);
    }

    fn resize(&mut self, size: Dimensions) {
        Term::resize(self, shape(size));
        self.set_scrollback_lines(lines(size));
    }

    fn render(&self, lines: usize) -> Vec<u8> {
        self.contents(ContentRegion::BottomLines(lines))
    }
}
