//! A machine that was prepared becomes somebody's. See [`super::super::prepared`].

use super::super::prepared::Prepared;
use super::super::state::{Effect, Machine, Work};
use super::{State, enter, work};

const REASON: &str = "Being created.";

/// It is created, from where its preparation has brought it.
pub(super) fn claimed(machine: &mut Machine, now: u64) -> Vec<Effect> {
    if machine.prepared != Some(Prepared::Waiting) {
        return vec![];
    }
    machine.prepared = Some(Prepared::Claimed);
    // What it was to be was the preparation's. The record says the rest.
    (machine.wish, machine.connected) = (None, false);
    enter(machine, State::Creating, REASON);
    machine.unsaved = false;
    if !machine.provisioned {
        return give_up(machine, now);
    }
    // Whatever the agent was told before, it is woken now, as after any sleep.
    let mut effects = vec![Effect::Disconnect, Effect::Unbind];
    effects.extend(work(machine, Work::Wake, now));
    effects
}

/// Its sprite is gone, or does not work. Nobody has put anything there: another one is made, as if none had been prepared. What
/// was ordered meanwhile stands.
pub(super) fn give_up(machine: &mut Machine, now: u64) -> Vec<Effect> {
    enter(machine, State::Creating, REASON);
    (machine.vanished, machine.provisioned, machine.connected) = (true, false, false);
    let mut effects = vec![Effect::Disconnect, Effect::Unbind];
    effects.extend(work(machine, Work::Recreate, now));
    effects
}
