//! What the agent reports once: how a shell ended, what a service is doing. It is in SQLite until Postgres has it, so
//! that a database that is away costs a delay and nothing else.

use serde::{Deserialize, Serialize};
use snapvm_protocol::agent::TerminalEnd;
use snapvm_protocol::ids::{MachineId, TerminalId};
use snapvm_protocol::services::ServiceStatus;

use super::object::Gateway;
use super::outside::{Failure, Outside};
use super::state::Event;

const KIND: &str = "report";
/// Rounds of writing what came during the one before, until the alarm goes on with it.
const ROUNDS: usize = 100;

/// A report that Postgres may lack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Report {
    /// A service changed.
    Service(ServiceStatus),
    /// A shell ended.
    Ended(TerminalId, TerminalEnd),
}

impl Report {
    /// A newer report of the same thing takes an older one's place.
    fn id(&self) -> String {
        match self {
            Self::Service(status) => format!("service {}", status.name),
            Self::Ended(session, _) => format!("terminal {session}"),
        }
    }
}

impl<O: Outside> Gateway<O> {
    /// Takes a report, and writes it; should that fail, the alarm's next save tries again.
    pub(super) async fn report(&self, machine: MachineId, report: Report) -> worker::Result<()> {
        self.0.memory.put_item(KIND, &report.id(), &report)?;
        if !self.write_reports(machine).await {
            let _ = self.apply(Event::SaveFailed).await;
        }
        Ok(())
    }

    /// Writes every report that Postgres lacks, one after the other, so that the last one of a thing is what stays; false
    /// when there are some left. While they are being written already, that writes what came meanwhile too.
    pub(super) async fn write_reports(&self, machine: MachineId) -> bool {
        if self.0.reporting.replace(true) {
            return true;
        }
        let written = self.write_all(machine).await;
        self.0.reporting.set(false);
        written
    }

    async fn write_all(&self, machine: MachineId) -> bool {
        for _ in 0..ROUNDS {
            let reports = self.0.memory.items::<Report>(KIND).unwrap_or_default();
            if reports.is_empty() {
                return true;
            }
            for report in reports {
                if !self.write_report(machine, &report).await {
                    return false;
                }
            }
        }
        false
    }

    async fn write_report(&self, machine: MachineId, report: &Report) -> bool {
        let written = match report {
            Report::Service(status) => self.0.outside.save_service(machine, status).await,
            Report::Ended(session, end) => {
                let ending = serde_json::to_string(end).unwrap_or_default();
                self.0.outside.save_terminal_end(machine, *session, &ending).await
            }
        };
        match written {
            // The record of a machine, a service or a session that is gone needs no report.
            Ok(()) | Err(Failure::NoMachine | Failure::Deleting) => {}
            Err(failure) => {
                self.0.outside.log(&format!("machine {machine}: {}: {failure}", report.id()));
                return false;
            }
        }
        // A newer one may have come during the await.
        let id = report.id();
        if self.0.memory.item(KIND, &id).ok().flatten().as_ref() == Some(report) {
            let _ = self.0.memory.remove_item(KIND, &id);
        }
        true
    }
}
