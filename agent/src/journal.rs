//! Lines for whoever reads the service's log: one sentence each, to standard error.
//!
//! Absent on purpose: levels, colours and anything a visitor or a shell said. `eprintln!` is not used because it
//! panics when standard error is gone, which happens when the runtime rotates its log pipe.

use std::fmt::Arguments;
use std::io::Write as _;

/// Writes one line.
pub fn line(message: Arguments<'_>) {
    let mut stderr = std::io::stderr().lock();
    // A log that nobody takes must not stop the agent.
    let _ = writeln!(stderr, "agent: {message}");
}

/// Writes one line, formatted.
macro_rules! note {
    ($($argument:tt)*) => { $crate::journal::line(format_args!($($argument)*)) };
}
pub(crate) use note;
