//! `cargo xtask soak terminal`: the promise of the terminals, held against the real stack for as long as one likes.
//!
//! ```text
//! guest program ⇄ pty ⇄ agent ⇄ Worker, objects ⇄ clients that come, go, stall and type
//!       └ notes what it writes and what it reads, inside the machine; the notes are compared with the clients' bytes
//! ```
//!
//! Each session has a shell that becomes a program of seeded bytes ([`guest`]), one or two windows that type, and some
//! that watch ([`client`]). Meanwhile the Worker is killed, objects are evicted, agents die or are upgraded, machines
//! sleep ([`faults`]). When the program has ended, everybody must have every byte and must have been told how it ended,
//! and the program must have read each input once and in order; a session whose agent was killed ends as lost, and what
//! there was until then must be right ([`check`]). What went wrong is counted, told with its session, and never retried.

pub(crate) mod check;
pub(crate) mod client;
mod faults;
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
use crate::stack::{Releases, Stack};
use guest::Machines;
pub use model::{lifecycle, model};
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
    /// Between two ordered sleeps, on average. They keep the memory: every session goes on.
    pub sleeps: Option<Duration>,
    /// Of so many deaths of the Worker, one is a release with another agent: those that run are upgraded in place.
    pub releases: Option<u64>,
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
            sleeps: Some(Duration::from_secs(30)),
            releases: Some(3),
            rests: true,
        }
    }
}

/// Runs sessions on a stack of their own.
///
/// # Errors
/// When the stack does not start, or nobody can be signed up; what goes wrong with terminals is in the tally.
pub async fn terminal(options: &Options) -> Result<Arc<Tally>> {
    let releases = Releases::new()?;
    // An ordered sleep is to be one soon: the runtime pauses what nothing keeps awake, and is looked at.
    let builder = Stack::builder().spritehost(true).assets(releases.assets());
    let builder = builder.warm_after(Duration::from_secs(1)).variable("SLEEP_LOOK_SECONDS", "1,1,1,2");
    let stack = builder.start().await?;
    let outcome = on(&stack, &releases, options).await;
    if outcome.as_ref().map_or(true, |tally| tally.violated()) {
        progress::say(&format!(
            "the Worker's log ends with:\n{}",
            crate::process::tail(&stack.dir.join("workerd.log"))
        ));
    }
    stack.stop().await?;
    outcome
}

async fn on(stack: &Stack, releases: &Releases, options: &Options) -> Result<Arc<Tally>> {
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
        error = faults::kill_the_worker(stack, releases, &tally, options, chance.branch()) => return Err(error),
        () = faults::kill_agents(&machines, &tally, options, chance.branch()) => {}
        () = faults::order_sleeps(&machines, &tally, options, chance.branch()) => {}
    }
    if options.releases.is_some() {
        faults::count_upgrades(&machines, &tally).await?;
    }
    Ok(tally)
}
