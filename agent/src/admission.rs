//! Which tickets are let in (pure): the machine's identity as the agent knows it, the tickets used up, the epoch.
//!
//! Invariants: the generation and the epoch never shrink; a ticket to wake or to run a command is good once; nothing is
//! learned from a ticket that is not signed by the platform for this machine and for what it came for.

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};
use snapvm_protocol::ids::MachineId;
use snapvm_protocol::tickets::{LIFETIME_SECONDS, Purpose, TicketError, Verified, Verifier};

use crate::clock::{GuestClock, Reading};

const LIFETIME_MS: i64 = LIFETIME_SECONDS * 1000;
/// Leases that are alive at once: one per edge location that serves the machine; more only cost a signature check.
const LEASES_MAX: usize = 16;

/// What was learned from tickets and from the object, for a hand-over. Leases are learned again at their next use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Learned {
    generation: u32,
    clock: GuestClock,
    used: HashMap<String, i64>,
    epoch: u64,
}

/// Decides on tickets.
#[derive(Debug)]
pub struct Admission {
    machine: MachineId,
    generation: u32,
    platform: Verifier,
    /// The guest's notion of time.
    pub clock: GuestClock,
    used: HashMap<String, i64>,
    leases: VecDeque<Lease>,
    epoch: u64,
}

#[derive(Debug)]
struct Lease {
    text: String,
    generation: u32,
    epoch: u64,
    expires_ms: i64,
}

/// What a caller of the API comes to the agent for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wants {
    /// To have one command run.
    Command,
    /// To read a service's log.
    Log,
}

/// Why an app request or a caller of the API was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IngressRefusal {
    /// The ticket itself.
    #[error("{0}")]
    Ticket(#[from] TicketError),
    /// Access changed since.
    #[error("the ticket is of an older epoch")]
    Epoch,
}

impl Admission {
    /// For a machine whose generation is at least `generation`.
    #[must_use]
    pub fn new(machine: MachineId, generation: u32, platform: Verifier) -> Self {
        Self {
            machine,
            generation,
            platform,
            clock: GuestClock::default(),
            used: HashMap::new(),
            leases: VecDeque::new(),
            epoch: 0,
        }
    }

    /// What was learned so far.
    #[must_use]
    pub fn learned(&self) -> Learned {
        Learned { generation: self.generation, clock: self.clock, used: self.used.clone(), epoch: self.epoch }
    }

    /// Takes what an agent before this one had learned.
    pub fn resume(&mut self, learned: Learned) {
        self.generation = self.generation.max(learned.generation);
        self.epoch = self.epoch.max(learned.epoch);
        self.clock = learned.clock;
        self.used = learned.used;
    }

    /// The machine.
    #[must_use]
    pub fn machine(&self) -> MachineId {
        self.machine
    }

    /// The generation the agent believes in.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Takes a newer generation from the object; whether it is not an older one.
    pub fn adopt_generation(&mut self, generation: u32) -> bool {
        if generation < self.generation {
            return false;
        }
        self.generation = generation;
        true
    }

    /// Takes a newer epoch; whether it was newer, so that older connections must be closed.
    pub fn adopt_epoch(&mut self, epoch: u64) -> bool {
        let newer = epoch > self.epoch;
        self.epoch = self.epoch.max(epoch);
        newer
    }

    /// Uses up a wake ticket.
    ///
    /// # Errors
    /// Why it is no good.
    pub fn wake(&mut self, text: &str, reading: Reading) -> Result<(), TicketError> {
        self.once(text, reading, |purpose| (purpose == Purpose::Wake).then_some(()))
    }

    /// Looks at the ticket of a caller of the API; says its epoch, and whether that is newer than any before. One for a
    /// command is used up; a log may be read twice.
    ///
    /// # Errors
    /// Why it is no good.
    pub fn caller(&mut self, wants: Wants, text: &str, reading: Reading) -> Result<(u64, bool), IngressRefusal> {
        let epoch = match wants {
            Wants::Command => self.once(text, reading, |purpose| match purpose {
                Purpose::Exec { epoch } => Some(epoch),
                _ => None,
            })?,
            Wants::Log => {
                let (verified, epoch) = self.verify(text, reading, |purpose| match purpose {
                    Purpose::Logs { epoch } => Some(epoch),
                    _ => None,
                })?;
                self.learn(&verified, reading);
                epoch
            }
        };
        self.current(epoch)
    }

