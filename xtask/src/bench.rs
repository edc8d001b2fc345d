//! `cargo xtask bench NAME`: what `SnapVM` does, beside what else could do it, in one run on one machine. `first` is a bit
//! of everything; `terminal` is terminals alone, in more detail; `lifecycle` is sleep and wake, beside containers.
//!
//! Everything runs on `workerd serve` with the stack's configuration and on loopback; the load comes from this process.
//! Budgets are in `bench/budgets.toml`; a table is printed, and `target/bench/NAME.json` is written. What could not be
//! measured is absent from both, and named below the table.

mod app;
mod containers;
mod direct;
mod lifecycle;
mod list;
mod load;
mod machine;
pub(crate) mod memory;
mod peer;
mod pty;
mod report;
mod round_trips;
pub(crate) mod shell;
mod sshx;
pub(crate) mod terminal;
mod terminals;
mod wire;

use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::stack::Stack;
use crate::{paths, progress};
use report::Report;

/// Load average of a machine that does nothing else.
const IDLE: f64 = 1.0;

/// All benches.
const NAMES: [&str; 3] = ["first", "terminal", "lifecycle"];

/// How much of everything.
pub(crate) struct Sizes {
    list_requests: usize,
    list_rounds: usize,
    list_bound: Duration,
    million: bool,
    keys: usize,
    bulk: usize,
    creates: usize,
    wakes: usize,
    requests: usize,
    floods: usize,
    reconnects: usize,
    sessions: u32,
}

const FULL: Sizes = Sizes {
    list_requests: 2000,
    list_rounds: 3,
    list_bound: Duration::from_secs(20),
    million: true,
    keys: 1000,
    bulk: 256_000_000,
    creates: 15,
    wakes: 10,
    requests: 1000,
    floods: 15,
    reconnects: 30,
    sessions: 20,
};

/// For work on the benches themselves: every path once, no number to believe.
const QUICK: Sizes = Sizes {
    list_requests: 100,
    list_rounds: 1,
    list_bound: Duration::from_secs(10),
    million: false,
    keys: 50,
    bulk: 16_000_000,
    creates: 2,
    wakes: 2,
    requests: 50,
    floods: 2,
    reconnects: 3,
    sessions: 5,
};

/// Runs the bench of this name, on what `cargo xtask build` left.
///
/// # Errors
/// When there is no such bench, or something doesn't work: a bench of failures measures nothing.
pub async fn bench(name: &str, quick: bool) -> Result<()> {
    let Some(name) = NAMES.into_iter().find(|known| *known == name) else {
        bail!("no such bench: {name}. There are: {}", NAMES.join(", "));
    };
    let sizes = if quick { QUICK } else { FULL };
    let mut report = Report::new(name)?;
    let busy = load_average()?;
    report.add("load average before (1 min)", "", busy);
    let stack = Stack::builder()
        .spritehost(true)
        .warm_after(Duration::from_secs(1))
        .cold_after(if name == "lifecycle" { lifecycle::COLD_AFTER } else { Duration::from_secs(1) })
        .start()
        .await?;
    let outcome = match name {
        "terminal" => terminals::run(&stack, &sizes, &mut report).await.context("terminals"),
        "lifecycle" => lifecycle::run(&stack, &sizes, &mut report).await.context("lifecycle"),
        _ => measure(&stack, &sizes, &mut report).await,
    };
    if outcome.is_err() {
        progress::say(&format!(
            "the Worker's log ends with:\n{}",
            crate::process::tail(&stack.dir.join("workerd.log"))
        ));
    }
    stack.stop().await?;
    report.add("load average after (1 min)", "", load_average()?);
    let path = report.write()?;
    println!("{}", report.table());
    if busy > IDLE {
        progress::say(&format!("other work kept this machine busy (load {busy}): measure again when it is idle"));
    }
    progress::say(&format!("{} is written", path.display()));
    outcome
}

async fn measure(stack: &Stack, sizes: &Sizes, report: &mut Report) -> Result<()> {
    built(report)?;
    machine::run(stack, sizes, report).await.context("machines")?;
    list::run(stack, sizes, report).await.context("lists")?;
    round_trips::run(stack, report).await.context("round trips")
}

/// What was built, by size.
fn built(report: &mut Report) -> Result<()> {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let size = |bytes: u64| bytes as f64;
    let agent = paths::agent();
    let binary = std::fs::metadata(&agent).with_context(|| format!("cannot read {}", agent.display()))?.len();
    report.add("agent binary", "MB", size(binary) / 1e6);
    let bundle = crate::build::check::bundle_size(&paths::root().join("build"))?;
    report.add("Worker bundle, gzip", "KB", size(u64::try_from(bundle)?) / 1024.0);
    Ok(())
}

/// How busy this machine is: with other work on it, no number is to be believed.
fn load_average() -> Result<f64> {
    let text = std::fs::read_to_string("/proc/loadavg")?;
    text.split(' ').next().and_then(|first| first.parse().ok()).context("no load average")
}

/// A million bytes a second.
fn per_second(bytes: usize, time: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let bytes = bytes as f64;
    bytes / time.as_secs_f64().max(f64::MIN_POSITIVE)
}
