//! Properties of the machine's life, over random events in random order at random times, and named cases.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use proptest::prelude::*;
use snapvm_durable::machine_gateway::state::{Effect, Event, Machine, TRIES_MAX, Work};
use snapvm_protocol::agent::{SleepKind, ToAgent};
use snapvm_protocol::lifecycle::MachineState as State;
use snapvm_protocol::sprites::SpriteStatus;

fn machine(state: State) -> Machine {
    Machine::from_record(state, 900, state != State::Creating, vec![30, 60, 120])
}

fn running() -> Machine {
    let mut machine = machine(State::Waking);
    machine.on(Event::Hello, 0).unwrap();
    machine.on(Event::Saved, 0).unwrap();
    assert_eq!((machine.state, machine.is_ready()), (State::Running, true));
    machine
}

fn event() -> impl Strategy<Value = Event> {
    let work = prop_oneof![Just(Work::Provision), Just(Work::Wake), Just(Work::Look), Just(Work::Delete)];
    let status = prop_oneof![
        Just(None),
        Just(Some(SpriteStatus::Cold)),
        Just(Some(SpriteStatus::Warm)),
        Just(Some(SpriteStatus::Running)),
    ];
    let actor = || prop_oneof![Just(None), Just(Some("ada".to_owned()))];
    prop_oneof![
        1 => Just(Event::Provision),
        1 => actor().prop_map(|actor| Event::Start { actor }),
        3 => Just(Event::Wanted),
        2 => Just(Event::Called),
        1 => actor().prop_map(|actor| Event::Hibernate { actor }),
        1 => Just(Event::Stop { actor: "ada".into() }),
        3 => Just(Event::Hello),
        1 => Just(Event::Lost),
        1 => Just(Event::Activity),
        1 => (0_u64..2000).prop_map(|seconds| Event::Idle { seconds }),
        3 => (0_u64..8).prop_map(|sleep| Event::SleepReady { sleep }),
        1 => prop_oneof![Just(vec![]), Just(vec!["build".to_owned()])].prop_map(|names| Event::Tasks { names }),
        1 => (300_u64..1000).prop_map(|idle_seconds| Event::Settings { idle_seconds }),
        1 => Just(Event::Provisioned),
        1 => Just(Event::WakeSent),
        3 => status.prop_map(|status| Event::Looked { status }),
        1 => (work, Just("it broke".to_owned())).prop_map(|(work, reason)| Event::Failed { work, reason }),
        1 => Just(Event::Gone),
        1 => Just(Event::Saved),
        1 => Just(Event::SaveFailed),
        3 => Just(Event::Alarm),
    ]
}

fn unfinished(state: State) -> bool {
    matches!(state, State::Creating | State::Waking | State::Hibernating | State::Stopping | State::Deleting)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_unfinished_state_has_an_alarm_and_a_way_on(
        first in prop::sample::select(State::ALL.to_vec()),
        events in proptest::collection::vec((event(), 0_u64..60_000), 1..60),
    ) {
        let mut machine = machine(first);
        let mut now = 1_000_000;
        // What the object does when it knows nothing yet but the record.
        machine.on(Event::Alarm, now).unwrap();
        for (event, later) in events {
            now += later;
            let (before, before_tries) = (machine.state, machine.tries);
            let copy = machine.clone();
            match machine.on(event.clone(), now) {
                Err(_) => prop_assert_eq!(&machine, &copy, "a refusal changes nothing"),
                Ok(effects) => {
                    check(&machine, before, before_tries, &event, &effects, now)?;
                    if effects.contains(&Effect::Forget) {
                        break;
                    }
                }
            }
            if before == State::Deleting {
                prop_assert_eq!(machine.state, State::Deleting, "delete wins");
            }
        }
    }

    #[test]
    fn a_deletion_ends_from_every_state(
        first in prop::sample::select(State::ALL.to_vec()),
        before in proptest::collection::vec(event(), 0..30),
        after in proptest::collection::vec(event(), 0..30),
    ) {
        let mut machine = machine(first);
        for event in before {
            let _ = machine.on(event, 1);
        }
        let effects = machine.on(Event::Delete { actor: None }, 2).unwrap();
        prop_assert!(effects.contains(&Effect::Work(Work::Delete)));
        for event in after.into_iter().filter(|event| *event != Event::Gone) {
            machine.on(event, 3).unwrap();
            prop_assert!(machine.alarm_ms.is_some());
        }
        prop_assert_eq!(machine.on(Event::Gone, 4), Ok(vec![Effect::Forget]));
    }
}

