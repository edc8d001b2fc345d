//! What becomes of a service's processes: spawned, ended, spawned again after a while, or given up.

use snapvm_protocol::services::{Containment, EXITS_KEPT, RestartPolicy, ServiceExit};

use super::{Doing, Effect, Exit, Lifecycle, Then};

/// A process that lived this long ends a streak of exits.
const STEADY: u64 = 60_000;
/// Longest wait before a restart.
const BACKOFF_MAX: u64 = 60_000;
/// Exits in a streak after which it is given up.
const EXITS_MAX: u32 = 8;
/// Spawns in a row that may fail.
const SPAWNS_MAX: u32 = 3;

impl Lifecycle {
    /// It was spawned.
    pub fn spawned(&mut self, pid: u32, containment: Containment, now: u64) -> Option<Effect> {
        self.spawns_failed = 0;
        self.spawned_at = now;
        self.has_run = true;
        self.containment = Some(containment);
        if self.doing != Doing::Spawning {
            // Not wanted any more.
            return Some(self.end(pid, true, Then::Stop, now));
        }
        self.doing = Doing::Alive { pid, since: now, ready: false, late: false };
        self.look_at_readiness(now);
        None
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

    /// The process of this id was asked, and is ready.
    pub fn is_found_ready(&mut self, asked: u32) {
        if let Doing::Alive { pid, ready, .. } = &mut self.doing
            && *pid == asked
        {
            *ready = true;
        }
    }

    /// Its process ended, at this Unix time; others of its group may live.
    pub fn exited(&mut self, exit: Exit, group_lives: bool, now: u64, unix_ms: u64) -> Option<Effect> {
        match &mut self.doing {
            Doing::Ending { leader, then, .. } => {
                *leader = false;
                let then = *then;
                if then == Then::Stop {
                    self.error = None;
                }
                self.note(exit, true, now, unix_ms);
                if group_lives { None } else { self.finish(then, now) }
            }
            Doing::Alive { pid, since, .. } => {
                let group = *pid;
                if now.saturating_sub(*since) >= STEADY {
                    self.exits = 0;
                }
                self.note(exit, false, now, unix_ms);
                let then = self.after(exit);
                if group_lives { Some(self.end(group, false, then, now)) } else { self.finish(then, now) }
            }
            _ => None,
        }
    }

    fn note(&mut self, exit: Exit, ordered: bool, now: u64, at_ms: u64) {
        let (code, signal) = match exit {
            Exit::Code(code) => (Some(code), None),
            Exit::Signal(signal) => (None, Some(signal)),
        };
        let ran_ms = now.saturating_sub(self.spawned_at);
        self.history.insert(0, ServiceExit { at_ms, code, signal, ran_ms, ordered });
        self.history.truncate(EXITS_KEPT);
    }

    /// What follows an end that nobody ordered.
    pub(super) fn after(&mut self, exit: Exit) -> Then {
        let has_failed = exit != Exit::Code(0);
        self.error = Some(match exit {
            Exit::Code(code) => format!("exited with code {code}"),
            Exit::Signal(signal) => format!("killed by signal {signal}"),
        });
        let policy = if self.definition.once { RestartPolicy::Never } else { self.definition.restart };
        match policy {
            RestartPolicy::OnFailure | RestartPolicy::Never if !has_failed => {
                self.finished = true;
                self.error = None;
                Then::Stop
            }
            RestartPolicy::Never => Then::Fail,
            RestartPolicy::Always | RestartPolicy::OnFailure => {
                self.exits = self.exits.saturating_add(1);
                if self.exits >= EXITS_MAX { Then::Fail } else { Then::Wait(self.backoff(self.exits)) }
            }
        }
    }

    /// Nothing of it lives any more.
    pub fn group_gone(&mut self, now: u64) -> Option<Effect> {
        match self.doing {
            Doing::Ending { leader: false, then, .. } => self.finish(then, now),
            _ => None,
        }
    }

    fn backoff(&self, streak: u32) -> u64 {
        let doublings = streak.saturating_sub(1).min(20);
        self.intervals.backoff.saturating_mul(1 << doublings).min(BACKOFF_MAX)
    }
}
