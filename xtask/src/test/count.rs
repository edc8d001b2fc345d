//! Counting what test runners say.

use anyhow::{Context, Result};
use serde::Deserialize;

/// Passed and failed tests. It prints as the closing line.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) passed: u64,
    pub(super) failed: u64,
}

impl std::fmt::Display for Count {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} passed, {} failed", self.passed, self.failed)
    }
}

impl Count {
    pub(super) fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }

    /// Cargo's runner ends each program with `test result: ok. 8 passed; 0 failed; …`.
    pub(super) fn add_cargo_line(&mut self, line: &str) {
        let Some(rest) = line.strip_prefix("test result: ") else { return };
        for part in rest.split(['.', ';']) {
            match part.trim().split_once(' ').map(|(number, word)| (number.parse::<u64>(), word)) {
                Some((Ok(number), "passed")) => self.passed += number,
                Some((Ok(number), "failed")) => self.failed += number,
                _ => {}
            }
        }
    }

    /// Vitest's report in JSON.
    pub(super) fn add_vitest_report(&mut self, text: &str) -> Result<()> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Report {
            num_passed_tests: u64,
            num_failed_tests: u64,
        }
        let report: Report = serde_json::from_str(text).context("the console's test report can't be read")?;
        self.passed += report.num_passed_tests;
        self.failed += report.num_failed_tests;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_all_programs_add_up() {
        let mut count = Count::default();
        for line in [
            "running 3 tests",
            "test result: ok. 8 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.08s",
            "test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.11s",
        ] {
            count.add_cargo_line(line);
        }
        count.add_vitest_report(r#"{"numTotalTests": 5, "numPassedTests": 4, "numFailedTests": 1}"#).unwrap();
        assert_eq!(count.to_string(), "14 passed, 2 failed");
    }
}
