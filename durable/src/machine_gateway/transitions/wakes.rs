//! Towards awake: orders, needs, and the agent that comes and goes.

use snapvm_protocol::agent::SleepKind;

use super::super::cause::By;
use super::super::desired::Desired;
use super::super::prepared::Prepared;
use super::super::state::{ASK_AGAIN_MS, Effect, Machine, PREPARE_MS, REDIAL_MS, Refusal, Sleep, Work};
use super::sleeps::{cancel_sleep, is_over, resume_sleep, tell_order, under_way};
use super::{State, agent, clock, enter, save, sooner, work};

pub(super) fn wake(machine: &mut Machine, by: By, now: u64) -> Vec<Effect> {
    let why = by.wakes();
    machine.sleep = None;
    machine.desire(Desired::Running, &by, now);
    if !machine.provisioned {
        enter(machine, State::Creating, "Being created.");
        let mut effects = vec![save("creating", why, by, now)];
        let needed = if machine.vanished { Work::Recreate } else { Work::Provision };
        effects.extend(work(machine, needed, now));
        return effects;
    }
    machine.was_stopped = matches!(machine.state, State::Stopping | State::Stopped);
    enter(machine, State::Waking, "Waking up.");
    // The work comes first: everybody waits for it, and nobody for the record.
    let mut effects = work(machine, Work::Wake, now);
    effects.push(save("waking", why, by, now));
    effects.push(Effect::TellTerminals);
    effects
}

pub(super) fn start(machine: &mut Machine, by: By, now: u64) -> Vec<Effect> {
    match machine.state {
        State::Hibernated | State::Stopped | State::Failed => wake(machine, by, now),
        State::Hibernating | State::Stopping => cancel_sleep(machine, by, now),
        State::Creating | State::Waking | State::Running | State::Deleting => {
            machine.desire(Desired::Running, &by, now);
            vec![]
        }
    }
}

pub(super) fn wanted(machine: &mut Machine, by: By, now: u64) -> Result<Vec<Effect>, Refusal> {
    match machine.state {
        State::Hibernated => Ok(wake(machine, by, now)),
        State::Hibernating => Ok(cancel_sleep(machine, by, now)),
        State::Running if !machine.connected => {
            sooner(machine, now);
            Ok(vec![])
        }
        State::Creating if machine.desired() == Desired::Asleep => {
            machine.desire(Desired::Running, &by, now);
            Ok(vec![])
        }
        State::Stopped | State::Stopping => stopped(),
        State::Creating if machine.desired() == Desired::Stopped => stopped(),
        State::Failed => Err(Refusal { code: "failed", detail: machine.reason.clone() }),
        _ => Ok(vec![]),
    }
}

fn stopped() -> Result<Vec<Effect>, Refusal> {
    Err(Refusal { code: "stopped", detail: "The machine is stopped. Start it in the console first.".into() })
}

/// A runtime that has paused the machine by itself may have left its sockets open, or they close a moment later: only
/// a look tells, and what it finds asleep is woken.
pub(super) fn called(machine: &mut Machine, by: By, now: u64) -> Result<Vec<Effect>, Refusal> {
    if machine.state != State::Running {
        return wanted(machine, by, now);
    }
    machine.called = true;
    let needed = if machine.connected { Work::Look } else { Work::Wake };
    Ok(work(machine, needed, now))
}

pub(super) fn hello(machine: &mut Machine, now: u64) -> Vec<Effect> {
    machine.connected = true;
    machine.turn += 1;
    machine.tries = 0;
    machine.heard_since_ms = now;
    machine.called = false;
    // An agent that speaks has been delivered, whatever became of the answer that would have said so.
    (machine.provisioned, machine.vanished) = (true, false);
    machine.prepared = machine.prepared.filter(|prepared| *prepared == Prepared::Waiting);
    match machine.state {
        State::Running => {
            machine.alarm_ms = machine.unsaved.then_some(machine.alarm_ms).flatten();
            let asleep = resume_sleep(machine, now);
            if asleep.is_empty() { vec![Effect::ReleaseWaiters] } else { asleep }
        }
        // An agent that comes back under an order to sleep is told again.
        State::Hibernating | State::Stopping => {
            let sleep = under_way(machine);
            sleep.gone = false;
            sleep.until_ms = now + PREPARE_MS;
            machine.alarm_ms = Some(now + ASK_AGAIN_MS);
            if is_over(machine, now) {
                return cancel_sleep(machine, clock::used(machine), now);
            }
            tell_order(machine)
        }
        State::Creating | State::Waking | State::Hibernated | State::Failed => {
            let detail = if machine.state == State::Creating { "Ready." } else { "Awake." };
            // Somebody ordered otherwise: while it was made, or before a wake that came late.
            let is_ordered = machine.wish.as_ref().is_some_and(|wish| wish.by.is_order());
            enter(machine, State::Running, detail);
            machine.alarm_ms = None;
            machine.sleep = None;
            if !is_ordered {
                machine.desire(Desired::Running, &agent(), now);
            }
            let mut effects = vec![save("running", detail, agent(), now), Effect::TellTerminals];
            // What was ordered while it was made is done now.
            let asleep = resume_sleep(machine, now);
            if asleep.is_empty() {
                effects.insert(0, Effect::ReleaseWaiters);
            }
            effects.extend(asleep);
            effects
        }
        // Stopped is pinned: whoever woke the sprite, it goes back to sleep.
        State::Stopped => pin(machine, now),
        State::Deleting => vec![],
    }
}

fn pin(machine: &mut Machine, now: u64) -> Vec<Effect> {
    machine.sleeps += 1;
    let (number, kind) = (machine.sleeps, SleepKind::Stop);
    enter(machine, State::Stopping, "Stopping: it is pinned asleep.");
    let until_ms = now + PREPARE_MS;
    machine.sleep = Some(Sleep { number, kind, unless_activity_after: None, gone: false, looks: 0, until_ms });
    machine.alarm_ms = Some(now + ASK_AGAIN_MS);
    let mut effects = vec![save("stopping", machine.reason.clone(), agent(), now)];
    effects.extend(tell_order(machine));
    effects
}

pub(super) fn lost(machine: &mut Machine, now: u64) -> Vec<Effect> {
    machine.connected = false;
    let first_look_ms = machine.next_look_seconds(0) * 1000;
    match machine.state {
        State::Running | State::Waking | State::Creating => sooner(machine, now + REDIAL_MS),
        State::Hibernating | State::Stopping => {
            if let Some(sleep) = machine.sleep.as_mut().filter(|sleep| !sleep.gone) {
                sleep.gone = true;
                sleep.until_ms = now + first_look_ms;
                machine.alarm_ms = Some(sleep.until_ms);
            }
        }
        _ => {}
    }
    vec![Effect::TellTerminals]
}
