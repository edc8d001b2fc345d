//! One service's life (pure): what it is doing, and what is to be done next. Time is an argument, in milliseconds.
//!
//! ```text
//!                needs not ready                  ready: HTTP, TCP, delay, or 1 s
//!                   ▼      │                            │
//! stopped ─start─▶ needing ─▶ spawning ─▶ fresh ─1 s─▶ running ─exit─▶ (ending the rest) ─▶ waiting ─▶ needing …
//!    ▲                            └unspawnable×3─▶ failed ◀─8 exits in a streak, or never restarted─┘
//!    └────────── ending: TERM, grace, KILL to all of its processes ◀─stop─ any
//! ```
//!
//! Invariants: a service is never spawned while a process of it may live, nor while what it needs is not ready; each
//! ending ends; `failed` and `stopped` stay until somebody asks; one that runs once is spawned a second time only when
//! somebody asks.

mod process;
mod readiness;
mod report;

use serde::{Deserialize, Serialize};
use snapvm_protocol::agent::SleepKind;
use snapvm_protocol::services::{
    AtSleep, Containment, DesiredState, ServiceAction, ServiceDefinition, ServiceExit, Unready,
};

/// A process that lived this long counts as running.
const SETTLED: u64 = 1_000;
/// Between two looks at whether everything is gone once the leader is.
const LOOK: u64 = 100;
/// After a KILL, the longest wait for a process that the kernel cannot end.
const UNKILLABLE: u64 = 5_000;

/// Intervals that tests shorten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intervals {
    /// Between TERM and KILL, where the definition says nothing.
    pub grace: u64,
    /// The first wait before a restart.
    pub backoff: u64,
}

pub use crate::reaper::Exit;

/// What is to be done. Processes are named by the group of the one that was spawned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Spawn it, then call [`Lifecycle::spawned`] or [`Lifecycle::unspawnable`], unless [`Lifecycle::is_to_spawn`] has
    /// changed by then.
    Spawn,
    /// TERM to all of its processes.
    Terminate(u32),
    /// KILL to all of its processes.
    Kill(u32),
}

/// What is known on the disk of a service that runs once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Past {
    /// It was begun, and nobody saw it end.
    Begun,
    /// It ended so.
    Ended(ServiceExit),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Doing {
    Stopped,
    /// It starts once what it needs is ready.
    Needing,
    Spawning,
    Alive {
        pid: u32,
        since: u64,
        #[serde(default)]
        ready: bool,
        /// It is not, and should have been by now.
        #[serde(default)]
        late: bool,
    },
    Waiting {
        until: u64,
    },
    Ending {
        group: u32,
        leader: bool,
        deadline: u64,
        killed: bool,
        then: Then,
    },
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
    /// Exits in the present streak.
    exits: u32,
    spawns_failed: u32,
    restarts: u32,
    error: Option<String>,
    /// Stopped by hand: stays so until somebody asks, or the next wake.
    held: bool,
    /// Stopped for a sleep: started again when that is called off.
    for_sleep: bool,
    removed: bool,
    /// What it needs and is not ready.
    #[serde(default)]
    unready: Vec<Unready>,
    /// It did what it had to, and is not restarted: those that need it may start.
    #[serde(default)]
    finished: bool,
    /// It was spawned, by this agent or one before it.
    #[serde(default)]
    has_run: bool,
    /// Since when its process has lived.
    #[serde(default)]
    spawned_at: u64,
    #[serde(default)]
    containment: Option<Containment>,
    /// How its processes ended, newest first.
    #[serde(default)]
    history: Vec<ServiceExit>,
}

impl Lifecycle {
    /// A service that is not running yet.
    #[must_use]
    pub fn new(definition: ServiceDefinition, intervals: Intervals) -> Self {
        Self {
            unready: unknown(&definition.needs),
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
            finished: false,
            has_run: false,
            spawned_at: 0,
            containment: None,
            history: Vec::new(),
        }
    }

    /// Goes on from what the disk knows of one that runs once, before anything is asked of it.
    pub fn recall(&mut self, past: Past) {
        self.has_run = true;
        match past {
            Past::Begun => {
                self.error = Some("interrupted: the machine stopped before it had ended".to_owned());
                self.doing = Doing::Failed;
            }
            Past::Ended(exit) => {
                if !exit.ordered {
                    let then = self.after(match exit {
                        ServiceExit { signal: Some(signal), .. } => Exit::Signal(signal),
                        ServiceExit { code, .. } => Exit::Code(code.unwrap_or(-1)),
                    });
                    self.doing = if then == Then::Stop { Doing::Stopped } else { Doing::Failed };
                }
                self.history = vec![exit];
            }
        }
    }