    /// Uses up a ticket that is good once, if it is for what is meant.
    fn once<T>(
        &mut self,
        text: &str,
        reading: Reading,
        meant: impl FnOnce(Purpose) -> Option<T>,
    ) -> Result<T, TicketError> {
        let (verified, found) = self.verify(text, reading, meant)?;
        let now = self.clock.now(reading);
        self.used.retain(|_, expires| *expires > now);
        if self.used.contains_key(&verified.ticket.jti) {
            return Err(TicketError::Replayed);
        }
        self.learn(&verified, reading);
        // Twice the lifetime: the object's next word may turn our clock back by less than one.
        self.used.insert(verified.ticket.jti, verified.issued_ms.saturating_add(2 * LIFETIME_MS));
        Ok(found)
    }

    /// Checks a lease's ticket; says its epoch, and whether that is newer than any before.
    ///
    /// # Errors
    /// Why it is no good.
    pub fn ingress(&mut self, text: &str, reading: Reading) -> Result<(u64, bool), IngressRefusal> {
        let now = self.clock.now(reading);
        // The same text comes with every request of a lease: its signature is checked once.
        self.leases.retain(|lease| lease.expires_ms > now && lease.generation >= self.generation);
        let epoch = match self.leases.iter().find(|lease| lease.text == text) {
            Some(lease) => lease.epoch,
            None => self.lease(text, reading)?,
        };
        self.current(epoch)
    }

    fn lease(&mut self, text: &str, reading: Reading) -> Result<u64, TicketError> {
        let (verified, epoch) = self.verify(text, reading, |purpose| match purpose {
            Purpose::Ingress { epoch } => Some(epoch),
            _ => None,
        })?;
        self.learn(&verified, reading);
        if self.leases.len() >= LEASES_MAX {
            self.leases.pop_front();
        }
        self.leases.push_back(Lease {
            text: text.to_owned(),
            generation: verified.ticket.generation,
            epoch,
            expires_ms: verified.issued_ms.saturating_add(LIFETIME_MS),
        });
        Ok(epoch)
    }

    /// A ticket of the platform's for this machine, and what it is for. Nothing is learned from it yet.
    fn verify<T>(
        &self,
        text: &str,
        reading: Reading,
        meant: impl FnOnce(Purpose) -> Option<T>,
    ) -> Result<(Verified, T), TicketError> {
        let verified = self.platform.ticket_for_guest(text, self.clock.now(reading))?;
        verified.ticket.expect(self.machine, self.generation)?;
        let found = meant(verified.ticket.purpose).ok_or(TicketError::Purpose)?;
        Ok((verified, found))
    }

    fn learn(&mut self, verified: &Verified, reading: Reading) {
        self.generation = self.generation.max(verified.ticket.generation);
        self.clock.at_least(verified.issued_ms, reading);
    }

