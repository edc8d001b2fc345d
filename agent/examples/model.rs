//! The model of a session at the size that is asked for: `cargo xtask soak terminal --model` runs it.
//!
//! Arguments: sessions, keystrokes, seed.

#[path = "../tests/model/model.rs"]
mod model;

use std::process::ExitCode;

fn main() -> ExitCode {
    let numbers: Vec<u64> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let [sessions, keystrokes, seed] = numbers.as_slice() else {
        eprintln!("usage: model SESSIONS KEYSTROKES SEED");
        return ExitCode::FAILURE;
    };
    let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let totals = model::run(model::Budget { sessions: size(*sessions), keystrokes: size(*keystrokes) }, *seed);
    for violation in &totals.violations {
        println!("violation: {violation}");
    }
    println!("{totals}");
    if totals.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
