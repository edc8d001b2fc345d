//! Properties of the machine's life, over random events in random order at random times, and named cases.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use proptest::prelude::*;
use snapvm_durable::machine_gateway::cause::By;
use snapvm_durable::machine_gateway::state::{ActivityKind, Effect, Event, Machine, TRIES_MAX, Work};
use snapvm_durable::machine_gateway::upgrade::TELLS_MAX;
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
    let works = [Work::Provision, Work::Wake, Work::Look, Work::Delete, Work::Deliver, Work::Settle, Work::Replace];
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
        1 => Just(Event::NotAdmitted { detail: "no place".to_owned() }),
        3 => status.prop_map(|status| Event::Looked { status }),
        1 => (work, Just("it broke".to_owned())).prop_map(|(work, reason)| Event::Failed { work, reason }),
        1 => Just(Event::Gone),
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
        let effects = machine.on(Event::Delete { by: By::default() }, 2).unwrap();
        prop_assert!(effects.contains(&Effect::Work(Work::Delete)));
        for event in after.into_iter().filter(|event| *event != Event::Gone) {
            machine.on(event, 3).unwrap();
            prop_assert!(machine.alarm_ms.is_some());
        }
        prop_assert_eq!(machine.on(Event::Gone, 4), Ok(vec![Effect::Forget]));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// A running machine, and agents that take an upgrade, refuse it, or die of it, in any order.
    #[test]
    fn a_boot_is_told_once_and_a_deadly_agent_a_few_times(steps in proptest::collection::vec((0_u8..7, digest()), 1..80)) {
        let (mut machine, mut boot, mut runs, mut carried) = (running(), 0_u32, "one".to_owned(), "one".to_owned());
        let (mut told, mut tells) = (std::collections::BTreeSet::new(), std::collections::BTreeMap::<String, u32>::new());
        let mut now = 1_000;
        for (what, digest) in steps {
            now += 1_000;
            let hello = |boot: u32, runs: &str, carried: &str| Event::Agent {
                boot: boot.to_string(), digest: runs.to_owned(), carried: carried.to_owned(),
            };
            let is_told = told.contains(&(boot, carried.clone()));
            let event = match what {
                // The platform carries another agent from now on.
                0 => {
                    carried = digest;
                    tells.clear();
                    told.clear();
                    hello(boot, &runs, &carried)
                }
                1 if is_told => {
                    runs.clone_from(&carried);
                    tells.clear();
                    told.clear();
                    hello(boot, &runs, &carried)
                }
                2 if is_told => {
                    told.remove(&(boot, carried.clone()));
                    *tells.entry(carried.clone()).or_default() -= 1;
                    Event::UpgradeRefused { digest: carried.clone(), reason: "not now".into(), again: true }
                }
                3 if is_told => Event::UpgradeRefused { digest: carried.clone(), reason: "never".into(), again: false },
                4 => {
                    boot += 1;
                    hello(boot, &runs, &carried)
                }
                5 => Event::Failed { work: Work::Deliver, reason: "no".into() },
                6 => Event::Delivered { digest: carried.clone() },
                _ => Event::Alarm,
            };
            machine.on(Event::Hello, now).unwrap();
            for effect in machine.on(event, now).unwrap() {
                let Effect::Tell(ToAgent::Upgrade { digest }) = effect else { continue };
                prop_assert_eq!(&digest, &carried);
                prop_assert!(runs != carried && !runs.is_empty() && !carried.is_empty());
                prop_assert!(told.insert((boot, digest.clone())), "boot {} was told twice", boot);
                let tells = tells.entry(digest).or_default();
                *tells += 1;
                prop_assert!(*tells <= TELLS_MAX, "told {} boots", tells);
            }
            prop_assert_eq!(machine.state, State::Running);
        }
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
                prop_assert!(machine.provisioned);
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

fn says(boot: &str, digest: &str, carried: &str) -> Event {
    Event::Agent { boot: boot.into(), digest: digest.into(), carried: carried.into() }
}

fn details(effects: &[Effect]) -> Vec<&str> {
    let history = effects.iter().filter_map(|effect| match effect {
        Effect::Save(history) => history.as_ref(),
        _ => None,
    });
    history.map(|history| history.detail.as_str()).collect()
}

#[test]
fn an_agent_of_another_digest_is_upgraded_and_settled() {
    let mut machine = running();
    assert_eq!(machine.on(says("a", "old", "old"), 1), Ok(vec![]));
    assert_eq!(machine.on(says("a", "old", "new"), 2), Ok(vec![Effect::Work(Work::Deliver)]));
    let told = machine.on(Event::Delivered { digest: "new".into() }, 3).unwrap();
    assert_eq!(told, [Effect::Tell(ToAgent::Upgrade { digest: "new".into() })]);
    // It hangs up while it does so.
    machine.on(Event::Lost, 4).unwrap();
    machine.on(Event::Hello, 5).unwrap();
    let upgraded = machine.on(says("a", "new", "new"), 5).unwrap();
    assert!(details(&upgraded)[0].contains("upgraded in place") && upgraded.contains(&Effect::Work(Work::Settle)));
    machine.on(Event::Settled, 6).unwrap();
    assert_eq!(machine.on(says("b", "new", "new"), 7), Ok(vec![]));
}

#[test]
fn a_refusal_is_final_for_its_boot_or_only_for_now() {
    let mut machine = running();
    let tell = [Effect::Tell(ToAgent::Upgrade { digest: "new".into() })];
    machine.on(says("a", "old", "new"), 0).unwrap();
    assert_eq!(machine.on(Event::Delivered { digest: "new".into() }, 1).unwrap(), tell);
    let refused = |again| Event::UpgradeRefused { digest: "new".into(), reason: "busy".into(), again };
    assert_eq!(machine.on(refused(true), 2), Ok(vec![]));
    let again = machine.alarm_ms.unwrap();
    assert_eq!(machine.on(Event::Alarm, again).unwrap(), tell);
    let recorded = machine.on(refused(false), again + 1).unwrap();
    assert_eq!(details(&recorded), ["Its agent could not be upgraded to new: busy. The old one goes on."]);
    assert_eq!(machine.on(says("a", "old", "new"), again + 2), Ok(vec![]));
    // The file may have been the reason: another boot gets another one.
    let next = machine.on(says("b", "old", "new"), again + 3).unwrap();
    assert!(next.contains(&Effect::Work(Work::Deliver)), "{next:?}");
}

#[test]
fn an_upgrade_that_kills_is_not_tried_for_ever() {
    let mut machine = running();
    let mut told = 0;
    for boot in 0..20 {
        machine.on(Event::Hello, boot).unwrap();
        let mut effects = machine.on(says(&boot.to_string(), "old", "new"), boot).unwrap();
        if effects.contains(&Effect::Work(Work::Deliver)) {
            effects = machine.on(Event::Delivered { digest: "new".into() }, boot).unwrap();
        }
        told += effects.iter().filter(|effect| matches!(effect, Effect::Tell(ToAgent::Upgrade { .. }))).count();
    }
    assert_eq!(told, 3);
    // Another one gets its chance.
    assert!(machine.on(says("20", "old", "newer"), 99).unwrap().contains(&Effect::Work(Work::Deliver)));
}

#[test]
fn an_agent_that_nobody_can_talk_to_is_replaced() {
    let mut machine = running();
    let effects = machine.on(Event::Outdated { protocol: 1, carried: false }, 1).unwrap();
    assert_eq!(machine.state, State::Waking);
    assert!(effects.contains(&Effect::Work(Work::Replace)) && details(&effects)[0].contains("protocol version 1"));
    // Until it is, nothing is asked of it.
    machine.on(Event::Lost, 2).unwrap();
    let at = machine.alarm_ms.unwrap();
    assert_eq!(machine.on(Event::Alarm, at).unwrap(), [Effect::Save(None), Effect::Work(Work::Replace)]);
    assert_eq!(machine.on(Event::Replaced, at + 1).unwrap(), [Effect::Work(Work::Wake)]);
    machine.on(Event::Hello, at + 2).unwrap();
    assert_eq!(machine.state, State::Running);
}

#[test]
fn a_deployment_that_cannot_talk_to_its_own_agent_says_so() {
    let mut machine = running();
    machine.on(Event::Outdated { protocol: 7, carried: true }, 1).unwrap();
    assert_eq!(machine.state, State::Failed);
    assert!(machine.reason.contains("protocol version 7"), "{}", machine.reason);
}

#[test]
fn replacing_an_agent_is_given_up_at_last() {
    let mut machine = running();
    machine.on(Event::Outdated { protocol: 1, carried: false }, 1).unwrap();
    for _ in 0..TRIES_MAX {
        machine.on(Event::Failed { work: Work::Replace, reason: "no answer".into() }, 2).unwrap();
        machine.on(Event::Alarm, 3).unwrap();
    }
    assert_eq!(machine.state, State::Failed);
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
