//! A Worker's bundle: Cargo, then `worker-build` (which runs `wasm-bindgen`, `wasm-opt` and the bundler), then the names
//! of the module's functions are put beside it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::stamp;
use crate::setup::{WASM_BINDGEN, WORKER_BUILD};
use crate::{digest, paths, progress};

/// Beside the bundle: what the functions are called that a stack trace names by number, as `number:name` lines.
const NAMES: &str = "names.txt";
const WASM_OPT: &str = "binaryen/bin/wasm-opt";

#[derive(Deserialize)]
struct Manifest {
    package: Package,
}

#[derive(Deserialize)]
struct Package {
    name: String,
}

/// Builds the Worker whose crate is in this folder, into its `build/`.
pub(crate) fn build(folder: &Path) -> Result<()> {
    let manifest = folder.join("Cargo.toml");
    let text = std::fs::read_to_string(&manifest).with_context(|| format!("cannot read {}", manifest.display()))?;
    let name = toml::from_str::<Manifest>(&text)?.package.name;
    progress::say(&format!("building the Worker {name}"));

    // The same call that worker-build makes, so that its own finds nothing to do. What Cargo made tells exactly
    // whether the slow steps after it would make anything new.
    let mut command = Command::new("cargo");
    command
        .current_dir(folder)
        .args(["build", "--quiet", "--lib", "--release", "--target", "wasm32-unknown-unknown"])
        .env("WASM_BINDGEN_USE_JS_SYS", "1");
    progress::run(&format!("compiling {name}"), command)?;

    let wasm = paths::target().join("wasm32-unknown-unknown/release").join(format!("{}.wasm", name.replace('-', "_")));
    let bytes = std::fs::read(&wasm).with_context(|| format!("cannot read {}", wasm.display()))?;
    let inputs = format!(
        "{} {} {WORKER_BUILD} {WASM_BINDGEN} {} {NAMES}",
        digest::sha256(&bytes),
        digest::sha256(text.as_bytes()),
        digest::sha256(&std::fs::read(paths::root().join("package-lock.json"))?)
    );
    let done = folder.join("build/index.js").is_file() && folder.join("build/index_bg.wasm").is_file();
    if done && stamp::is_current(&name, &inputs) {
        return Ok(());
    }
    bundle(folder, &name)?;
    take_names_out(&folder.join("build"), &name)?;
    stamp::write(&name, &inputs)
}

fn bundle(folder: &Path, name: &str) -> Result<()> {
    let mut command = Command::new(crate::setup::tool("worker-build")?);
    command
        .current_dir(folder)
        .arg("--release")
        // It downloads what these don't name.
        .env("WASM_BINDGEN_BIN", crate::setup::tool("wasm-bindgen")?)
        .env("ESBUILD_BIN", existing("@esbuild/linux-x64/bin/esbuild")?)
        .env("WASM_OPT_BIN", existing(WASM_OPT)?);
    progress::run(&format!("bundling {name}"), command)
}

/// `worker-build` always keeps the section of names, an eighth of what an isolate would load.
fn take_names_out(build: &Path, name: &str) -> Result<()> {
    let mut command = Command::new(existing(WASM_OPT)?);
    command.current_dir(build).args(["index_bg.wasm", "-o", "index_bg.wasm", &format!("--symbolmap={NAMES}")]);
    progress::run(&format!("taking the names out of {name}"), command)
}

fn existing(path: &str) -> Result<PathBuf> {
    let path = paths::node_module(path);
    if !path.is_file() {
        bail!("{} is missing: run `cargo xtask setup`", path.display());
    }
    Ok(path)
}
