//! A limit of the provider's account is reached. Nothing has failed: it is tried again when the provider says so, and
//! the machine says what the limit is, how much of it is in use, and the way out.

use snapvm_protocol::lifecycle::Cause;

use super::super::cause::By;
use super::super::desired::Desired;
use super::super::prepared::Prepared;
use super::super::state::{Effect, Machine, Work};
use super::{State, enter, give_up, save};

/// How long a limit is waited for. A machine that was to wake then sleeps on: somebody who needs it asks again.
const PATIENCE_MS: u64 = 10 * 60_000;

pub(super) fn limited(machine: &mut Machine, what: Work, limit: &str, retry_ms: u64, now: u64) -> Vec<Effect> {
    machine.alarm_ms = Some(now + retry_ms);
    if !matches!(machine.state, State::Creating | State::Waking) {
        return vec![];
    }
    let first = machine.limited_since_ms.is_none();
    let since = *machine.limited_since_ms.get_or_insert(now);
    // People come first: one that nobody waits for does not ask again.
    if now.saturating_sub(since) >= PATIENCE_MS || machine.prepared == Some(Prepared::Waiting) {
        return wait_no_longer(machine, what, limit, now);
    }
    let verb = if machine.state == State::Creating { "created" } else { "woken" };
    machine.reason = format!("Waiting to be {verb}: {limit}. It is retried at {} UTC.", clock_time(now + retry_ms));
    machine.unsaved = true;
    // Whoever waits for it learns why there is nothing to wait for yet; whoever asks again waits for the next try.
    let refusal = Effect::RefuseWaiters { code: "provider_limit", detail: machine.reason.clone() };
    let saved = if first {
        save("limited", machine.reason.clone(), By::nobody(Cause::Runtime), now)
    } else {
        Effect::Save(None)
    };
    vec![refusal, saved, Effect::TellTerminals]
}

fn wait_no_longer(machine: &mut Machine, what: Work, limit: &str, now: u64) -> Vec<Effect> {
    if machine.state == State::Creating {
        return give_up(machine, what, limit, now);
    }
    enter(
        machine,
        State::Hibernated,
        &format!("Asleep: it could not be woken, {limit}. It wakes when somebody needs it."),
    );
    machine.desire(Desired::Asleep, &By::nobody(Cause::Runtime), now);
    machine.alarm_ms = None;
    vec![
        save("hibernated", machine.reason.clone(), By::nobody(Cause::Runtime), now),
        Effect::RefuseWaiters { code: "provider_limit", detail: machine.reason.clone() },
        Effect::TellTerminals,
    ]
}

/// A time of the day.
fn clock_time(unix_ms: u64) -> String {
    let seconds = unix_ms / 1000 % 86_400;
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::super::super::state::Event;
    use super::*;

    const LIMIT: &str = "the provider's limit of 3 running machines is reached (3 in use). Stop a machine";

    fn machine(state: State) -> Machine {
        Machine::from_record(state, 900, state != State::Creating, vec![1])
    }

    fn limited(what: Work) -> Event {
        Event::Limited { work: what, limit: LIMIT.into(), retry_ms: 7_000 }
    }

    #[test]
    fn a_limit_is_no_failure_and_says_when_it_is_tried_again() {
        for (state, what) in [(State::Creating, Work::Provision), (State::Waking, Work::Wake)] {
            let mut machine = machine(state);
            let mut now = 3_600_000;
            for round in 0..30 {
                let effects = machine.on(limited(what), now).unwrap();
                assert_eq!((machine.state, machine.tries), (state, 0), "round {round}");
                assert!(machine.reason.contains("limit of 3 running machines is reached (3 in use)"));
                assert!(round > 0 || machine.reason.ends_with("retried at 01:00:07 UTC."), "{}", machine.reason);
                let told = effects.iter().filter(|effect| matches!(effect, Effect::Save(Some(_)))).count();
                assert_eq!(told, usize::from(round == 0), "the history says it once");
                assert!(effects.iter().any(|effect| matches!(effect, Effect::RefuseWaiters { .. })));
                now = machine.alarm_ms.unwrap();
                assert_eq!(machine.on(Event::Alarm, now).unwrap(), [Effect::Save(None), Effect::Work(what)]);
            }
        }
    }

    #[test]
    fn a_limit_is_not_waited_for_for_ever() {
        for (state, what, end) in
            [(State::Creating, Work::Provision, State::Failed), (State::Waking, Work::Wake, State::Hibernated)]
        {
            let mut machine = machine(state);
            machine.on(limited(what), 5).unwrap();
            machine.on(limited(what), 5 + PATIENCE_MS).unwrap();
            assert_eq!((machine.state, machine.alarm_ms), (end, None), "{}", machine.reason);
            assert!(machine.reason.contains(LIMIT));
            // The next try has all of its time again.
            machine.on(Event::Start { by: By::default() }, 6 + PATIENCE_MS).unwrap();
            machine.on(limited(what), 7 + PATIENCE_MS).unwrap();
            assert_eq!(machine.state, state);
        }
    }

    #[test]
    fn what_waits_for_something_else_is_only_tried_again() {
        for state in [State::Hibernating, State::Deleting, State::Running] {
            let mut machine = machine(state);
            let reason = machine.reason.clone();
            assert_eq!(machine.on(limited(Work::Look), 5).unwrap(), []);
            assert_eq!((machine.state, machine.alarm_ms, &machine.reason), (state, Some(7_005), &reason));
        }
    }
}
