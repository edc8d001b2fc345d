//! Rules about what people enter. Pure: no clock, no I/O.

pub mod fields;
