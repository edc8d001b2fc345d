//! The machine's variables on their way from the record to the agent.
//!
//! Invariants:
//! * What is kept here is what the record has: secrets are sealed. They are opened for one message to the agent, and
//!   never stored opened.
//! * An agent never ends with older ones than the record had at the last change: of several readings under way, only
//!   the one that began last counts.
//! * A secret that cannot be opened is left out, and the log says which; the others are delivered.

use snapvm_protocol::agent::ToAgent;
use snapvm_protocol::variables::Variables;

use super::object::Gateway;
use super::outside::{Outside, Record, StoredVariable};

/// Where the last ones that were read are kept, for a database that is away at the next Hello.
const KEY: &str = "variables";

impl<O: Outside> Gateway<O> {
    /// Begins a reading; see [`Gateway::is_newest_reading`].
    pub(super) fn begin_reading(&self) -> u64 {
        let number = self.0.readings.get() + 1;
        self.0.readings.set(number);
        number
    }

    /// Whether no other reading has begun since.
    pub(super) fn is_newest_reading(&self, number: u64) -> bool {
        self.0.readings.get() == number
    }

    /// Takes the variables out of a record that was just read, and keeps them.
    pub(super) fn keep_variables(&self, record: &mut Record) {
        let stored = std::mem::take(&mut record.variables);
        if self.stored_variables() == stored {
            return;
        }
        let kept = if stored.is_empty() { self.0.memory.remove(KEY) } else { self.0.memory.put(KEY, &stored) };
        if let Err(error) = kept {
            self.0.outside.log(&format!("machine {}: keeping its variables: {error}", record.machine));
        }
    }

    /// The kept ones, opened.
    pub(super) async fn variables(&self, record: &Record) -> Variables {
        let mut opened = Vec::new();
        for StoredVariable { name, value, sealed } in self.stored_variables() {
            let value = match (value, sealed) {
                (Some(value), _) => Ok(value),
                (None, Some(sealed)) => self.0.outside.open(record, &name, &sealed).await,
                (None, None) => continue,
            };
            match value {
                Ok(value) => opened.push((name, value)),
                Err(failure) => {
                    self.0.outside.log(&format!("machine {}: variable {name}: {failure}", record.machine));
                }
            }
        }
        opened.into_iter().collect()
    }

    /// Reads them again after a change, and tells the agent.
    pub(super) async fn reload_variables(&self) {
        let Some(machine) = self.record().map(|record| record.machine) else { return };
        let reading = self.begin_reading();
        let mut record = match self.0.outside.load(machine).await {
            Ok(record) => record,
            Err(failure) => {
                return self.0.outside.log(&format!("machine {machine}: reading its variables: {failure}"));
            }
        };
        if !self.is_newest_reading(reading) {
            return;
        }
        self.keep_variables(&mut record);
        let variables = self.variables(&record).await;
        if self.is_newest_reading(reading) {
            self.tell(&ToAgent::Variables { variables });
        }
    }

    fn stored_variables(&self) -> Vec<StoredVariable> {
        self.0.memory.get(KEY).ok().flatten().unwrap_or_default()
    }
}
