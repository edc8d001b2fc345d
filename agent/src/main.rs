//! The agent's process: arguments and variables in, exit code out.

use anyhow::Context as _;

fn main() -> anyhow::Result<()> {
    let configuration =
        snapvm_agent::configuration::Configuration::read(std::env::args().skip(1)).context("the agent cannot start")?;
    Ok(snapvm_agent::run(configuration)?)
}
