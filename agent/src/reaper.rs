//! Children: the ones the agent awaits, and orphans, which lost their parent and came to this process because it is
//! a subreaper.
//!
//! Awaited ones are known by their process id alone, so that a successor of this binary (see [`crate::handover`])
//! awaits what this one started. A register tells them apart from orphans; it is complete because starting and
//! registering happen without an await between them.
//!
//! Invariant: nothing else in the agent waits for processes, so a process id in the register is no other's.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::time::Duration;

use rustix::process::{Pid, WaitOptions, WaitStatus};
use serde::{Deserialize, Serialize};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

/// Children of children come to us a moment after their parent is gone.
const ORPHANED: Duration = Duration::from_millis(20);

thread_local! {
    static AWAITED: RefCell<HashMap<u32, oneshot::Sender<Option<Exit>>>> = RefCell::default();
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    /// With this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// A child that the agent awaits.
#[derive(Debug)]
pub struct Child(oneshot::Receiver<Option<Exit>>);

impl Child {
    /// Awaits a child of this process: one that was just started, or one that was before.
    #[must_use]
    pub fn of(pid: u32) -> Self {
        let (sender, receiver) = oneshot::channel();
        AWAITED.with_borrow_mut(|awaited| awaited.insert(pid, sender));
        look_at(pid);
        Self(receiver)
    }

    /// Waits for its end; `None` when it was no child of this process.
    pub async fn wait(self) -> Option<Exit> {
        self.0.await.ok().flatten()
    }
}

/// Watches for ends, and adopts orphans.
///
/// # Errors
/// When the system gives no signals.
pub fn start() -> io::Result<()> {
    // Without it orphans go to process 1, where they are as well off.
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    tokio::task::spawn_local(watch(signal(SignalKind::child())?));
    Ok(())
}

async fn watch(mut children: Signal) {
    let mut reap_at = None;
    loop {
        tokio::select! {
            signal = children.recv() => {
                if signal.is_none() {
                    return;
                }
                let awaited: Vec<u32> = AWAITED.with_borrow(|awaited| awaited.keys().copied().collect());
                awaited.into_iter().for_each(look_at);
                reap_at.get_or_insert_with(|| Instant::now() + ORPHANED);
            }
            () = sleep_until(reap_at.unwrap_or_else(Instant::now)), if reap_at.is_some() => {
                reap_at = None;
                reap();
            }
        }
    }
}

/// Tells whoever awaits a child, if it has ended.
fn look_at(pid: u32) {
    let exit =
        match Pid::from_raw(pid.cast_signed()).map(|pid| rustix::process::waitpid(Some(pid), WaitOptions::NOHANG)) {
            Some(Ok(None)) => return,
            Some(Ok(Some((_, status)))) => exit_of(status),
            Some(Err(_)) | None => None,
        };
    if let Some(sender) = AWAITED.with_borrow_mut(|awaited| awaited.remove(&pid)) {
        // Whoever went away meanwhile needs no answer.
        let _ = sender.send(exit);
    }
}

fn exit_of(status: WaitStatus) -> Option<Exit> {
    status.exit_status().map(Exit::Code).or_else(|| status.terminating_signal().map(Exit::Signal))
}

/// Reaps every orphan that has ended.
pub fn reap() {
    for pid in children() {
        let is_awaited = AWAITED.with_borrow(|awaited| awaited.contains_key(&pid));
        if let Some(pid) = Pid::from_raw(pid.cast_signed()).filter(|_| !is_awaited) {
            // Still running, or gone: both are fine.
            let _ = rustix::process::waitpid(Some(pid), WaitOptions::NOHANG);
        }
    }
}

/// Processes whose parent is this one, whichever of its threads they came to.
#[must_use]
pub fn children() -> Vec<u32> {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return Vec::new() };
    let lists = threads.flatten().filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>()).collect()
}