fn check(
    machine: &Machine,
    before: State,
    before_tries: u32,
    event: &Event,
    effects: &[Effect],
    now: u64,
) -> Result<(), TestCaseError> {
    let forgotten = effects.contains(&Effect::Forget);
    if unfinished(machine.state) && !forgotten {
        prop_assert!(machine.alarm_ms.is_some(), "{:?} without an alarm after {event:?}", machine.state);
    }
    prop_assert!(machine.alarm_ms.is_none_or(|at| at >= now.min(1_000_000)));
    prop_assert!(machine.tries <= TRIES_MAX.max(before_tries + 1));
    for effect in effects {
        match effect {
            Effect::ReleaseWaiters => prop_assert!(machine.is_ready(), "waiters released in {:?}", machine.state),
            Effect::Tell(ToAgent::SleepGo { sleep }) => {
                prop_assert_eq!(machine.sleep.as_ref().map(|sleep| sleep.number), Some(*sleep));
                prop_assert!(matches!(machine.state, State::Hibernating | State::Stopping));
            }
            Effect::Work(Work::Wake) => {
                prop_assert!(machine.provisioned);
                prop_assert!(!matches!(machine.state, State::Stopped | State::Deleting));
            }
            _ => {}
        }
    }
    // Traffic alone never moves a stopped machine.
    if before == State::Stopped && *event == Event::Wanted {
        prop_assert_eq!(machine.state, State::Stopped);
    }
    Ok(())
}

#[test]
fn traffic_does_not_wake_a_stopped_machine_and_a_start_does() {
    let mut machine = machine(State::Stopped);
    assert_eq!(machine.on(Event::Wanted, 1).unwrap_err().code, "stopped");
    let effects = machine.on(Event::Start { actor: None }, 1).unwrap();
    assert_eq!((machine.state, effects.first()), (State::Waking, Some(&Effect::Work(Work::Wake))));
}

#[test]
fn an_idle_sleep_is_called_off_by_activity_and_an_ordered_one_is_not() {
    for (actor, expected) in [(None, State::Running), (Some("ada".to_owned()), State::Hibernating)] {
        let mut machine = running();
        let effects = match actor {
            None => machine.on(Event::Idle { seconds: 900 }, 1).unwrap(),
            Some(_) => machine.on(Event::Hibernate { actor }, 1).unwrap(),
        };
        assert!(effects.iter().any(|effect| matches!(effect, Effect::Tell(ToAgent::Sleep { .. }))));
        machine.on(Event::Activity, 2).unwrap();
        machine.on(Event::SleepReady { sleep: 1 }, 3).unwrap();
        assert_eq!(machine.state, expected);
    }
}

#[test]
fn a_task_of_a_program_keeps_an_idle_machine_awake() {
    let mut machine = running();
    machine.on(Event::Tasks { names: vec!["build".into()] }, 1).unwrap();
    assert_eq!(machine.on(Event::Idle { seconds: 5000 }, 2), Ok(vec![]));
    machine.on(Event::Tasks { names: vec![] }, 3).unwrap();
    assert_eq!(machine.on(Event::Idle { seconds: 899 }, 4), Ok(vec![]));
    machine.on(Event::Idle { seconds: 900 }, 5).unwrap();
    assert_eq!(machine.state, State::Hibernating);
}

#[test]
fn a_pause_that_nobody_ordered_is_noticed() {
    let mut machine = running();
    machine.on(Event::Lost, 1000).unwrap();
    assert!(!machine.is_ready());
    let effects = machine.on(Event::Alarm, 6000).unwrap();
    assert_eq!(effects, vec![Effect::Work(Work::Look)]);
    machine.on(Event::Looked { status: Some(SpriteStatus::Warm) }, 6001).unwrap();
    assert_eq!(machine.state, State::Hibernated);
}

