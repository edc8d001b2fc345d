//! Towards asleep: orders, what calls them off, and the agent's word that it is ready.

use snapvm_protocol::agent::{SleepKind, ToAgent};

use super::super::cause::By;
use super::super::desired::{Desired, Wish};
use super::super::state::{ASK_AGAIN_MS, Effect, Machine, PREPARE_MS, Refusal, Sleep, Work};
use super::wakes::wake;
use super::{State, clock, enter, save, sooner, tell, work};

/// Before the agent was told to go, a sleep is called off; after that, the machine is woken.
pub(super) fn cancel_sleep(machine: &mut Machine, by: By, now: u64) -> Vec<Effect> {
    match machine.sleep.take() {
        Some(sleep) if !sleep.gone && machine.connected => {
            let why = by.wakes();
            machine.desire(Desired::Running, &by, now);
            enter(machine, State::Running, &why);
            machine.alarm_ms = None;
            machine.heard_since_ms = now;
            vec![
                Effect::Tell(ToAgent::SleepCancel { sleep: sleep.number }),
                save("running", format!("Sleep called off. {why}"), by, now),
                Effect::ReleaseWaiters,
                Effect::TellTerminals,
            ]
        }
        _ => wake(machine, by, now),
    }
}

pub(super) fn hibernate(machine: &mut Machine, by: By, now: u64) -> Result<Vec<Effect>, Refusal> {
    match machine.state {
        // What it does by itself is ordered from now on, and no activity undoes it.
        State::Hibernating | State::Hibernated if by.is_order() => {
            machine.desire(Desired::Asleep, &by, now);
            if let Some(sleep) = &mut machine.sleep {
                sleep.unless_activity_after = None;
            }
            Ok(tell_order(machine))
        }
        // Who stopped it wanted more than that.
        State::Hibernating | State::Hibernated | State::Stopping | State::Stopped => Ok(vec![]),
        _ if by.is_order() && machine.desired() == Desired::Stopped => stop(machine, by, now),
        State::Running => {
            let holds = machine.live_holds(now);
            let (reason, unless) = if by.is_order() {
                // They last, and keep it awake again once somebody wakes it.
                (format!("Hibernating, {}{}.", by.manner(), clock::although(holds)), None)
            } else if holds > 0 || !machine.keepers.is_empty() {
                return Ok(vec![]);
            } else {
                (
                    format!("Hibernating: nothing happened for {}.", clock::spoken(machine.idle_seconds)),
                    Some(machine.activity),
                )
            };
            Ok(order_sleep(machine, SleepKind::Hibernate, &reason, unless, by, now))
        }
        State::Waking if by.is_order() && !machine.checkpoints.is_restoring() => {
            let reason = format!("Hibernating, {}.", by.manner());
            Ok(order_sleep(machine, SleepKind::Hibernate, &reason, None, by, now))
        }
        State::Creating | State::Waking if by.is_order() => Ok(later(machine, Desired::Asleep, by, now)),
        _ => Err(not_now(machine, "hibernate")),
    }
}

pub(super) fn stop(machine: &mut Machine, by: By, now: u64) -> Result<Vec<Effect>, Refusal> {
    let although = clock::although(machine.live_holds(now));
    match machine.state {
        State::Creating => Ok(stop_later(machine, by, now)),
        State::Waking if machine.checkpoints.is_restoring() => Ok(stop_later(machine, by, now)),
        State::Running | State::Hibernating | State::Waking => {
            machine.holds.clear();
            let reason = format!("Stopping{although}.");
            let mut effects = order_sleep(machine, SleepKind::Stop, &reason, None, by, now);
            effects.push(refuse_waiters());
            Ok(effects)
        }
        State::Hibernated => {
            machine.holds.clear();
            machine.alarm_ms = None;
            machine.desire(Desired::Stopped, &by, now);
            enter(machine, State::Stopped, &format!("Stopped {}.", by.manner()));
            Ok(vec![save("stopped", format!("Stopped{although}."), by, now), Effect::TellTerminals])
        }
        State::Stopping | State::Stopped => Ok(vec![]),
        _ => Err(not_now(machine, "stop")),
    }
}

