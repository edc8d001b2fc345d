//! Which tickets are let in (pure): the machine's identity as the agent knows it, the tickets used up, the epoch.
//!
//! Invariants: the generation and the epoch never shrink; a ticket to wake or to run a command is good once; nothing is learned from a
//! ticket that is not signed by the platform for this machine.

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};
use snapvm_protocol::ids::MachineId;
use snapvm_protocol::tickets::{LIFETIME_SECONDS, Purpose, TicketError, Verifier};

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

/// Why an app request or a command was refused.
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

    /// Uses up a ticket for one command; says its epoch, and whether that is newer than any before.
    ///
    /// # Errors
    /// Why it is no good.
    pub fn exec(&mut self, text: &str, reading: Reading) -> Result<(u64, bool), IngressRefusal> {
        let epoch = self.once(text, reading, |purpose| match purpose {
            Purpose::Exec { epoch } => Some(epoch),
            _ => None,
        })?;
        if epoch < self.epoch {
            return Err(IngressRefusal::Epoch);
        }
        Ok((epoch, self.adopt_epoch(epoch)))
    }

    /// Checks a ticket for reading a log; says its epoch, and whether that is newer than any before.
    ///
    /// # Errors
    /// Why it is no good.
    pub fn logs(&mut self, text: &str, reading: Reading) -> Result<(u64, bool), IngressRefusal> {
        let now = self.clock.now(reading);
        let verified = self.platform.ticket_for_guest(text, now)?;
        verified.ticket.expect(self.machine, self.generation)?;
        let Purpose::Logs { epoch } = verified.ticket.purpose else { return Err(TicketError::Purpose.into()) };
        self.generation = self.generation.max(verified.ticket.generation);
        self.clock.at_least(verified.issued_ms, reading);
        if epoch < self.epoch {
            return Err(IngressRefusal::Epoch);
        }
        Ok((epoch, self.adopt_epoch(epoch)))
    }

    /// Uses up a ticket that is good once, if it is for what is meant.
    fn once<T>(
        &mut self,
        text: &str,
        reading: Reading,
        meant: impl FnOnce(Purpose) -> Option<T>,
    ) -> Result<T, TicketError> {
        let now = self.clock.now(reading);
        let verified = self.platform.ticket_for_guest(text, now)?;
        verified.ticket.expect(self.machine, self.generation)?;
        let found = meant(verified.ticket.purpose).ok_or(TicketError::Purpose)?;
        self.used.retain(|_, expires| *expires > now);
        if self.used.contains_key(&verified.ticket.jti) {
            return Err(TicketError::Replayed);
        }
        // Twice the lifetime: the object's next word may turn our clock back by less than one.
        self.used.insert(verified.ticket.jti, verified.issued_ms.saturating_add(2 * LIFETIME_MS));
        self.generation = self.generation.max(verified.ticket.generation);
        self.clock.at_least(verified.issued_ms, reading);
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
            None => self.lease(text, now, reading)?,
        };
        if epoch < self.epoch {
            return Err(IngressRefusal::Epoch);
        }
        Ok((epoch, self.adopt_epoch(epoch)))
    }

    fn lease(&mut self, text: &str, now: i64, reading: Reading) -> Result<u64, TicketError> {
        let verified = self.platform.ticket_for_guest(text, now)?;
        verified.ticket.expect(self.machine, self.generation)?;
        let Purpose::Ingress { epoch } = verified.ticket.purpose else { return Err(TicketError::Purpose) };
        self.generation = self.generation.max(verified.ticket.generation);
        self.clock.at_least(verified.issued_ms, reading);
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
        assert_eq!(admission.exec(&first, at(0)), Ok((5, true)));
        assert_eq!(admission.exec(&first, at(1)), Err(TicketError::Replayed.into()));
        let stale = text(Purpose::Exec { epoch: 4 }, 3, "b", NOW);
        assert_eq!(admission.exec(&stale, at(1)), Err(IngressRefusal::Epoch));
        for other in [Purpose::Wake, Purpose::Control, Purpose::Ingress { epoch: 5 }] {
            let other = text(other, 3, "c", NOW);
            assert_eq!(admission.exec(&other, at(1)), Err(TicketError::Purpose.into()));
        }
        let old = text(Purpose::Exec { epoch: 5 }, 2, "d", NOW);
        assert_eq!(admission.exec(&old, at(1)), Err(TicketError::Generation.into()));
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
