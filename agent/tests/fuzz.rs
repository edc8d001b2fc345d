//! The decoders over the corpus in `fuzz/`, and over mutations of it.

#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "the runner is a test")]
#![expect(unreachable_pub, reason = "the runner is shared")]

#[path = "../../fuzz/runner.rs"]
mod runner;

#[test]
fn decoders_take_or_refuse_whatever_comes() {
    runner::run(snapvm_agent::fuzz::TARGETS);
}