fn not_now(machine: &Machine, verb: &str) -> Refusal {
    Refusal {
        code: "state",
        detail: format!("A machine that is {} cannot {verb}. Wait until it is running.", machine.state),
    }
}

fn stop_later(machine: &mut Machine, by: By, now: u64) -> Vec<Effect> {
    machine.holds.clear();
    let mut effects = later(machine, Desired::Stopped, by, now);
    effects.push(refuse_waiters());
    effects
}

/// A machine that is being made has to be made first, and one that goes back to a checkpoint has to be there.
fn later(machine: &mut Machine, desired: Desired, by: By, now: u64) -> Vec<Effect> {
    let before = machine.desired();
    machine.desire(desired, &by, now);
    if before == desired {
        return vec![];
    }
    let (kind, word) = match desired {
        Desired::Stopped => ("stop_ordered", "stopped"),
        _ => ("sleep_ordered", "put to sleep"),
    };
    vec![save(kind, format!("To be {word}, {}, once it is ready.", by.manner()), by, now)]
}

/// What was ordered while it was on its way, and is still wanted.
pub(super) fn resume_sleep(machine: &mut Machine, now: u64) -> Vec<Effect> {
    let Some(Wish { desired, by, .. }) = machine.wish.clone() else { return vec![] };
    let (kind, reason) = match desired {
        Desired::Asleep => (SleepKind::Hibernate, format!("Hibernating, {}.", by.manner())),
        Desired::Stopped => (SleepKind::Stop, "Stopping.".into()),
        Desired::Running | Desired::Deleted => return vec![],
    };
    order_sleep(machine, kind, &reason, None, by, now)
}

fn refuse_waiters() -> Effect {
    Effect::RefuseWaiters { code: "stopped", detail: "The machine has been stopped.".into() }
}

pub(super) fn order_sleep(
    machine: &mut Machine,
    kind: SleepKind,
    reason: &str,
    unless_activity_after: Option<u64>,
    by: By,
    now: u64,
) -> Vec<Effect> {
    machine.sleeps += 1;
    let number = machine.sleeps;
    let state = if kind == SleepKind::Stop { State::Stopping } else { State::Hibernating };
    enter(machine, state, reason);
    // Without an agent there is nobody to prepare: only the runtime's own pause is waited for.
    let gone = !machine.connected;
    let until_ms = now + if gone { machine.next_look_seconds(0) * 1000 } else { PREPARE_MS };
    machine.sleep = Some(Sleep { number, kind, unless_activity_after, gone, looks: 0, until_ms });
    machine.alarm_ms = Some(until_ms.min(now + ASK_AGAIN_MS));
    machine.desire(if kind == SleepKind::Stop { Desired::Stopped } else { Desired::Asleep }, &by, now);
    let by_order = by.is_order();
    // Whoever asked before the order was given asks again, if they still need it.
    let refused = Effect::RefuseWaiters { code: "asleep", detail: "The machine was just put to sleep.".into() };
    let mut effects = vec![save(state.as_str(), reason, by, now), Effect::TellTerminals];
    effects.extend(tell_order(machine));
    if by_order && kind == SleepKind::Hibernate {
        effects.push(refused);
    }
    effects
}

pub(super) fn sleep_ready(machine: &mut Machine, number: u64, now: u64) -> Vec<Effect> {
    let (is_over, first_look_ms) = (is_over(machine, now), machine.next_look_seconds(0) * 1000);
    let Some(sleep) = machine.sleep.as_mut().filter(|sleep| sleep.number == number) else {
        return vec![];
    };
    if is_over {
        return cancel_sleep(machine, clock::used(machine), now);
    }
    if sleep.gone {
        // It took too long and was not waited for; it still has to be told.
        return vec![Effect::Tell(ToAgent::SleepGo { sleep: number }), Effect::Unbind];
    }
    (sleep.gone, sleep.looks) = (true, 0);
    sleep.until_ms = now + first_look_ms;
    machine.alarm_ms = Some(sleep.until_ms);
    machine.turn += 1;
    vec![Effect::Tell(ToAgent::SleepGo { sleep: number }), Effect::Unbind]
}

