//! Holds and the idle clock: properties over random events at random times, and named cases.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use proptest::prelude::*;
use snapvm_durable::machine_gateway::cause::By;
use snapvm_durable::machine_gateway::idle::GRACE_MS;
use snapvm_durable::machine_gateway::state::{ActivityKind, Effect, Event, Machine};
use snapvm_protocol::agent::ToAgent;
use snapvm_protocol::lifecycle::{Cause, MachineState as State};

const IDLE_SECONDS: u64 = 900;
const IDLE_MS: u64 = IDLE_SECONDS * 1000;
const HOUR: u64 = 3_600_000;
/// The tests' clock begins here.
const START: u64 = 1_000_000;

fn running() -> Machine {
    let mut machine = Machine::from_record(State::Waking, IDLE_SECONDS, true, vec![30, 60, 120]);
    machine.on(Event::Hello, START).unwrap();
    machine.on(Event::Saved, START).unwrap();
    machine
}

fn held(until: u64) -> Machine {
    let mut machine = running();
    machine.on(Event::Holds { until_ms: vec![until] }, START).unwrap();
    machine
}

fn activity() -> Event {
    Event::Activity { kind: ActivityKind::Terminal }
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

/// Follows the machine's alarms, and nothing else, until it is told to sleep: when that is.
fn sleeps_by_itself(machine: &mut Machine) -> u64 {
    let mut at = START;
    for _ in 0..10 {
        if machine.state == State::Running {
            at = machine.alarm_ms.unwrap();
            machine.on(Event::Alarm, at).unwrap();
        }
    }
    assert_eq!(machine.state, State::Hibernating, "{machine:?}");
    at
}

/// How long before the end of the clock terminals are warned.
fn warning(machine: &Machine) -> u64 {
    (machine.idle_seconds * 1000 / 5).min(60_000)
}

/// When the machine sleeps, as terminals have it after this event.
fn heard(machine: &mut Machine, event: Event, now: u64, told: Option<u64>) -> Result<Option<u64>, TestCaseError> {
    let effects = machine.on(event, now).unwrap_or_default();
    if !machine.is_ready() {
        // They are told the state that it is in.
        return Ok(None);
    }
    let mut words = effects.iter().filter_map(|effect| match effect {
        Effect::WarnTerminals { in_ms } => Some(in_ms.map(|in_ms| now + in_ms)),
        _ => None,
    });
    let Some(word) = words.next() else { return Ok(told) };
    prop_assert_eq!(words.next(), None, "told twice");
    prop_assert!(word != told || word == Some(now), "nothing new");
    Ok(word)
}

fn event() -> impl Strategy<Value = Event> {
    let names = prop_oneof![Just(vec![]), Just(vec!["build".to_owned()])];
    let keepers = prop_oneof![Just(vec![]), Just(vec!["worker".to_owned()])];
    prop_oneof![
        3 => proptest::collection::vec(0_u64..10 * HOUR, 0..4).prop_map(|until_ms| Event::Holds { until_ms }),
        3 => (0_u64..3 * IDLE_SECONDS).prop_map(|seconds| Event::Idle { seconds }),
        3 => Just(Event::Alarm),
        1 => Just(activity()),
        1 => names.prop_map(|names| Event::Tasks { names }),
        1 => keepers.prop_map(|names| Event::Keepers { names }),
        1 => Just(Event::Hello),
        1 => Just(Event::NotAdmitted { detail: "no place".to_owned() }),
        1 => Just(Event::Lost),
        1 => Just(Event::Wanted { by: visit() }),
        1 => (1_u64..4).prop_map(|sleep| Event::SleepReady { sleep }),
        1 => Just(Event::Hibernate { by: idle() }),
        1 => Just(Event::Start { by: ada() }),
        1 => (300_u64..2000).prop_map(|idle_seconds| Event::Settings { idle_seconds, cpu_counts: false }),
        1 => Just(Event::SaveFailed),
        1 => Just(Event::Saved),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_but_a_person_puts_a_held_machine_to_sleep(
        events in proptest::collection::vec((event(), 0_u64..HOUR / 2), 1..80),
    ) {
        let (mut machine, mut now) = (running(), START);
        for (event, later) in events {
            now += later;
            let is_held = machine.live_holds(now) > 0 || !machine.keepers.is_empty();
            let was_held = machine.state == State::Running && is_held;
            // A state may refuse an order; nothing has changed then.
            let effects = machine.on(event.clone(), now).unwrap_or_default();
            let ordered = effects.iter().any(|effect| matches!(effect, Effect::Tell(ToAgent::Sleep { .. })));
            prop_assert!(!(was_held && ordered), "{event:?} at {now}: {machine:?}");
            if machine.is_ready() && machine.tasks.is_empty() && machine.keepers.is_empty() {
                let latest = machine.sleeps_at_ms(now).unwrap() + GRACE_MS;
                prop_assert!(machine.alarm_ms.is_some_and(|at| at <= latest), "{event:?} at {now}: {machine:?}");
            }
        }
    }

    /// What open terminals were told last is so, whatever happened: the time of the sleep when that is near, and
    /// nothing otherwise.
    #[test]
    fn terminals_are_warned_of_each_end_of_the_clock_once(
        events in proptest::collection::vec((event(), 0_u64..10 * 60_000), 1..80),
    ) {
        let (mut machine, mut now, mut told) = (running(), START, None);
        for (event, later) in events {
            now += later;
            // An alarm is never late by much.
            if let Some(at) = machine.alarm_ms.filter(|at| *at < now) {
                told = heard(&mut machine, Event::Alarm, at, told)?;
            }
            told = heard(&mut machine, event.clone(), now, told)?;
            if machine.is_ready() {
                let near = machine.sleeps_at_ms(now).filter(|at| now + warning(&machine) >= *at);
                prop_assert_eq!(told.is_some(), near.is_some(), "{:?} at {}: {:?}", event, now, machine);
                prop_assert!(told >= near, "told {told:?} and not {near:?}");
                let latest = machine.sleeps_at_ms(now).map(|at| at.saturating_sub(warning(&machine)));
                let awaited = machine.alarm_ms.is_some_and(|alarm| latest.is_none_or(|at| alarm <= at));
                prop_assert!(near.is_some() || latest.is_none() || awaited, "{event:?} at {now}: {machine:?}");
            }
        }
    }

    /// However holds follow each other, with nobody there the machine sleeps one idle timeout after the last.
    #[test]
    fn the_clock_starts_anew_when_the_last_hold_ends(
        until_ms in proptest::collection::vec(START + 1..START + 24 * HOUR, 1..10),
        ended_early in any::<bool>(),
        seconds in 0_u64..100_000,
    ) {
        let mut machine = running();
        machine.on(Event::Holds { until_ms: until_ms.clone() }, START).unwrap();
        let mut last = *until_ms.iter().max().unwrap();
        if ended_early {
            last = START + (last - START) / 2;
            machine.on(Event::Holds { until_ms: vec![] }, last).unwrap();
        }
        // The agent proposes a sleep one moment too early.
        machine.on(Event::Idle { seconds }, last + IDLE_MS - 1).unwrap();
        prop_assert_eq!(machine.state, State::Running);
        prop_assert_eq!(machine.sleeps_at_ms(last + 1), Some(last + IDLE_MS));
        let mut later = machine.clone();
        later.on(Event::Idle { seconds: IDLE_SECONDS }, last + IDLE_MS).unwrap();
        prop_assert_eq!(later.state, State::Hibernating, "and at the moment itself it is taken");
        // Without any proposal, its own alarm finds it.
        prop_assert_eq!(sleeps_by_itself(&mut machine), last + IDLE_MS + GRACE_MS);
    }
}

#[test]
fn activity_moves_the_end_of_the_clock() {
    let mut machine = running();
    assert_eq!(machine.sleeps_at_ms(START), Some(START + IDLE_MS));
    machine.on(activity(), START + 5000).unwrap();
    assert_eq!(machine.sleeps_at_ms(START + 5000), Some(START + 5000 + IDLE_MS));
    assert_eq!(sleeps_by_itself(&mut machine), START + 5000 + IDLE_MS + GRACE_MS);
}

#[test]
fn terminals_are_warned_a_minute_before_and_activity_calls_it_off() {
    let mut machine = running();
    let warning = |in_ms| [Effect::WarnTerminals { in_ms }];
    let first = START + IDLE_MS - 60_000;
    assert_eq!(machine.alarm_ms, Some(first));
    assert_eq!(machine.on(Event::Alarm, first).unwrap(), warning(Some(60_000)));
    assert_eq!(machine.alarm_ms, Some(START + IDLE_MS + GRACE_MS), "nobody is woken for it again");
    assert_eq!(machine.on(activity(), first + 1).unwrap(), warning(None));
    // A hold calls it off, too, and a sleep says more than a warning.
    let second = first + 1 + IDLE_MS - 60_000;
    machine.on(Event::Alarm, machine.alarm_ms.unwrap()).unwrap();
    assert_eq!(machine.on(Event::Alarm, second).unwrap(), warning(Some(60_000)));
    assert_eq!(machine.on(Event::Holds { until_ms: vec![second + HOUR] }, second + 9).unwrap(), warning(None));
    machine.on(Event::Holds { until_ms: vec![] }, second + 10).unwrap();
    let third = second + 10 + IDLE_MS;
    assert_eq!(machine.on(Event::Alarm, third - 5_000).unwrap(), warning(Some(5_000)));
    let effects = machine.on(Event::Idle { seconds: IDLE_SECONDS }, third).unwrap();
    assert_eq!(machine.state, State::Hibernating);
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::WarnTerminals { .. })), "{effects:?}");
}

