//! Orders and what comes between: lost words, lost memory, strangers, checkpoints. Each was found by the lifecycle's model
//! (`lifecycle_model.rs`), as a sequence that did not end where the last order wanted it.

#![expect(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use snapvm_durable::machine_gateway::cause::By;
use snapvm_durable::machine_gateway::checkpoint::{Order, What};
use snapvm_durable::machine_gateway::desired::Desired;
use snapvm_durable::machine_gateway::state::{ASK_AGAIN_MS, ActivityKind, Effect, Event, Machine, Work};
use snapvm_protocol::agent::ToAgent;
use snapvm_protocol::ids::CheckpointId;
use snapvm_protocol::lifecycle::{Cause, MachineState as State};
use snapvm_protocol::sprites::SpriteStatus;

const NOW: u64 = 1_000_000_000;

fn at(state: State) -> Machine {
    Machine::from_record(state, 900, true, vec![5, 10, 20])
}

fn running() -> Machine {
    let mut machine = at(State::Waking);
    machine.on(Event::Hello, NOW).unwrap();
    machine.on(Event::Saved, NOW).unwrap();
    machine
}

fn ada() -> By {
    By::account(Cause::Hand, "ada")
}

fn looked(status: SpriteStatus) -> Event {
    Event::Looked { status: Some(status) }
}

fn is_told_to_sleep(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::Tell(ToAgent::Sleep { .. })))
}

fn checkpoint(what: What, number: u32) -> Event {
    let order = Order {
        id: CheckpointId::new(NOW, [7; 10]),
        order: format!("order {number}"),
        what,
        name: (what != What::Making).then(|| "v1".into()),
        comment: String::new(),
    };
    Event::Checkpoint { order }
}

fn restore() -> Event {
    checkpoint(What::Restoring, 1)
}

/// An eviction came between the decision and the word (seed 883): nobody prepared, and nobody was asked again.
#[test]
fn an_agent_that_was_not_told_of_a_sleep_is_told_again() {
    let mut machine = running();
    let unheard = machine.on(Event::Stop { by: ada() }, NOW).unwrap();
    assert!(is_told_to_sleep(&unheard));
    let again = machine.alarm_ms.unwrap();
    assert!(again <= NOW + ASK_AGAIN_MS);
    assert!(is_told_to_sleep(&machine.on(Event::Alarm, again).unwrap()));
    // Also once it is not waited for any more: it may still be there.
    let effects = machine.on(Event::Alarm, NOW + 60_000).unwrap();
    assert!(is_told_to_sleep(&effects) && effects.contains(&Effect::Work(Work::Look)));
}

/// A stranger's request wakes the sprite of a stopped machine, whose agent then keeps it awake (seed 5053).
#[test]
fn an_agent_that_a_stranger_woke_is_asked_for_and_told_to_sleep() {
    for asleep in [State::Stopped, State::Hibernated] {
        let mut machine = at(asleep);
        machine.on(looked(SpriteStatus::Running), NOW).unwrap();
        assert!(machine.is_on_its_way());
        let mut asked = vec![];
        for _ in 0..2 {
            let now = machine.alarm_ms.unwrap();
            assert!(machine.on(Event::Alarm, now).unwrap().contains(&Effect::Work(Work::Look)));
            asked = machine.on(looked(SpriteStatus::Running), now).unwrap();
        }
        assert_eq!(asked, [Effect::Work(Work::Wake)]);
        // That request is lost, and the next look asks again.
        machine.on(Event::Failed { work: Work::Wake, reason: "no answer".into() }, NOW + 20_000).unwrap();
        assert_eq!(machine.on(looked(SpriteStatus::Running), NOW + 30_000).unwrap()[0], Effect::Work(Work::Wake));
        assert!(is_told_to_sleep(&machine.on(Event::Hello, NOW + 31_000).unwrap()));
        machine.on(looked(SpriteStatus::Warm), NOW + 40_000).unwrap();
        assert_eq!(machine.state, asleep);
    }
}

