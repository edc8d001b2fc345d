//! Models held against the real stack. Here: a small, fixed budget of what `cargo xtask soak` does for as long as one
//! likes. Needs root, as `spritehost` does.

mod terminals;