#[test]
fn a_task_has_no_known_end_and_starts_the_clock_anew_when_it_ends() {
    let mut machine = running();
    machine.on(Event::Tasks { names: vec!["build".into()] }, START).unwrap();
    assert_eq!(machine.sleeps_at_ms(START), None);
    machine.on(Event::Alarm, START + 10 * HOUR).unwrap();
    assert_eq!((machine.state, machine.alarm_ms), (State::Running, None));
    machine.on(Event::Tasks { names: vec![] }, START + 10 * HOUR).unwrap();
    assert_eq!(sleeps_by_itself(&mut machine), START + 10 * HOUR + IDLE_MS + GRACE_MS);
}

#[test]
fn a_service_that_keeps_awake_does_so_until_it_does_not_run() {
    let mut machine = running();
    machine.on(Event::Keepers { names: vec!["worker".into()] }, START).unwrap();
    assert_eq!(machine.sleeps_at_ms(START), None);
    machine.on(Event::Idle { seconds: IDLE_SECONDS }, START + 2 * IDLE_MS).unwrap();
    machine.on(Event::Alarm, START + 10 * HOUR).unwrap();
    assert_eq!((machine.state, machine.alarm_ms), (State::Running, None));
    machine.on(Event::Keepers { names: vec![] }, START + 10 * HOUR).unwrap();
    assert_eq!(sleeps_by_itself(&mut machine), START + 10 * HOUR + IDLE_MS + GRACE_MS);
    // One that begins to run while the machine goes to sleep for idleness calls that off.
    machine.on(Event::Keepers { names: vec!["worker".into()] }, START + 11 * HOUR).unwrap();
    machine.on(Event::SleepReady { sleep: machine.sleeps }, START + 11 * HOUR).unwrap();
    assert_eq!(machine.state, State::Running);
    // A person may put it to sleep all the same.
    machine.on(Event::Hibernate { by: ada() }, START + 12 * HOUR).unwrap();
    assert_eq!(machine.state, State::Hibernating);
}