/// The record has an order that is newer than the state beside it, and the object knows only the record (seed 5087).
#[test]
fn an_order_that_only_the_record_has_is_carried_out() {
    for (recorded, desired, begun, end) in [
        (State::Hibernating, Desired::Stopped, State::Stopping, State::Stopped),
        (State::Hibernated, Desired::Stopped, State::Stopped, State::Stopped),
        (State::Stopping, Desired::Asleep, State::Hibernating, State::Hibernated),
        (State::Stopped, Desired::Asleep, State::Hibernated, State::Hibernated),
    ] {
        let mut machine = at(recorded).ordered(desired);
        assert_eq!(machine.state, begun);
        machine.on(looked(SpriteStatus::Cold), NOW).unwrap();
        assert_eq!((machine.state, machine.desired()), (end, desired), "from {recorded}");
    }
    for recorded in [State::Hibernating, State::Hibernated, State::Stopping, State::Stopped] {
        let mut machine = at(recorded).ordered(Desired::Running);
        assert!(machine.on(Event::Alarm, NOW).unwrap().contains(&Effect::Work(Work::Wake)), "from {recorded}");
    }
    // One that runs is told once its agent is there.
    let mut machine = at(State::Running).ordered(Desired::Stopped);
    assert!(is_told_to_sleep(&machine.on(Event::Hello, NOW).unwrap()));
    assert_eq!(machine.state, State::Stopping);
}

#[test]
fn a_person_who_orders_the_sleep_that_an_idle_machine_is_in_has_ordered_it() {
    let mut machine = running();
    machine.on(Event::Hibernate { by: By::nobody(Cause::Idle) }, NOW).unwrap();
    machine.on(Event::Hibernate { by: ada() }, NOW).unwrap();
    machine.on(Event::Activity { kind: ActivityKind::Terminal }, NOW).unwrap();
    let effects = machine.on(Event::SleepReady { sleep: 1 }, NOW).unwrap();
    assert!(effects.contains(&Effect::Tell(ToAgent::SleepGo { sleep: 1 })));
}

#[test]
fn an_idle_sleep_of_a_machine_that_was_used_since_is_called_off_also_when_its_agent_comes_late() {
    let mut machine = running();
    machine.on(Event::Hibernate { by: By::nobody(Cause::Idle) }, NOW).unwrap();
    machine.on(Event::Holds { until_ms: vec![NOW + 600_000] }, NOW).unwrap();
    machine.on(Event::Lost, NOW).unwrap();
    machine.on(Event::Hello, NOW + 1_000).unwrap();
    assert_eq!(machine.state, State::Running);
}

/// A clock ahead of Postgres': the record still has a hold that has ended by it, at every look.
#[test]
fn a_hold_ends_once_also_when_the_record_still_has_it() {
    let mut machine = running();
    let until = NOW + 60_000;
    machine.on(Event::Holds { until_ms: vec![until] }, NOW).unwrap();
    let mut ends = 0;
    for _ in 0..5 {
        let now = machine.alarm_ms.unwrap().max(until);
        machine.on(Event::Holds { until_ms: vec![until] }, now).unwrap();
        let effects = machine.on(Event::Alarm, now).unwrap();
        ends += effects
            .iter()
            .filter(|effect| matches!(effect, Effect::Save(Some(line)) if line.kind == "holds_over"))
            .count();
    }
    assert_eq!(ends, 1);
    assert_eq!(machine.state, State::Hibernating, "its clock ran out a while after");
}

#[test]
fn the_reconcilers_look_is_tried_again_when_it_fails() {
    let mut machine = at(State::Stopped);
    machine.on(Event::Check { recorded: State::Stopped, desired: None }, NOW).unwrap();
    machine.on(Event::Failed { work: Work::Look, reason: "away".into() }, NOW).unwrap();
    let at = machine.alarm_ms.unwrap();
    assert!(machine.on(Event::Alarm, at).unwrap().contains(&Effect::Work(Work::Look)));
}

#[test]
fn an_order_that_comes_while_files_go_back_is_carried_out_once_they_are_there() {
    for (order, end) in [
        (Event::Stop { by: ada() }, State::Stopping),
        (Event::Hibernate { by: ada() }, State::Hibernating),
        (Event::Start { by: ada() }, State::Running),
    ] {
        for before in [State::Running, State::Hibernated, State::Stopped, State::Failed] {
            let mut machine = if before == State::Running { running() } else { at(before) };
            machine.on(restore(), NOW).unwrap();
            machine.on(order.clone(), NOW + 1).unwrap();
            assert!(machine.state == State::Waking && machine.checkpoints.is_restoring(), "nothing interrupts it");
            machine.on(Event::CheckpointDone { name: None }, NOW + 2).unwrap();
            machine.on(Event::Hello, NOW + 3).unwrap();
            assert_eq!(machine.state, end, "from {before}");
        }
    }
}

