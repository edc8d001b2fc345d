//! One boot of a sprite: an OCI container started by runc.

/// Guest id 0 is this id of the host.
pub const ID_SHIFT: u32 = 100_000;
/// How many ids a guest has.
pub const ID_COUNT: u32 = 65_536;
