//! What each message of the object does.

use std::rc::Rc;

use snapvm_protocol::agent::{ToAgent, ToObject, WokeBy};

use crate::agent::Agent;
use crate::clock::Reading;
use crate::services::{log, once};
use crate::{handover, sleep};

/// Does what a message says; whether it was the word to sleep, so that the socket is to be closed.
pub(super) async fn take(agent: &Rc<Agent>, message: ToAgent, woke: WokeBy) -> bool {
    match message {
        ToAgent::Welcome { now_ms, pass, epoch, idle_seconds, cpu_counts, services, terminals, variables, .. } => {
            agent.admission.borrow_mut().clock.is(now_ms, Reading::take());
            *agent.link.pass.borrow_mut() = Some(pass);
            agent.adopt_epoch(epoch);
            settings(agent, idle_seconds, cpu_counts);
            agent.link.established();
            // A sleep that was being prepared went with the socket it was ordered on.
            sleep::cancel(agent, None);
            // Before anything is started that is to have them.
            agent.variables.replace(variables.sound());
            let names: Vec<String> = services.iter().map(|service| service.name.clone()).collect();
            agent.services.replace(agent, services);
            if woke == WokeBy::Boot {
                log::files::sweep(&names);
                once::sweep(&names);
            }
            agent.services.wake(woke);
            agent.terminals.reconcile(agent, terminals);
            let names = agent.tasks.reported();
            if !names.is_empty() {
                agent.link.send(ToObject::Tasks { names });
            }
        }
        ToAgent::OpenTerminal(open) => agent.terminals.open(agent, &open),
        ToAgent::CloseTerminal { session } => agent.terminals.close(session),
        ToAgent::Variables { variables } => {
            agent.variables.replace(variables.sound());
        }
        ToAgent::Services { services } => agent.services.replace(agent, services),
        ToAgent::ServiceCommand { name, action } => agent.services.command(&name, action),
        ToAgent::Epoch { epoch } => agent.adopt_epoch(epoch),
        ToAgent::IdleTimeout { seconds, cpu_counts } => settings(agent, seconds, cpu_counts),
        ToAgent::Sleep { sleep, kind, clear_tasks } => sleep::prepare(agent, sleep, kind, clear_tasks),
        ToAgent::SleepGo { sleep } => return sleep::go(agent, sleep).await,
        ToAgent::SleepCancel { sleep } => sleep::cancel(agent, Some(sleep)),
        ToAgent::Upgrade { digest } => handover::order(agent, digest),
        ToAgent::Sync { sync } => sleep::sync(agent, sync),
        ToAgent::Unknown => {}
    }
    false
}

fn settings(agent: &Agent, idle_seconds: u64, cpu_counts: bool) {
    let mut meter = agent.meter.borrow_mut();
    meter.set_idle_seconds(idle_seconds);
    meter.cpu_counts = cpu_counts;
}
