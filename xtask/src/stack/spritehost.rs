//! `spritehost` as a part of a stack.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use nix::sys::signal::Signal;

use super::component::{Component, ComponentSpec, Ready};
use crate::process::ProcessSpec;

/// A running `spritehost` and how to talk to it.
#[derive(Debug)]
pub struct Spritehost {
    /// The program.
    pub process: Component,
    /// The Sprites API's address.
    pub url: String,
    /// The token that the API takes.
    pub token: String,
    /// Where it keeps its sprites.
    pub dir: std::path::PathBuf,
}

/// What `spritehost` needs to know.
#[derive(Debug)]
pub(crate) struct SpritehostOptions<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) port: u16,
    pub(crate) worker_port: u16,
    pub(crate) token: &'a str,
    pub(crate) warm_after: Duration,
    pub(crate) cold_after: Duration,
    /// Whether it takes orders to fail.
    pub(crate) faults: bool,
}

/// Says what to run.
pub(crate) fn prepare(options: &SpritehostOptions<'_>) -> Result<Spritehost> {
    if !nix::unistd::geteuid().is_root() {
        bail!("spritehost needs root today, to make containers: run this command with sudo");
    }
    let (program, image) = (crate::paths::spritehost(), crate::paths::base_image());
    if !program.is_file() {
        bail!("{} isn't there: run `cargo xtask build`", program.display());
    }
    if !image.is_dir() {
        bail!("there is no base image in {}: run `cargo xtask setup`", image.display());
    }
    let dir = options.folder.join("spritehost");
    let listen = format!("127.0.0.1:{}", options.port);
    let mut arguments: Vec<String> = [
        ("--listen", listen.clone()),
        ("--state", dir.display().to_string()),
        ("--image", image.display().to_string()),
        ("--dial", format!("dial.snapvm.internal:{0}=127.0.0.1:{0}", options.worker_port)),
        ("--warm-after", seconds(options.warm_after)),
        ("--cold-after", seconds(options.cold_after)),
    ]
    .into_iter()
    .flat_map(|(name, value)| [name.to_owned(), value])
    .collect();
    arguments.insert(0, "serve".into());
    if options.faults {
        arguments.push("--faults".into());
    }
    let process = Component::new(ComponentSpec {
        process: ProcessSpec {
            name: "spritehost".into(),
            program,
            arguments,
            environment: vec![
                ("SPRITEHOST_TOKEN".into(), options.token.to_owned()),
                ("PATH".into(), super::path_with_sbin()),
            ],
            log: options.folder.join("spritehost.log"),
            // In order even then: it has containers to stop.
            signal_at_parent_death: Signal::SIGTERM,
            refuses_root: false,
        },
        ready: Ready::Accepts(options.port),
        start_patience: Duration::from_mins(1),
        stop_signal: Signal::SIGTERM,
        stop_patience: Duration::from_secs(20),
        stop_on_drop: true,
        transient_failure: None,
    });
    Ok(Spritehost { process, url: format!("http://{listen}"), token: options.token.to_owned(), dir })
}

fn seconds(duration: Duration) -> String {
    format!("{}s", duration.as_secs().max(1))
}
