//! What the runtime says, and what it does by itself; work that fails; the reconciler's look.

use snapvm_protocol::lifecycle::Cause;
use snapvm_protocol::sprites::SpriteStatus;

use super::super::cause::By;
use super::super::desired::Desired;
use super::super::prepared::{CLAIMED_TRIES_MAX, Prepared};
use super::super::state::{Effect, Machine, TRIES_MAX, Work};
use super::sleeps::{resume_sleep, wait_for_pause};
use super::wakes::wake;
use super::{State, alarm, backoff_ms, checkpoints, delete, enter, prepared, save, work};

pub(super) fn looked(machine: &mut Machine, status: Option<SpriteStatus>, now: u64) -> Vec<Effect> {
    let Some(status) = status else { return vanished(machine, now) };
    let asleep = status != SpriteStatus::Running;
    match machine.state {
        State::Hibernating | State::Stopping if asleep => {
            let (state, detail) = match machine.state {
                State::Stopping => (State::Stopped, "Stopped."),
                _ => (State::Hibernated, "Asleep. It wakes when somebody needs it."),
            };
            enter(machine, state, detail);
            machine.sleep = None;
            machine.alarm_ms = None;
            vec![save(state.as_str(), detail, By::nobody(Cause::Runtime), now), Effect::TellTerminals]
        }
        State::Hibernating | State::Stopping => {
            let looks = machine.sleep.as_mut().map_or(0, |sleep| {
                sleep.looks += 1;
                sleep.looks
            });
            let until_ms = now + machine.next_look_seconds(looks) * 1000;
            if let Some(sleep) = machine.sleep.as_mut() {
                sleep.until_ms = until_ms;
            }
            machine.alarm_ms = Some(until_ms);
            let is_time = looks >= 2 && (looks.is_multiple_of(2) || machine.tries > 0);
            if is_time && !machine.connected && machine.tasks.is_empty() {
                // An agent that was not told to go keeps it awake: it dials, and is told.
                return vec![Effect::Work(Work::Wake)];
            }
            if looks != 3 {
                return vec![];
            }
            machine.reason = match machine.tasks.as_slice() {
                [] => "Ready to sleep, but the runtime has not paused it yet.".into(),
                tasks => format!("Ready to sleep, but programs in it keep it awake: {}.", tasks.join(", ")),
            };
            machine.unsaved = true;
            vec![Effect::Save(None)]
        }
        State::Running if asleep && machine.called => work(machine, Work::Wake, now),
        State::Running if machine.connected => {
            machine.called = false;
            vec![]
        }
        State::Running if asleep => {
            if machine.desired() == Desired::Stopped {
                enter(machine, State::Stopped, "Stopped.");
            } else {
                enter(machine, State::Hibernated, "Asleep: the runtime paused it by itself.");
                machine.desire(Desired::Asleep, &By::nobody(Cause::Runtime), now);
            }
            machine.alarm_ms = None;
            let by = By::nobody(Cause::Runtime);
            vec![save(machine.state.as_str(), machine.reason.clone(), by, now), Effect::Unbind, Effect::TellTerminals]
        }
        State::Running => work(machine, Work::Wake, now),
        State::Hibernated | State::Stopped if !asleep => {
            wait_for_pause(machine, "Its runtime is awake, and nobody needs it: it is to go back to sleep.", now);
            let by = By::nobody(Cause::Runtime);
            vec![save(machine.state.as_str(), machine.reason.clone(), by, now), Effect::TellTerminals]
        }
        State::Hibernated | State::Stopped => {
            machine.tries = 0;
            vec![]
        }
        _ => vec![],
    }
}

/// The runtime knows no such sprite, or another one under its name: files and memory are lost.
fn vanished(machine: &mut Machine, now: u64) -> Vec<Effect> {
    let mut effects = checkpoints::vanished(machine, now);
    if machine.state == State::Failed && machine.vanished {
        return effects;
    }
    if machine.prepared == Some(Prepared::Claimed) {
        return prepared::give_up(machine, now);
    }
    let reason = "Its runtime is gone, and its files with it. Start it to make it anew, empty, or delete it.";
    enter(machine, State::Failed, reason);
    (machine.vanished, machine.provisioned, machine.connected) = (true, false, false);
    machine.alarm_ms = None;
    effects.extend([
        save("failed", reason, By::nobody(Cause::Runtime), now),
        Effect::RefuseWaiters { code: "failed", detail: reason.into() },
        Effect::Unbind,
        Effect::TellTerminals,
    ]);
    effects
}

