//! Machines that are prepared before anybody wants one, so that creating takes no longer than waking.
//!
//! One that is prepared lives the life of any other: it is made, its agent says Hello, and then it sleeps, since that is
//! what its record wants of it. The record has no organization. Whoever creates a machine of its kind gets its id; from
//! then on the record under that id is theirs, and the object learns of it from whatever it is asked first.
//!
//! Invariants:
//! * Nothing is done for anybody while the record read last was nobody's.
//! * What was prepared never leads to `failed` once it is somebody's: a sprite that does not work is replaced.
//! * A limit of the provider's ends a preparation, and never somebody's creation.

use serde::{Deserialize, Serialize};
use snapvm_protocol::ids::MachineId;
use snapvm_protocol::sprites::Sprite;

use super::object::Gateway;
use super::outside::{Failure, Outside, Record};
use super::state::{Event, Machine};
use crate::background;

/// Tries to wake a prepared sprite before another one is made in its place.
pub const CLAIMED_TRIES_MAX: u32 = 2;

/// Whose a prepared machine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Prepared {
    /// Nobody's yet.
    Waiting,
    /// Somebody's, whose agent has not been heard of since.
    Claimed,
}

impl Machine {
    /// Whether all that it has is a prepared sprite, which nobody has seen working since somebody took it.
    #[must_use]
    pub fn stands_on_a_prepared_sprite(&self) -> bool {
        self.prepared == Some(Prepared::Claimed) && !self.vanished
    }

    /// Whether that sprite has been given up, and its agent comes too late.
    #[must_use]
    pub fn is_discarding(&self) -> bool {
        self.prepared == Some(Prepared::Claimed) && self.vanished
    }
}

impl<O: Outside> Gateway<O> {
    /// A prepared machine may have become somebody's: its record says so.
    ///
    /// # Errors
    /// When nobody can say.
    pub(super) async fn look_for_owner(&self, machine: MachineId) -> Result<(), Failure> {
        if !self.record().is_some_and(|record| record.is_prepared()) {
            return Ok(());
        }
        let mut record = self.0.outside.load(machine).await?;
        if record.is_prepared() {
            return Ok(());
        }
        self.keep_variables(&mut record);
        {
            let mut cache = self.0.cache.borrow_mut();
            // Somebody else may have learned it during the await.
            let Some(cache) = cache.as_mut().filter(|cache| cache.record.is_prepared()) else { return Ok(()) };
            cache.machine.idle_seconds = record.idle_seconds;
            cache.machine.holds.clone_from(&record.holds);
            cache.record = record;
        }
        self.forget_history();
        let _ = self.apply(Event::Claimed).await;
        Ok(())
    }

    /// Has the labels of a sprite that was just woken say whose it is. Nobody waits for it: whoever looks for orphans goes
    /// by other labels, and what fails is done at the next wake.
    pub(super) fn spawn_label(&self, record: Record, sprite: Sprite) {
        let gateway = self.clone();
        background::run(&self.0.state, async move {
            if let Err(failure) = gateway.0.outside.label(&record, &sprite).await {
                gateway.0.outside.log(&format!("machine {}: labelling its sprite: {failure}", record.machine));
            }
        });
    }

    /// Deletes a prepared sprite that did not work. What fails is found as an orphan.
    pub(super) fn spawn_deletion(&self, record: Record) {
        let gateway = self.clone();
        background::run(&self.0.state, async move {
            if let Err(failure) = gateway.0.outside.delete_sprite(&record).await {
                gateway.0.outside.log(&format!("machine {}: its prepared sprite: {failure}", record.machine));
            }
        });
    }
}
