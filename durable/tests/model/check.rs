//! What must hold: after every event, and once the world has come to rest.

use snapvm_durable::machine_gateway::desired::Desired;
use snapvm_protocol::lifecycle::MachineState as State;
use snapvm_protocol::sprites::SpriteStatus;

use super::World;

/// How long a machine may be called asleep while its runtime runs, with nothing that keeps us from knowing: a period of
/// checks, and the looks that follow.
const BILLED_MS: u64 = 12 * 60_000;

fn is_on_its_way(state: State) -> bool {
    !matches!(state, State::Running | State::Hibernated | State::Stopped | State::Failed)
}

impl World {
    /// After every event.
    pub(crate) fn check(&mut self) -> Result<(), String> {
        let Some(disk) = &self.disk else { return Ok(()) };
        let machine = &disk.machine;
        if is_on_its_way(machine.state) && machine.alarm_ms.is_none() {
            return Err(format!("{} without a time to look again", machine.state));
        }
        // In the instance that set it, the platform has it, too. One that was evicted before is found by the reconciler.
        let is_armed = self.live.as_ref().is_none_or(|live| live.armed.is_none()) || self.alarm.is_some();
        if is_on_its_way(machine.state) && !is_armed {
            return Err(format!("{} without an alarm", machine.state));
        }
        if disk.generation < self.generation {
            return Err(format!("generation {} after {}", disk.generation, self.generation));
        }
        self.generation = disk.generation;
        if machine.state == State::Failed && machine.stands_on_a_prepared_sprite() {
            return Err("failed on a prepared sprite, which could have been replaced".into());
        }
        if !disk.is_owned && !matches!(machine.desired(), Desired::Asleep | Desired::Deleted) {
            return Err(format!("nobody's, and it is to be {:?}", machine.desired()));
        }
        if machine.is_ready() {
            let bound = disk.binding.map(|(generation, _)| generation);
            if bound.is_some_and(|bound| bound != disk.generation) {
                return Err("ready by an agent of an older generation".into());
            }
        }
        let runs = self
            .provider
            .sprites
            .get(&self.present_name())
            .is_some_and(|sprite| sprite.status == SpriteStatus::Running && Some(sprite.id) == disk.sprite_id);
        let is_called_asleep = matches!(machine.state, State::Hibernated | State::Stopped);
        if !runs || !is_called_asleep || self.provider.away || self.postgres_away {
            self.mismatch_since = None;
        } else if self.now >= *self.mismatch_since.get_or_insert(self.now) + BILLED_MS {
            return Err(format!("called {} while its runtime runs", machine.state));
        }
        Ok(())
    }

    /// Why the world is not at rest, if it is not.
    pub(crate) fn unsettled(&self) -> Option<String> {
        let (Some(row), Some(disk)) = (&self.row, &self.disk) else {
            return (self.row.is_some() || self.disk.is_some())
                .then(|| format!("one of record and object is gone: {:?} {:?}", self.row, self.disk));
        };
        let machine = &disk.machine;
        if is_on_its_way(machine.state) {
            return Some(format!("still {}: {machine:?}", machine.state));
        }
        if machine.state == State::Running && !machine.connected {
            return Some(format!("running without an agent: {machine:?}"));
        }
        if row.state != machine.state || machine.unsaved || row.desired != Some(machine.desired()) {
            return Some(format!("the record says {} {:?}, the object {machine:?}", row.state, row.desired));
        }
        // One that failed on its way to a new generation learns which one it is from its next start.
        if row.generation != disk.generation && !machine.vanished {
            return Some(format!("generation {} in the record, {} in the object", row.generation, disk.generation));
        }
        if row.checkpoint.is_some() || machine.checkpoints.job.is_some() {
            return Some(format!("an order about a checkpoint is not done: {:?}", machine.checkpoints));
        }
        if !disk.lines.is_empty() {
            return Some("lines of history are not written".into());
        }
        None
    }

    /// At rest: where the last order wanted it.
    pub(crate) fn check_end(&mut self) -> Result<(), String> {
        self.sweep_orphans();
        let Some(disk) = &self.disk else {
            let is_clean = self.provider.sprites.is_empty();
            return match (self.ordered == Some(Desired::Deleted), is_clean) {
                (false, _) => Err("gone, and nobody ordered that".into()),
                (_, false) => Err("gone, and a sprite is left".into()),
                _ => Ok(()),
            };
        };
        let machine = &disk.machine;
        if self.provider.sprites.len() > 1 {
            return Err(format!("{} sprites for one row", self.provider.sprites.len()));
        }
        if machine.state == State::Failed {
            return if machine.reason.is_empty() { Err("failed without a reason".into()) } else { Ok(()) };
        }
        let is_there = match self.ordered {
            // Asleep by itself, by the idle clock or the runtime, when nobody has wanted it since.
            Some(Desired::Running) | None => matches!(machine.state, State::Running | State::Hibernated),
            Some(Desired::Asleep) => machine.state == State::Hibernated,
            Some(Desired::Stopped) => machine.state == State::Stopped,
            Some(Desired::Deleted) => false,
        };
        if !is_there {
            return Err(format!("ordered {:?}, and it is {}", self.ordered, machine.state));
        }
        let runs = self
            .provider
            .sprites
            .get(&self.present_name())
            .is_some_and(|sprite| sprite.status == SpriteStatus::Running);
        if runs != (machine.state == State::Running) {
            let runs = if runs { "runs" } else { "does not" };
            return Err(format!("it is {}, and its runtime {runs}: {:?}", machine.state, self.provider.sprites));
        }
        Ok(())
    }
}
