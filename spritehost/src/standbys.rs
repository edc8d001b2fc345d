//! Which cold sprites are ready to boot: those that went cold last, as many as the operator allows.
//!
//! Each holds a container with one idle process, an address, and a megabyte of the host's memory (0.7 MB of its control
//! group, 0.3 of them the kernel's). They go first when the machine runs short of memory, or of addresses.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, Weak};

use crate::guest::lock;
use crate::sprite::Sprite;

/// Those that are ready.
pub(crate) struct Standbys {
    most: usize,
    /// The one that has been ready the longest first; nothing once the host stops.
    ready: Mutex<Option<VecDeque<Weak<Sprite>>>>,
}

impl Standbys {
    /// At most so many.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, ready: Mutex::new(Some(VecDeque::new())) }
    }

    /// Whether another one may be made.
    pub(crate) fn are_open(&self) -> bool {
        self.most > 0 && lock(&self.ready).is_some()
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        lock(&self.ready).as_ref().map_or(0, VecDeque::len)
    }

    /// Counts one that is ready; the one that has to give way to it.
    pub(crate) fn add(&self, sprite: &Arc<Sprite>) -> Option<Arc<Sprite>> {
        let mut ready = lock(&self.ready);
        let ready = ready.as_mut()?;
        ready.push_back(Arc::downgrade(sprite));
        if ready.len() > self.most { oldest(ready) } else { None }
    }

    /// Forgets one that is not ready any more.
    pub(crate) fn remove(&self, sprite: &Sprite) {
        if let Some(ready) = lock(&self.ready).as_mut() {
            ready.retain(|one| !std::ptr::eq(one.as_ptr(), sprite));
        }
    }

    /// The one that has been ready the longest, which is not counted any more.
    pub(crate) fn take_oldest(&self) -> Option<Arc<Sprite>> {
        lock(&self.ready).as_mut().and_then(oldest)
    }

    /// From now on there are none.
    pub(crate) fn close(&self) {
        *lock(&self.ready) = None;
    }
}

fn oldest(ready: &mut VecDeque<Weak<Sprite>>) -> Option<Arc<Sprite>> {
    std::iter::from_fn(|| ready.pop_front()).find_map(|one| one.upgrade())
}