    /// Its newest exit, for [`Lifecycle::recall`]; nothing while it runs.
    #[must_use]
    pub fn newest_exit(&self) -> Option<&ServiceExit> {
        self.history.first()
    }

    /// It should be running: starts it, unless it runs once and did.
    pub fn begin(&mut self, now: u64) -> Option<Effect> {
        if self.is_done() { None } else { self.start(now) }
    }

    /// Whether only people start it again.
    fn is_done(&self) -> bool {
        self.definition.once && self.has_run
    }

    /// Takes a new definition; runs what should run and has changed.
    pub fn define(&mut self, definition: ServiceDefinition, now: u64) -> Option<Effect> {
        let before = std::mem::replace(&mut self.definition, definition);
        if before.needs != self.definition.needs {
            self.unready = unknown(&self.definition.needs);
        }
        let is_changed = !runs_alike(&before, &self.definition);
        let turned_up = before.desired == DesiredState::Down && self.definition.desired == DesiredState::Up;
        let was_removed = std::mem::take(&mut self.removed);
        self.has_run &= !was_removed;
        match self.definition.desired {
            DesiredState::Down => self.stop(now),
            // Whoever asks for it says so, beside the definition.
            DesiredState::Up if self.is_done() => None,
            DesiredState::Up if turned_up || was_removed => self.start(now),
            // A held one takes its new definition at its next start.
            DesiredState::Up if is_changed && !self.held && !self.for_sleep => self.restart(now),
            DesiredState::Up => None,
        }
    }

    /// What it needs and is not ready, whenever that changes.
    pub fn need(&mut self, unready: Vec<Unready>, now: u64) -> Option<Effect> {
        self.unready = unready;
        if self.doing == Doing::Needing { self.finish(Then::Start, now) } else { None }
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
        let runs = matches!(self.doing, Doing::Alive { .. } | Doing::Spawning | Doing::Needing) || self.finished;
        if self.definition.desired == DesiredState::Up && !runs { self.begin(now) } else { None }
    }

    /// The definition is gone.
    pub fn remove(&mut self, now: u64) -> Option<Effect> {
        self.removed = true;
        self.stop(now)
    }

    /// A sleep of this kind is ordered.
    pub fn prepare_sleep(&mut self, kind: SleepKind, now: u64) -> Option<Effect> {
        if !self.stops_for(kind) || self.is_still() {
            return None;
        }
        let was_up = !matches!(self.doing, Doing::Ending { then: Then::Stop | Then::Fail, .. });
        let effect = self.stop(now);
        self.for_sleep = was_up;
        effect
    }

    /// Whether a sleep of this kind stops it.
    #[must_use]
    pub fn stops_for(&self, kind: SleepKind) -> bool {
        kind == SleepKind::Stop || self.definition.at_sleep == AtSleep::Stop
    }

    /// The sleep was called off.
    pub fn resume(&mut self, now: u64) -> Option<Effect> {
        if std::mem::take(&mut self.for_sleep) { self.begin(now) } else { None }
    }

    fn start(&mut self, now: u64) -> Option<Effect> {
        self.held = false;
        self.for_sleep = false;
        self.finished = false;
        self.exits = 0;
        self.spawns_failed = 0;
        match &mut self.doing {
            Doing::Alive { .. } | Doing::Spawning | Doing::Needing => None,
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
        self.finished = false;
        match &mut self.doing {
            Doing::Stopped => None,
            Doing::Needing | Doing::Spawning | Doing::Waiting { .. } | Doing::Failed => {
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
        let grace = self.definition.stop_grace_seconds.map_or(self.intervals.grace, |grace| u64::from(grace) * 1000);
        self.doing = Doing::Ending { group, leader, deadline: now.saturating_add(grace), killed: false, then };
        Effect::Terminate(group)
    }

    fn finish(&mut self, then: Then, now: u64) -> Option<Effect> {
        self.doing = match then {
            Then::Stop => Doing::Stopped,
            Then::Fail => Doing::Failed,
            Then::Wait(time) => Doing::Waiting { until: now.saturating_add(time) },
            Then::Start if !self.unready.is_empty() => Doing::Needing,
            Then::Start => Doing::Spawning,
        };
        (self.doing == Doing::Spawning).then_some(Effect::Spawn)
    }

    /// Time passed.
    pub fn tick(&mut self, now: u64) -> Option<Effect> {
        self.look_at_readiness(now);
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
}

fn unknown(needs: &[String]) -> Vec<Unready> {
    needs.iter().map(|name| Unready { name: name.clone(), state: None }).collect()
}

fn runs_alike(one: &ServiceDefinition, other: &ServiceDefinition) -> bool {
    (&one.command, &one.args, &one.directory, &one.environment)
        == (&other.command, &other.args, &other.directory, &other.environment)
}

#[cfg(test)]
mod tests;
