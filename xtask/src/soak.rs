//! `cargo xtask soak terminal`: the promise of the terminals, held against the real stack for as long as one likes.
//!
//! ```text
//! guest program ⇄ pty ⇄ agent ⇄ Worker, objects ⇄ clients that come, go, stall and type
//!       └ notes what it writes and what it reads, inside the machine; the notes are compared with the clients' bytes
//! ```
//!
//! Each session has a shell that becomes a program of seeded bytes ([`guest`]), one or two windows that type, and some
//! that watch ([`client`]). Meanwhile the Worker is killed, objects are evicted, agents die. When the program has
//! ended, everybody must have every byte and must have been told how it ended, and the program must have read each
//! input once and in order ([`check`]). What went wrong is counted, told with its session, and never retried.

pub(crate) mod check;
pub(crate) mod client;
pub(crate) mod guest;
mod model;
mod session;
mod tally;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::{Instant, timeout};

use crate::chance::Chance;
use crate::progress;
use crate::stack::Stack;
use guest::Machines;
pub use model::model;
pub use tally::Tally;

/// How long it may take to make everything that the sessions need.
const MAKING: Duration = Duration::from_mins(2);

/// How much of everything.
#[derive(Debug, Clone)]
pub struct Options {
    /// Sessions at a time.
    pub sessions: usize,
    /// How long new sessions are begun.
    pub time: Duration,
    /// How long a session may take. One that is not over then is a violation that says who waits for what.
    pub patience: Duration,
    /// No more sessions than this.
    pub at_most: Option<u64>,
    /// What chances follow from. What the network and the scheduler do does not.
    pub seed: u64,
    /// Most bytes that a shell writes.
    pub bytes: u64,
    /// Inputs of each window that types.
    pub inputs: u64,
    /// Between two deaths of the Worker, on average.
    pub worker_dies: Option<Duration>,
    /// It dies no more often than this.
    pub worker_deaths_max: u64,
    /// Between two deaths of an agent, on average.
    pub agent_dies: Option<Duration>,
    /// Whether some sessions stand still until their object is evicted.
    pub rests: bool,
}

impl Options {
    /// Every fault there is.
    #[must_use]
    pub fn everything(seed: u64) -> Self {
        Self {
            sessions: 8,
            time: Duration::from_mins(5),
            patience: Duration::from_mins(4),
            at_most: None,
            seed,
            bytes: 8 << 20,
            inputs: 150,
            worker_dies: Some(Duration::from_secs(25)),
            worker_deaths_max: u64::MAX,
            agent_dies: Some(Duration::from_secs(70)),
            rests: true,
        }
    }
}

/// Runs sessions on a stack of their own.
///
/// # Errors
/// When the stack does not start, or nobody can be signed up; what goes wrong with terminals is in the tally.
pub async fn terminal(options: &Options) -> Result<Arc<Tally>> {
    let stack = Stack::builder().spritehost(true).warm_after(Duration::from_secs(30)).start().await?;
    let outcome = on(&stack, options).await;
    if outcome.as_ref().map_or(true, |tally| tally.violated()) {
        progress::say(&format!(
            "the Worker's log ends with:\n{}",
            crate::process::tail(&stack.dir.join("workerd.log"))
        ));
    }
    stack.stop().await?;
    outcome
}

/// Runs sessions on this stack.
///
/// # Errors
/// As [`terminal`].
pub async fn on(stack: &Stack, options: &Options) -> Result<Arc<Tally>> {
    let tally = Arc::new(Tally::new(options.seed));
    let mut chance = Chance::new(options.seed);
    let making = timeout(MAKING, Machines::make(stack, options.sessions.div_ceil(8).min(3))).await;
    let machines = Arc::new(making.context("the machines are not made in time")??);
    let until = Instant::now() + options.time;
    let mut sessions = tokio::task::JoinSet::new();
    for _ in 0..options.sessions {
        let (machines, tally, options) = (Arc::clone(&machines), Arc::clone(&tally), options.clone());
        let mut chance = chance.branch();
        sessions.spawn(async move {
            while Instant::now() < until && tally.begins(options.at_most) {
                session::live(&machines, &tally, &options, chance.branch()).await;
            }
        });
    }
    let everybody = async { while sessions.join_next().await.is_some() {} };
    let reconcile = async {
        // As the platform does every minute; what it cannot do now it does then.
        loop {
            tokio::time::sleep(Duration::from_mins(1)).await;
            let _ = stack.run_scheduled().await;
        }
    };
    tokio::select! {
        () = everybody => {}
        () = reconcile => {}
        error = kill_the_worker(stack, &tally, options, chance.branch()) => return Err(error),
        () = kill_agents(&machines, &tally, options, chance.branch()) => {}
    }
    Ok(tally)
}

/// Half to one and a half times as long.
fn around(time: Duration, chance: &mut Chance) -> Duration {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(chance.between(millis / 2, millis.saturating_mul(3) / 2))
}

/// Kills it and starts it again; returns what keeps it from starting.
async fn kill_the_worker(stack: &Stack, tally: &Tally, options: &Options, mut chance: Chance) -> anyhow::Error {
    let Some(every) = options.worker_dies else { return std::future::pending().await };
    for _ in 0..options.worker_deaths_max {
        tokio::time::sleep(around(every, &mut chance)).await;
        let restarted = async {
            let worker = stack.worker()?;
            worker.kill().await;
            tokio::time::sleep(Duration::from_millis(chance.below(1500))).await;
            worker.start().await
        };
        if let Err(error) = restarted.await {
            return error;
        }
        tally.add(|counts| &counts.worker_deaths);
    }
    std::future::pending().await
}

async fn kill_agents(machines: &Machines, tally: &Tally, options: &Options, mut chance: Chance) {
    let Some(every) = options.agent_dies else { return std::future::pending().await };
    loop {
        tokio::time::sleep(around(every, &mut chance)).await;
        if machines.kill_an_agent(&mut chance) {
            tally.add(|counts| &counts.agent_deaths);
        }
    }
}
