//! Where things are in the repository. Everything that is built, downloaded or kept goes into ignored folders.

use std::path::{Path, PathBuf};

/// The root of the repository.
///
/// Asked of the environment first, because Cargo sets it when it runs a program and a moved checkout may reuse an old
/// binary; the folder this crate was compiled in is the fallback.
#[must_use]
pub fn root() -> PathBuf {
    if let Some(root) = std::env::var_os("SNAPVM_ROOT") {
        return PathBuf::from(root);
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// State that the tasks keep between runs: databases, the base image, assets, stamps.
#[must_use]
pub fn state() -> PathBuf {
    root().join(".state")
}

/// Programs that `cargo xtask setup` built.
#[must_use]
pub fn tools() -> PathBuf {
    root().join(".tools")
}

/// The root file system that new sprites start from.
#[must_use]
pub fn base_image() -> PathBuf {
    std::env::var_os("SNAPVM_BASE_IMAGE").map_or_else(|| state().join("images/base"), PathBuf::from)
}

/// The static assets that the Worker serves: the console and the agent's binary.
#[must_use]
pub fn assets() -> PathBuf {
    state().join("assets")
}

/// Cargo's target folder.
#[must_use]
pub fn target() -> PathBuf {
    root().join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// The native agent, as `cargo xtask build` leaves it.
#[must_use]
pub fn agent() -> PathBuf {
    target().join("x86_64-unknown-linux-musl/native/agent")
}

/// The `spritehost` binary, as `cargo xtask build` leaves it.
#[must_use]
pub fn spritehost() -> PathBuf {
    target().join("native/spritehost")
}

/// A file of a package in the root's `node_modules`.
#[must_use]
pub fn node_module(path: &str) -> PathBuf {
    root().join("node_modules").join(path)
}
