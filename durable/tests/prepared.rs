//! A machine that is prepared before anybody wants it, and what becomes of it when somebody does: named cases. The life that
//! it has in common with any other is in `machine_lifecycle.rs`, and all of it under faults in `model/`.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use snapvm_durable::machine_gateway::cause::By;
use snapvm_durable::machine_gateway::desired::Desired;
use snapvm_durable::machine_gateway::prepared::{CLAIMED_TRIES_MAX, Prepared};
use snapvm_durable::machine_gateway::state::{Effect, Event, Machine, TRIES_MAX, Work};
use snapvm_protocol::lifecycle::{Cause, MachineState as State};
use snapvm_protocol::sprites::SpriteStatus;

/// As an object reads it from the record of a prepared machine.
fn prepared(state: State) -> Machine {
    let provisioned = state != State::Creating;
    let mut machine = Machine::from_record(state, 900, provisioned, vec![1]).ordered(Desired::Asleep);
    machine.prepared = Some(Prepared::Waiting);
    machine
}

fn claimed() -> Machine {
    let mut machine = prepared(State::Hibernated);
    let effects = machine.on(Event::Claimed, 10).unwrap();
    assert_eq!(effects, [Effect::Disconnect, Effect::Unbind, Effect::Work(Work::Wake)]);
    assert_eq!((machine.state, machine.desired(), machine.unsaved), (State::Creating, Desired::Running, false));
    machine
}

fn works(effects: &[Effect]) -> Vec<Work> {
    effects.iter().filter_map(|effect| if let Effect::Work(work) = effect { Some(*work) } else { None }).collect()
}

fn wake_failed() -> Event {
    Event::Failed { work: Work::Wake, reason: "no answer".into() }
}

#[test]
fn it_is_made_and_then_it_sleeps() {
    let mut machine = prepared(State::Creating);
    assert_eq!(works(&machine.on(Event::Provision, 1).unwrap()), [Work::Provision]);
    assert_eq!(works(&machine.on(Event::Provisioned, 2).unwrap()), [Work::Wake]);
    machine.on(Event::Hello, 3).unwrap();
    assert_eq!(machine.state, State::Hibernating);
    machine.on(Event::SleepReady { sleep: machine.sleeps }, 4).unwrap();
    machine.on(Event::Looked { status: Some(SpriteStatus::Warm) }, 5_000).unwrap();
    assert_eq!((machine.state, machine.prepared), (State::Hibernated, Some(Prepared::Waiting)));
    // A runtime that wakes it by itself is waited for, and the look that finds it failed does not wake it.
    machine.on(Event::Looked { status: Some(SpriteStatus::Running) }, 6_000).unwrap();
    assert_eq!((machine.state, machine.desired()), (State::Hibernating, Desired::Asleep));
    let mut failed = prepared(State::Failed);
    let effects = failed.on(Event::Check { recorded: State::Failed, desired: Some(Desired::Asleep) }, 7).unwrap();
    assert_eq!((failed.state, works(&effects)), (State::Failed, vec![]));
}

#[test]
fn a_limit_ends_a_preparation_and_no_creation() {
    let limited = || Event::Limited { work: Work::Provision, limit: "3 of 3".into(), retry_ms: 7_000 };
    let mut machine = prepared(State::Creating);
    machine.on(limited(), 1).unwrap();
    assert_eq!((machine.state, machine.alarm_ms), (State::Failed, None));
    let mut machine = claimed();
    machine.on(limited(), 11).unwrap();
    assert_eq!((machine.state, machine.alarm_ms), (State::Creating, Some(7_011)));
}

#[test]
fn whoever_takes_it_has_it_after_a_wake_and_once() {
    let mut machine = claimed();
    // The command that comes with the record delivers nothing a second time.
    assert_eq!(machine.on(Event::Provision, 11).unwrap(), []);
    assert_eq!(machine.on(Event::Claimed, 12).unwrap(), []);
    let effects = machine.on(Event::Hello, 13).unwrap();
    assert!(effects.contains(&Effect::ReleaseWaiters));
    assert_eq!((machine.state, machine.prepared), (State::Running, None));
    // From here on it is like any other: what it loses is lost, and is said to be.
    machine.on(Event::Looked { status: None }, 14).unwrap();
    assert_eq!(machine.state, State::Failed);
}

