//! Properties of the machine's life, over random events in random order at random times, and named cases.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use proptest::prelude::*;
use snapvm_durable::machine_gateway::cause::By;
use snapvm_durable::machine_gateway::prepared::Prepared;
use snapvm_durable::machine_gateway::state::{ActivityKind, Effect, Event, Machine, TRIES_MAX, Work};
use snapvm_protocol::agent::{SleepKind, ToAgent};
use snapvm_protocol::lifecycle::{Cause, MachineState as State};
use snapvm_protocol::sprites::SpriteStatus;

fn machine(state: State) -> Machine {
    Machine::from_record(state, 900, state != State::Creating, vec![30, 60, 120])
}

fn ada() -> By {
    By::account(Cause::Hand, "ada")
}

fn idle() -> By {
    By::nobody(Cause::Idle)
}

fn visit() -> By {
    By::request("bob", 3000)
}

fn running() -> Machine {
    let mut machine = machine(State::Waking);
    machine.on(Event::Hello, 0).unwrap();
    machine.on(Event::Saved, 0).unwrap();
    assert_eq!((machine.state, machine.is_ready()), (State::Running, true));
    machine
}

fn event() -> impl Strategy<Value = Event> {
    let works = [
        Work::Provision,
        Work::Wake,
        Work::Look,
        Work::Delete,
        Work::Recreate,
        Work::Deliver,
        Work::Settle,
        Work::Replace,
    ];
    let work = prop::sample::select(works.to_vec());
    let status = prop_oneof![
        Just(None),
        Just(Some(SpriteStatus::Cold)),
        Just(Some(SpriteStatus::Warm)),
        Just(Some(SpriteStatus::Running)),
    ];
    let by = || prop_oneof![Just(idle()), Just(ada())];
    prop_oneof![
        1 => Just(Event::Provision),
        1 => Just(Event::Claimed),
        1 => by().prop_map(|by| Event::Start { by }),
        3 => Just(Event::Wanted { by: visit() }),
        2 => Just(Event::Called { by: visit() }),
        1 => by().prop_map(|by| Event::Hibernate { by }),
        1 => Just(Event::Stop { by: ada() }),
        3 => Just(Event::Hello),
        3 => agent(),
        1 => (1_u32..4, any::<bool>()).prop_map(|(protocol, carried)| Event::Outdated { protocol, carried }),
        1 => digest().prop_map(|digest| Event::Delivered { digest }),
        1 => Just(Event::Settled),
        1 => (digest(), any::<bool>())
            .prop_map(|(digest, again)| Event::UpgradeRefused { digest, reason: "no".to_owned(), again }),
        1 => Just(Event::Replaced),
        1 => Just(Event::Lost),
        1 => Just(Event::Activity { kind: ActivityKind::Terminal }),
        1 => (0_u64..2000).prop_map(|seconds| Event::Idle { seconds }),
        3 => (0_u64..8).prop_map(|sleep| Event::SleepReady { sleep }),
        1 => prop_oneof![Just(vec![]), Just(vec!["build".to_owned()])].prop_map(|names| Event::Tasks { names }),
        1 => (300_u64..1000).prop_map(|idle_seconds| Event::Settings { idle_seconds, cpu_counts: false }),
        1 => proptest::collection::vec(0_u64..8_000_000, 0..3).prop_map(|until_ms| Event::Holds { until_ms }),
        1 => Just(Event::Provisioned),
        1 => Just(Event::WakeSent),
        1 => Just(Event::NoAgent),
        1 => Just(Event::NotAdmitted { detail: "no place".to_owned() }),
        3 => status.prop_map(|status| Event::Looked { status }),
        1 => (work, Just("it broke".to_owned())).prop_map(|(work, reason)| Event::Failed { work, reason }),
        1 => Just(Event::Gone),
        1 => Just(Event::Recreated),
        1 => Just(Event::Found),
        1 => prop::sample::select(State::ALL.to_vec()).prop_map(|recorded| Event::Check { recorded, desired: None }),
        1 => Just(Event::Saved),
        1 => Just(Event::SaveFailed),
        3 => Just(Event::Alarm),
    ]
}

fn digest() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["one".to_owned(), "two".to_owned(), String::new()])
}

/// What follows every Hello.
fn agent() -> impl Strategy<Value = Event> {
    ("[abc]", digest(), digest()).prop_map(|(boot, digest, carried)| Event::Agent { boot, digest, carried })
}

