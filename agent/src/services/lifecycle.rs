//! One service's life (pure): what it is doing, and what is to be done next. Time is an argument, in milliseconds.
//!
//! ```text
//! stopped ─start─▶ spawning ─▶ fresh ─1 s─▶ running ─exit─▶ (ending its group) ─▶ waiting ─▶ spawning …
//!    ▲                 └unspawnable×3─▶ failed ◀─8 exits in a streak─┘
//!    └────────── ending: TERM, grace, KILL to the whole group ◀─stop─ any
//! ```
//!
//! Invariants: a service is never spawned while a process of its group may live; each ending ends; `failed` and
//! `stopped` stay until somebody asks.

use serde::{Deserialize, Serialize};
use snapvm_protocol::agent::SleepKind;
use snapvm_protocol::services::{AtSleep, DesiredState, ServiceAction, ServiceDefinition, ServiceState, ServiceStatus};

/// A process that lived this long counts as running.
const SETTLED: u64 = 1_000;
/// A process that lived this long ends a streak of exits.
const STEADY: u64 = 60_000;
/// Longest wait before a restart.
const BACKOFF_MAX: u64 = 60_000;
/// Exits in a streak after which it is given up.
const EXITS_MAX: u32 = 8;
/// Spawns in a row that may fail.
const SPAWNS_MAX: u32 = 3;
/// Between two looks at whether a group is gone whose leader is.
const LOOK: u64 = 100;
/// After a KILL, the longest wait for a group that the kernel cannot end.
const UNKILLABLE: u64 = 5_000;

/// Intervals that tests shorten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intervals {
    /// Between TERM and KILL.
    pub grace: u64,
    /// The first wait before a restart.
    pub backoff: u64,
}

