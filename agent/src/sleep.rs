//! Ordered sleep, and waking from it; and the sync that comes before a checkpoint as it does before a sleep.
//!
//! ```text
//! Sleep ─▶ stop services (for a stop: all, and shells, and commands) ─▶ hand over the last output ─▶ sync ─▶ SleepReady
//! SleepGo ─▶ refuse apps ─▶ end commands ─▶ close terminals' sockets ─▶ drop the task ─▶ close the control socket, each with 4410
//! SleepCancel, or a Welcome ─▶ start again what was stopped
//! ```
//!
//! Invariant: nothing is given up before `SleepGo` except what `SleepCancel` starts again, and the shells and commands
//! of a stop, whose end was the order itself.

use std::rc::Rc;

use snapvm_protocol::agent::{SleepKind, ToObject, close};
use tokio::task::JoinHandle;

use crate::agent::Agent;
use crate::journal::note;

/// Where the agent is between awake and asleep.
#[derive(Debug)]
pub enum Phase {
    /// Awake.
    Awake,
    /// A sleep was ordered.
    Preparing {
        /// Its name.
        sleep: u64,
        /// Whether to drop the tasks of programs in the guest too.
        clear_tasks: bool,
        /// What is being done for it.
        work: JoinHandle<()>,
    },
    /// Asleep as far as the agent is concerned: only a wake ticket is taken.
    Asleep,
}

impl Phase {
    /// Whether an ordered sleep is done.
    #[must_use]
    pub fn is_asleep(&self) -> bool {
        matches!(self, Self::Asleep)
    }
}

/// Prepares for a sleep; a newer order takes the place of an older one. The same order again, from an object that does
/// not know whether it was heard, is answered anew once everything is prepared.
pub fn prepare(agent: &Rc<Agent>, sleep: u64, kind: SleepKind, clear_tasks: bool) {
    if let Phase::Preparing { sleep: prepared, clear_tasks: clears, work } = &mut *agent.phase.borrow_mut()
        && *prepared == sleep
    {
        *clears = clear_tasks;
        if work.is_finished() {
            agent.link.send(ToObject::SleepReady { sleep });
        }
        return;
    }
    let preparing = Rc::clone(agent);
    let work = tokio::task::spawn_local(async move {
        preparing.services.stop_for_sleep(kind).await;
        if kind == SleepKind::Stop {
            preparing.commands.end_all(preparing.timings.command_grace()).await;
            preparing.terminals.end_all().await;
        }
        preparing.terminals.flush().await;
        write_out().await;
        preparing.link.send(ToObject::SleepReady { sleep });
    });
    let before = agent.phase.replace(Phase::Preparing { sleep, clear_tasks, work });
    if let Phase::Preparing { work, .. } = before {
        work.abort();
    }
}

/// Says so once everything is on the disk. Nothing stops for it.
pub fn sync(agent: &Rc<Agent>, sync: u64) {
    let agent = Rc::clone(agent);
    tokio::task::spawn_local(async move {
        if write_out().await {
            agent.link.send(ToObject::Synced { sync });
        }
    });
}

async fn write_out() -> bool {
    let synced = tokio::task::spawn_blocking(rustix::fs::sync).await.is_ok();
    if !synced {
        note!("the file system could not be synced");
    }
    synced
}

/// Sleeps, if this is the sleep that was prepared.
pub async fn go(agent: &Rc<Agent>, sleep: u64) -> bool {
    let clear_tasks = match &*agent.phase.borrow() {
        Phase::Preparing { sleep: prepared, clear_tasks, .. } if *prepared == sleep => *clear_tasks,
        _ => return false,
    };
    agent.phase.replace(Phase::Asleep);
    agent.commands.end_all(agent.timings.command_grace()).await;
    agent.connections.close_all();
    // Shells went on since they were asked.
    agent.terminals.flush().await;
    agent.terminals.disconnect(close::SLEEPING).await;
    agent.tasks.drop_own(clear_tasks).await;
    true
}

/// Goes on as before: the sleep of this name, or any, is called off.
pub fn cancel(agent: &Rc<Agent>, sleep: Option<u64>) {
    let is_meant = match &*agent.phase.borrow() {
        Phase::Preparing { sleep: prepared, .. } => sleep.is_none_or(|sleep| sleep == *prepared),
        _ => false,
    };
    if !is_meant {
        return;
    }
    if let Phase::Preparing { work, .. } = agent.phase.replace(Phase::Awake) {
        work.abort();
    }
    agent.services.resume();
}

/// A wake ticket came: apps are taken again at once, services are started with the Welcome.
pub fn woken(agent: &Rc<Agent>) {
    let before = agent.phase.replace(Phase::Awake);
    if let Phase::Preparing { work, .. } = before {
        work.abort();
        agent.services.resume();
    }
}