/// The sprite has no agent: somebody made it anew before its id was known, or emptied it. What creation does is done
/// again.
pub(super) fn no_agent(machine: &mut Machine, now: u64) -> Vec<Effect> {
    if machine.stands_on_a_prepared_sprite() {
        return prepared::give_up(machine, now);
    }
    let mut effects = vec![];
    let is_wanted = matches!(machine.state, State::Creating | State::Running | State::Waking);
    if !machine.connected && std::mem::take(&mut machine.provisioned) && is_wanted {
        let detail = "Its runtime has no agent, and gets one again.";
        if machine.state != State::Waking {
            enter(machine, State::Waking, detail);
        }
        effects.push(save("agent", detail, By::nobody(Cause::Runtime), now));
    }
    effects.extend(failed(machine, Work::Wake, "there is no agent in its runtime".into(), now));
    effects
}

/// The generation has grown: what belongs to the old one is dead, and a sprite is made for the new one.
pub(super) fn recreated(machine: &mut Machine, now: u64) -> Vec<Effect> {
    machine.vanished = false;
    if machine.state != State::Creating {
        return vec![];
    }
    let mut effects = vec![Effect::Unbind];
    // Of a prepared sprite that did not work nobody has known.
    if machine.prepared.take().is_none() {
        effects.push(save("recreated", "Made anew, empty: its runtime was gone.", By::default(), now));
    }
    effects.extend(work(machine, Work::Provision, now));
    effects
}

/// It was not gone after all.
pub(super) fn found(machine: &mut Machine, now: u64) -> Vec<Effect> {
    (machine.vanished, machine.provisioned, machine.prepared) = (false, true, None);
    if machine.state == State::Creating { work(machine, Work::Wake, now) } else { vec![] }
}

/// The reconciler looks at each machine from time to time: whether the runtime agrees with what is known of it, and
/// whether the record does.
pub(super) fn check(machine: &mut Machine, recorded: State, desired: Option<Desired>, now: u64) -> Vec<Effect> {
    if recorded == State::Deleting {
        return delete(machine, By::default(), now);
    }
    // An order that was lost on its way here was never accepted: the record is put right.
    let is_wished = desired.is_none_or(|desired| desired == machine.desired());
    machine.unsaved |= recorded != machine.state || !is_wished;
    let mut effects = if machine.unsaved && !machine.is_on_its_way() { vec![Effect::Save(None)] } else { vec![] };
    effects.extend(match machine.state {
        // An order that the record has, and that an object without its memory has never heard of.
        State::Hibernated | State::Stopped if machine.desired() == Desired::Running => {
            wake(machine, By::default(), now)
        }
        State::Running if machine.connected => resume_sleep(machine, now),
        State::Hibernated | State::Stopped => {
            machine.tries = 0;
            vec![Effect::Work(Work::Look)]
        }
        State::Running if !machine.connected => work(machine, Work::Look, now),
        // It failed while something was away that may be back.
        State::Failed if !machine.vanished && machine.desired() == Desired::Running => {
            wake(machine, By::default(), now)
        }
        State::Running | State::Failed => vec![],
        State::Creating | State::Waking | State::Hibernating | State::Stopping | State::Deleting => alarm(machine, now),
    });
    effects
}

pub(super) fn failed(machine: &mut Machine, what: Work, reason: String, now: u64) -> Vec<Effect> {
    machine.tries += 1;
    // It is called running, and nobody has answered there for a while.
    if machine.state == State::Running && !machine.connected && what == Work::Wake && machine.tries >= TRIES_MAX {
        let asleep = resume_sleep(machine, now);
        return if asleep.is_empty() { wake(machine, By::default(), now) } else { asleep };
    }
    if !gave_up(machine) {
        machine.alarm_ms = Some(now + backoff_ms(machine.tries));
        return vec![];
    }
    give_up(machine, what, &reason, now)
}

pub(super) fn gave_up(machine: &Machine) -> bool {
    let most = if machine.stands_on_a_prepared_sprite() { CLAIMED_TRIES_MAX } else { TRIES_MAX };
    machine.tries >= most && matches!(machine.state, State::Creating | State::Waking)
}

pub(super) fn give_up(machine: &mut Machine, what: Work, reason: &str, now: u64) -> Vec<Effect> {
    if machine.stands_on_a_prepared_sprite() {
        return prepared::give_up(machine, now);
    }
    let what = match what {
        Work::Provision | Work::Recreate => "could not be created",
        _ => "could not be woken",
    };
    enter(machine, State::Failed, &format!("It {what}: {reason}. Start it to try again."));
    machine.alarm_ms = None;
    vec![
        save("failed", machine.reason.clone(), By::default(), now),
        Effect::RefuseWaiters { code: "failed", detail: machine.reason.clone() },
        Effect::TellTerminals,
    ]
}
