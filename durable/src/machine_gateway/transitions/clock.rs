//! What the idle clock and holds do to a machine. See [`super::super::idle`] for the clock.

use snapvm_protocol::lifecycle::Cause;

use super::super::cause::By;
use super::super::idle::sweep;
use super::super::state::{ActivityKind, Effect, Machine};
use super::{State, hibernate, save};

/// The agent saw nothing for so many seconds.
pub(super) fn is_idle(machine: &mut Machine, seconds: u64, now: u64) -> Vec<Effect> {
    if machine.state != State::Running || seconds < machine.idle_seconds || machine.is_kept(now) {
        return vec![];
    }
    hibernate(machine, By::nobody(Cause::Idle), now).unwrap_or_default()
}

/// The last hold may have ended, or the idle clock run out without a word of the agent's.
pub(super) fn look(machine: &mut Machine, now: u64) -> Vec<Effect> {
    if sweep(machine, now) {
        let detail = "The last hold ended: it hibernates once nothing has happened for a while.";
        return vec![save("holds_over", detail, By::nobody(Cause::Hold), now)];
    }
    if machine.is_overdue(now) { hibernate(machine, By::nobody(Cause::Idle), now).unwrap_or_default() } else { vec![] }
}

/// What calls off a sleep that has been ordered since nothing happened: the last thing that did.
pub(super) fn used(machine: &Machine) -> By {
    let kind = machine.last_activity.map(|activity| activity.kind);
    By::nobody(match kind {
        Some(ActivityKind::Terminal) => Cause::Terminal,
        Some(ActivityKind::Request) => Cause::Request,
        Some(ActivityKind::Command) => Cause::Command,
        Some(ActivityKind::Cpu | ActivityKind::Other) | None => Cause::Agent,
    })
}

/// A time in words.
pub(super) fn spoken(seconds: u64) -> String {
    match (seconds / 60, seconds % 60) {
        (1, 0) => "a minute".into(),
        (minutes, 0) => format!("{minutes} minutes"),
        _ => format!("{seconds} seconds"),
    }
}

/// What an order says of the holds that it overrides.
pub(super) fn although(holds: usize) -> String {
    match holds {
        0 => String::new(),
        1 => ", although a hold was to keep it awake".into(),
        _ => format!(", although {holds} holds were to keep it awake"),
    }
}
