//! What a service's life looks like from outside: its status, and what is due when.

use snapvm_protocol::services::{ERROR_MAX, READY_LIMIT_SECONDS, Readiness, ServiceState, ServiceStatus, Unready};

use super::{Doing, LOOK, Lifecycle, SETTLED, Then};

impl Lifecycle {
    /// What to report.
    #[must_use]
    pub fn status(&self, now: u64) -> ServiceStatus {
        let (state, pid) = match self.doing {
            Doing::Ending { group, leader, .. } => (self.state(now), leader.then_some(group)),
            _ => (self.state(now), self.process()),
        };
        let is_needing = self.doing == Doing::Needing;
        ServiceStatus {
            name: self.definition.name.clone(),
            state,
            pid,
            restarts: self.restarts,
            error: self.error().map(|error| error.chars().take(ERROR_MAX).collect()),
            ready: self.is_ready(),
            waiting_on: if is_needing { self.unready.clone() } else { Vec::new() },
            keeps_awake: self.definition.keep_awake && matches!(self.doing, Doing::Alive { .. }),
            containment: self.containment,
            exits: self.history.clone(),
        }
    }

    /// What it is doing, in one word.
    #[must_use]
    pub fn state(&self, now: u64) -> ServiceState {
        match self.doing {
            Doing::Stopped => ServiceState::Stopped,
            Doing::Needing | Doing::Spawning | Doing::Waiting { .. } => ServiceState::Starting,
            Doing::Alive { since, .. } if now.saturating_sub(since) < SETTLED => ServiceState::Starting,
            Doing::Alive { .. } => ServiceState::Running,
            Doing::Ending { .. } => ServiceState::Stopping,
            Doing::Failed => ServiceState::Failed,
        }
    }

    fn error(&self) -> Option<String> {
        match self.doing {
            Doing::Alive { ready: false, late: true, .. } => {
                Some(format!("not ready after {} s", self.ready_limit_seconds()))
            }
            _ => self.error.clone(),
        }
    }

    /// Whether those that need it may start.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        match self.doing {
            Doing::Alive { ready, .. } => ready,
            Doing::Stopped => self.finished,
            _ => false,
        }
    }

    /// What it needs and is not ready, as it was last told.
    #[must_use]
    pub fn unready(&self) -> &[Unready] {
        &self.unready
    }

    pub(super) fn ready_limit_seconds(&self) -> u16 {
        self.definition.ready_limit_seconds.unwrap_or(READY_LIMIT_SECONDS)
    }

    /// Whether nothing of it runs or is about to.
    #[must_use]
    pub fn is_still(&self) -> bool {
        matches!(self.doing, Doing::Stopped | Doing::Failed)
    }

    /// Whether it is being ended, to stay so.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        matches!(self.doing, Doing::Ending { then: Then::Stop, .. })
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

    /// Whether it is to be spawned now.
    #[must_use]
    pub fn is_to_spawn(&self) -> bool {
        self.doing == Doing::Spawning
    }

    /// When [`Lifecycle::tick`] is due.
    #[must_use]
    pub fn due(&self, now: u64) -> Option<u64> {
        match self.doing {
            Doing::Alive { since, .. } => {
                let settled = Some(since.saturating_add(SETTLED)).filter(|settled| now < *settled);
                [settled, self.ready_at(), self.late_at()].into_iter().flatten().min()
            }
            Doing::Waiting { until } => Some(until),
            Doing::Ending { leader: false, deadline, .. } => Some(deadline.min(now.saturating_add(LOOK))),
            Doing::Ending { deadline, .. } => Some(deadline),
            Doing::Stopped | Doing::Needing | Doing::Spawning | Doing::Failed => None,
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

    /// The process that is to be asked whether it is ready, and how; nothing once it is.
    #[must_use]
    pub fn probe(&self) -> Option<(u32, &Readiness)> {
        let Doing::Alive { pid, ready: false, .. } = self.doing else { return None };
        let readiness = self.definition.ready.as_ref()?;
        (!matches!(readiness, Readiness::Delay { .. })).then_some((pid, readiness))
    }

    /// The group to look at: its leader is gone, the rest may not be.
    #[must_use]
    pub fn orphaned_group(&self) -> Option<u32> {
        match self.doing {
            Doing::Ending { group, leader: false, .. } => Some(group),
            _ => None,
        }
    }
}
