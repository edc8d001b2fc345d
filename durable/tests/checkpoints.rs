//! Checkpoints in the life of a machine: every order ends, whatever the runtime, the agent and Postgres do, and nothing
//! of before gets through a restore.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what is wrong by panicking")]

use proptest::prelude::*;
use snapvm_durable::machine_gateway::cause::By;
use snapvm_durable::machine_gateway::checkpoint::{DEADLINE_MS, Order, SYNC_MS, Step, TRIES_MAX, What};
use snapvm_durable::machine_gateway::state::{Effect, Event, Machine, Work};
use snapvm_protocol::agent::ToAgent;
use snapvm_protocol::ids::CheckpointId;
use snapvm_protocol::lifecycle::MachineState as State;
use snapvm_protocol::sprites::SpriteStatus;

const NOW: u64 = 1_790_000_000_000;

fn order(what: What, number: u32) -> Event {
    let order = Order {
        id: CheckpointId::new(NOW, [7; 10]),
        order: format!("order {number}"),
        what,
        name: (what != What::Making).then(|| "v3".into()),
        comment: "before the upgrade".into(),
    };
    Event::Checkpoint { order }
}

fn at(state: State) -> Machine {
    Machine::from_record(state, 900, true, vec![30])
}

/// A running machine whose agent is the carried one.
fn running() -> Machine {
    let mut machine = at(State::Waking);
    machine.on(Event::Hello, NOW).unwrap();
    let digest = "d".repeat(64);
    machine.on(Event::Agent { boot: "b".into(), digest: digest.clone(), carried: digest }, NOW).unwrap();
    machine
}

fn works(effects: &[Effect]) -> Vec<Work> {
    effects.iter().filter_map(|effect| if let Effect::Work(work) = effect { Some(*work) } else { None }).collect()
}

