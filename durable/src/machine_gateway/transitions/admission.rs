//! A wake that the organization has no place for: the machine stays as it was, and says why.

use snapvm_protocol::lifecycle::Cause;

use super::super::cause::By;
use super::super::state::{Effect, Machine};
use super::{State, enter, save};

pub(super) fn refused(machine: &mut Machine, detail: String, now: u64) -> Vec<Effect> {
    if machine.state != State::Waking {
        return vec![];
    }
    enter(machine, if machine.was_stopped { State::Stopped } else { State::Hibernated }, &detail);
    machine.alarm_ms = None;
    vec![
        Effect::RefuseWaiters { code: "awake_limit", detail: detail.clone() },
        save("refused", detail, By::nobody(Cause::Platform), now),
        Effect::TellTerminals,
    ]
}