fn unfinished(state: State) -> bool {
    matches!(state, State::Creating | State::Waking | State::Hibernating | State::Stopping | State::Deleting)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_unfinished_state_has_an_alarm_and_a_way_on(
        first in prop::sample::select(State::ALL.to_vec()),
        prepared in prop::sample::select(vec![None, Some(Prepared::Waiting), Some(Prepared::Claimed)]),
        events in proptest::collection::vec((event(), 0_u64..60_000), 1..60),
    ) {
        let mut machine = machine(first);
        machine.prepared = prepared;
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
        let effects = machine.on(Event::Delete { by: By::default() }, 2).unwrap();
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
            Effect::Tell(ToAgent::Upgrade { .. }) => {
                prop_assert!(machine.is_ready(), "upgraded in {:?}", machine.state);
            }
            Effect::Work(Work::Deliver | Work::Settle) => {
                prop_assert!(machine.is_ready(), "delivered in {:?}", machine.state);
                prop_assert!(machine.alarm_ms.is_some());
            }
            Effect::Work(Work::Replace) => prop_assert_eq!(machine.state, State::Waking),
            Effect::Work(Work::Wake) => {
                // An agent that keeps it awake may be there although nobody has heard that it was delivered.
                let is_asked = matches!(machine.state, State::Hibernating | State::Stopping);
                prop_assert!(machine.provisioned || is_asked);
                prop_assert!(!matches!(machine.state, State::Stopped | State::Deleting));
            }
            _ => {}
        }
    }
    // Traffic alone never moves a stopped machine.
    if before == State::Stopped && matches!(event, Event::Wanted { .. }) {
        prop_assert_eq!(machine.state, State::Stopped);
    }
    Ok(())
}

#[test]
fn traffic_does_not_wake_a_stopped_machine_and_a_start_does() {
    let mut machine = machine(State::Stopped);
    assert_eq!(machine.on(Event::Wanted { by: visit() }, 1).unwrap_err().code, "stopped");
    let effects = machine.on(Event::Start { by: ada() }, 1).unwrap();
    assert_eq!((machine.state, effects.first()), (State::Waking, Some(&Effect::Work(Work::Wake))));
}

