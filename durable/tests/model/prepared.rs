//! Machines that are prepared: taken by whoever creates one, or given up.

use snapvm_durable::machine_gateway::desired::Desired;
use snapvm_durable::machine_gateway::prepared::Prepared;
use snapvm_durable::machine_gateway::state::Event;
use snapvm_protocol::lifecycle::MachineState as State;

use super::World;

impl World {
    /// Somebody creates a machine, and takes this one if it is ready. The object may not hear of it.
    pub(crate) fn claim(&mut self) -> Result<(), String> {
        let (now, is_away) = (self.now, self.postgres_away);
        let is_ready = |row: &&mut super::Row| !is_away && row.state == State::Hibernated && row.sprite_id.is_some();
        let Some(row) = self.row.as_mut().filter(is_ready) else { return Ok(()) };
        (row.is_owned, row.state, row.state_at, row.written) = (true, State::Creating, now, 0);
        row.desired = None;
        self.ordered = Some(Desired::Running);
        self.note(|| "somebody takes it".into());
        if self.faulty && self.chance.one_in(6) {
            self.fault("claim lost on its way to the object");
            return Ok(());
        }
        if self.ensure()? && self.look_for_owner()? { self.apply(Event::Provision).map(|_| ()) } else { Ok(()) }
    }

    /// Nobody wants it any more: scheduled work says so in the record, and nothing else.
    pub(crate) fn give_up_prepared(&mut self) -> Result<(), String> {
        let now = self.now;
        if let Some(row) = &mut self.row {
            (row.state, row.desired, row.state_at) = (State::Deleting, Some(Desired::Deleted), now);
            self.ordered = Some(Desired::Deleted);
            self.note(|| "it is to go".into());
        }
        Ok(())
    }

    /// One that could not be prepared is replaced.
    pub(crate) fn end_prepared(&mut self, until: u64) -> Result<(), String> {
        self.give_up_prepared()?;
        self.reconcile()?;
        self.run_until(until)?;
        if self.row.is_none() && self.disk.is_none() && self.provider.sprites.is_empty() {
            return Ok(());
        }
        Err(format!("a prepared machine does not go: {:?} {:?}", self.row, self.provider.sprites))
    }

    /// Reads whose it is, unless that is known; false when nobody can say.
    pub(crate) fn look_for_owner(&mut self) -> Result<bool, String> {
        let Some(disk) = self.disk.as_mut().filter(|disk| !disk.is_owned) else { return Ok(true) };
        let Some(row) = self.row.as_ref().filter(|_| !self.postgres_away) else { return Ok(false) };
        if row.is_owned {
            disk.is_owned = true;
            disk.lines.clear();
            (disk.sprite_id, disk.sprite_name, disk.written) = (row.sprite_id, row.sprite_name, row.written);
            let _ = self.apply(Event::Claimed)?;
        }
        Ok(true)
    }

    /// The sprite that a generation stood on is deleted, if it was a prepared one that did not work. What is missed is an
    /// orphan.
    pub(crate) fn discard(&mut self, generation: u32) {
        let is_claimed = self.disk.as_ref().is_some_and(|disk| disk.machine.prepared == Some(Prepared::Claimed));
        let is_lost = self.provider.away || self.faulty && self.chance.one_in(4);
        if is_claimed && !is_lost {
            let name = self.sprite_name(generation);
            self.note(|| "its prepared sprite is deleted".into());
            self.lose_agent(name);
            self.provider.sprites.remove(&name);
        }
    }
}
