//! The tables of the design, and a world in which any order of events keeps the invariants.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn definition(desired: DesiredState) -> ServiceDefinition {
    ServiceDefinition {
        name: "web".into(),
        command: "web".into(),
        args: vec![],
        directory: None,
        environment: BTreeMap::new(),
        http_port: None,
        at_sleep: AtSleep::Keep,
        desired,
    }
}

fn service(desired: DesiredState) -> Lifecycle {
    Lifecycle::new(definition(desired), Intervals { grace: 10_000, backoff: 500 })
}

fn running(now: u64) -> Lifecycle {
    let mut service = service(DesiredState::Up);
    assert_eq!(service.wake(now), Some(Effect::Spawn));
    service.spawned(7, now);
    service
}

#[test]
fn waits_double_and_eight_exits_in_a_streak_fail() {
    let mut service = running(0);
    let (mut now, mut waits) = (0, vec![]);
    loop {
        service.exited(Exit::Code(1), false, now);
        let Some(due) = service.due(now) else { break };
        waits.push(due - now);
        now = due;
        assert_eq!(service.tick(now), Some(Effect::Spawn));
        service.spawned(7, now);
    }
    assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 16_000, 32_000]);
    let status = service.status(now);
    assert_eq!((status.state, status.restarts), (ServiceState::Failed, 7));
    assert_eq!(status.error.as_deref(), Some("exited with code 1"));
    // Sticky until asked, then a fresh streak.
    assert_eq!(service.tick(now + 1_000_000), None);
    assert_eq!(service.define(definition(DesiredState::Up), now), None);
    assert_eq!(service.command(ServiceAction::Start, now), Some(Effect::Spawn));
}

#[test]
fn a_minute_of_running_ends_the_streak() {
    let mut service = running(0);
    for exit in 1..50 {
        let now = exit * 100_000;
        service.exited(Exit::Signal(9), false, now);
        assert_eq!(service.due(now), Some(now + 500));
        service.tick(now + 500);
        service.spawned(7, now + 500);
    }
}

#[test]
fn what_cannot_be_spawned_thrice_fails() {
    let mut service = service(DesiredState::Up);
    assert_eq!(service.wake(0), Some(Effect::Spawn));
    for at in [500, 1500] {
        service.unspawnable("no such file".into(), at - service.intervals.backoff);
        service.tick(1_000_000);
    }
    service.unspawnable("no such file".into(), 0);
    assert_eq!(service.status(0).state, ServiceState::Failed);
    assert_eq!(service.wake(0), Some(Effect::Spawn));
}

#[test]
fn a_stop_terminates_waits_and_kills_and_stays() {
    let mut service = running(0);
    assert_eq!(service.command(ServiceAction::Stop, 5), Some(Effect::Terminate(7)));
    assert_eq!(service.due(5), Some(10_005));
    assert_eq!(service.tick(10_005), Some(Effect::Kill(7)));
    assert_eq!(service.exited(Exit::Signal(9), false, 10_006), None);
    assert_eq!(service.status(0).state, ServiceState::Stopped);
    // Held although the list says up, until a wake.
    assert_eq!(service.define(definition(DesiredState::Up), 10_007), None);
    assert_eq!(service.wake(10_008), Some(Effect::Spawn));
}

#[test]
fn forks_that_outlive_their_parent_are_ended_before_a_restart() {
    let mut service = running(0);
    assert_eq!(service.exited(Exit::Code(0), true, 100), Some(Effect::Terminate(7)));
    assert_eq!(service.orphaned_group(), Some(7));
    assert_eq!(service.due(100), Some(200));
    assert_eq!(service.tick(200), None);
    assert_eq!(service.group_gone(300), None);
    assert_eq!(service.due(300), Some(800));
}

#[test]
fn a_changed_definition_restarts_and_a_renamed_port_does_not() {
    let mut service = running(0);
    let mut changed = definition(DesiredState::Up);
    changed.http_port = Some(3000);
    assert_eq!(service.define(changed.clone(), 1), None);
    changed.args = vec!["x".into()];
    assert_eq!(service.define(changed, 1), Some(Effect::Terminate(7)));
    assert_eq!(service.exited(Exit::Signal(15), false, 2), Some(Effect::Spawn));
}

