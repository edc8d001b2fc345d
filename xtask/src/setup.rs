//! `cargo xtask setup`: everything that building and running needs, in ignored folders of the repository where it can
//! be. What takes long runs side by side: tools are compiled while packages and the base image arrive. A second run
//! finds everything there.

mod debian;
mod image;
mod npm;
mod rust;

use std::path::PathBuf;

use anyhow::{Result, anyhow, bail};

use crate::{paths, progress};

pub(crate) use rust::{WASM_BINDGEN, WORKER_BUILD};

/// The oldest Node that npm and the console's tools run on. Programs that want a newer one get the pinned npm package.
const NODE_MAJOR: u32 = 20;

/// Installs what is missing.
///
/// # Errors
/// When something can't be installed; every error says what to do.
pub fn setup() -> Result<()> {
    check_node()?;
    rust::check_version()?;
    rust::add_targets()?;
    std::fs::create_dir_all(paths::state())?;

    let outcomes = std::thread::scope(|scope| {
        let tools = scope.spawn(rust::install_tools);
        let packages = scope.spawn(npm::install);
        let system = scope.spawn(|| debian::install().and_then(|()| image::build()));
        [tools.join(), packages.join(), system.join()]
    });
    let mut errors = Vec::new();
    for outcome in outcomes {
        match outcome {
            Ok(Ok(())) => {}
            Ok(Err(error)) => errors.push(format!("{error:#}")),
            Err(_) => return Err(anyhow!("a step of the setup broke down; this is a bug")),
        }
    }
    if !errors.is_empty() {
        bail!("the setup is incomplete:\n- {}\nWhat is done stays done: run the command again.", errors.join("\n- "));
    }
    crate::stack::link_libraries()
}

/// The path of a tool that the setup built, or of the same version found on the search path.
///
/// # Errors
/// When it isn't installed.
pub(crate) fn tool(name: &str) -> Result<PathBuf> {
    rust::find(name)
}

fn check_node() -> Result<()> {
    let version = progress::output("node", &["--version"]);
    let major = version.as_deref().and_then(|version| version.trim_start_matches('v').split('.').next()?.parse().ok());
    match major {
        Some(major) if u32::ge(&major, &NODE_MAJOR) => {}
        Some(_) => bail!("Node {} is too old: install Node {NODE_MAJOR} or newer", version.unwrap_or_default()),
        None => bail!("`node` isn't there: install Node {NODE_MAJOR} or newer, with npm"),
    }
    if progress::output("npm", &["--version"]).is_none() {
        bail!("`npm` isn't there: it comes with Node");
    }
    Ok(())
}
