//! What each event does to a machine in each state. See [`super::state`] for the picture.

mod admission;
mod checkpoints;
mod clock;
mod prepared;
mod provider;
mod runtime;
mod sleeps;
mod upgrades;
mod wakes;

use snapvm_protocol::agent::ToAgent;
use snapvm_protocol::lifecycle::{Cause, MachineState as State};

use super::cause::By;
use super::desired::Desired;
use super::idle;
use super::state::{Effect, Event, History, Machine, REDIAL_MS, Refusal, TRIES_MAX, WORK_MS, Work};
use runtime::{failed, gave_up, give_up, looked};
use sleeps::{hibernate, sleep_ready, stop};
use wakes::{called, hello, lost, start, wanted};

pub(super) fn on(machine: &mut Machine, event: Event, now: u64) -> Result<Vec<Effect>, Refusal> {
    if machine.state == State::Deleting {
        return Ok(deleting(machine, &event, now));
    }
    let mut effects = take(machine, event, now)?;
    effects.extend(idle::warn(machine, now));
    // An eviction may come before any of it is written.
    machine.unsaved |= effects.iter().any(|effect| matches!(effect, Effect::Save(_)));
    checkpoints::set_right(machine, now);
    for at in [idle::next_look_ms(machine, now), checkpoints::next_look_ms(machine)].into_iter().flatten() {
        sooner(machine, at);
    }
    // An object that knows nothing but the record is on its way somewhere, and nobody has said when to look.
    if machine.is_on_its_way() && machine.alarm_ms.is_none() {
        sooner(machine, now);
    }
    Ok(effects)
}

fn take(machine: &mut Machine, event: Event, now: u64) -> Result<Vec<Effect>, Refusal> {
    if checkpoints::is_void(machine, &event) {
        return Ok(vec![]);
    }
    Ok(match event {
        Event::Provision if machine.state == State::Creating && !machine.provisioned => {
            work(machine, Work::Provision, now)
        }
        Event::Claimed => prepared::claimed(machine, now),
        Event::Start { by } => start(machine, by, now),
        Event::Wanted { by } => wanted(machine, by, now)?,
        Event::Called { by } => called(machine, by, now)?,
        Event::Hibernate { by } => hibernate(machine, by, now)?,
        Event::Stop { by } => stop(machine, by, now)?,
        Event::Delete { by } => delete(machine, by, now),
        Event::Hello | Event::Outdated { .. } if machine.is_discarding() => vec![],
        // What it belongs to is being given up, or else found again: then it is asked to dial anew.
        Event::Hello if machine.state == State::Creating && machine.vanished => {
            vec![Effect::Unbind, Effect::Disconnect]
        }
        Event::Hello => hello(machine, now),
        Event::Agent { .. }
        | Event::Outdated { .. }
        | Event::Delivered { .. }
        | Event::Settled
        | Event::UpgradeRefused { .. }
        | Event::Replaced => upgrades::on(machine, event, now),
        Event::Checkpoint { .. }
        | Event::Synced { .. }
        | Event::CheckpointDone { .. }
        | Event::CheckpointRefused { .. }
        | Event::CheckpointTold => checkpoints::on(machine, event, now),
        Event::Lost => lost(machine, now),
        Event::Activity { kind } => {
            idle::happened(machine, kind, now);
            vec![]
        }
        Event::Idle { seconds } => clock::is_idle(machine, seconds, now),
        Event::SleepReady { sleep } => sleep_ready(machine, sleep, now),
        Event::Tasks { names } => {
            idle::tasks(machine, names, now);
            vec![]
        }
        Event::Keepers { names } => {
            idle::keepers(machine, names, now);
            vec![]
        }
        Event::Holds { until_ms } => {
            idle::hold(machine, until_ms, now);
            vec![]
        }
        Event::Settings { idle_seconds, cpu_counts } => {
            machine.idle_seconds = idle_seconds;
            tell(machine, ToAgent::IdleTimeout { seconds: idle_seconds, cpu_counts })
        }
        Event::Provisioned => {
            machine.provisioned = true;
            match machine.state {
                State::Creating => machine.tries = 0,
                State::Waking => {}
                _ => return Ok(vec![]),
            }
            work(machine, Work::Wake, now)
        }
        Event::WakeSent => {
            // It still has to dial; an agent that says yes and never does is counted as a failed try.
            machine.tries += 1;
            machine.alarm_ms = Some(now + WORK_MS);
            vec![]
        }
        Event::Looked { status } => looked(machine, status, now),
        Event::NoAgent => runtime::no_agent(machine, now),
        Event::NotAdmitted { detail } => admission::refused(machine, detail, now),
        Event::Failed { work: Work::Deliver | Work::Settle, reason } => upgrades::failed(machine, &reason, now),
        Event::Failed { work: work @ (Work::Checkpoint | Work::TellCheckpoint), reason } => {
            checkpoints::failed(machine, work, &reason, now)
        }
        Event::Failed { work, reason } => failed(machine, work, reason, now),
        Event::Limited { work: Work::Deliver | Work::Settle, limit, .. } => upgrades::failed(machine, &limit, now),
        Event::Limited { work, limit, retry_ms } => provider::limited(machine, work, &limit, retry_ms, now),
        Event::Saved => {
            machine.unsaved = false;
            vec![]
        }
        Event::SaveFailed => {
            machine.unsaved = true;
            sooner(machine, now + REDIAL_MS);
            vec![]
        }
        Event::Alarm => alarm(machine, now),
        Event::Check { recorded, desired } => runtime::check(machine, recorded, desired, now),
        Event::Recreated => runtime::recreated(machine, now),
        Event::Found => runtime::found(machine, now),
        Event::Provision | Event::Gone => vec![],
    })
}