    /// Whether access is still what it was when a ticket was signed.
    fn current(&mut self, epoch: u64) -> Result<(u64, bool), IngressRefusal> {
        if epoch < self.epoch {
            return Err(IngressRefusal::Epoch);
        }
        Ok((epoch, self.adopt_epoch(epoch)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use snapvm_protocol::tickets::{Signer, Ticket};

    const NOW: i64 = 1_790_000_000_000;

    fn machine() -> MachineId {
        MachineId::new(1, [7; 10])
    }

    fn signer() -> Signer {
        Signer::from_seed(&[1; 32]).unwrap()
    }

    fn text(purpose: Purpose, generation: u32, jti: &str, at: i64) -> String {
        let ticket = Ticket { machine: machine(), generation, purpose, jti: jti.into() };
        signer().ticket(&ticket, at).unwrap()
    }

    fn at(boot: u64) -> Reading {
        Reading { boot, monotonic: boot, wall: 0 }
    }

    fn admission() -> Admission {
        Admission::new(machine(), 3, signer().verifier())
    }

    #[test]
    fn a_wake_ticket_is_good_once_and_raises_the_generation() {
        let mut admission = admission();
        let first = text(Purpose::Wake, 4, "a", NOW);
        assert_eq!(admission.wake(&first, at(0)), Ok(()));
        assert_eq!(admission.generation(), 4);
        assert_eq!(admission.wake(&first, at(1)), Err(TicketError::Replayed));
        let mut resumed = self::admission();
        resumed.resume(admission.learned());
        assert_eq!(resumed.wake(&first, at(1)), Err(TicketError::Replayed));
        assert_eq!(admission.wake(&text(Purpose::Wake, 3, "b", NOW), at(1)), Err(TicketError::Generation));
        assert_eq!(admission.wake(&text(Purpose::Control, 4, "c", NOW), at(1)), Err(TicketError::Purpose));
        assert_eq!(admission.wake(&text(Purpose::Wake, 4, "d", NOW - 60_000), at(1)), Err(TicketError::Expired));
        // A thaw after hours: the guest's clock stood still, the ticket is from its future.
        assert_eq!(admission.wake(&text(Purpose::Wake, 4, "e", NOW + 7_200_000), at(2)), Ok(()));
        assert_eq!(admission.wake(&text(Purpose::Wake, 4, "f", NOW + 10_000), at(2)), Err(TicketError::Expired));
    }

    #[test]
    fn a_ticket_for_a_command_is_good_once_and_for_nothing_else() {
        let mut admission = admission();
        let first = text(Purpose::Exec { epoch: 5 }, 3, "a", NOW);
        assert_eq!(admission.ingress(&first, at(0)), Err(TicketError::Purpose.into()));
        assert_eq!(admission.wake(&first, at(0)), Err(TicketError::Purpose));
        assert_eq!(admission.caller(Wants::Command, &first, at(0)), Ok((5, true)));
        assert_eq!(admission.caller(Wants::Command, &first, at(1)), Err(TicketError::Replayed.into()));
        let stale = text(Purpose::Exec { epoch: 4 }, 3, "b", NOW);
        assert_eq!(admission.caller(Wants::Command, &stale, at(1)), Err(IngressRefusal::Epoch));
        for other in [Purpose::Wake, Purpose::Control, Purpose::Ingress { epoch: 5 }, Purpose::Logs { epoch: 5 }] {
            let other = text(other, 3, "c", NOW);
            assert_eq!(admission.caller(Wants::Command, &other, at(1)), Err(TicketError::Purpose.into()));
        }
        let old = text(Purpose::Exec { epoch: 5 }, 2, "d", NOW);
        assert_eq!(admission.caller(Wants::Command, &old, at(1)), Err(TicketError::Generation.into()));
    }

    #[test]
    fn a_ticket_for_a_log_reads_until_access_changes_and_runs_nothing() {
        let mut admission = admission();
        let first = text(Purpose::Logs { epoch: 5 }, 4, "a", NOW);
        assert_eq!(admission.caller(Wants::Command, &first, at(0)), Err(TicketError::Purpose.into()));
        assert_eq!(admission.generation(), 3);
        assert_eq!(admission.caller(Wants::Log, &first, at(0)), Ok((5, true)));
        assert_eq!((admission.caller(Wants::Log, &first, at(1)), admission.generation()), (Ok((5, false)), 4));
        let newer = text(Purpose::Logs { epoch: 6 }, 4, "b", NOW);
        assert_eq!(admission.caller(Wants::Log, &newer, at(1)), Ok((6, true)));
        assert_eq!(admission.caller(Wants::Log, &first, at(1)), Err(IngressRefusal::Epoch));
        for other in [Purpose::Exec { epoch: 6 }, Purpose::Ingress { epoch: 6 }, Purpose::Wake] {
            let other = text(other, 4, "c", NOW);
            assert_eq!(admission.caller(Wants::Log, &other, at(1)), Err(TicketError::Purpose.into()));
        }
        assert_eq!(admission.caller(Wants::Log, &newer, at(60_000)), Err(TicketError::Expired.into()));
    }

    #[test]
    fn leases_die_with_their_epoch_their_time_and_their_generation() {
        let mut admission = admission();
        let old = text(Purpose::Ingress { epoch: 5 }, 3, "a", NOW);
        assert_eq!(admission.ingress(&old, at(0)), Ok((5, true)));
        assert_eq!(admission.ingress(&old, at(1)), Ok((5, false)));
        assert_eq!(admission.ingress(&old, at(60_000)), Err(TicketError::Expired.into()));
        let newer = text(Purpose::Ingress { epoch: 6 }, 3, "b", NOW + 60_000);
        assert_eq!(admission.ingress(&newer, at(60_000)), Ok((6, true)));
        let stale = text(Purpose::Ingress { epoch: 5 }, 3, "c", NOW + 60_000);
        assert_eq!(admission.ingress(&stale, at(60_000)), Err(IngressRefusal::Epoch));
        assert!(admission.adopt_generation(4));
        assert_eq!(admission.ingress(&newer, at(60_001)), Err(TicketError::Generation.into()));
        let mut resumed = self::admission();
        resumed.resume(admission.learned());
        assert_eq!((resumed.generation(), resumed.adopt_epoch(6)), (4, false));
        let wake = text(Purpose::Wake, 4, "d", NOW + 60_000);
        assert_eq!(admission.ingress(&wake, at(60_001)), Err(TicketError::Purpose.into()));
    }
}