#[test]
fn a_machine_that_was_not_prepared_is_not_taken() {
    for state in State::ALL {
        let mut machine = Machine::from_record(state, 900, true, vec![1]);
        machine.on(Event::Alarm, 1).unwrap();
        let before = machine.clone();
        assert_eq!(machine.on(Event::Claimed, 1).unwrap(), [], "{state}");
        assert_eq!((machine.state, machine.turn), (before.state, before.turn), "{state}");
    }
}

#[test]
fn one_that_does_not_work_is_given_up_for_another_one() {
    // It does not answer; or it takes the wake and never dials; or it is gone; or it has no
    // agent; or its agent speaks of another time.
    let ways: [Vec<Event>; 5] = [
        vec![wake_failed(), Event::Alarm, wake_failed()],
        vec![Event::WakeSent, Event::Alarm, Event::WakeSent, Event::Alarm],
        vec![Event::Looked { status: None }],
        vec![Event::NoAgent],
        vec![Event::Outdated { protocol: 1, carried: false }],
    ];
    for way in ways {
        let mut machine = claimed();
        machine.on(Event::Stop { by: By::account(Cause::Hand, "ada") }, 11).unwrap();
        let mut effects = vec![];
        for (number, event) in (1_u64..).zip(way.clone()) {
            effects = machine.on(event, number * 100_000).unwrap();
        }
        assert_eq!(works(&effects), [Work::Recreate], "{way:?}");
        assert!(machine.is_discarding() && machine.state == State::Creating, "{way:?}");
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::RefuseWaiters { .. })), "{way:?}");
        // Its agent comes too late: nobody works on what is being thrown away.
        let before = machine.clone();
        assert_eq!(machine.on(Event::Hello, 900_000).unwrap(), []);
        assert_eq!(machine.on(Event::Outdated { protocol: 1, carried: false }, 900_000).unwrap(), []);
        assert_eq!((machine.state, machine.provisioned), (before.state, before.provisioned));
        // What follows is a creation like any other, and no line of history tells of a loss.
        let effects = machine.on(Event::Recreated, 900_001).unwrap();
        assert_eq!(effects, [Effect::Unbind, Effect::Work(Work::Provision)], "{way:?}");
        assert_eq!(machine.prepared, None);
        machine.on(Event::Provisioned, 900_002).unwrap();
        machine.on(Event::Hello, 900_003).unwrap();
        assert_eq!(machine.desired(), Desired::Stopped, "what was ordered meanwhile stands");
        assert_eq!(machine.state, State::Stopping);
    }
}

#[test]
fn the_one_made_in_its_place_has_all_tries_and_fails_as_any_does() {
    let mut machine = claimed();
    for at in 0..CLAIMED_TRIES_MAX {
        machine.on(wake_failed(), u64::from(at)).unwrap();
    }
    machine.on(Event::Recreated, 100).unwrap();
    for number in 1..=TRIES_MAX {
        assert_eq!(machine.state, State::Creating, "try {number}");
        machine.on(Event::Failed { work: Work::Provision, reason: "it broke".into() }, 200).unwrap();
    }
    assert_eq!(machine.state, State::Failed);
}

#[test]
fn one_whose_sprite_was_gone_before_anybody_knew_is_made_anew() {
    let mut machine = prepared(State::Hibernated);
    machine.on(Event::Looked { status: None }, 1).unwrap();
    assert_eq!((machine.state, machine.vanished), (State::Failed, true));
    let effects = machine.on(Event::Claimed, 2).unwrap();
    assert_eq!((machine.state, works(&effects)), (State::Creating, vec![Work::Recreate]));
}
