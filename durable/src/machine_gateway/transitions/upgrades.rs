//! What an agent's digest and protocol version mean for its machine. See [`super::super::upgrade`] for the rule.

use super::super::state::{Effect, Event, Machine, Work};
use super::super::upgrade::{AGAIN_MS, Outcome, Step};
use super::{State, agent, bring_up, enter, gave_up, give_up, lost, prepared, save, sooner, tell, work};
use snapvm_protocol::agent::ToAgent;

/// What the history calls all of it.
const KIND: &str = "agent";

pub(super) fn on(machine: &mut Machine, event: Event, now: u64) -> Vec<Effect> {
    match event {
        Event::Agent { boot, digest, carried } => {
            let detail = match machine.upgrade.hello(&boot, &digest, &carried) {
                Outcome::None => None,
                Outcome::Upgraded => Some("Its agent was upgraded in place: terminals and services went on."),
                Outcome::Died => Some("Its agent did not survive an upgrade, and started again as it was."),
            };
            let mut effects: Vec<Effect> = detail.map(|detail| save(KIND, detail, agent(), now)).into_iter().collect();
            effects.extend(next(machine, now));
            effects
        }
        Event::Delivered { digest } => {
            machine.upgrade.delivered(&digest);
            next(machine, now)
        }
        Event::Settled => {
            machine.upgrade.settled();
            vec![]
        }
        Event::UpgradeRefused { digest, reason, again } => {
            if machine.upgrade.refused(&digest, again) {
                let name = machine.upgrade.name();
                let detail = format!("Its agent could not be upgraded to {name}: {reason}. The old one goes on.");
                return vec![save(KIND, detail, agent(), now)];
            }
            if again && machine.is_ready() {
                sooner(machine, now + AGAIN_MS);
            }
            vec![]
        }
        Event::Outdated { protocol, carried } => outdated(machine, protocol, carried, now),
        Event::Replaced => {
            machine.upgrade.replaced();
            if machine.state == State::Waking { bring_up(machine, now) } else { vec![] }
        }
        _ => vec![],
    }
}

/// The next step of an upgrade, if the machine is in a state for one.
pub(super) fn next(machine: &mut Machine, now: u64) -> Vec<Effect> {
    if !machine.is_ready() {
        return vec![];
    }
    match machine.upgrade.step() {
        None => vec![],
        Some(Step::Deliver) => begin(machine, Work::Deliver, now),
        Some(Step::Settle) => begin(machine, Work::Settle, now),
        Some(Step::Tell { digest }) => tell(machine, ToAgent::Upgrade { digest }),
    }
}

/// An eviction may interrupt it: the alarm begins it again.
fn begin(machine: &mut Machine, work: Work, now: u64) -> Vec<Effect> {
    sooner(machine, now + AGAIN_MS);
    vec![Effect::Work(work)]
}

/// A delivery failed, or a settling: the old agent goes on, or boots start it.
pub(super) fn failed(machine: &mut Machine, reason: &str, now: u64) -> Vec<Effect> {
    if !machine.upgrade.failed() {
        if machine.is_ready() {
            sooner(machine, now + AGAIN_MS);
        }
        return vec![];
    }
    let detail = format!("The agent {} could not be delivered: {reason}.", machine.upgrade.name());
    vec![save(KIND, detail, agent(), now)]
}

/// Nothing can be handed over by an agent that nobody can talk to: it is replaced, and what it held is lost.
fn outdated(machine: &mut Machine, protocol: u32, carried: bool, now: u64) -> Vec<Effect> {
    match machine.state {
        State::Hibernating | State::Stopping => return lost(machine, now),
        State::Stopped | State::Deleting => return vec![],
        State::Creating | State::Running | State::Hibernated | State::Waking | State::Failed => {}
    }
    machine.connected = false;
    if machine.stands_on_a_prepared_sprite() {
        return prepared::give_up(machine, now);
    }
    // One that speaks has been delivered.
    machine.provisioned = true;
    if carried {
        let reason = format!("its agent speaks protocol version {protocol}, and this deployment carries no other");
        return give_up(machine, Work::Wake, &reason, now);
    }
    if gave_up(machine) {
        return give_up(machine, Work::Wake, "its agent could not be replaced", now);
    }
    let mut effects = vec![];
    if machine.state != State::Waking {
        enter(machine, State::Waking, "Its agent is being replaced.");
        effects.push(Effect::TellTerminals);
    }
    effects.extend(work(machine, Work::Replace, now));
    if machine.upgrade.replace(protocol) {
        let detail = format!(
            "Its agent speaks protocol version {protocol}, which SnapVM no longer speaks, and is replaced: \
             open terminals end, services start again."
        );
        effects.push(save(KIND, detail, agent(), now));
    }
    effects
}
