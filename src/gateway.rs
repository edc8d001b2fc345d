//! The way to machines: their objects, and the URLs of their apps.

pub mod object;
