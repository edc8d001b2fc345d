//! What counts as activity: calls that are being served, and tasks.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::sync::Notify;

use crate::guest::lock;

/// A sprite's activity.
pub(crate) struct Activity {
    state: Mutex<State>,
    /// Told when the count falls to 0, or a task goes.
    pub(super) changed: Notify,
}

struct State {
    count: usize,
    last: Instant,
}

/// One thing that goes on.
pub(crate) struct Guard(Arc<Activity>);

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(State { count: 0, last: Instant::now() }), changed: Notify::new() })
    }

    /// Something begins.
    pub(super) fn enter(self: &Arc<Self>) -> Guard {
        lock(&self.state).count += 1;
        Guard(self.clone())
    }

    /// Something happened just now.
    pub(super) fn touch(&self) {
        lock(&self.state).last = Instant::now();
        self.changed.notify_one();
    }

    /// Bytes went to or from a program. Nobody needs to be told: it only puts sleep off.
    pub(crate) fn traffic(&self) {
        lock(&self.state).last = Instant::now();
    }

    /// Since when nothing goes on; `None` while something does.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let state = lock(&self.state);
        (state.count == 0).then_some(state.last)
    }
}

impl Guard {
    /// What it is counted in.
    pub(crate) fn activity(&self) -> Arc<Activity> {
        self.0.clone()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.count = state.count.saturating_sub(1);
        state.last = Instant::now();
        let idle = state.count == 0;
        drop(state);
        if idle {
            self.0.changed.notify_one();
        }
    }
}
