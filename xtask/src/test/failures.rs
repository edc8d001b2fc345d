//! What failed tests said, kept for the end: thousands of lines lie between a failure and the closing count.

use std::collections::VecDeque;

/// Lines kept of one test, its last.
const LINES: usize = 40;
/// Characters kept of one line.
const WIDTH: usize = 400;
/// Tests of which anything is kept; the count says how many there are.
const TESTS: usize = 20;

/// Reads what cargo's runner prints. A program that has failures ends with a part for each that starts with
/// `---- NAME stdout ----`, followed by a list of their names under `failures:`.
#[derive(Debug, Default)]
pub(super) struct Failures {
    tests: Vec<Said>,
    reading: bool,
    in_backtrace: bool,
}

#[derive(Debug)]
struct Said {
    name: String,
    lines: VecDeque<String>,
}

impl Failures {
    pub(super) fn add_cargo_line(&mut self, line: &str) {
        if let Some(name) = line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----")) {
            self.reading = self.tests.len() < TESTS;
            self.in_backtrace = false;
            if self.reading {
                self.tests.push(Said { name: name.to_owned(), lines: VecDeque::new() });
            }
        } else if line == "failures:" || line.starts_with("test result: ") {
            self.reading = false;
        } else if self.reading {
            self.in_backtrace = line == "stack backtrace:" || self.in_backtrace && is_of_backtrace(line);
            if self.in_backtrace || line.trim().is_empty() {
                return;
            }
            let Some(test) = self.tests.last_mut() else { return };
            if test.lines.len() == LINES {
                test.lines.pop_front();
            }
            test.lines.push_back(line.chars().take(WIDTH).collect());
        }
    }
}

/// Frames are numbered, and the places below them indented.
fn is_of_backtrace(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("at ") || line.split_once(": ").is_some_and(|(number, _)| number.parse::<u32>().is_ok())
}

impl std::fmt::Display for Failures {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for Said { name, lines } in &self.tests {
            writeln!(formatter, "FAILED {name}")?;
            for line in lines {
                writeln!(formatter, "  {line}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Failures {
        let mut failures = Failures::default();
        for line in text.lines() {
            failures.add_cargo_line(line);
        }
        failures
    }

    #[test]
    fn what_failed_is_said_without_backtraces_and_what_passed_is_not() {
        let printed = "running 3 tests\ntest one ... FAILED\ntest two ... ok\nfailures:\n\n---- one stdout ----\nstep\n\n\
                       thread 'one' panicked at tests/x.rs:1:1:\nleft: 1\nstack backtrace:\n   0: begin\n             at /x:1\n\
                       after\n---- three stdout ----\nother\n\nfailures:\n    one\n    three\n\n\
                       test result: FAILED. 1 passed; 2 failed; 0 ignored\nrunning 1 test\ntest more ... ok";
        let expected = "FAILED one\n  step\n  thread 'one' panicked at tests/x.rs:1:1:\n  left: 1\n  after\nFAILED three\n  other\n";
        assert_eq!(read(printed).to_string(), expected);
    }

    #[test]
    fn only_the_end_of_much_is_kept() {
        let lines: String = (0..1000).map(|number| format!("line {number} {}\n", "x".repeat(1000))).collect();
        let said = read(&format!("---- much stdout ----\n{lines}")).to_string();
        assert!(said.contains("line 999 ") && !said.contains("line 959 "), "{said}");
        assert!(said.len() < LINES * (WIDTH + 10));
    }
}