fn outcome(machine: &Machine) -> (Option<String>, String) {
    match &machine.checkpoints.job.as_ref().expect("an order").step {
        Step::Done(outcome) => (outcome.state.clone(), outcome.kind.clone()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_awake_machine_syncs_first_and_is_not_waited_for_beyond_its_time() {
    let mut machine = running();
    let effects = machine.on(order(What::Making, 1), NOW).unwrap();
    let [Effect::Tell(ToAgent::Sync { sync })] = effects.as_slice() else { panic!("{effects:?}") };
    // An answer to another question is none.
    assert_eq!(machine.on(Event::Synced { sync: sync + 1 }, NOW).unwrap(), []);
    let mut silent = machine.clone();
    assert_eq!(works(&machine.on(Event::Synced { sync: *sync }, NOW).unwrap()), [Work::Checkpoint]);
    let done = machine.on(Event::CheckpointDone { name: Some("v3".into()) }, NOW).unwrap();
    assert_eq!(works(&done), [Work::TellCheckpoint]);
    assert_eq!(outcome(&machine), (Some("ready".into()), "checkpoint_made".into()));
    assert_eq!(machine.state, State::Running, "it goes on");

    assert!(silent.alarm_ms.is_some_and(|at| at <= NOW + SYNC_MS), "{:?}", silent.alarm_ms);
    assert_eq!(works(&silent.on(Event::Alarm, NOW + SYNC_MS).unwrap()), [Work::Checkpoint]);
    silent.on(Event::CheckpointDone { name: Some("v3".into()) }, NOW + SYNC_MS).unwrap();
    let Step::Done(outcome) = &silent.checkpoints.job.as_ref().unwrap().step else { panic!() };
    assert!(outcome.reason.contains("did not confirm") && outcome.detail.contains("did not confirm"), "{outcome:?}");
}

#[test]
fn a_machine_that_sleeps_is_not_woken_for_one() {
    for state in [State::Hibernated, State::Stopped] {
        let mut machine = at(state);
        assert_eq!(works(&machine.on(order(What::Making, 1), NOW).unwrap()), [Work::Checkpoint]);
        machine.on(Event::CheckpointDone { name: Some("v1".into()) }, NOW).unwrap();
        assert_eq!(machine.state, state);
    }
}

#[test]
fn an_order_is_carried_out_once_and_the_record_is_told_until_it_knows() {
    let mut machine = at(State::Stopped);
    machine.on(order(What::Making, 1), NOW).unwrap();
    assert_eq!(machine.on(order(What::Making, 1), NOW).unwrap(), [], "it is under way");
    assert_eq!(machine.on(order(What::Deleting, 2), NOW).unwrap(), [], "one at a time");
    machine.on(Event::CheckpointDone { name: Some("v1".into()) }, NOW).unwrap();
    let mut now = NOW;
    for _ in 0..20 {
        let failed = Event::Failed { work: Work::TellCheckpoint, reason: "it is away".into() };
        assert_eq!(machine.on(failed, now).unwrap(), []);
        now = machine.checkpoints.job.as_ref().expect("an order").due_ms;
        assert_eq!(works(&machine.on(Event::Alarm, now).unwrap()), [Work::TellCheckpoint]);
    }
    machine.on(Event::CheckpointTold, NOW).unwrap();
    assert_eq!(machine.checkpoints.job, None);
    assert_eq!(machine.on(order(What::Making, 1), NOW).unwrap(), [], "a late word of an order that is done");
    assert_ne!(machine.on(order(What::Deleting, 2), NOW).unwrap(), []);
}

#[test]
fn a_restore_is_taken_in_every_state_and_nothing_of_before_gets_through() {
    for state in [State::Hibernated, State::Stopped, State::Failed, State::Running, State::Waking, State::Hibernating] {
        let mut machine = if state == State::Running { running() } else { at(state) };
        let effects = machine.on(order(What::Restoring, 1), NOW).unwrap();
        for effect in [Effect::Unbind, Effect::Disconnect, Effect::Work(Work::Checkpoint)] {
            assert!(effects.contains(&effect), "{state}: {effect:?} in {effects:?}");
        }
        assert_eq!((machine.state, machine.connected), (State::Waking, false));
        assert!(machine.reason.contains("Restoring checkpoint v3"), "{}", machine.reason);
        let before = machine.clone();
        for late in [
            Event::Hello,
            Event::Outdated { protocol: 1, carried: false },
            Event::Delivered { digest: "d".into() },
            Event::Settled,
            Event::Replaced,
            Event::WakeSent,
            Event::NoAgent,
            Event::Looked { status: Some(SpriteStatus::Warm) },
            Event::SleepReady { sleep: 1 },
            Event::Failed { work: Work::Wake, reason: "late".into() },
        ] {
            assert_eq!(machine.on(late.clone(), NOW).unwrap(), [], "{late:?}");
            assert_eq!(machine, before, "{late:?}");
        }
        // Nobody needs to order a start, and nobody gets a sleep.
        assert_eq!(machine.on(Event::Wanted { by: By::default() }, NOW).unwrap(), []);
        let effects = machine.on(Event::CheckpointDone { name: None }, NOW).unwrap();
        assert_eq!(works(&effects), [Work::TellCheckpoint, Work::Wake]);
        assert_eq!(outcome(&machine), (Some("ready".into()), "restored".into()));
        machine.on(Event::Hello, NOW).unwrap();
        assert_eq!(machine.state, State::Running);
    }
}

#[test]
fn what_the_runtime_refuses_leaves_the_machine_as_it_was() {
    for (before, after) in
        [(State::Hibernated, State::Hibernated), (State::Stopped, State::Stopped), (State::Failed, State::Waking)]
    {
        let mut machine = at(before);
        machine.on(order(What::Restoring, 1), NOW).unwrap();
        let effects = machine.on(Event::CheckpointRefused { reason: "no such checkpoint".into() }, NOW).unwrap();
        assert_eq!(machine.state, after);
        assert_eq!(works(&effects).contains(&Work::Wake), after == State::Waking);
        assert_eq!(outcome(&machine), (Some("ready".into()), "restore_failed".into()));
    }
}

#[test]
fn a_restore_of_which_nobody_knows_fails_with_a_way_on() {
    let mut machine = running();
    machine.on(order(What::Restoring, 1), NOW).unwrap();
    for _ in 0..TRIES_MAX {
        assert_eq!(machine.state, State::Waking);
        machine.on(Event::Failed { work: Work::Checkpoint, reason: "the runtime is away".into() }, NOW).unwrap();
    }
    assert_eq!(machine.state, State::Failed);
    assert!(machine.reason.contains("not known") && machine.reason.contains("start"), "{}", machine.reason);
    assert_eq!(outcome(&machine), (Some("ready".into()), "restore_failed".into()));
    machine.on(Event::CheckpointTold, NOW).unwrap();
    // It can be restored again, and another one may be tried.
    assert!(works(&machine.on(order(What::Restoring, 2), NOW).unwrap()).contains(&Work::Checkpoint));
}

#[test]
fn a_deletion_wins() {
    for what in [What::Making, What::Restoring, What::Deleting] {
        let mut machine = running();
        machine.on(order(what, 1), NOW).unwrap();
        let effects = machine.on(Event::Delete { by: By::default() }, NOW).unwrap();
        assert_eq!(works(&effects), [Work::Delete]);
        for late in [
            Event::CheckpointDone { name: None },
            Event::CheckpointRefused { reason: "late".into() },
            order(What::Restoring, 2),
            Event::Failed { work: Work::Checkpoint, reason: "late".into() },
        ] {
            assert_eq!(machine.on(late.clone(), NOW).unwrap(), [], "{late:?}");
            assert_eq!(machine.state, State::Deleting);
        }
    }
}

fn what() -> impl Strategy<Value = What> {
    prop_oneof![Just(What::Making), Just(What::Restoring), Just(What::Deleting)]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (what(), 0..6_u32).prop_map(|(what, number)| order(what, number)),
        3 => Just(Event::CheckpointDone { name: Some("v4".into()) }),
        1 => Just(Event::CheckpointRefused { reason: "no".into() }),
        3 => Just(Event::Failed { work: Work::Checkpoint, reason: "lost".into() }),
        2 => Just(Event::Failed { work: Work::TellCheckpoint, reason: "away".into() }),
        2 => Just(Event::CheckpointTold),
        2 => (0..6_u64).prop_map(|sync| Event::Synced { sync }),
        2 => Just(Event::Hello),
        2 => Just(Event::Lost),
        4 => Just(Event::Alarm),
        1 => Just(Event::WakeSent),
        1 => Just(Event::Start { by: By::default() }),
        1 => Just(Event::Hibernate { by: By::default() }),
        1 => Just(Event::Looked { status: Some(SpriteStatus::Warm) }),
        1 => Just(Event::Looked { status: None }),
        1 => Just(Event::Failed { work: Work::Wake, reason: "no".into() }),
        1 => Just(Event::Outdated { protocol: 1, carried: false }),
    ]
}

proptest! {
    #[test]
    fn every_order_has_a_next_step_and_a_restore_is_never_overtaken(
        events in proptest::collection::vec((event(), 0..20_000_u64), 0..60),
    ) {
        let (mut machine, mut now) = (running(), NOW);
        for (event, later) in events {
            now += later;
            let was_restoring = machine.checkpoints.is_restoring();
            let _ = machine.on(event.clone(), now);
            if machine.checkpoints.is_restoring() {
                prop_assert_eq!(machine.state, State::Waking, "{:?}", event);
                prop_assert!(!machine.connected, "{:?}", event);
            } else if was_restoring {
                let ends = matches!(event, Event::CheckpointDone { .. } | Event::CheckpointRefused { .. }
                    | Event::Looked { status: None }
                    | Event::Failed { work: Work::Checkpoint, .. });
                prop_assert!(ends, "{:?} ended a restore", event);
            }
            if let Some(job) = &machine.checkpoints.job {
                prop_assert!(machine.alarm_ms.is_some_and(|at| at <= job.due_ms), "{:?}: {:?}", event, machine);
            }
        }
        // A runtime that fails for ever, and a record that is there: the order ends.
        let mut rounds = 0;
        while machine.checkpoints.job.is_some() {
            rounds += 1;
            prop_assert!(rounds < 100 && now < NOW + 100 * DEADLINE_MS, "{:?}", machine.checkpoints);
            now = now.max(machine.alarm_ms.expect("an alarm"));
            for effect in machine.on(Event::Alarm, now).unwrap_or_default() {
                let answer = match effect {
                    Effect::Work(Work::Checkpoint) => Event::Failed { work: Work::Checkpoint, reason: "away".into() },
                    Effect::Work(Work::TellCheckpoint) => Event::CheckpointTold,
                    _ => continue,
                };
                for effect in machine.on(answer, now).unwrap_or_default() {
                    if effect == Effect::Work(Work::TellCheckpoint) {
                        let _ = machine.on(Event::CheckpointTold, now);
                    }
                }
            }
        }
    }
}