#[test]
fn who_goes_back_to_a_checkpoint_wants_to_see_it_and_what_is_refused_changes_nothing() {
    for before in [State::Hibernated, State::Stopped] {
        let mut machine = at(before).ordered(Desired::of(before));
        machine.on(restore(), NOW).unwrap();
        let mut refused = machine.clone();
        machine.on(Event::CheckpointDone { name: None }, NOW).unwrap();
        machine.on(Event::Hello, NOW).unwrap();
        assert_eq!((machine.state, machine.desired()), (State::Running, Desired::Running));
        refused.on(Event::CheckpointRefused { reason: "there is none".into() }, NOW).unwrap();
        assert_eq!((refused.state, refused.desired()), (before, Desired::of(before)));
    }
}

#[test]
fn a_place_that_there_is_not_leaves_the_machine_where_it_was_and_wanting_nothing() {
    for before in [State::Hibernated, State::Stopped] {
        let mut machine = at(before);
        machine.on(Event::Start { by: ada() }, NOW).unwrap();
        machine.on(Event::NotAdmitted { detail: "no place".into() }, NOW).unwrap();
        assert_eq!((machine.state, machine.desired()), (before, Desired::of(before)));
        let looks = machine.on(Event::Check { recorded: before, desired: None }, NOW).unwrap();
        assert!(!looks.contains(&Effect::Work(Work::Wake)));
    }
}

#[test]
fn a_late_word_of_an_earlier_turn_means_nothing() {
    let mut machine = running();
    let begun = machine.turn;
    machine.on(Event::Stop { by: ada() }, NOW).unwrap();
    machine.on(Event::Start { by: ada() }, NOW).unwrap();
    assert_eq!(machine.finish(Work::Look, begun, looked(SpriteStatus::Cold), NOW).unwrap(), []);
    assert_eq!(machine.state, State::Running);
}

/// Somebody had made the sprite anew under its name before its id was recorded (seed 300889): every wake failed.
#[test]
fn a_sprite_without_an_agent_gets_one_again() {
    let mut machine = at(State::Hibernated);
    machine.on(Event::Start { by: ada() }, NOW).unwrap();
    let effects = machine.on(Event::NoAgent, NOW).unwrap();
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Save(Some(line)) if line.kind == "agent")));
    assert_eq!(machine.on(Event::Alarm, NOW + 1_000).unwrap().last(), Some(&Effect::Work(Work::Provision)));
    assert_eq!(machine.on(Event::Provisioned, NOW + 2_000).unwrap(), [Effect::Work(Work::Wake)]);
    machine.on(Event::Hello, NOW + 3_000).unwrap();
    assert!(machine.is_ready());
}

/// The same of one that is called running, and of one whose runtime loses its agent for ever.
#[test]
fn an_agent_that_is_not_there_is_not_made_for_ever() {
    for state in [State::Creating, State::Waking, State::Running] {
        let (mut machine, mut now) = (at(state), NOW);
        for _ in 0..20 {
            machine.on(Event::NoAgent, now).unwrap();
            let Some(alarm) = machine.alarm_ms else { break };
            now = now.max(alarm);
            if machine.on(Event::Alarm, now).unwrap().contains(&Effect::Work(Work::Provision)) {
                machine.on(Event::Provisioned, now).unwrap();
            }
        }
        assert_eq!(machine.state, State::Failed, "from {state}");
        assert!(machine.reason.contains("no agent in its runtime"), "{}", machine.reason);
    }
}

