//! The agent: the native program inside every sprite. Terminals, services, one-shot commands, app ingress.
//!
//! ```text
//! platform ─HTTP on 8080─▶ http ─▶ ingress ─▶ apps on loopback
//!    ▲ ▲                     │  ├logs─▶ the log of a service
//!    ▲ ▲                     │  └exec─▶ a program, for as long as its caller waits
//!    ▲ ▲                     └wake─▶ control ─▶ terminals, services, sleep
//!    │ └────one socket per terminal──────────────────┘
//!    └──────control socket────┘
//! ```
//!
//! Invariants:
//! * One thread and one timer while idle, so that a quiet machine may be paused.
//! * No secret on disk; no ticket, cookie or terminal byte in the log.
//! * It trusts the platform's public key and nothing else that comes over the network.
//!
//! Absent on purpose: any listener that hands out shells, any knowledge of accounts and organizations beyond an id
//! on a connection, and anything that calls the platform's API.

pub mod activity;
pub mod admission;
pub mod agent;
pub mod callers;
pub mod clock;
pub mod configuration;
pub mod control;
pub mod dial;
pub mod exec;
#[doc(hidden)]
pub mod fuzz;
pub mod guest;
pub mod handover;
pub mod http;
pub mod identity;
pub mod ingress;
pub mod journal;
pub mod load;
pub mod logs;
pub mod loopback;
pub mod reaper;
pub mod services;
pub mod sleep;
pub mod terminal;
pub mod tick;

use std::io;
use std::rc::Rc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{LocalSet, spawn_local};

use crate::agent::{Agent, StartError};
use crate::configuration::Configuration;
use crate::handover::Descriptors;
use crate::handover::process::{self, Beginning};
use crate::http::Listener;
use crate::identity::Identity;

/// Why the agent ended.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The system refuses something the agent cannot be without.
    #[error("{0}: {1}")]
    System(&'static str, io::Error),
    /// It cannot start.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// Runs the agent until it is told to end.
///
/// # Errors
/// See [`AgentError`].
pub fn run(configuration: Configuration) -> Result<(), AgentError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // For the digest, for sync and for names; each ends soon after.
        .max_blocking_threads(2)
        .build()
        .map_err(|error| AgentError::System("no runtime", error))?;
    LocalSet::new().block_on(&runtime, serve(configuration))
}

/// A program starts with those signals ignored that its parent ignores, and whoever starts the agent in the background
/// ignores these: shells would have no Ctrl-C. What has a handler starts with the default instead.
fn listen_to_ignored() -> std::io::Result<()> {
    for kind in [SignalKind::interrupt(), SignalKind::quit(), SignalKind::hangup()] {
        drop(signal(kind)?);
    }
    Ok(())
}

async fn serve(configuration: Configuration) -> Result<(), AgentError> {
    let system = |what| move |error| AgentError::System(what, error);
    let beginning = process::begin();
    let mut terminate = signal(SignalKind::terminate()).map_err(system("no signals"))?;
    process::take_signals();
    listen_to_ignored().map_err(system("no signals"))?;
    reaper::start().map_err(system("no signals"))?;
    let resumed = match beginning {
        Beginning::Fresh => None,
        Beginning::Resumed(state) => Some((Descriptors::of(&state), *state)),
        Beginning::Unusable(unusable) => {
            journal::note!("the state of the agent before this one cannot be used: {unusable}");
            handover::end_children();
            None
        }
    };
    let (identity, listener, resumed) = match resumed {
        None => (Identity::new(), None, None),
        Some((mut descriptors, state)) => (
            Identity::resume(state.boot.clone(), state.seed.clone(), state.digest.clone()),
            descriptors.take(state.listener),
            Some((descriptors, state)),
        ),
    };
    let listener = match listener {
        Some(descriptor) => Listener::resume(descriptor),
        None => Listener::bind(configuration.listen).await,
    };
    let listener = listener.map_err(system("the port cannot be had"))?;
    let address = listener.address().map_err(system("no address"))?;
    let (agent, wakes) = Agent::new(configuration, listener, identity.map_err(StartError::Identity)?)?;
    let redials = resumed.is_some();
    if let Some((descriptors, state)) = resumed {
        handover::resume(&agent, state, descriptors);
        journal::note!("goes on as {}", agent.identity.digest().await);
    } else {
        agent.services.clear();
    }
    let digested = Rc::clone(&agent);
    spawn_local(async move { digested.identity.digest().await.len() });
    spawn_local(control::run(Rc::clone(&agent), wakes, redials));
    spawn_local(tick::run(Rc::clone(&agent)));
    spawn_local(http::serve(Rc::clone(&agent)));
    journal::note!("listens on {address}");
    terminate.recv().await;
    // The runtime stops the agent before it stops the machine: services get their chance to write their state.
    agent.services.stop_for_sleep(snapvm_protocol::agent::SleepKind::Stop).await;
    Ok(())
}
