//! When a service counts as ready, and when it should have been.

use snapvm_protocol::services::Readiness;

use super::{Doing, Lifecycle, SETTLED};

impl Lifecycle {
    /// Being ready by time, and being late, come by themselves.
    pub(super) fn look_at_readiness(&mut self, now: u64) {
        let (ready_at, late_at) = (self.ready_at(), self.late_at());
        if let Doing::Alive { ready, late, .. } = &mut self.doing {
            *ready |= ready_at.is_some_and(|at| now >= at);
            *late |= late_at.is_some_and(|at| now >= at);
        }
    }

    /// When it is ready by itself; nothing for one that has to be asked, or is ready.
    pub(super) fn ready_at(&self) -> Option<u64> {
        let Doing::Alive { since, ready: false, .. } = self.doing else { return None };
        match self.definition.ready {
            None => Some(since.saturating_add(SETTLED)),
            Some(Readiness::Delay { seconds }) => Some(since.saturating_add(u64::from(seconds) * 1000)),
            Some(Readiness::Http { .. } | Readiness::Tcp { .. }) => None,
        }
    }

    /// When it should have said that it is ready; nothing for one that needs not, or that is late already.
    pub(super) fn late_at(&self) -> Option<u64> {
        let Doing::Alive { since, ready: false, late: false, .. } = self.doing else { return None };
        self.probe()?;
        Some(since.saturating_add(u64::from(self.ready_limit_seconds()) * 1000))
    }
}
