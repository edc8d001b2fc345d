//! `spritehost`: a Sprites-compatible runtime for one Linux machine.
//!
//! Three programs in one binary: `serve` (the host), `image build` (makes the base image once) and the hidden
//! `guest-init` (process 1 of every sprite, the same file bind-mounted into it).
//!
//! Absent on purpose: checkpoints, network policies, TTY exec and everything else that the reference in
//! `docs/sprites-protocol.md` doesn't list; such calls answer 404.

use std::process::ExitCode;

use clap::Parser;

mod arguments;
mod container;
mod image;

use arguments::{Arguments, Command, ImageCommand};

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Serve(options) => serve(&options),
        Command::Image(ImageCommand::Build(options)) => image::build(&options).map_err(anyhow::Error::from),
        Command::GuestInit => Err(anyhow::anyhow!("not there yet")),
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
    anyhow::bail!("serving on {} is not there yet", options.listen)
}