/// The record had taken the next order while the answer to the word about the last one was lost (seeds 303949, 328811).
#[test]
fn an_order_about_a_checkpoint_that_follows_one_that_is_done_is_begun() {
    let mut machine = at(State::Hibernated);
    machine.on(checkpoint(What::Making, 1), NOW).unwrap();
    let told = machine.turn_of(Work::TellCheckpoint);
    machine.on(Event::CheckpointDone { name: Some("v1".into()) }, NOW).unwrap();
    assert!(machine.on(checkpoint(What::Restoring, 2), NOW).unwrap().contains(&Effect::Work(Work::Checkpoint)));
    // What comes of the first one says nothing of the second.
    let done = Event::CheckpointDone { name: Some("v1".into()) };
    assert_eq!(machine.finish(Work::Checkpoint, told, done, NOW).unwrap(), [Effect::Work(Work::Checkpoint)]);
    assert!(machine.checkpoints.is_restoring());
    machine.on(Event::CheckpointDone { name: None }, NOW).unwrap();
    let late = machine.finish(Work::TellCheckpoint, told, Event::CheckpointTold, NOW).unwrap();
    assert_eq!(late, [Effect::Work(Work::TellCheckpoint)]);
    assert!(machine.checkpoints.job.is_some(), "the record has not heard of it");
}

/// A restore was tried for a minute although there was nothing left to restore (seeds 314259, 347156, 424863).
#[test]
fn an_order_about_a_checkpoint_ends_with_the_runtime() {
    for what in [What::Making, What::Restoring, What::Deleting] {
        for before in [State::Running, State::Hibernated, State::Failed] {
            let mut machine = if before == State::Running { running() } else { at(before) };
            machine.on(checkpoint(what, 1), NOW).unwrap();
            let effects = machine.on(Event::Looked { status: None }, NOW).unwrap();
            assert!(effects.contains(&Effect::Work(Work::TellCheckpoint)), "{what:?} from {before}");
            assert!(machine.state == State::Failed && machine.vanished && !machine.checkpoints.is_busy());
            // And so does one that comes later.
            machine.on(Event::CheckpointTold, NOW).unwrap();
            machine.on(checkpoint(what, 2), NOW).unwrap();
            let effects = machine.on(Event::Looked { status: None }, NOW).unwrap();
            assert!(effects.contains(&Effect::Work(Work::TellCheckpoint)), "{what:?} again");
            assert!(machine.state == State::Failed && machine.reason.contains("Start it to make it anew"));
        }
    }
}

/// A line of history was kept, its write interrupted, and nothing said so (seeds 311503, 330148).
#[test]
fn whatever_is_to_be_written_is_known_to_the_next_instance() {
    let mut machine = running();
    machine.on(checkpoint(What::Making, 1), NOW).unwrap();
    machine.on(Event::Holds { until_ms: vec![NOW + 60_000] }, NOW).unwrap();
    assert!(!machine.unsaved);
    let effects = machine.on(Event::Alarm, NOW + 60_000).unwrap();
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Save(Some(_)))) && machine.unsaved);
}

/// The reconciler's look was not begun beside one that still hung (seeds 351486, 691282).
#[test]
fn a_look_that_hung_from_before_is_taken_again() {
    let mut machine = at(State::Hibernated);
    let begun = machine.turn;
    machine.on(Event::Stop { by: ada() }, NOW).unwrap();
    let hung = Event::Failed { work: Work::Look, reason: "away".into() };
    assert_eq!(machine.finish(Work::Look, begun, hung.clone(), NOW).unwrap(), [Effect::Work(Work::Look)]);
    // One of the reconciler's begins with all of its tries, whatever failed before.
    for _ in 0..10 {
        machine.on(hung.clone(), NOW).unwrap();
    }
    machine.on(Event::Check { recorded: State::Stopped, desired: None }, NOW).unwrap();
    machine.on(hung, NOW).unwrap();
    let at = machine.alarm_ms.unwrap();
    assert!(machine.on(Event::Alarm, at).unwrap().contains(&Effect::Work(Work::Look)));
}

/// A clock that jumped back made the next look at the runtime wait as long as an agent may prepare (seed 473065).
#[test]
fn a_look_is_never_further_away_than_the_next_one() {
    let mut machine = at(State::Running);
    machine.on(Event::Stop { by: ada() }, NOW).unwrap();
    machine.on(looked(SpriteStatus::Running), NOW).unwrap();
    assert_eq!(machine.alarm_ms, Some(NOW + 10_000));
    let before = NOW - 30_000;
    assert!(machine.on(Event::Alarm, before).unwrap().contains(&Effect::Work(Work::Look)));
}

