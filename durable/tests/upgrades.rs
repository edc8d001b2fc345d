//! Upgrades of the agent in a machine's life: told once for each boot, settled, refused, given up; and an agent that
//! nobody can talk to is replaced.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use proptest::prelude::*;
use snapvm_durable::machine_gateway::state::{Effect, Event, Machine, TRIES_MAX, Work};
use snapvm_durable::machine_gateway::upgrade::TELLS_MAX;
use snapvm_protocol::agent::ToAgent;
use snapvm_protocol::lifecycle::MachineState as State;

fn machine(state: State) -> Machine {
    Machine::from_record(state, 900, state != State::Creating, vec![30, 60, 120])
}

fn running() -> Machine {
    let mut machine = machine(State::Waking);
    machine.on(Event::Hello, 0).unwrap();
    machine.on(Event::Saved, 0).unwrap();
    machine
}

fn digest() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["one".to_owned(), "two".to_owned(), String::new()])
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