fn deleting(machine: &mut Machine, event: &Event, now: u64) -> Vec<Effect> {
    match event {
        Event::Gone => {
            machine.alarm_ms = None;
            vec![Effect::Forget]
        }
        Event::Failed { work: Work::Delete, .. } => {
            machine.tries += 1;
            // For as long as it takes: a deletion is never given up.
            machine.alarm_ms = Some(now + backoff_ms(machine.tries));
            vec![]
        }
        Event::Limited { retry_ms, .. } => {
            machine.alarm_ms = Some(now + retry_ms);
            vec![]
        }
        Event::Alarm | Event::Check { .. } | Event::Delete { .. } => work(machine, Work::Delete, now),
        Event::Saved => {
            machine.unsaved = false;
            vec![]
        }
        Event::Lost => {
            machine.connected = false;
            vec![]
        }
        _ => vec![],
    }
}

fn enter(machine: &mut Machine, state: State, reason: &str) {
    machine.state = state;
    machine.turn += 1;
    machine.called = false;
    reason.clone_into(&mut machine.reason);
    machine.tries = 0;
    machine.limited_since_ms = None;
    machine.unsaved = true;
    if !matches!(state, State::Hibernating | State::Stopping) {
        machine.sleep = None;
    }
}

fn save(kind: &'static str, detail: impl Into<String>, by: By, now: u64) -> Effect {
    Effect::Save(Some(History { at_ms: now, kind: kind.into(), detail: detail.into(), by }))
}

fn agent() -> By {
    By::nobody(Cause::Agent)
}

fn work(machine: &mut Machine, work: Work, now: u64) -> Vec<Effect> {
    machine.alarm_ms = Some(now + WORK_MS);
    vec![Effect::Work(work)]
}

/// An agent is woken where there is one, and made where there is none.
fn bring_up(machine: &mut Machine, now: u64) -> Vec<Effect> {
    work(machine, if machine.provisioned { Work::Wake } else { Work::Provision }, now)
}

fn tell(machine: &Machine, message: ToAgent) -> Vec<Effect> {
    if machine.connected { vec![Effect::Tell(message)] } else { vec![] }
}

fn sooner(machine: &mut Machine, at: u64) {
    machine.alarm_ms = Some(machine.alarm_ms.map_or(at, |present| present.min(at)));
}

fn backoff_ms(tries: u32) -> u64 {
    500 << tries.min(5)
}

fn delete(machine: &mut Machine, by: By, now: u64) -> Vec<Effect> {
    enter(machine, State::Deleting, "Being deleted.");
    machine.desire(Desired::Deleted, &by, now);
    machine.sleep = None;
    machine.checkpoints.job = None;
    let mut effects = vec![
        save("deleting", "Deletion ordered.", by, now),
        Effect::RefuseWaiters { code: "deleting", detail: "The machine is being deleted.".into() },
        Effect::TellTerminals,
        Effect::Unbind,
    ];
    effects.extend(work(machine, Work::Delete, now));
    effects
}

fn alarm(machine: &mut Machine, now: u64) -> Vec<Effect> {
    machine.alarm_ms = None;
    let mut effects = if machine.unsaved { vec![Effect::Save(None)] } else { vec![] };
    effects.extend(checkpoints::alarm(machine, now));
    if gave_up(machine) {
        effects.extend(give_up(machine, Work::Wake, "its agent did not connect", now));
        return effects;
    }
    effects.extend(match machine.state {
        State::Creating if machine.vanished => work(machine, Work::Recreate, now),
        State::Creating => bring_up(machine, now),
        State::Waking if machine.checkpoints.is_restoring() => vec![],
        State::Waking if machine.upgrade.is_replacing() => work(machine, Work::Replace, now),
        State::Waking => bring_up(machine, now),
        State::Running if !machine.connected => work(machine, Work::Look, now),
        State::Running => {
            let mut effects = clock::look(machine, now);
            effects.extend(upgrades::next(machine, now));
            effects
        }
        State::Hibernating | State::Stopping => sleeps::due(machine, now),
        // The reconciler's look failed.
        State::Hibernated | State::Stopped if (1..TRIES_MAX).contains(&machine.tries) => {
            vec![Effect::Work(Work::Look)]
        }
        _ => vec![],
    });
    effects
}