#[test]
fn an_agent_that_died_is_woken_again() {
    let mut machine = running();
    machine.on(Event::Lost, 1000).unwrap();
    machine.on(Event::Alarm, 6000).unwrap();
    let effects = machine.on(Event::Looked { status: Some(SpriteStatus::Running) }, 6001).unwrap();
    assert_eq!((machine.state, effects), (State::Running, vec![Effect::Work(Work::Wake)]));
}

#[test]
fn a_machine_that_cannot_be_woken_says_so_and_can_be_started_again() {
    let mut machine = machine(State::Hibernated);
    machine.on(Event::Wanted, 0).unwrap();
    let mut refused = false;
    for _ in 0..TRIES_MAX {
        let effects = machine.on(Event::Failed { work: Work::Wake, reason: "no answer".into() }, 1).unwrap();
        refused = effects.iter().any(|effect| matches!(effect, Effect::RefuseWaiters { .. }));
        machine.on(Event::Alarm, 2).unwrap();
    }
    assert!(refused);
    assert_eq!(machine.state, State::Failed);
    assert!(machine.reason.contains("no answer"), "{}", machine.reason);
    machine.on(Event::Start { actor: None }, 3).unwrap();
    assert_eq!(machine.state, State::Waking);
}

#[test]
fn a_foreign_task_that_prevents_the_pause_is_named() {
    let mut machine = running();
    machine.on(Event::Tasks { names: vec!["build".into()] }, 0).unwrap();
    machine.on(Event::Stop { actor: "ada".into() }, 1).unwrap();
    machine.on(Event::SleepReady { sleep: 1 }, 2).unwrap();
    for now in 3..6 {
        machine.on(Event::Looked { status: Some(SpriteStatus::Running) }, now).unwrap();
    }
    assert!(machine.reason.contains("build"), "{}", machine.reason);
    machine.on(Event::Looked { status: Some(SpriteStatus::Cold) }, 7).unwrap();
    assert_eq!((machine.state, machine.sleep.map(|sleep| sleep.kind)), (State::Stopped, None::<SleepKind>));
}

/// Found by the model: the agent dialled while the answer to its provisioning was still under way.
#[test]
fn an_agent_that_speaks_has_been_delivered() {
    let mut machine = machine(State::Creating);
    machine.on(Event::Hello, 0).unwrap();
    machine.on(Event::Lost, 0).unwrap();
    let effects = machine.on(Event::Looked { status: Some(SpriteStatus::Running) }, 0).unwrap();
    assert_eq!((machine.provisioned, effects), (true, vec![Effect::Work(Work::Wake)]));
}

/// What is typed into a pause that nobody ordered wakes the machine, whichever of its sockets and the look is first.
#[test]
fn a_call_into_a_pause_wakes_the_machine() {
    let asleep = || Event::Looked { status: Some(SpriteStatus::Warm) };
    for closed in [None, Some(true), Some(false)] {
        let mut machine = running();
        if closed == Some(true) {
            machine.on(Event::Lost, 1).unwrap();
        }
        let first = machine.on(Event::Called, 2).unwrap();
        if closed == Some(false) {
            machine.on(Event::Lost, 3).unwrap();
        }
        let effects = if closed == Some(true) { first } else { machine.on(asleep(), 4).unwrap() };
        assert_eq!(effects, [Effect::Work(Work::Wake)], "{closed:?}");
        assert_eq!(machine.state, State::Running);
        // The wake is lost: the next look repeats it.
        assert!(machine.alarm_ms.is_some());
        assert_eq!(machine.on(asleep(), 5).unwrap(), [Effect::Work(Work::Wake)]);
        machine.on(Event::Hello, 6).unwrap();
        machine.on(Event::Lost, 7).unwrap();
        machine.on(asleep(), 8).unwrap();
        assert_eq!(machine.state, State::Hibernated, "nobody calls any more");
    }
    let mut machine = running();
    assert_eq!(machine.on(Event::Called, 1).unwrap(), [Effect::Work(Work::Look)]);
    let awake = machine.on(Event::Looked { status: Some(SpriteStatus::Running) }, 2).unwrap();
    assert_eq!((awake, machine.called), (vec![], false), "its shell does not read");
}
