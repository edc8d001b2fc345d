//! An agent's dial: the credentials of the request that opens a socket of its own.
//!
//! ```text
//! first dial of a boot:  wake ticket (ours, single-use) + public key + boot id   → the gateway binds them
//! later dials:           pass (ours, vouches for the key) + ticket signed with that key
//! ```
//!
//! Here is what can be checked without any state; whether the binding still stands, and whether the ticket was used
//! before, is up to the object.

use serde::{Deserialize, Serialize};
use snapvm_protocol::headers;
use snapvm_protocol::ids::MachineId;
use snapvm_protocol::tickets::{LIFETIME_SECONDS, Purpose, TicketError, Verifier};
use worker::Request;

/// How long a ticket is good for.
pub const LIFETIME_MS: u64 = LIFETIME_SECONDS.unsigned_abs() * 1000;

/// The agent's key that later dials are verified with: ends with a sleep, a restart, a new generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// The generation it was bound in.
    pub generation: u32,
    /// The agent's boot id.
    pub boot: String,
    /// Its public key.
    pub key: String,
}

/// What a dial presents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dial {
    /// The ticket.
    pub ticket: String,
    /// The pass, on later dials.
    pub pass: Option<String>,
    /// The agent's public key, on the first one.
    pub key: String,
    /// The agent's boot id, on the first one.
    pub boot: String,
}

/// A dial whose signatures are good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// What the ticket allows.
    pub purpose: Purpose,
    /// The ticket's id: good for one use.
    pub jti: String,
    /// The agent that dials.
    pub binding: Binding,
}

impl Dial {
    /// Reads the headers of a dial.
    ///
    /// # Errors
    /// When the platform fails.
    pub fn read(request: &Request) -> worker::Result<Self> {
        let sent = request.headers();
        Ok(Self {
            ticket: sent.get(headers::TICKET)?.unwrap_or_default(),
            pass: sent.get(headers::PASS)?,
            key: sent.get(headers::AGENT_KEY)?.unwrap_or_default(),
            boot: sent.get(headers::BOOT)?.unwrap_or_default(),
        })
    }

    /// Checks signatures, time and machine.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn check(&self, machine: MachineId, platform: &Verifier, now_ms: u64) -> Result<Admitted, TicketError> {
        let now = i64::try_from(now_ms).unwrap_or(i64::MAX);
        let Some(pass) = &self.pass else {
            let ticket = platform.ticket(&self.ticket, now)?.ticket;
            ticket.expect(machine, ticket.generation)?;
            Verifier::from_text(&self.key)?;
            if self.boot.is_empty() || self.boot.len() > 64 {
                return Err(TicketError::Malformed);
            }
            let binding = Binding { generation: ticket.generation, boot: self.boot.clone(), key: self.key.clone() };
            return Ok(Admitted { purpose: ticket.purpose, jti: ticket.jti, binding });
        };
        let pass = platform.pass(pass)?;
        if pass.machine != machine {
            return Err(TicketError::Machine);
        }
        let ticket = Verifier::from_text(&pass.agent_key)?.ticket(&self.ticket, now)?.ticket;
        ticket.expect(machine, pass.generation)?;
        let binding = Binding { generation: pass.generation, boot: pass.boot, key: pass.agent_key };
        Ok(Admitted { purpose: ticket.purpose, jti: ticket.jti, binding })
    }
}
