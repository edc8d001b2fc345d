//! Where things are in the repository. Everything that is built, downloaded or kept goes into ignored folders.

use std::path::PathBuf;

/// The root of the repository.
///
/// Cargo says at run time which package it runs; the folder that this crate was compiled in is only the fallback,
/// since several checkouts may share a target folder.
#[must_use]
pub fn root() -> PathBuf {
    if let Some(root) = std::env::var_os("SNAPVM_ROOT") {
        return PathBuf::from(root);
    }
    let compiled = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let here = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| compiled.clone(), PathBuf::from);
    let root = here.ancestors().find(|folder| folder.join("xtask/Cargo.toml").is_file());
    root.or(compiled.parent()).unwrap_or(&compiled).to_path_buf()
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
