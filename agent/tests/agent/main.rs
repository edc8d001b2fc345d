//! The agent through its front doors. One program, so that the harness is linked once.

mod ingress;
mod services;
mod sleep;
mod support;
mod terminals;
mod wake;
