//! The idle clock (pure): since when nothing worth staying awake for has happened, what keeps a machine awake beside
//! that, and until when.
//!
//! The agent proposes a sleep, since it sees what happens; whether there is one is decided here. A hold, a task of a
//! program in the guest, and a running service that is to each keep an awake machine awake, and wake none; when the last
//! of them ends, the clock starts anew. The agent proposes once in each timeout, which may then be too early, so an alarm asks again in time.
//!
//! Invariants:
//! * Nothing but a person puts a machine to sleep while a hold lasts.
//! * An awake machine that nothing keeps awake has an alarm at or before the end of its clock.
//! * Open terminals are warned once of each end of the clock, a while before it, and told when it moves after that.

use snapvm_protocol::lifecycle::MachineState as State;

use super::state::{Activity, ActivityKind, Effect, Machine};

/// How much later than its end the clock is looked at: activity is reported at most every five seconds, and the agent,
/// which knows better, is to be the first to propose a sleep.
pub const GRACE_MS: u64 = 10_000;
/// How long before its end open terminals are warned: this, or a fifth of a short idle timeout.
const WARNING_MS: u64 = 60_000;

impl Machine {
    /// Holds that last.
    #[must_use]
    pub fn live_holds(&self, now: u64) -> usize {
        self.holds.iter().filter(|until| **until > now).count()
    }

    /// When it hibernates if nothing happens, Unix ms; `None` for one that is not awake, whose agent is not heard, or
    /// that a task or a service keeps awake for nobody knows how long.
    #[must_use]
    pub fn sleeps_at_ms(&self, now: u64) -> Option<u64> {
        if !self.is_ready() || !self.tasks.is_empty() || !self.keepers.is_empty() {
            return None;
        }
        let held_until = self.holds.iter().copied().filter(|until| *until > now).max();
        Some(self.quiet_since_ms().max(held_until.unwrap_or(0)) + self.idle_ms())
    }

    /// Whether a hold, a task or a service keeps it awake, or did within its idle timeout.
    #[must_use]
    pub fn is_kept(&self, now: u64) -> bool {
        self.live_holds(now) > 0
            || !self.tasks.is_empty()
            || !self.keepers.is_empty()
            || self.last_kept_ms().is_some_and(|ended| now < ended + self.idle_ms())
    }

    /// Whether its clock has run out, with nothing that keeps it awake.
    #[must_use]
    pub fn is_overdue(&self, now: u64) -> bool {
        self.sleeps_at_ms(now).is_some_and(|at| now >= at + GRACE_MS)
    }

    pub(super) fn idle_ms(&self) -> u64 {
        self.idle_seconds.saturating_mul(1000)
    }

    /// How long before the end of the clock open terminals are warned.
    fn warning_ms(&self) -> u64 {
        WARNING_MS.min(self.idle_ms() / 5)
    }

    fn quiet_since_ms(&self) -> u64 {
        let active = self.last_activity.map_or(0, |activity| activity.at_ms);
        self.heard_since_ms.max(active).max(self.last_kept_ms().unwrap_or(0))
    }

    /// When the last thing ended that kept it awake: also a hold that nobody has swept away yet.
    fn last_kept_ms(&self) -> Option<u64> {
        self.kept_until_ms.max(self.holds.iter().copied().max())
    }
}

pub(super) fn happened(machine: &mut Machine, kind: ActivityKind, now: u64) {
    machine.activity += 1;
    machine.last_activity = Some(Activity { kind, at_ms: now });
}

/// All the holds that there are. They end with a stop, and none begins under one.
pub(super) fn hold(machine: &mut Machine, until_ms: Vec<u64>, now: u64) {
    if matches!(machine.state, State::Stopping | State::Stopped) {
        machine.holds.clear();
        return;
    }
    let before = std::mem::take(&mut machine.holds);
    // One that has ended by our clock and that the record still has was counted: it does not end once more.
    machine.holds = until_ms.into_iter().filter(|until| *until > now || before.contains(until)).collect();
    if before.iter().any(|until| *until > now) && machine.live_holds(now) == 0 {
        machine.kept_until_ms = Some(now);
    }
    if machine.live_holds(now) > before.iter().filter(|until| **until > now).count() {
        // A sleep of an idle machine that is under way is called off.
        machine.activity += 1;
    }
}

/// The tasks that there are.
pub(super) fn tasks(machine: &mut Machine, names: Vec<String>, now: u64) {
    if !machine.tasks.is_empty() && names.is_empty() {
        machine.kept_until_ms = Some(now);
    }
    machine.tasks = names;
}

/// The services that keep it awake.
pub(super) fn keepers(machine: &mut Machine, names: Vec<String>, now: u64) {
    if !machine.keepers.is_empty() && names.is_empty() {
        machine.kept_until_ms = Some(now);
    }
    if names.iter().any(|name| !machine.keepers.contains(name)) {
        // A sleep of an idle machine that is under way is called off.
        machine.activity += 1;
    }
    machine.keepers = names;
}

/// Forgets holds that have ended; whether the last one has.
pub(super) fn sweep(machine: &mut Machine, now: u64) -> bool {
    let last = machine.holds.iter().copied().max();
    machine.holds.retain(|until| *until > now);
    let over = last.is_some() && machine.holds.is_empty();
    if over {
        machine.kept_until_ms = machine.kept_until_ms.max(last);
    }
    over
}

/// Warns open terminals once the end of the clock is near, and again if it is another one; says so when it is not near
/// any more. Whoever sleeps meanwhile is told that instead.
pub(super) fn warn(machine: &mut Machine, now: u64) -> Option<Effect> {
    let near = machine.sleeps_at_ms(now).filter(|at| now.saturating_add(machine.warning_ms()) >= *at);
    if near == std::mem::replace(&mut machine.warned_of_ms, near) {
        return None;
    }
    match near {
        Some(at) => Some(Effect::WarnTerminals { in_ms: Some(at.saturating_sub(now)) }),
        None => machine.is_ready().then_some(Effect::WarnTerminals { in_ms: None }),
    }
}

/// When to look at the clock again.
pub(super) fn next_look_ms(machine: &Machine, now: u64) -> Option<u64> {
    if !machine.is_ready() {
        return None;
    }
    match machine.holds.iter().copied().filter(|until| *until > now).max() {
        Some(until) => Some(until),
        None => machine.sleeps_at_ms(now).map(|at| match machine.warned_of_ms {
            None => at.saturating_sub(machine.warning_ms()),
            Some(_) => at + GRACE_MS,
        }),
    }
}
