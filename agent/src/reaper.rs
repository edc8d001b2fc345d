//! Orphans: processes that lost their parent and came to this one, because it is process 1 or a subreaper.
//!
//! Children that the agent started itself are left alone: whoever awaits them needs their status. They are told apart
//! by a register, which is complete because starting and registering happen without an await between them.

use std::cell::RefCell;
use std::collections::HashSet;
use std::time::Duration;

use rustix::process::{Pid, WaitOptions};
use tokio::signal::unix::{SignalKind, signal};

thread_local! {
    static OWN: RefCell<HashSet<u32>> = RefCell::default();
    static ACTIVE: RefCell<bool> = const { RefCell::new(false) };
}

/// A child that the agent awaits, for as long as this lives.
#[derive(Debug)]
pub struct Own(u32);

impl Own {
    /// Registers a child right after its start.
    #[must_use]
    pub fn register(pid: u32) -> Self {
        OWN.with_borrow_mut(|own| own.insert(pid));
        Self(pid)
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        OWN.with_borrow_mut(|own| own.remove(&self.0));
    }
}

/// Adopts orphans when this is process 1, or when told to.
pub fn start(subreaper: bool) {
    if subreaper {
        // Without it orphans go to process 1, where they are as well off.
        let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    }
    if !subreaper && rustix::process::getpid() != Pid::INIT {
        return;
    }
    ACTIVE.with_borrow_mut(|active| *active = true);
    let Ok(mut children) = signal(SignalKind::child()) else { return };
    tokio::task::spawn_local(async move {
        while children.recv().await.is_some() {
            // Children of children come to us a moment after their parent is gone.
            tokio::time::sleep(Duration::from_millis(20)).await;
            reap();
        }
    });
}

/// Reaps every orphan that has ended.
pub fn reap() {
    if !ACTIVE.with_borrow(|active| *active) {
        return;
    }
    for pid in children() {
        let is_own = OWN.with_borrow(|own| own.contains(&pid));
        if let Some(pid) = Pid::from_raw(pid.cast_signed()).filter(|_| !is_own) {
            // Still running, or gone: both are fine.
            let _ = rustix::process::waitpid(Some(pid), WaitOptions::NOHANG);
        }
    }
}

/// Processes whose parent is this one, whichever of its threads they came to.
fn children() -> Vec<u32> {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return Vec::new() };
    let lists = threads.flatten().filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>()).collect()
}
