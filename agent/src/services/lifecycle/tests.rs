//! The tables of the design, and a world in which any order of events keeps the invariants.

use super::*;
use proptest::prelude::*;
use snapvm_protocol::services::ServiceState::{self, Failed, Starting, Stopped};
use snapvm_protocol::services::{EXITS_KEPT, Readiness, RestartPolicy};

fn definition(desired: DesiredState) -> ServiceDefinition {
    ServiceDefinition { desired, ..ServiceDefinition::new("web", "web") }
}

fn service(desired: DesiredState) -> Lifecycle {
    Lifecycle::new(definition(desired), Intervals { grace: 10_000, backoff: 500 })
}

fn running(now: u64) -> Lifecycle {
    let mut service = service(DesiredState::Up);
    assert_eq!(service.wake(now), Some(Effect::Spawn));
    service.spawned(7, Containment::Cgroup, now);
    service
}

#[test]
fn waits_double_and_eight_exits_in_a_streak_fail() {
    let mut service = running(0);
    let (mut now, mut waits) = (0, vec![]);
    loop {
        service.exited(Exit::Code(1), false, now, now);
        let Some(due) = service.due(now) else { break };
        waits.push(due - now);
        now = due;
        assert_eq!(service.tick(now), Some(Effect::Spawn));
        service.spawned(7, Containment::Cgroup, now);
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
        service.exited(Exit::Signal(9), false, now, now);
        assert_eq!(service.due(now), Some(now + 500));
        service.tick(now + 500);
        service.spawned(7, Containment::Cgroup, now + 500);
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
    assert_eq!(service.exited(Exit::Signal(9), false, 10_006, 10_006), None);
    assert_eq!(service.status(0).state, ServiceState::Stopped);
    // Held although the list says up, until a wake.
    assert_eq!(service.define(definition(DesiredState::Up), 10_007), None);
    assert_eq!(service.wake(10_008), Some(Effect::Spawn));
}

#[test]
fn forks_that_outlive_their_parent_are_ended_before_a_restart() {
    let mut service = running(0);
    assert_eq!(service.exited(Exit::Code(0), true, 100, 100), Some(Effect::Terminate(7)));
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
    assert_eq!(service.exited(Exit::Signal(15), false, 2, 2), Some(Effect::Spawn));
}

#[test]
fn a_sleep_called_off_starts_what_it_stopped_and_nothing_else() {
    let mut service = running(0);
    assert_eq!(service.prepare_sleep(SleepKind::Hibernate, 1), None);
    assert_eq!(service.prepare_sleep(SleepKind::Stop, 1), Some(Effect::Terminate(7)));
    service.exited(Exit::Signal(15), false, 2, 2);
    assert!(service.is_still());
    assert_eq!(service.resume(3), Some(Effect::Spawn));
    let mut stopped = self::service(DesiredState::Down);
    assert_eq!(stopped.prepare_sleep(SleepKind::Stop, 1), None);
    assert_eq!(stopped.resume(2), None);
    assert_eq!(stopped.wake(3), None);
}

fn with(change: impl FnOnce(&mut ServiceDefinition)) -> Lifecycle {
    let mut definition = definition(DesiredState::Up);
    change(&mut definition);
    Lifecycle::new(definition, Intervals { grace: 10_000, backoff: 500 })
}

fn unready(name: &str, state: ServiceState) -> Vec<Unready> {
    vec![Unready { name: name.into(), state: Some(state) }]
}

#[test]
fn what_it_needs_is_waited_for_and_named() {
    let mut service = with(|definition| definition.needs = vec!["db".into()]);
    assert_eq!(service.wake(0), None);
    let waiting = |service: &Lifecycle| (service.status(0).state, service.status(0).waiting_on);
    assert_eq!(waiting(&service), (ServiceState::Starting, vec![Unready { name: "db".into(), state: None }]));
    assert_eq!(service.need(unready("db", ServiceState::Failed), 1), None);
    assert_eq!(waiting(&service), (ServiceState::Starting, unready("db", ServiceState::Failed)));
    assert_eq!(service.due(1), None);
    assert_eq!(service.need(vec![], 2), Some(Effect::Spawn));
    service.spawned(7, Containment::Cgroup, 2);
    // What it needs may go away under it; only its next start waits.
    assert_eq!(service.need(unready("db", ServiceState::Stopped), 3), None);
    assert_eq!((service.status(3).pid, service.status(3).waiting_on), (Some(7), vec![]));
    service.exited(Exit::Code(1), false, 4, 4);
    assert_eq!(service.tick(504), None);
    assert_eq!(waiting(&service), (ServiceState::Starting, unready("db", ServiceState::Stopped)));
    // A stop ends the waiting too.
    assert_eq!(service.command(ServiceAction::Stop, 505), None);
    assert_eq!(service.need(vec![], 506), None);
    assert_eq!(service.status(507).state, ServiceState::Stopped);
}

#[test]
fn it_is_ready_by_time_or_when_it_was_found_so() {
    let mut service = running(0);
    assert!(!service.is_ready());
    service.tick(1_000);
    assert!(service.is_ready() && service.due(1_000).is_none());

    let mut service = with(|definition| definition.ready = Some(Readiness::Delay { seconds: 5 }));
    service.wake(0);
    service.spawned(7, Containment::Cgroup, 0);
    assert_eq!((service.due(0), service.due(1_000)), (Some(1_000), Some(5_000)));
    service.tick(4_999);
    assert!(!service.is_ready());
    service.tick(5_000);
    assert!(service.is_ready());

    let mut service = with(|definition| definition.ready = Some(Readiness::Delay { seconds: 0 }));
    service.wake(0);
    service.spawned(7, Containment::Cgroup, 0);
    assert!(service.is_ready());

    let mut service = with(|definition| {
        definition.ready = Some(Readiness::Tcp { port: 5432 });
        definition.ready_limit_seconds = Some(20);
    });
    service.wake(0);
    service.spawned(7, Containment::Cgroup, 0);
    assert_eq!(service.probe().map(|(pid, _)| pid), Some(7));
    service.tick(19_999);
    assert_eq!(service.status(19_999).error, None);
    assert_eq!(service.due(19_999), Some(20_000));
    service.tick(20_000);
    let status = service.status(20_000);
    assert_eq!((status.state, status.ready), (ServiceState::Running, false));
    assert_eq!(status.error.as_deref(), Some("not ready after 20 s"));
    assert_eq!(service.due(20_000), None);
    // The answer of a process before it does not count.
    service.is_found_ready(6);
    assert!(!service.is_ready() && service.probe().is_some());
    service.is_found_ready(7);
    let status = service.status(30_000);
    assert_eq!((status.ready, status.error), (true, None));
    assert_eq!(service.probe(), None);
    service.exited(Exit::Code(1), false, 40_000, 40_000);
    assert!(!service.is_ready());
}

#[test]
fn restart_policies() {
    let run = |restart: RestartPolicy, exit: Exit| {
        let mut service = with(|definition| definition.restart = restart);
        service.wake(0);
        service.spawned(7, Containment::Cgroup, 0);
        service.exited(exit, false, 10, 10);
        (service.status(10).state, service.is_ready(), service)
    };
    for (restart, exit, state, ready) in [
        (RestartPolicy::Always, Exit::Code(0), Starting, false),
        (RestartPolicy::OnFailure, Exit::Code(0), Stopped, true),
        (RestartPolicy::OnFailure, Exit::Code(2), Starting, false),
        (RestartPolicy::OnFailure, Exit::Signal(9), Starting, false),
        (RestartPolicy::Never, Exit::Code(0), Stopped, true),
        (RestartPolicy::Never, Exit::Code(2), Failed, false),
        (RestartPolicy::Never, Exit::Signal(9), Failed, false),
    ] {
        let (found, is_ready, _) = run(restart, exit);
        assert_eq!((found, is_ready), (state, ready), "{restart:?} {exit:?}");
    }
    // One that did its work stays so at a thaw, but not when somebody asks.
    let (_, _, mut service) = run(RestartPolicy::Never, Exit::Code(0));
    assert_eq!(service.wake(20), None);
    assert_eq!(service.command(ServiceAction::Start, 30), Some(Effect::Spawn));
    assert!(!service.is_ready());
    // And one that was stopped by hand did not do its work.
    let (_, _, mut service) = run(RestartPolicy::OnFailure, Exit::Code(0));
    service.command(ServiceAction::Stop, 20);
    assert!(!service.is_ready());
}

#[test]
fn the_last_ten_exits_are_kept() {
    let mut service = with(|definition| definition.stop_grace_seconds = Some(3));
    service.wake(0);
    for round in 1..=12 {
        let now = round * 100_000;
        service.spawned(7, Containment::Cgroup, now);
        service.exited(Exit::Code(i32::try_from(round).unwrap()), false, now + 60_005, now + 1_060_005);
        service.tick(now + 61_000);
    }
    service.spawned(7, Containment::Descent, 1_300_000);
    assert_eq!(service.command(ServiceAction::Stop, 1_300_001), Some(Effect::Terminate(7)));
    assert_eq!(service.due(1_300_001), Some(1_303_001));
    service.exited(Exit::Signal(15), false, 1_300_010, 2_300_010);
    let exits = service.status(2_000_000).exits;
    assert_eq!(exits.len(), EXITS_KEPT);
    let newest = ServiceExit { at_ms: 2_300_010, code: None, signal: Some(15), ran_ms: 10, ordered: true };
    let before = ServiceExit { at_ms: 2_260_005, code: Some(12), signal: None, ran_ms: 60_005, ordered: false };
    assert_eq!(exits[..2], [newest, before]);
    assert_eq!(service.status(0).containment, Some(Containment::Descent));
}

#[test]
fn only_one_that_runs_keeps_the_machine_awake() {
    let mut service = with(|definition| definition.keep_awake = true);
    let keeps = |service: &Lifecycle| service.status(0).keeps_awake;
    assert!(!keeps(&service));
    service.wake(0);
    service.spawned(7, Containment::Cgroup, 0);
    assert!(keeps(&service));
    service.command(ServiceAction::Stop, 1);
    assert!(!keeps(&service));
    assert!(!running(0).status(0).keeps_awake);
}

fn once() -> Lifecycle {
    with(|definition| definition.once = true)
}

#[test]
fn one_that_runs_once_runs_again_only_when_asked() {
    let mut service = once();
    assert_eq!(service.begin(0), Some(Effect::Spawn));
    service.spawned(7, Containment::Cgroup, 0);
    service.exited(Exit::Code(3), false, 5, 5);
    let status = service.status(5);
    assert_eq!((status.state, status.error.as_deref()), (Failed, Some("exited with code 3")));
    let changed = ServiceDefinition { args: vec!["new".into()], ..service.definition.clone() };
    assert_eq!(
        (service.wake(6), service.begin(6), service.define(changed, 6), service.due(6)),
        (None, None, None, None)
    );
    assert_eq!(service.command(ServiceAction::Restart, 7), Some(Effect::Spawn));
    service.spawned(8, Containment::Cgroup, 7);
    service.exited(Exit::Code(0), false, 9, 9);
    let status = service.status(9);
    assert_eq!((status.state, status.ready, status.exits.len()), (Stopped, true, 2));
    assert_eq!(service.wake(10), None);
}

#[test]
fn one_that_runs_once_and_is_interrupted_by_a_sleep_is_not_begun_again() {
    let mut service = once();
    service.begin(0);
    service.spawned(7, Containment::Cgroup, 0);
    assert_eq!(service.prepare_sleep(SleepKind::Stop, 1), Some(Effect::Terminate(7)));
    service.exited(Exit::Signal(15), false, 2, 2);
    assert_eq!((service.resume(3), service.wake(4)), (None, None));
    assert!(!service.is_ready());
    // One that had not begun yet does.
    let mut service = once();
    assert_eq!(service.begin(0), Some(Effect::Spawn));
    assert_eq!(service.prepare_sleep(SleepKind::Stop, 1), None);
    assert_eq!(service.resume(2), Some(Effect::Spawn));
}

#[test]
fn what_the_disk_knows_of_one_that_runs_once_is_what_it_says() {
    let says = |past: Past| {
        let mut service = once();
        service.recall(past);
        let status = service.status(0);
        assert_eq!((service.begin(1), service.wake(2)), (None, None));
        assert_eq!(service.command(ServiceAction::Start, 3), Some(Effect::Spawn));
        (status.state, status.ready, status.error, status.exits.len())
    };
    let exit = |code, signal, ordered| Past::Ended(ServiceExit { at_ms: 5, code, signal, ran_ms: 6, ordered });
    let interrupted = "interrupted: the machine stopped before it had ended";
    assert_eq!(says(Past::Begun), (Failed, false, Some(interrupted.into()), 0));
    assert_eq!(says(exit(Some(0), None, false)), (Stopped, true, None, 1));
    assert_eq!(says(exit(Some(3), None, false)), (Failed, false, Some("exited with code 3".into()), 1));
    assert_eq!(says(exit(None, Some(9), false)), (Failed, false, Some("killed by signal 9".into()), 1));
    assert_eq!(says(exit(None, Some(15), true)), (Stopped, false, None, 1));
}

#[test]
fn what_an_older_agent_hands_over_is_read() {
    let handed = r#"{"definition":{"name":"web","command":"web","desired":"up"},"intervals":{"grace":10000,"backoff":500},
        "doing":{"Alive":{"pid":7,"since":5}},"exits":1,"spawns_failed":0,"restarts":1,"error":null,"held":false,
        "for_sleep":false,"removed":false}"#;
    let mut service: Lifecycle = serde_json::from_str(handed).unwrap();
    assert_eq!((service.process(), service.is_ready(), service.status(0).exits.len()), (Some(7), false, 0));
    service.tick(2_000);
    assert!(service.is_ready());
}