/// It was called running, nobody answered, and what the record had ordered was forgotten over waking it (seed 1078015).
#[test]
fn a_machine_that_does_not_answer_is_not_woken_against_an_order() {
    let mut machine = at(State::Running).ordered(Desired::Stopped);
    machine.on(Event::Called { by: ada() }, NOW).unwrap();
    while machine.state == State::Running {
        machine.on(Event::Failed { work: Work::Wake, reason: "no answer".into() }, NOW).unwrap();
    }
    assert_eq!((machine.state, machine.desired()), (State::Stopping, Desired::Stopped));
}

/// A wake was overtaken while it asked for its place, which wrote `waking` over the state that was just saved (seed
/// 380963 with quotas).
#[test]
fn what_the_admission_of_an_overtaken_wake_wrote_is_written_over() {
    let mut machine = at(State::Hibernated);
    machine.on(Event::Start { by: ada() }, NOW).unwrap();
    let begun = machine.turn_of(Work::Wake);
    machine.on(Event::Looked { status: None }, NOW).unwrap();
    machine.on(Event::Saved, NOW).unwrap();
    let late = machine.finish(Work::Wake, begun, Event::Looked { status: None }, NOW).unwrap();
    assert!(late == [Effect::Save(None)] && machine.unsaved && machine.state == State::Failed);
}

/// Its start had been refused for want of a place, a stranger woke its sprite, and a hold kept it awake (seed 2696143 with
/// quotas).
#[test]
fn a_stopped_machine_that_got_no_place_stays_pinned() {
    let mut machine = at(State::Stopped).ordered(Desired::Stopped);
    machine.on(Event::Start { by: ada() }, NOW).unwrap();
    machine.on(Event::NotAdmitted { detail: "no place".into() }, NOW).unwrap();
    machine.on(looked(SpriteStatus::Running), NOW).unwrap();
    machine.on(Event::Holds { until_ms: vec![NOW + 600_000] }, NOW).unwrap();
    assert!(is_told_to_sleep(&machine.on(Event::Hello, NOW).unwrap()));
    assert_eq!(machine.state, State::Stopping);
}

/// A sprite was replaced after its agent had been delivered, and that agent dialled while the machine was being made anew:
/// it was called ready, by an agent of the generation before (seed 4103663).
#[test]
fn an_agent_of_what_is_being_given_up_is_sent_away() {
    let mut machine = at(State::Running);
    machine.on(Event::Looked { status: None }, NOW).unwrap();
    assert!(machine.on(Event::Start { by: ada() }, NOW).unwrap().contains(&Effect::Work(Work::Recreate)));
    assert_eq!(machine.on(Event::Hello, NOW).unwrap(), [Effect::Unbind, Effect::Disconnect]);
    assert!(machine.state == State::Creating && machine.vanished);
    // What is there after all is asked to dial anew, and is ready then.
    let mut found = machine.clone();
    assert_eq!(found.on(Event::Found, NOW).unwrap(), [Effect::Work(Work::Wake)]);
    found.on(Event::Hello, NOW).unwrap();
    assert_eq!(found.state, State::Running);
    assert!(machine.on(Event::Recreated, NOW).unwrap().contains(&Effect::Work(Work::Provision)));
}

/// A wake that hung asked the agent after its machine had been stopped, and nobody saw that its runtime ran (seed 5400286).
#[test]
fn what_an_overtaken_wake_has_woken_is_seen() {
    for (order, state) in
        [(Event::Stop { by: ada() }, State::Stopped), (Event::Hibernate { by: ada() }, State::Hibernated)]
    {
        let mut machine = at(State::Hibernated);
        machine.on(Event::Start { by: ada() }, NOW).unwrap();
        let begun = machine.turn_of(Work::Wake);
        machine.on(order, NOW).unwrap();
        machine.on(looked(SpriteStatus::Warm), NOW).unwrap();
        assert_eq!(machine.state, state);
        let late = machine.finish(Work::Wake, begun, Event::WakeSent, NOW).unwrap();
        assert!(late.contains(&Effect::Work(Work::Look)), "{late:?}");
        machine.on(looked(SpriteStatus::Running), NOW).unwrap();
        assert!(matches!(machine.state, State::Stopping | State::Hibernating), "{:?}", machine.state);
    }
}
