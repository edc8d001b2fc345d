//! The one timer that runs while nothing happens: pings, the task, foreign tasks, idleness, pauses nobody ordered.

use std::rc::Rc;

use snapvm_protocol::agent::ToObject;
use tokio::time::{Instant, MissedTickBehavior};

use crate::agent::Agent;
use crate::clock::{Reading, stood_still};
use crate::journal::note;
use crate::load::Load;

/// Ticks for as long as the agent lives.
pub async fn run(agent: Rc<Agent>) {
    let mut interval = tokio::time::interval_at(Instant::now() + agent.timings.tick(), agent.timings.tick());
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before = Reading::take();
    let mut renewed = before.boot;
    let mut load = Load::default();
    agent.tasks.hold().await;
    loop {
        interval.tick().await;
        let now = Reading::take();
        let paused = stood_still(before, now, agent.timings.tick, agent.timings.late);
        if paused {
            note!("the machine stood still: dialing again");
        }
        before = now;
        agent.beat.send_modify(|beat| {
            beat.count += 1;
            beat.pauses += u64::from(paused);
        });
        crate::reaper::reap();
        // Asleep, every look at the runtime would only keep the machine awake.
        if agent.phase.borrow().is_asleep() {
            continue;
        }
        if agent.commands.are_running() {
            agent.activity("command");
        }
        if agent.meter.borrow().cpu_counts && load.is_busy(now.boot) {
            agent.activity("cpu");
        }
        let idle = agent.meter.borrow_mut().idle(now.boot);
        if let Some(seconds) = idle {
            agent.link.send(ToObject::Idle { seconds });
        }
        if paused || now.boot.saturating_sub(renewed) >= agent.timings.renew {
            agent.tasks.hold().await;
            renewed = now.boot;
        }
        agent.look_at_tasks().await;
    }
}

impl Agent {
    /// Reports the tasks of programs in the guest when they changed.
    pub async fn look_at_tasks(&self) {
        let Some(names) = self.tasks.foreign().await else { return };
        if self.tasks.changed(&names) {
            self.link.send(ToObject::Tasks { names });
        }
    }
}