#[test]
fn an_idle_sleep_is_called_off_by_activity_and_an_ordered_one_is_not() {
    for (by, expected) in [(idle(), State::Running), (ada(), State::Hibernating)] {
        let mut machine = running();
        let effects = match by.actor {
            None => machine.on(Event::Idle { seconds: 900 }, 1).unwrap(),
            Some(_) => machine.on(Event::Hibernate { by }, 1).unwrap(),
        };
        assert!(effects.iter().any(|effect| matches!(effect, Effect::Tell(ToAgent::Sleep { .. }))));
        machine.on(Event::Activity { kind: ActivityKind::Terminal }, 2).unwrap();
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
    // The clock starts anew; its end is near, and is said.
    let warned = vec![Effect::WarnTerminals { in_ms: Some(1) }];
    assert_eq!(machine.on(Event::Idle { seconds: 5001 }, 900_002), Ok(warned));
    assert_eq!(machine.on(Event::Idle { seconds: 899 }, 900_003), Ok(vec![]));
    machine.on(Event::Idle { seconds: 900 }, 900_003).unwrap();
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
    machine.on(Event::Wanted { by: visit() }, 0).unwrap();
    let mut refused = false;
    for _ in 0..TRIES_MAX {
        let effects = machine.on(Event::Failed { work: Work::Wake, reason: "no answer".into() }, 1).unwrap();
        refused = effects.iter().any(|effect| matches!(effect, Effect::RefuseWaiters { .. }));
        machine.on(Event::Alarm, 2).unwrap();
    }
    assert!(refused);
    assert_eq!(machine.state, State::Failed);
    assert!(machine.reason.contains("no answer"), "{}", machine.reason);
    machine.on(Event::Start { by: ada() }, 3).unwrap();
    assert_eq!(machine.state, State::Waking);
}

#[test]
fn a_foreign_task_that_prevents_the_pause_is_named() {
    let mut machine = running();
    machine.on(Event::Tasks { names: vec!["build".into()] }, 0).unwrap();
    machine.on(Event::Stop { by: ada() }, 1).unwrap();
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
        let first = machine.on(Event::Called { by: visit() }, 2).unwrap();
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
    assert_eq!(machine.on(Event::Called { by: visit() }, 1).unwrap(), [Effect::Work(Work::Look)]);
    let awake = machine.on(Event::Looked { status: Some(SpriteStatus::Running) }, 2).unwrap();
    assert_eq!((awake, machine.called), (vec![], false), "its shell does not read");
}

/// Why it is awake and why it sleeps is told, and who or what did it.
#[test]
fn every_change_says_what_caused_it() {
    let told = |machine: &mut Machine, event: Event| -> (String, By) {
        let effects = machine.on(event.clone(), 1).unwrap();
        let history = effects.into_iter().find_map(|effect| match effect {
            Effect::Save(history) => history,
            _ => None,
        });
        let history = history.unwrap_or_else(|| panic!("{event:?} says nothing"));
        (history.detail, history.by)
    };
    let port = By::request("bob", 3000);
    let woken = told(&mut machine(State::Hibernated), Event::Wanted { by: port.clone() });
    assert_eq!(woken, ("A request to its port 3000 came.".into(), port));
    let api = By::account(Cause::Api, "ada");
    let started = told(&mut machine(State::Stopped), Event::Start { by: api.clone() });
    assert_eq!(started, ("Started over the API.".into(), api));
    let terminal = By::account(Cause::Terminal, "bob");
    assert_eq!(told(&mut machine(State::Hibernated), Event::Called { by: terminal.clone() }).1, terminal);
    let (detail, by) = told(&mut running(), Event::Idle { seconds: 900 });
    assert_eq!((detail.as_str(), by), ("Hibernating: nothing happened for 15 minutes.", idle()));
    assert_eq!(told(&mut running(), Event::Stop { by: ada() }).1, ada());
    let mut used = running();
    used.on(Event::Idle { seconds: 900 }, 1).unwrap();
    used.on(Event::Activity { kind: ActivityKind::Terminal }, 2).unwrap();
    assert_eq!(told(&mut used, Event::SleepReady { sleep: 1 }).1, By::nobody(Cause::Terminal));
}

/// Commands of a Worker that knows nothing of causes are understood, and the words of each cause are what is stored.
#[test]
fn commands_without_a_cause_are_read() {
    use snapvm_durable::machine_gateway::command::Command;
    let read = |text: &str| serde_json::from_str::<Command>(text).unwrap();
    assert_eq!(read(r#"{"lease":{"epoch":3}}"#), Command::Lease { epoch: 3, by: By::default() });
    let stop = Command::Stop { by: By { actor: Some("a".into()), ..By::default() } };
    assert_eq!(read(r#"{"stop":{"by":{"actor":"a"}}}"#), stop);
    let start = Command::Start { by: By::account(Cause::Api, "a") };
    assert_eq!(read(&serde_json::to_string(&start).unwrap()), start);
    for cause in Cause::ALL {
        assert_eq!(serde_json::to_string(&cause).unwrap(), format!("\"{}\"", cause.as_str()));
    }
}

/// Found by the model: the order was written to the record, and lost on its way to the object.
#[test]
fn a_deletion_that_only_the_record_knows_is_carried_out() {
    for state in State::ALL {
        let effects = machine(state).on(Event::Check { recorded: State::Deleting, desired: None }, 1).unwrap();
        assert!(effects.contains(&Effect::Work(Work::Delete)), "{state}");
    }
}

/// Found by the model: an object that lost its memory had no time to look again.
#[test]
fn what_only_the_record_knows_to_be_under_way_is_looked_at() {
    for state in State::ALL.into_iter().filter(|state| *state != State::Deleting) {
        let mut machine = machine(state);
        let _ = machine.on(Event::Hibernate { by: ada() }, 1);
        assert!(!machine.is_on_its_way() || machine.alarm_ms.is_some(), "{state}");
    }
}

/// Found by the model: of a sleep that only the record knew, the agent was never told.
#[test]
fn an_agent_that_comes_under_a_sleep_that_only_the_record_knows_is_told() {
    for state in [State::Hibernating, State::Stopping] {
        let effects = machine(state).on(Event::Hello, 1).unwrap();
        assert!(matches!(effects[..], [Effect::Tell(ToAgent::Sleep { .. })]), "{state}: {effects:?}");
    }
}