/// The sleep that is under way. An object that lost its memory knows only from the record that there is one.
pub(super) fn under_way(machine: &mut Machine) -> &mut Sleep {
    let kind = if machine.state == State::Stopping { SleepKind::Stop } else { SleepKind::Hibernate };
    let sleeps = &mut machine.sleeps;
    machine.sleep.get_or_insert_with(|| {
        *sleeps += 1;
        Sleep { number: *sleeps, kind, unless_activity_after: None, gone: true, looks: 0, until_ms: 0 }
    })
}

/// The agent has had its time to prepare, or the runtime to pause.
pub(super) fn due(machine: &mut Machine, now: u64) -> Vec<Effect> {
    under_way(machine);
    if is_over(machine, now) {
        return cancel_sleep(machine, clock::used(machine), now);
    }
    // An eviction may have come between the decision and the word to the agent, or between the agent's and this object.
    let again = tell_order(machine);
    let (gone, looks) = machine.sleep.as_ref().map_or((true, 0), |sleep| (sleep.gone, sleep.looks));
    let longest_ms = if gone { machine.next_look_seconds(looks) * 1000 } else { PREPARE_MS };
    if let Some(sleep) = machine.sleep.as_mut() {
        // The alarm may have been another one's. A time that is too far away was told by a clock that went wrong.
        if now < sleep.until_ms && sleep.until_ms - now <= longest_ms {
            let until_ms = sleep.until_ms;
            sooner(machine, until_ms.min(now + ASK_AGAIN_MS));
            return again;
        }
        // An agent that does not prepare in time is not waited for.
        sleep.gone = true;
    }
    let mut effects = work(machine, Work::Look, now);
    effects.extend(again);
    effects
}

/// Tells the agent what is under way, also a second time.
pub(super) fn tell_order(machine: &Machine) -> Vec<Effect> {
    let Some(sleep) = &machine.sleep else { return vec![] };
    let clear_tasks = sleep.unless_activity_after.is_none();
    tell(machine, ToAgent::Sleep { sleep: sleep.number, kind: sleep.kind, clear_tasks })
}

/// Whether a sleep that nobody ordered has become the wrong thing: the machine was used since, or it is awake and
/// something keeps it so.
pub(super) fn is_over(machine: &Machine, now: u64) -> bool {
    let is_kept = machine.connected && (machine.live_holds(now) > 0 || !machine.keepers.is_empty());
    let unless = machine.sleep.as_ref().and_then(|sleep| sleep.unless_activity_after);
    unless.is_some_and(|before| is_kept || before != machine.activity)
}

/// The runtime is awake though it is to be asleep: it is waited for, and if an agent comes, it is told.
pub(super) fn wait_for_pause(machine: &mut Machine, reason: &str, now: u64) {
    let (state, kind) = match machine.state {
        State::Stopped | State::Stopping => (State::Stopping, SleepKind::Stop),
        _ => (State::Hibernating, SleepKind::Hibernate),
    };
    machine.sleeps += 1;
    enter(machine, state, reason);
    let until_ms = now + machine.next_look_seconds(0) * 1000;
    // Stopped is pinned, whoever said so last.
    let is_ordered = kind == SleepKind::Stop || machine.wish.as_ref().is_some_and(|wish| wish.by.is_order());
    let unless_activity_after = (!is_ordered).then_some(machine.activity);
    machine.sleep = Some(Sleep { number: machine.sleeps, kind, unless_activity_after, gone: true, looks: 0, until_ms });
    machine.alarm_ms = Some(until_ms);
}
