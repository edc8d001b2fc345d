//! A wake that the organization has no place for: the machine stays as it was, and says why.

use snapvm_protocol::lifecycle::Cause;

use super::super::cause::By;
use super::super::desired::Desired;
use super::super::state::{Effect, Machine};
use super::{State, enter, save};

pub(super) fn refused(machine: &mut Machine, detail: String, now: u64) -> Vec<Effect> {
    if machine.state != State::Waking {
        return vec![];
    }
    let (state, desired) =
        if machine.was_stopped { (State::Stopped, Desired::Stopped) } else { (State::Hibernated, Desired::Asleep) };
    enter(machine, state, &detail);
    machine.desire(desired, &By::nobody(Cause::Platform), now);
    machine.alarm_ms = None;
    vec![
        Effect::RefuseWaiters { code: "awake_limit", detail: detail.clone() },
        save("refused", detail, By::nobody(Cause::Platform), now),
        Effect::TellTerminals,
    ]
}
