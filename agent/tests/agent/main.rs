//! The agent through its front doors. One program, so that the harness is linked once.

#![expect(unreachable_pub, reason = "a test program has no other crate to be reached from")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what a test's own functions stumble over is a failure of the test"
)]

mod clocks;
mod exec;
mod foreground;
mod ingress;
mod logs;
mod once;
mod screens;
mod services;
mod sleep;
mod supervision;
mod support;
mod terminals;
mod upgrade;
mod variables;
mod wake;
