//! Rules about what people enter. Pure: no clock, no I/O.

pub mod fields;
pub mod supervision;
pub mod times;
pub mod why;