#[test]
fn a_persons_hibernate_overrides_a_hold_says_so_and_leaves_it() {
    let mut machine = held(START + HOUR);
    let effects = machine.on(Event::Hibernate { by: ada() }, START + 1).unwrap();
    assert_eq!(machine.state, State::Hibernating);
    assert_eq!(machine.reason, "Hibernating, by hand, although a hold was to keep it awake.");
    let Some(Effect::Save(Some(history))) = effects.first() else { panic!("{effects:?}") };
    assert_eq!((history.detail.as_str(), &history.by), (machine.reason.as_str(), &ada()));
    // Woken before its end, it is held again.
    machine.on(Event::Wanted { by: visit() }, START + 2).unwrap();
    machine.on(Event::Hello, START + 3).unwrap();
    machine.on(Event::Idle { seconds: 10 * IDLE_SECONDS }, START + HOUR - 1).unwrap();
    assert_eq!(machine.state, State::Running);
}

#[test]
fn a_stop_ends_holds_and_none_begins_under_it() {
    let mut machine = held(START + HOUR);
    machine.on(Event::Holds { until_ms: vec![START + HOUR, START + 2 * HOUR] }, START).unwrap();
    machine.on(Event::Stop { by: ada() }, START + 1).unwrap();
    assert_eq!(machine.reason, "Stopping, although 2 holds were to keep it awake.");
    machine.on(Event::Holds { until_ms: vec![START + HOUR] }, START + 2).unwrap();
    assert_eq!(machine.live_holds(START + 2), 0);
}

#[test]
fn a_hold_wakes_nothing() {
    for state in [State::Hibernated, State::Stopped, State::Failed] {
        let mut machine = Machine::from_record(state, IDLE_SECONDS, true, vec![30]);
        assert_eq!(machine.on(Event::Holds { until_ms: vec![START + HOUR] }, START), Ok(vec![]));
        assert_eq!((machine.state, machine.sleeps_at_ms(START)), (state, None));
    }
}

#[test]
fn a_hold_calls_off_an_idle_sleep_and_no_other() {
    for (by, expected) in [(idle(), State::Running), (ada(), State::Hibernating)] {
        let mut machine = running();
        machine.on(Event::Hibernate { by }, START + IDLE_MS).unwrap();
        machine.on(Event::Holds { until_ms: vec![START + HOUR] }, START + IDLE_MS + 1).unwrap();
        machine.on(Event::SleepReady { sleep: 1 }, START + IDLE_MS + 2).unwrap();
        assert_eq!(machine.state, expected);
    }
}

#[test]
fn the_end_of_the_last_hold_is_written_down() {
    let mut machine = held(START + HOUR);
    let effects = machine.on(Event::Alarm, START + HOUR).unwrap();
    let Some(Effect::Save(Some(history))) = effects.first() else { panic!("{effects:?}") };
    assert_eq!((&*history.kind, machine.holds.len()), ("holds_over", 0));
}

/// What an object wrote to its SQLite before there were holds.
#[test]
fn a_memory_without_holds_is_read() {
    let mut memory = serde_json::to_value(held(START + HOUR)).unwrap();
    for field in ["holds", "kept_until_ms", "last_activity", "heard_since_ms"] {
        assert!(memory.as_object_mut().unwrap().remove(field).is_some(), "{field}");
    }
    let machine: Machine = serde_json::from_value(memory).unwrap();
    assert_eq!((machine.state, machine.live_holds(START)), (State::Running, 0));
}
