//! The agent through its front doors. One program, so that the harness is linked once.

#![expect(unreachable_pub, reason = "a test program has no other crate to be reached from")]

mod ingress;
mod services;
mod sleep;
mod support;
mod terminals;
mod wake;