#[test]
fn a_sleep_called_off_starts_what_it_stopped_and_nothing_else() {
    let mut service = running(0);
    assert_eq!(service.prepare_sleep(SleepKind::Hibernate, 1), None);
    assert_eq!(service.prepare_sleep(SleepKind::Stop, 1), Some(Effect::Terminate(7)));
    service.exited(Exit::Signal(15), false, 2);
    assert!(service.is_still());
    assert_eq!(service.resume(3), Some(Effect::Spawn));
    let mut stopped = self::service(DesiredState::Down);
    assert_eq!(stopped.prepare_sleep(SleepKind::Stop, 1), None);
    assert_eq!(stopped.resume(2), None);
    assert_eq!(stopped.wake(3), None);
}

#[derive(Debug, Clone)]
enum Step {
    Command(ServiceAction),
    Define(DesiredState, bool),
    Wake,
    Sleep(bool),
    Resume,
    Remove,
    Exit(bool),
    GroupGone,
    Pass(u64),
    FailSpawns(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        prop_oneof![Just(ServiceAction::Start), Just(ServiceAction::Stop), Just(ServiceAction::Restart)]
            .prop_map(Step::Command),
        (any::<bool>(), any::<bool>())
            .prop_map(|(up, change)| Step::Define(if up { DesiredState::Up } else { DesiredState::Down }, change)),
        Just(Step::Wake),
        any::<bool>().prop_map(Step::Sleep),
        Just(Step::Resume),
        Just(Step::Remove),
        any::<bool>().prop_map(Step::Exit),
        Just(Step::GroupGone),
        (1_u64..70_000).prop_map(Step::Pass),
        any::<bool>().prop_map(Step::FailSpawns),
    ]
}

/// Processes as the kernel has them.
#[derive(Default)]
struct World {
    next: u32,
    leader: Option<u32>,
    stragglers: bool,
    fails: bool,
}

impl World {
    fn act(&mut self, service: &mut Lifecycle, mut effect: Option<Effect>, now: u64) {
        while let Some(todo) = effect.take() {
            match todo {
                Effect::Spawn => {
                    assert!(self.leader.is_none() && !self.stragglers, "two at once");
                    if self.fails {
                        service.unspawnable("no".into(), now);
                    } else {
                        self.next += 1;
                        self.leader = Some(self.next);
                        effect = service.spawned(self.next, now);
                    }
                }
                // Whether a TERM is heeded is another step's choice.
                Effect::Terminate(group) => assert_eq!(group, self.next),
                Effect::Kill(group) => {
                    assert_eq!(group, self.next);
                    self.stragglers = false;
                    effect = if self.leader.take().is_some() {
                        service.exited(Exit::Signal(9), false, now)
                    } else {
                        service.group_gone(now)
                    };
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn never_two_at_once_and_every_stop_stops(steps in proptest::collection::vec(step(), 1..80)) {
        let mut service = service(DesiredState::Up);
        let (mut world, mut now) = (World::default(), 0);
        for step in steps {
            let effect = match step {
                Step::Command(action) => service.command(action, now),
                Step::Define(desired, change) => {
                    let mut definition = definition(desired);
                    if change { definition.args.push(now.to_string()); }
                    service.define(definition, now)
                }
                Step::Wake => service.wake(now),
                Step::Sleep(stop) => {
                    service.prepare_sleep(if stop { SleepKind::Stop } else { SleepKind::Hibernate }, now)
                }
                Step::Resume => service.resume(now),
                Step::Remove => service.remove(now),
                Step::Exit(stragglers) => {
                    if world.leader.take().is_none() { continue; }
                    world.stragglers = stragglers;
                    service.exited(Exit::Code(1), stragglers, now)
                }
                Step::GroupGone => {
                    if world.leader.is_some() { continue; }
                    world.stragglers = false;
                    service.group_gone(now)
                }
                Step::Pass(time) => {
                    now += time;
                    service.tick(now)
                }
                Step::FailSpawns(fails) => { world.fails = fails; None }
            };
            world.act(&mut service, effect, now);
            let status = service.status(now);
            prop_assert_eq!(status.pid, world.leader);
            if service.is_still() { prop_assert!(world.leader.is_none() && !world.stragglers); }
        }
        // Whatever happened, a removal ends, with KILL if it must.
        let effect = service.remove(now);
        world.act(&mut service, effect, now);
        for _ in 0..4 {
            if service.is_gone() { break; }
            now += 10_000;
            let effect = service.tick(now);
            world.act(&mut service, effect, now);
        }
        prop_assert!(service.is_gone() && world.leader.is_none());
    }
}