#[derive(Debug, Clone)]
enum Step {
    Need(bool),
    FindReady,
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
        any::<bool>().prop_map(Step::Need),
        Just(Step::FindReady),
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
    needs: bool,
    /// Of one that runs once: it was begun, and nobody has asked for it since.
    is_done: bool,
}

impl World {
    fn act(&mut self, service: &mut Lifecycle, mut effect: Option<Effect>, now: u64) {
        while let Some(todo) = effect.take() {
            match todo {
                Effect::Spawn => {
                    assert!(self.leader.is_none() && !self.stragglers, "two at once");
                    assert!(!self.needs && service.is_to_spawn(), "before what it needs");
                    assert!(!self.is_done, "a second time");
                    if self.fails {
                        service.unspawnable("no".into(), now);
                    } else {
                        self.next += 1;
                        self.leader = Some(self.next);
                        self.is_done = service.definition.once;
                        effect = service.spawned(self.next, Containment::Cgroup, now);
                    }
                }
                // Whether a TERM is heeded is another step's choice.
                Effect::Terminate(group) => assert_eq!(group, self.next),
                Effect::Kill(group) => {
                    assert_eq!(group, self.next);
                    self.stragglers = false;
                    effect = if self.leader.take().is_some() {
                        service.exited(Exit::Signal(9), false, now, now)
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
    fn never_two_at_once_and_every_stop_stops(
        steps in proptest::collection::vec(step(), 1..80),
        restart in prop_oneof![Just(RestartPolicy::Always), Just(RestartPolicy::OnFailure), Just(RestartPolicy::Never)],
        once in any::<bool>(),
        ready in prop_oneof![Just(None), Just(Some(Readiness::Tcp { port: 1 })), Just(Some(Readiness::Delay { seconds: 9 }))],
    ) {
        let change = |definition: &mut ServiceDefinition| {
            (definition.restart, definition.ready) = (restart, ready.clone());
            (definition.keep_awake, definition.once) = (true, once);
        };
        let mut service = with(change);
        let (mut world, mut now) = (World::default(), 0);
        for step in steps {
            let effect = match step {
                Step::Command(action) => {
                    world.is_done &= action == ServiceAction::Stop;
                    service.command(action, now)
                }
                Step::Define(desired, change) => {
                    let mut definition = ServiceDefinition { desired, ..service.definition.clone() };
                    if change { definition.args.push(now.to_string()); }
                    // One of the same name that comes after a removal is new.
                    world.is_done &= !service.is_removed();
                    service.define(definition, now)
                }
                Step::Need(needs) => {
                    world.needs = needs;
                    service.need(if needs { unready("db", ServiceState::Starting) } else { vec![] }, now)
                }
                Step::FindReady => {
                    service.is_found_ready(world.next);
                    None
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
                    service.exited(Exit::Code(1), stragglers, now, now)
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
            prop_assert!(!status.keeps_awake || status.pid.is_some());
            prop_assert!(!status.ready || status.pid.is_some() || status.state == ServiceState::Stopped);
            prop_assert!(status.waiting_on.is_empty() || (world.needs && status.state == ServiceState::Starting));
            prop_assert!(status.exits.len() <= EXITS_KEPT);
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
