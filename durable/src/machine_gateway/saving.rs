//! Writing through to Postgres: the present state, and the lines of history that it lacks. Lines are in SQLite until
//! Postgres has them, under the id that they get there: however often one is sent, it is written once.

use serde::{Deserialize, Serialize};

use super::cause::By;
use super::object::Gateway;
use super::outside::{Failure, Line, Outside};
use super::state::{Event, History};
use crate::background;

const KIND: &str = "history";

/// A line that Postgres may lack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Unwritten {
    id: String,
    history: History,
}

impl<O: Outside> Gateway<O> {
    /// Has the present state written, and a line of history.
    pub(super) fn save(&self, history: Option<History>) {
        if let Some(history) = history {
            let unwritten = Unwritten { id: self.0.outside.random_id(), history };
            if let Err(error) = self.0.memory.put_item(KIND, &unwritten.id, &unwritten) {
                self.0.outside.log(&format!("keeping a line of history: {error}"));
            }
        }
        self.0.save_again.set(true);
        if self.0.saving.replace(true) {
            return;
        }
        let gateway = self.clone();
        background::run(&self.0.state, async move {
            let written = gateway.write().await;
            gateway.0.saving.set(false);
            let event = match written {
                Ok(()) => Event::Saved,
                // The record says so: whatever the object was about, it ends here.
                Err(Failure::Deleting) => Event::Delete { by: By::default() },
                Err(_) => Event::SaveFailed,
            };
            let _ = Box::pin(gateway.apply(event)).await;
        });
    }

    /// No line is to be written that has not been.
    pub(super) fn forget_history(&self) {
        for line in self.0.memory.items::<Unwritten>(KIND).unwrap_or_default() {
            let _ = self.0.memory.remove_item(KIND, &line.id);
        }
    }

    /// Writes one after the other, so that the last state is what stays, until there is nothing left to write.
    async fn write(&self) -> Result<(), Failure> {
        loop {
            self.0.save_again.set(false);
            let lines = self.0.memory.items::<Unwritten>(KIND).unwrap_or_default();
            // Numbered before it is sent: one that is on its way for long must not undo a later one. By the time, so that
            // an object that lost its memory goes on above what it wrote before.
            if let Some(cache) = self.0.cache.borrow_mut().as_mut() {
                cache.record.written = self.0.outside.now_ms().max(cache.record.written + 1);
            }
            self.remember();
            let present = self.0.cache.borrow().as_ref().map(|cache| (cache.record.clone(), cache.machine.clone()));
            let Some((record, machine)) = present else { return Ok(()) };
            let line = lines.first().map(|line| Line { id: &line.id, history: &line.history });
            match self.0.outside.save(&record, &machine, line).await {
                Ok(epoch) => {
                    self.raise_epoch(epoch);
                }
                Err(Failure::NoMachine) => return Ok(()),
                Err(failure) => {
                    if failure != Failure::Deleting {
                        self.0.outside.log(&format!("machine {}: saving: {failure}", record.machine));
                    }
                    return Err(failure);
                }
            }
            if let Some(line) = lines.first() {
                let _ = self.0.memory.remove_item(KIND, &line.id);
            }
            if lines.len() > 1 || self.0.save_again.get() {
                continue;
            }
            if !self.write_reports(record.machine).await {
                return Err(Failure::Unavailable("a report was not written".into()));
            }
            if !self.0.save_again.get() {
                return Ok(());
            }
        }
    }
}
