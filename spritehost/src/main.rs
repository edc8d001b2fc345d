//! `spritehost`: a Sprites-compatible runtime for one Linux machine.
//!
//! Three programs in one binary: `serve` (the host), `image build` (makes the base image once) and the hidden
//! `guest-init` (process 1 of every sprite, the same file bind-mounted into it).
//!
//! Absent on purpose: everything that the reference in `docs/sprites-protocol.md` doesn't list; such calls answer 404.

use std::process::ExitCode;

use clap::Parser;

mod api;
mod arguments;
mod clock;
mod container;
mod disk;
mod edge;
mod faults;
mod guest;
mod host;
mod image;
mod limits;
mod memory;
mod metrics;
mod names;
mod network;
mod operations;
mod operator;
mod policy;
mod server;
mod sprite;
mod standbys;
mod store;
mod wire;

use arguments::{Arguments, Command, ImageCommand};

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Serve(options) => serve(&options),
        Command::Image(ImageCommand::Build(options)) => image::build(&options).map_err(anyhow::Error::from),
        Command::GuestInit => guest::run().map_err(anyhow::Error::from),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("spritehost: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve(options: &arguments::Serve) -> anyhow::Result<()> {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_env("SPRITEHOST_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false).init();
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(server::run(options))?;
    Ok(())
}