pub use crate::reaper::Exit;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Spawn it, then call [`Lifecycle::spawned`] or [`Lifecycle::unspawnable`].
    Spawn,
    /// TERM to this process group.
    Terminate(u32),
    /// KILL to this process group.
    Kill(u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Doing {
    Stopped,
    Spawning,
    Alive { pid: u32, since: u64 },
    Waiting { until: u64 },
    Ending { group: u32, leader: bool, deadline: u64, killed: bool, then: Then },
    Failed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Then {
    Stop,
    Start,
    Wait(u64),
    Fail,
}

/// The service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifecycle {
    /// Its definition.
    pub definition: ServiceDefinition,
    intervals: Intervals,
    doing: Doing,
    exits: u32,
    spawns_failed: u32,
    restarts: u32,
    error: Option<String>,
    /// Stopped by hand: stays so until somebody asks, or the next wake.
    held: bool,
    /// Stopped for a sleep: started again when that is called off.
    for_sleep: bool,
    removed: bool,
}

impl Lifecycle {
    /// A service that is not running yet.
    #[must_use]
    pub fn new(definition: ServiceDefinition, intervals: Intervals) -> Self {
        Self {
            definition,
            intervals,
            doing: Doing::Stopped,
            exits: 0,
            spawns_failed: 0,
            restarts: 0,
            error: None,
            held: false,
            for_sleep: false,
            removed: false,
        }
    }

    /// What to report.
    #[must_use]
    pub fn status(&self, now: u64) -> ServiceStatus {
        let (state, pid) = match self.doing {
            Doing::Stopped => (ServiceState::Stopped, None),
            Doing::Spawning | Doing::Waiting { .. } => (ServiceState::Starting, None),
            Doing::Alive { pid, since } if now.saturating_sub(since) < SETTLED => (ServiceState::Starting, Some(pid)),
            Doing::Alive { pid, .. } => (ServiceState::Running, Some(pid)),
            Doing::Ending { group, leader, .. } => (ServiceState::Stopping, leader.then_some(group)),
            Doing::Failed => (ServiceState::Failed, None),
        };
        let error = self.error.clone();
        ServiceStatus { name: self.definition.name.clone(), state, pid, restarts: self.restarts, error }
    }

    /// Whether nothing of it runs or is about to.
    #[must_use]
    pub fn is_still(&self) -> bool {
        matches!(self.doing, Doing::Stopped | Doing::Failed)
    }

    /// Whether its definition is gone.
    #[must_use]
    pub fn is_removed(&self) -> bool {
        self.removed
    }

    /// Whether it was removed and is gone.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.removed && self.is_still()
    }

    /// When [`Lifecycle::tick`] is due.
    #[must_use]
    pub fn due(&self, now: u64) -> Option<u64> {
        match self.doing {
            Doing::Alive { since, .. } => Some(since.saturating_add(SETTLED)).filter(|settled| now < *settled),
            Doing::Waiting { until } => Some(until),
            Doing::Ending { leader: false, deadline, .. } => Some(deadline.min(now.saturating_add(LOOK))),
            Doing::Ending { deadline, .. } => Some(deadline),
            Doing::Stopped | Doing::Spawning | Doing::Failed => None,
        }
    }

    /// The process that is to be awaited.
    #[must_use]
    pub fn process(&self) -> Option<u32> {
        match self.doing {
            Doing::Alive { pid, .. } | Doing::Ending { group: pid, leader: true, .. } => Some(pid),
            _ => None,
        }
    }

    /// The group to look at: its leader is gone, the rest may not be.
    #[must_use]
    pub fn orphaned_group(&self) -> Option<u32> {
        match self.doing {
            Doing::Ending { group, leader: false, .. } => Some(group),
            _ => None,
        }
    }

    /// Takes a new definition; runs what should run and has changed.
    pub fn define(&mut self, definition: ServiceDefinition, now: u64) -> Option<Effect> {
        let before = std::mem::replace(&mut self.definition, definition);
        let is_changed = !runs_alike(&before, &self.definition);
        let turned_up = before.desired == DesiredState::Down && self.definition.desired == DesiredState::Up;
        let was_removed = std::mem::take(&mut self.removed);
        match self.definition.desired {
            DesiredState::Down => self.stop(now),
            DesiredState::Up if turned_up || was_removed => self.start(now),
            // A held one takes its new definition at its next start.
            DesiredState::Up if is_changed && !self.held && !self.for_sleep => self.restart(now),
            DesiredState::Up => None,
        }
    }

    /// Somebody asked for something.
    pub fn command(&mut self, action: ServiceAction, now: u64) -> Option<Effect> {
        match action {
            ServiceAction::Start => self.start(now),
            ServiceAction::Stop => {
                self.held = true;
                self.stop(now)
            }
            ServiceAction::Restart => self.restart(now),
        }
    }

    /// The machine woke, or the agent's process is new: what should run does, with a fresh streak.
    pub fn wake(&mut self, now: u64) -> Option<Effect> {
        self.held = false;
        self.for_sleep = false;
        let runs = matches!(self.doing, Doing::Alive { .. } | Doing::Spawning);
        if self.definition.desired == DesiredState::Up && !runs { self.start(now) } else { None }
    }

    /// The definition is gone.
    pub fn remove(&mut self, now: u64) -> Option<Effect> {
        self.removed = true;
        self.stop(now)
    }

    /// A sleep of this kind is ordered.
    pub fn prepare_sleep(&mut self, kind: SleepKind, now: u64) -> Option<Effect> {
        let stops = kind == SleepKind::Stop || self.definition.at_sleep == AtSleep::Stop;
        if !stops || self.is_still() {
            return None;
        }
        let was_up = !matches!(self.doing, Doing::Ending { then: Then::Stop | Then::Fail, .. });
        let effect = self.stop(now);
        self.for_sleep = was_up;
        effect
    }

    /// The sleep was called off.
    pub fn resume(&mut self, now: u64) -> Option<Effect> {
        if std::mem::take(&mut self.for_sleep) { self.start(now) } else { None }
    }

    fn start(&mut self, now: u64) -> Option<Effect> {
        self.held = false;
        self.for_sleep = false;
        self.exits = 0;
        self.spawns_failed = 0;
        match &mut self.doing {
            Doing::Alive { .. } | Doing::Spawning => None,
            Doing::Ending { then, .. } => {
                *then = Then::Start;
                None
            }
            Doing::Stopped | Doing::Failed | Doing::Waiting { .. } => {
                self.restarts = 0;
                self.error = None;
                self.finish(Then::Start, now)
            }
        }
    }

    fn stop(&mut self, now: u64) -> Option<Effect> {
        self.for_sleep = false;
        match &mut self.doing {
            Doing::Stopped => None,
            Doing::Spawning | Doing::Waiting { .. } | Doing::Failed => {
                self.doing = Doing::Stopped;
                None
            }
            Doing::Alive { pid, .. } => {
                let group = *pid;
                Some(self.end(group, true, Then::Stop, now))
            }
            Doing::Ending { then, .. } => {
                *then = Then::Stop;
                None
            }
        }
    }

    fn restart(&mut self, now: u64) -> Option<Effect> {
        if let Doing::Alive { pid, .. } = self.doing {
            self.held = false;
            self.exits = 0;
            self.restarts = 0;
            return Some(self.end(pid, true, Then::Start, now));
        }
        self.start(now)
    }

    fn end(&mut self, group: u32, leader: bool, then: Then, now: u64) -> Effect {
        let deadline = now.saturating_add(self.intervals.grace);
        self.doing = Doing::Ending { group, leader, deadline, killed: false, then };
        Effect::Terminate(group)
    }

    fn finish(&mut self, then: Then, now: u64) -> Option<Effect> {
        self.doing = match then {
            Then::Stop => Doing::Stopped,
            Then::Fail => Doing::Failed,
            Then::Wait(time) => Doing::Waiting { until: now.saturating_add(time) },
            Then::Start => Doing::Spawning,
        };
        (self.doing == Doing::Spawning).then_some(Effect::Spawn)
    }

    /// It was spawned.
    pub fn spawned(&mut self, pid: u32, now: u64) -> Option<Effect> {
        self.spawns_failed = 0;
        if self.doing == Doing::Spawning {
            self.doing = Doing::Alive { pid, since: now };
            return None;
        }
        // Not wanted any more.
        Some(self.end(pid, true, Then::Stop, now))
    }

    /// It could not be spawned.
    pub fn unspawnable(&mut self, error: String, now: u64) {
        if self.doing != Doing::Spawning {
            return;
        }
        self.error = Some(error);
        self.spawns_failed = self.spawns_failed.saturating_add(1);
        let is_over = self.spawns_failed >= SPAWNS_MAX;
        let then = if is_over { Then::Fail } else { Then::Wait(self.backoff(self.spawns_failed)) };
        self.finish(then, now);
    }

    /// Its process ended; others of its group may live.
    pub fn exited(&mut self, exit: Exit, group_lives: bool, now: u64) -> Option<Effect> {
        match &mut self.doing {
            Doing::Ending { leader, then, .. } => {
                *leader = false;
                let then = *then;
                if then == Then::Stop {
                    self.error = None;
                }
                if group_lives { None } else { self.finish(then, now) }
            }
            Doing::Alive { pid, since } => {
                let group = *pid;
                if now.saturating_sub(*since) >= STEADY {
                    self.exits = 0;
                }
                self.exits = self.exits.saturating_add(1);
                self.error = Some(match exit {
                    Exit::Code(code) => format!("exited with code {code}"),
                    Exit::Signal(signal) => format!("killed by signal {signal}"),
                });
                let is_over = self.exits >= EXITS_MAX;
                let then = if is_over { Then::Fail } else { Then::Wait(self.backoff(self.exits)) };
                if group_lives { Some(self.end(group, false, then, now)) } else { self.finish(then, now) }
            }
            _ => None,
        }
    }

    /// Nothing of the group lives any more.
    pub fn group_gone(&mut self, now: u64) -> Option<Effect> {
        match self.doing {
            Doing::Ending { leader: false, then, .. } => self.finish(then, now),
            _ => None,
        }
    }

    /// Time passed.
    pub fn tick(&mut self, now: u64) -> Option<Effect> {
        match &mut self.doing {
            Doing::Waiting { until } if now >= *until => {
                self.restarts = self.restarts.saturating_add(1);
                self.finish(Then::Start, now)
            }
            Doing::Ending { group, deadline, killed, leader, then } if now >= *deadline => {
                if *killed && !*leader {
                    let then = *then;
                    return self.finish(then, now);
                }
                *killed = true;
                *deadline = now.saturating_add(UNKILLABLE);
                Some(Effect::Kill(*group))
            }
            _ => None,
        }
    }

    fn backoff(&self, streak: u32) -> u64 {
        let doublings = streak.saturating_sub(1).min(20);
        self.intervals.backoff.saturating_mul(1 << doublings).min(BACKOFF_MAX)
    }
}

fn runs_alike(one: &ServiceDefinition, other: &ServiceDefinition) -> bool {
    (&one.command, &one.args, &one.directory, &one.environment)
        == (&other.command, &other.args, &other.directory, &other.environment)
}

#[cfg(test)]
mod tests;
