//! What each event does to a machine in each state. See [`super::state`] for the picture.

mod admission;
mod checkpoints;
mod clock;
mod provider;
mod upgrades;

use snapvm_protocol::agent::{SleepKind, ToAgent};
use snapvm_protocol::lifecycle::{Cause, MachineState as State};
use snapvm_protocol::sprites::SpriteStatus;

use super::cause::By;
use super::idle;
use super::state::{Effect, Event, History, Machine, PREPARE_MS, REDIAL_MS, Refusal, Sleep, TRIES_MAX, WORK_MS, Work};

pub(super) fn on(machine: &mut Machine, event: Event, now: u64) -> Result<Vec<Effect>, Refusal> {
    if machine.state == State::Deleting {
        return Ok(deleting(machine, &event, now));
    }
    let mut effects = take(machine, event, now)?;
    effects.extend(idle::warn(machine, now));
    for at in [idle::next_look_ms(machine, now), checkpoints::next_look_ms(machine)].into_iter().flatten() {
        sooner(machine, at);
    }
    Ok(effects)
}

fn take(machine: &mut Machine, event: Event, now: u64) -> Result<Vec<Effect>, Refusal> {
    if checkpoints::is_void(machine, &event) {
        return Ok(vec![]);
    }
    Ok(match event {
        Event::Provision if machine.state == State::Creating => work(machine, Work::Provision, now),
        Event::Start { by } => start(machine, by, now),
        Event::Wanted { by } => wanted(machine, by, now)?,
        Event::Called { by } => called(machine, by, now)?,
        Event::Hibernate { by } => hibernate(machine, by, now)?,
        Event::Stop { by } => stop(machine, by, now)?,
        Event::Delete { by } => delete(machine, by, now),
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
            if machine.state != State::Creating {
                return Ok(vec![]);
            }
            machine.tries = 0;
            work(machine, Work::Wake, now)
        }
        Event::WakeSent => {
            // It still has to dial; an agent that says yes and never does is counted as a failed try.
            machine.tries += 1;
            machine.alarm_ms = Some(now + WORK_MS);
            vec![]
        }
        Event::Looked { status } => looked(machine, status, now),
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
        Event::Alarm | Event::Delete { .. } => work(machine, Work::Delete, now),
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

fn tell(machine: &Machine, message: ToAgent) -> Vec<Effect> {
    if machine.connected { vec![Effect::Tell(message)] } else { vec![] }
}

fn sooner(machine: &mut Machine, at: u64) {
    machine.alarm_ms = Some(machine.alarm_ms.map_or(at, |present| present.min(at)));
}

fn backoff_ms(tries: u32) -> u64 {
    500 << tries.min(7)
}

fn wake(machine: &mut Machine, by: By, now: u64) -> Vec<Effect> {
    let why = by.wakes();
    machine.sleep = None;
    if !machine.provisioned {
        enter(machine, State::Creating, "Being created.");
        let mut effects = vec![save("creating", why, by, now)];
        effects.extend(work(machine, Work::Provision, now));
        return effects;
    }
    machine.was_stopped = machine.state == State::Stopped;
    enter(machine, State::Waking, "Waking up.");
    // The work comes first: everybody waits for it, and nobody for the record.
    let mut effects = work(machine, Work::Wake, now);
    effects.push(save("waking", why, by, now));
    effects.push(Effect::TellTerminals);
    effects
}

fn start(machine: &mut Machine, by: By, now: u64) -> Vec<Effect> {
    match machine.state {
        State::Hibernated | State::Stopped | State::Failed => wake(machine, by, now),
        State::Hibernating | State::Stopping => cancel_sleep(machine, by, now),
        _ => vec![],
    }
}

fn wanted(machine: &mut Machine, by: By, now: u64) -> Result<Vec<Effect>, Refusal> {
    match machine.state {
        State::Hibernated => Ok(wake(machine, by, now)),
        State::Hibernating => Ok(cancel_sleep(machine, by, now)),
        State::Running if !machine.connected => {
            sooner(machine, now);
            Ok(vec![])
        }
        State::Stopped | State::Stopping => {
            Err(Refusal { code: "stopped", detail: "The machine is stopped. Start it in the console first.".into() })
        }
        State::Failed => Err(Refusal { code: "failed", detail: machine.reason.clone() }),
        _ => Ok(vec![]),
    }
}

/// A runtime that has paused the machine by itself may have left its sockets open, or they close a moment later: only
/// a look tells, and what it finds asleep is woken.
fn called(machine: &mut Machine, by: By, now: u64) -> Result<Vec<Effect>, Refusal> {
    if machine.state != State::Running {
        return wanted(machine, by, now);
    }
    machine.called = true;
    let needed = if machine.connected { Work::Look } else { Work::Wake };
    Ok(work(machine, needed, now))
}

/// Before the agent was told to go, a sleep is called off; after that, the machine is woken.
fn cancel_sleep(machine: &mut Machine, by: By, now: u64) -> Vec<Effect> {
    match machine.sleep.take() {
        Some(sleep) if !sleep.gone && machine.connected => {
            let why = by.wakes();
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

fn hibernate(machine: &mut Machine, by: By, now: u64) -> Result<Vec<Effect>, Refusal> {
    match machine.state {
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
        State::Hibernating | State::Hibernated | State::Stopping | State::Stopped => Ok(vec![]),
        _ => Err(not_now(machine, "hibernate")),
    }
}

fn stop(machine: &mut Machine, by: By, now: u64) -> Result<Vec<Effect>, Refusal> {
    let although = clock::although(machine.live_holds(now));
    match machine.state {
        State::Running | State::Hibernating => {
            machine.holds.clear();
            let reason = format!("Stopping{although}.");
            Ok(order_sleep(machine, SleepKind::Stop, &reason, None, by, now))
        }
        State::Hibernated => {
            machine.holds.clear();
            machine.alarm_ms = None;
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

fn order_sleep(
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
    machine.alarm_ms = Some(now + PREPARE_MS);
    // Without an agent there is nobody to prepare: only the runtime's own pause is waited for.
    machine.sleep = Some(Sleep { number, kind, unless_activity_after, gone: !machine.connected, looks: 0 });
    if !machine.connected {
        sooner(machine, now + machine.next_look_seconds(0) * 1000);
    }
    let clear_tasks = by.is_order();
    let mut effects = vec![save(state.as_str(), reason, by, now), Effect::TellTerminals];
    effects.extend(tell(machine, ToAgent::Sleep { sleep: number, kind, clear_tasks }));
    effects
}

fn sleep_ready(machine: &mut Machine, number: u64, now: u64) -> Vec<Effect> {
    let activity = machine.activity;
    let Some(sleep) = machine.sleep.as_mut().filter(|sleep| sleep.number == number) else {
        return vec![];
    };
    if sleep.gone {
        // It took too long and was not waited for; it still has to be told.
        return vec![Effect::Tell(ToAgent::SleepGo { sleep: number }), Effect::Unbind];
    }
    if sleep.unless_activity_after.is_some_and(|before| before != activity) {
        return cancel_sleep(machine, clock::used(machine), now);
    }
    sleep.gone = true;
    sleep.looks = 0;
    machine.alarm_ms = Some(now + machine.next_look_seconds(0) * 1000);
    vec![Effect::Tell(ToAgent::SleepGo { sleep: number }), Effect::Unbind]
}

fn delete(machine: &mut Machine, by: By, now: u64) -> Vec<Effect> {
    enter(machine, State::Deleting, "Being deleted.");
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

fn hello(machine: &mut Machine, now: u64) -> Vec<Effect> {
    machine.connected = true;
    machine.heard_since_ms = now;
    machine.called = false;
    // An agent that speaks has been delivered, whatever became of the answer that would have said so.
    machine.provisioned = true;
    match machine.state {
        State::Running => {
            machine.alarm_ms = machine.unsaved.then_some(machine.alarm_ms).flatten();
            vec![Effect::ReleaseWaiters]
        }
        // An agent that comes back under an order to sleep is told again.
        State::Hibernating | State::Stopping => match &mut machine.sleep {
            Some(sleep) => {
                sleep.gone = false;
                machine.alarm_ms = Some(now + PREPARE_MS);
                let (number, kind, clear_tasks) = (sleep.number, sleep.kind, sleep.unless_activity_after.is_none());
                tell(machine, ToAgent::Sleep { sleep: number, kind, clear_tasks })
            }
            None => vec![],
        },
        State::Creating | State::Waking | State::Hibernated | State::Failed => {
            let detail = if machine.state == State::Creating { "Ready." } else { "Awake." };
            enter(machine, State::Running, detail);
            machine.alarm_ms = None;
            machine.sleep = None;
            vec![Effect::ReleaseWaiters, save("running", detail, agent(), now), Effect::TellTerminals]
        }
        // Stopped is pinned: whoever woke the sprite, it goes back to sleep.
        State::Stopped => {
            machine.sleeps += 1;
            let number = machine.sleeps;
            machine.sleep =
                Some(Sleep { number, kind: SleepKind::Stop, unless_activity_after: None, gone: false, looks: 0 });
            enter(machine, State::Stopping, "Stopping: it is pinned asleep.");
            machine.alarm_ms = Some(now + PREPARE_MS);
            vec![
                save("stopping", machine.reason.clone(), agent(), now),
                Effect::Tell(ToAgent::Sleep { sleep: number, kind: SleepKind::Stop, clear_tasks: true }),
            ]
        }
        State::Deleting => vec![],
    }
}

fn lost(machine: &mut Machine, now: u64) -> Vec<Effect> {
    machine.connected = false;
    match machine.state {
        State::Running | State::Waking | State::Creating => sooner(machine, now + REDIAL_MS),
        State::Hibernating | State::Stopping => {
            if let Some(sleep) = machine.sleep.as_mut().filter(|sleep| !sleep.gone) {
                sleep.gone = true;
                machine.alarm_ms = Some(now + machine.next_look_seconds(0) * 1000);
            }
        }
        _ => {}
    }
    vec![Effect::TellTerminals]
}

fn looked(machine: &mut Machine, status: Option<SpriteStatus>, now: u64) -> Vec<Effect> {
    let Some(status) = status else {
        enter(machine, State::Failed, "Its runtime is gone. Delete the machine and create it again.");
        machine.alarm_ms = None;
        return vec![
            save("failed", machine.reason.clone(), By::default(), now),
            Effect::RefuseWaiters { code: "failed", detail: machine.reason.clone() },
            Effect::TellTerminals,
        ];
    };
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
            machine.alarm_ms = Some(now + machine.next_look_seconds(looks) * 1000);
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
            enter(machine, State::Hibernated, "Asleep: the runtime paused it by itself.");
            machine.alarm_ms = None;
            vec![
                save("hibernated", machine.reason.clone(), By::nobody(Cause::Runtime), now),
                Effect::Unbind,
                Effect::TellTerminals,
            ]
        }
        State::Running => work(machine, Work::Wake, now),
        _ => vec![],
    }
}

fn failed(machine: &mut Machine, what: Work, reason: String, now: u64) -> Vec<Effect> {
    machine.tries += 1;
    if !gave_up(machine) {
        machine.alarm_ms = Some(now + backoff_ms(machine.tries));
        return vec![];
    }
    give_up(machine, what, &reason, now)
}

fn gave_up(machine: &Machine) -> bool {
    machine.tries >= TRIES_MAX && matches!(machine.state, State::Creating | State::Waking)
}

fn give_up(machine: &mut Machine, what: Work, reason: &str, now: u64) -> Vec<Effect> {
    let what = match what {
        Work::Provision => "could not be created",
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

fn alarm(machine: &mut Machine, now: u64) -> Vec<Effect> {
    machine.alarm_ms = None;
    let mut effects = if machine.unsaved { vec![Effect::Save(None)] } else { vec![] };
    effects.extend(checkpoints::alarm(machine, now));
    if gave_up(machine) {
        effects.extend(give_up(machine, Work::Wake, "its agent did not connect", now));
        return effects;
    }
    effects.extend(match machine.state {
        State::Creating if machine.provisioned => work(machine, Work::Wake, now),
        State::Creating => work(machine, Work::Provision, now),
        State::Waking if machine.checkpoints.is_restoring() => vec![],
        State::Waking if machine.upgrade.is_replacing() => work(machine, Work::Replace, now),
        State::Waking => work(machine, Work::Wake, now),
        State::Running if !machine.connected => work(machine, Work::Look, now),
        State::Running => {
            let mut effects = clock::look(machine, now);
            effects.extend(upgrades::next(machine, now));
            effects
        }
        State::Hibernating | State::Stopping => {
            if let Some(sleep) = machine.sleep.as_mut() {
                // An agent that does not prepare in time is not waited for.
                sleep.gone = true;
            }
            work(machine, Work::Look, now)
        }
        _ => vec![],
    });
    effects
}
