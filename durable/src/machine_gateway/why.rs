//! Why a machine is awake or asleep, as far as only its object knows, and the look at the record before an idle sleep.

use super::command::{Command, Reply, Why};
use super::object::Gateway;
use super::outside::Outside;
use super::state::{Event, Machine};

impl<O: Outside> Gateway<O> {
    pub(super) fn why(&self) -> Reply {
        let now = self.0.outside.now_ms();
        let cache = self.0.cache.borrow();
        let Some(machine) = cache.as_ref().map(|cache| &cache.machine) else { return self.present() };
        Reply::Why(Why {
            state: machine.state,
            reason: machine.reason.clone(),
            connected: machine.connected,
            last_activity: machine.last_activity,
            tasks: machine.tasks.clone(),
            services: if machine.is_ready() { machine.keepers.clone() } else { Vec::new() },
            sleeps_at_ms: machine.sleeps_at_ms(now),
        })
    }

    /// The agent saw nothing for so many seconds. Before that puts the machine to sleep, the record is asked: a hold
    /// that was taken there counts, whether the object heard of it or not.
    pub(super) async fn idle(&self, seconds: u64) {
        if let Some(before) = self.activity_of(|machine, _| seconds >= machine.idle_seconds) {
            self.reload(&Command::Holds).await;
            if self.activity_of(|_, _| true) != Some(before) {
                // Something happened meanwhile: the agent counts anew.
                return;
            }
        }
        let _ = self.apply(Event::Idle { seconds }).await;
    }

    /// The time of `alarm_ms` has come. Should that mean sleep, the record is asked first.
    pub(super) async fn look(&self) {
        if self.activity_of(Machine::is_overdue).is_some() {
            self.reload(&Command::Holds).await;
        }
        let _ = self.apply(Event::Alarm).await;
    }

    /// The activity counter of a machine of which this is so.
    fn activity_of(&self, is_so: impl FnOnce(&Machine, u64) -> bool) -> Option<u64> {
        let now = self.0.outside.now_ms();
        let cache = self.0.cache.borrow();
        let machine = &cache.as_ref()?.machine;
        is_so(machine, now).then_some(machine.activity)
    }
}
