//! Tasks: marks, set in the guest, that keep a sprite awake until they expire.
//!
//! Kept in memory only: they keep processes awake, and processes don't outlive this program.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use super::activity::Activity;
use crate::guest::lock;

/// Most tasks of one sprite.
const TASKS_MAX: usize = 100;

/// A sprite's tasks.
pub(crate) struct Tasks {
    held: Mutex<BTreeMap<String, Task>>,
    activity: Arc<Activity>,
}

/// A task.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    /// When it was set first.
    pub started_at: DateTime<Utc>,
    /// When it ends, for people.
    pub expires_at: DateTime<Utc>,
    end: Instant,
}

/// What became of a task that was to be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Set {
    /// It is new.
    Created,
    /// It was there and lasts longer, or shorter, now.
    Renewed,
    /// It was there and should not have been.
    Exists,
    /// There are too many.
    TooMany,
}

impl Tasks {
    pub(super) fn new(activity: Arc<Activity>) -> Self {
        Self { held: Mutex::default(), activity }
    }

    /// Sets a task.
    pub(crate) fn set(&self, name: &str, life: Duration, may_exist: bool) -> Set {
        let mut held = self.current();
        let now = Utc::now();
        let old = held.get(name).map(|task| task.started_at);
        let set = match old {
            Some(_) if !may_exist => return Set::Exists,
            Some(_) => Set::Renewed,
            None if held.len() >= TASKS_MAX => return Set::TooMany,
            None => Set::Created,
        };
        let task = Task { started_at: old.unwrap_or(now), expires_at: now + life, end: Instant::now() + life };
        held.insert(name.to_owned(), task);
        drop(held);
        self.activity.touch();
        set
    }

    /// Drops a task; whether there was one.
    pub(crate) fn clear(&self, name: &str) -> bool {
        let was = self.current().remove(name).is_some();
        self.activity.touch();
        was
    }

    /// Drops all of them: the processes they were for are gone.
    pub(super) fn clear_all(&self) {
        lock(&self.held).clear();
    }

    /// All of them.
    pub(crate) fn list(&self) -> Vec<(String, Task)> {
        self.current().iter().map(|(name, task)| (name.clone(), task.clone())).collect()
    }

    /// When the last one ends.
    pub(super) fn until(&self) -> Option<Instant> {
        lock(&self.held).values().map(|task| task.end).max()
    }

    /// Those that have not expired.
    fn current(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Task>> {
        let mut held = lock(&self.held);
        let now = Instant::now();
        held.retain(|_, task| task.end > now);
        held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_are_set_renewed_cleared_and_bounded() {
        let tasks = Tasks::new(Activity::new());
        let minute = Duration::from_mins(1);
        assert_eq!(tasks.set("a", minute, false), Set::Created);
        assert_eq!(tasks.set("a", minute, false), Set::Exists);
        assert_eq!(tasks.set("a", minute * 2, true), Set::Renewed);
        assert!(tasks.until().unwrap() > Instant::now() + minute);
        assert!(tasks.clear("a") && !tasks.clear("a"));
        assert_eq!(tasks.set("b", Duration::ZERO, true), Set::Created);
        assert!(tasks.list().is_empty(), "an expired task is not listed");
        for number in 0..TASKS_MAX {
            assert_eq!(tasks.set(&number.to_string(), minute, false), Set::Created);
        }
        assert_eq!(tasks.set("more", minute, false), Set::TooMany);
    }
}
