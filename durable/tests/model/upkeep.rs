//! Checkpoints and upgrades of the agent, as they cross a machine's life: ordered in any state, done by the runtime, and
//! told to Postgres until it knows.

use snapvm_durable::machine_gateway::checkpoint::{Order, Step, What};
use snapvm_durable::machine_gateway::desired::Desired;
use snapvm_durable::machine_gateway::state::{Event, Work};
use snapvm_protocol::ids::CheckpointId;
use snapvm_protocol::lifecycle::MachineState as State;

use super::outside::{Answer, Call};
use super::{Happening, Word, World};

impl World {
    /// Somebody orders a checkpoint, or that the files go back to one.
    pub(crate) fn order_checkpoint(&mut self) -> Result<(), String> {
        let number = self.lines + self.serial;
        let wants_back = self.chance.one_in(2);
        let Some(row) = self.row.as_mut().filter(|row| row.is_owned && !self.postgres_away) else { return Ok(()) };
        // One at a time for a machine, as a unique index says, and none of a machine that has no files yet.
        let has_files = row.state != State::Creating && row.sprite_id.is_some();
        if row.state == State::Deleting || !has_files || row.checkpoint.is_some() {
            return Ok(());
        }
        let what = match row.checkpoints {
            0 => What::Making,
            _ if wants_back => What::Restoring,
            1 => What::Making,
            _ => What::Deleting,
        };
        let order = Order {
            id: CheckpointId::new(number, [7; 10]),
            order: format!("order {number}"),
            what,
            name: (what != What::Making).then(|| "v1".into()),
            comment: String::new(),
        };
        row.checkpoint = Some(order);
        row.checkpoint_at = self.now;
        if what == What::Restoring {
            row.generation += 1;
            self.fault("restored to an older checkpoint");
        }
        if self.faulty && self.chance.one_in(8) {
            self.fault("order lost on its way to the object");
            return Ok(());
        }
        self.note(|| format!("order: {what:?} a checkpoint"));
        if self.ensure()? && self.look_for_owner()? { self.take_checkpoint_order() } else { Ok(()) }
    }

    /// Reads the record's order, if there is one that has not been begun; and its generation, which may have grown.
    pub(crate) fn take_checkpoint_order(&mut self) -> Result<(), String> {
        let (Some(row), Some(disk)) = (&self.row, &mut self.disk) else { return Ok(()) };
        if self.postgres_away || disk.machine.checkpoints.is_busy() {
            return Ok(());
        }
        let Some(order) = row.checkpoint.clone() else {
            if row.generation > disk.generation && disk.machine.vanished {
                disk.generation = row.generation;
                (disk.sprite_id, disk.sprite_name) = (None, None);
            }
            return Ok(());
        };
        if row.generation > disk.generation {
            disk.sprite_name = Some(disk.sprite_name.unwrap_or(disk.generation));
            disk.generation = row.generation;
        }
        let is_back = order.what == What::Restoring;
        let _ = self.apply(Event::Checkpoint { order })?;
        let is_begun = self.disk.as_ref().is_some_and(|disk| disk.machine.checkpoints.is_restoring());
        if is_back && is_begun && self.ordered != Some(Desired::Deleted) {
            // Whoever goes back wants to see it, unless there is no way back.
            self.before_restore = Some(self.ordered.replace(Desired::Running));
        }
        Ok(())
    }

    /// The runtime does what is ordered.
    pub(crate) fn runtime_checkpoint(&mut self, name: u32, generation: u32, what: What) -> Answer {
        if !self.is_ours(name) {
            return Answer::NoSprite;
        }
        if what == What::Restoring {
            self.lose_agent(name);
            self.run_sprite(name);
            self.start_agent(name);
            let digest = self.chance.between(0, 3);
            if let Some(agent) = self.provider.sprites.get_mut(&name).and_then(|sprite| sprite.agent.as_mut()) {
                // What is on the disk is as old as the checkpoint.
                (agent.generation, agent.digest) = (generation.saturating_sub(1), digest);
            }
        }
        Answer::Done
    }

    /// Postgres hears what became of an order.
    pub(crate) fn record_checkpoint(&mut self) -> Answer {
        let job = self.disk.as_ref().and_then(|disk| disk.machine.checkpoints.job.as_ref());
        let Some(row) = &mut self.row else { return Answer::NoMachine };
        if let Some(job) = job.filter(|job| row.checkpoint.as_ref().is_some_and(|order| order.order == job.order.order))
            && let Step::Done(outcome) = &job.step
        {
            row.checkpoints = match (job.order.what, outcome.kind.as_str()) {
                (What::Making, "checkpoint_made") => row.checkpoints + 1,
                (What::Deleting, "checkpoint_deleted") => row.checkpoints - 1,
                _ => row.checkpoints,
            };
            row.checkpoint = None;
        }
        Answer::Done
    }

    /// What one step of upkeep says, once it is done.
    pub(crate) fn upkeep_done(&self, work: Work) -> Option<Event> {
        Some(match work {
            Work::Checkpoint => Event::CheckpointDone { name: Some("v1".into()) },
            Work::TellCheckpoint => Event::CheckpointTold,
            Work::Deliver => Event::Delivered { digest: digest(self.carried) },
            Work::Settle => Event::Settled,
            Work::Replace => Event::Replaced,
            _ => return None,
        })
    }

    pub(crate) fn upkeep_call(&self, work: Work) -> Option<Call> {
        let job = self.disk.as_ref().and_then(|disk| disk.machine.checkpoints.job.as_ref());
        Some(match work {
            Work::Checkpoint => Call::Checkpoint { what: job?.order.what },
            Work::TellCheckpoint => Call::TellCheckpoint,
            Work::Deliver => Call::Deliver,
            Work::Settle => Call::Settle,
            Work::Replace => Call::Replace,
            _ => return None,
        })
    }

    /// A deployment: the platform carries another agent, and every agent dials again.
    pub(crate) fn deploy(&mut self) -> Result<(), String> {
        self.fault("deployment with another agent");
        self.carried += 1;
        self.evict();
        let name = self.present_name();
        let socket = self.provider.sprites.get(&name).and_then(|sprite| sprite.agent.as_ref()?.socket);
        if let Some(socket) = socket {
            self.after(20, Happening::SocketGone { socket });
        }
        Ok(())
    }

    /// The agent is told to become another one: it does, it dies of it, or it is the wrong moment.
    pub(crate) fn agent_becomes(&mut self, name: u32, wanted: String) {
        let chance = if self.faulty { self.chance.between(0, 6) } else { 5 };
        let carried = self.carried;
        let Some(agent) = self.provider.sprites.get_mut(&name).and_then(|sprite| sprite.agent.as_mut()) else {
            return;
        };
        let socket = agent.socket;
        match (chance, socket) {
            (0, _) => {
                self.fault("agent died of an upgrade");
                self.lose_agent(name);
                self.after(1_500, Happening::Restarts { sprite: name });
            }
            (1 | 2, Some(socket)) => {
                self.says(name, socket, Word::Refused { digest: wanted, again: chance == 1 });
            }
            (_, Some(socket)) => {
                agent.digest = carried;
                self.after(200, Happening::SocketGone { socket });
            }
            _ => {}
        }
    }
}

/// A digest as agents name theirs.
pub(crate) fn digest(number: u64) -> String {
    format!("{number:064}")
}
