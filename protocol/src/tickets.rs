//! Tickets between our own parts: Ed25519 JWTs, bound to a machine, a generation and a purpose, that live 60 s.
//!
//! ```text
//! Worker, objects ──(platform key)──▶ agent        wake, ingress, exec, logs: header x-snap-ticket
//! agent ──(the same wake ticket + own public key)──▶ MachineGateway    first dial of a boot
//! MachineGateway ──(platform key)──▶ agent         pass: vouches for (machine, generation, boot, agent's key)
//! agent ──(own key, beside the pass)──▶ Worker     every later dial: control, terminal
//! ```
//!
//! An agent holds the platform's *public* key only. A ticket that opens a socket or runs a command carries a single-use
//! `jti`; whoever holds the state (the gateway object, the agent) remembers the used ones. The pass does not expire by itself: the gateway's
//! binding to (generation, boot, key) decides.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Duration, Utc};
use ed25519_compact::{KeyPair, PublicKey, SecretKey, Seed};
use jwt_compact::alg::Ed25519;
use jwt_compact::{AlgorithmExt, Claims, Header, UntrustedToken, ValidationError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::ids::{MachineId, TerminalId};

/// How long a ticket is good for, in seconds.
pub const LIFETIME_SECONDS: i64 = 60;
/// Longest accepted ticket, in bytes.
pub const LENGTH_MAX: usize = 2048;

/// What a ticket allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "use")]
pub enum Purpose {
    /// Platform → agent: run *wake* and dial in. The same ticket opens the first control socket of a boot.
    Wake,
    /// Platform → agent: forward requests to app ports. Reused for as long as a lease lasts.
    Ingress {
        /// The machine's epoch when the lease was given; connections of an older one are closed.
        epoch: u64,
    },
    /// Platform → agent: run one command. Good once, so that a request that is sent twice runs it once.
    Exec {
        /// The machine's epoch when the ticket was given; a command of an older one is ended.
        epoch: u64,
    },
    /// Platform → agent: read the log of a service. Reading twice is as good as once.
    Logs {
        /// The machine's epoch when the ticket was given; who follows under an older one is sent away.
        epoch: u64,
    },
    /// Agent → object: open the control socket again.
    Control,
    /// Agent → object: open the socket of a terminal session.
    Terminal {
        /// Which session.
        session: TerminalId,
    },
}

/// What a ticket says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// The machine it is for.
    pub machine: MachineId,
    /// The machine's generation.
    pub generation: u32,
    /// What it allows.
    #[serde(flatten)]
    pub purpose: Purpose,
    /// A random id: single-use where the ticket opens a socket or runs a command.
    pub jti: String,
}

/// What the gateway vouches for after the first dial of a boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pass {
    /// The machine.
    pub machine: MachineId,
    /// Its generation.
    pub generation: u32,
    /// The agent's boot id.
    pub boot: String,
    /// The agent's public key, base64url without padding.
    pub agent_key: String,
    /// Marks the token as a pass, so that no ticket can be taken for one.
    pub pass: bool,
}

/// Why a ticket was refused. Never shown in more detail than this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// Not a token of ours at all, or too long.
    #[error("the ticket is malformed")]
    Malformed,
    /// Signed by somebody else.
    #[error("the ticket's signature does not match")]
    Signature,
    /// Its time is over, or not yet come by more than a lifetime.
    #[error("the ticket has expired")]
    Expired,
    /// For another machine.
    #[error("the ticket is for another machine")]
    Machine,
    /// For an older generation of this machine.
    #[error("the ticket is for an older generation")]
    Generation,
    /// Does not allow this.
    #[error("the ticket is for something else")]
    Purpose,
    /// Used before.
    #[error("the ticket was used before")]
    Replayed,
}

/// A verified ticket: its claims, and when it was issued by the issuer's clock (Unix ms).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// What it says.
    pub ticket: Ticket,
    /// When it was issued, which a guest whose clock stood still takes as the present.
    pub issued_ms: i64,
}

/// A private key that signs tickets and passes.
#[derive(Clone)]
pub struct Signer(SecretKey);

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer(..)")
    }
}

/// A public key that verifies them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifier(PublicKey);

impl Signer {
    /// From the 32-byte seed of an Ed25519 key.
    ///
    /// # Errors
    /// [`TicketError::Malformed`] when it is not 32 bytes.
    pub fn from_seed(seed: &[u8]) -> Result<Self, TicketError> {
        let seed: [u8; 32] = seed.try_into().map_err(|_| TicketError::Malformed)?;
        Ok(Self(KeyPair::from_seed(Seed::new(seed)).sk))
    }

    /// From the base64url form (without padding) of the seed, as a deployment's secret holds it.
    ///
    /// # Errors
    /// [`TicketError::Malformed`] when it is not that.
    pub fn from_seed_text(text: &str) -> Result<Self, TicketError> {
        Self::from_seed(&URL_SAFE_NO_PAD.decode(text.trim()).map_err(|_| TicketError::Malformed)?)
    }

    /// The public half.
    #[must_use]
    pub fn verifier(&self) -> Verifier {
        Verifier(self.0.public_key())
    }

    /// A ticket issued at `now_ms` (Unix time), good for [`LIFETIME_SECONDS`].
    ///
    /// # Errors
    /// [`TicketError::Malformed`] when the time is outside of what a date can hold.
    pub fn ticket(&self, ticket: &Ticket, now_ms: i64) -> Result<String, TicketError> {
        let issued = at(now_ms)?;
        let mut claims = Claims::new(ticket.clone());
        claims.issued_at = Some(issued);
        claims.expiration = Some(issued + Duration::seconds(LIFETIME_SECONDS));
        self.sign(&claims)
    }

    /// A pass for an agent's key.
    ///
    /// # Errors
    /// None in practice; see [`Signer::ticket`].
    pub fn pass(&self, pass: &Pass) -> Result<String, TicketError> {
        self.sign(&Claims::new(Pass { pass: true, ..pass.clone() }))
    }

    fn sign<T: Serialize>(&self, claims: &Claims<T>) -> Result<String, TicketError> {
        Ed25519.token(&Header::empty(), claims, &self.0).map_err(|_| TicketError::Malformed)
    }
}

impl Verifier {
    /// From base64url without padding.
    ///
    /// # Errors
    /// [`TicketError::Malformed`] when it is no Ed25519 public key.
    pub fn from_text(text: &str) -> Result<Self, TicketError> {
        let bytes = URL_SAFE_NO_PAD.decode(text.trim()).map_err(|_| TicketError::Malformed)?;
        PublicKey::from_slice(&bytes).map(Self).map_err(|_| TicketError::Malformed)
    }

    /// The form that [`Verifier::from_text`] reads.
    #[must_use]
    pub fn to_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0.as_ref())
    }

    /// Checks signature and time; the caller checks machine, generation, purpose and reuse
    /// ([`Ticket::expect`] does the first three).
    ///
    /// # Errors
    /// [`TicketError::Malformed`], [`TicketError::Signature`] or [`TicketError::Expired`].
    pub fn ticket(&self, text: &str, now_ms: i64) -> Result<Verified, TicketError> {
        let (ticket, issued_ms, expires_ms) = self.dated(text)?;
        let lifetime = LIFETIME_SECONDS * 1000;
        if expires_ms <= now_ms || issued_ms > now_ms.saturating_add(lifetime) {
            return Err(TicketError::Expired);
        }
        Ok(Verified { ticket, issued_ms })
    }

    /// Like [`Verifier::ticket`] for a guest whose own clock may have stood still for hours: the time of issue counts
    /// as the present if it is later than `now_ms`, so that only a ticket *older* than what the guest knows expires.
    ///
    /// # Errors
    /// As [`Verifier::ticket`].
    pub fn ticket_for_guest(&self, text: &str, now_ms: i64) -> Result<Verified, TicketError> {
        let (ticket, issued_ms, expires_ms) = self.dated(text)?;
        if expires_ms <= now_ms {
            return Err(TicketError::Expired);
        }
        Ok(Verified { ticket, issued_ms })
    }

    /// Checks a pass's signature.
    ///
    /// # Errors
    /// [`TicketError::Malformed`] or [`TicketError::Signature`].
    pub fn pass(&self, text: &str) -> Result<Pass, TicketError> {
        let claims: Claims<Pass> = self.verify(text)?;
        if claims.custom.pass { Ok(claims.custom) } else { Err(TicketError::Malformed) }
    }

    fn dated(&self, text: &str) -> Result<(Ticket, i64, i64), TicketError> {
        let claims: Claims<Ticket> = self.verify(text)?;
        let issued = claims.issued_at.ok_or(TicketError::Malformed)?.timestamp_millis();
        let expires = claims.expiration.ok_or(TicketError::Malformed)?.timestamp_millis();
        if expires.saturating_sub(issued) > LIFETIME_SECONDS * 1000 {
            return Err(TicketError::Malformed);
        }
        Ok((claims.custom, issued, expires))
    }

    fn verify<T: Clone + DeserializeOwned>(&self, text: &str) -> Result<Claims<T>, TicketError> {
        if text.len() > LENGTH_MAX {
            return Err(TicketError::Malformed);
        }
        let untrusted = UntrustedToken::new(text).map_err(|_| TicketError::Malformed)?;
        let token = Ed25519.validator::<T>(&self.0).validate(&untrusted).map_err(|error| match error {
            ValidationError::InvalidSignature => TicketError::Signature,
            _ => TicketError::Malformed,
        })?;
        Ok(token.into_parts().1)
    }
}

impl Ticket {
    /// Whether the ticket is for this machine and, at least, this generation.
    ///
    /// # Errors
    /// [`TicketError::Machine`] or [`TicketError::Generation`].
    pub fn expect(&self, machine: MachineId, generation: u32) -> Result<(), TicketError> {
        if self.machine != machine {
            return Err(TicketError::Machine);
        }
        if self.generation < generation {
            return Err(TicketError::Generation);
        }
        Ok(())
    }
}

fn at(unix_ms: i64) -> Result<DateTime<Utc>, TicketError> {
    // Whole seconds, as JWTs have them: a ticket must not be older in its text than it is.
    DateTime::from_timestamp(unix_ms.div_euclid(1000), 0).ok_or(TicketError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: i64 = 1_790_000_000_000;

    fn ticket(purpose: Purpose) -> Ticket {
        Ticket { machine: MachineId::new(1, [7; 10]), generation: 3, purpose, jti: "j".into() }
    }

    #[test]
    fn a_ticket_is_good_for_its_lifetime_only() {
        let signer = Signer::from_seed(&[1; 32]).unwrap();
        let text = signer.ticket(&ticket(Purpose::Wake), NOW).unwrap();
        let verifier = signer.verifier();
        assert_eq!(verifier.ticket(&text, NOW).unwrap().ticket, ticket(Purpose::Wake));
        assert!(verifier.ticket(&text, NOW + 59_000).is_ok());
        assert_eq!(verifier.ticket(&text, NOW + 60_000), Err(TicketError::Expired));
        assert_eq!(verifier.ticket(&text, NOW - 120_000), Err(TicketError::Expired));
    }

    #[test]
    fn a_guest_whose_clock_stood_still_takes_a_ticket_but_not_an_old_one() {
        let signer = Signer::from_seed(&[1; 32]).unwrap();
        let text = signer.ticket(&ticket(Purpose::Wake), NOW).unwrap();
        let verifier = signer.verifier();
        assert!(verifier.ticket_for_guest(&text, NOW - 86_400_000).is_ok());
        assert_eq!(verifier.ticket_for_guest(&text, NOW + 60_000), Err(TicketError::Expired));
    }

    #[test]
    fn another_key_or_a_changed_text_is_refused() {
        let text = Signer::from_seed(&[1; 32]).unwrap().ticket(&ticket(Purpose::Wake), NOW).unwrap();
        let other = Signer::from_seed(&[2; 32]).unwrap().verifier();
        assert_eq!(other.ticket(&text, NOW), Err(TicketError::Signature));
        assert_eq!(other.ticket("", NOW), Err(TicketError::Malformed));
        assert_eq!(other.ticket(&"a".repeat(5000), NOW), Err(TicketError::Malformed));
    }

    #[test]
    fn machine_and_generation_are_checked() {
        let ticket = ticket(Purpose::Ingress { epoch: 1 });
        assert_eq!(ticket.expect(MachineId::new(1, [8; 10]), 3), Err(TicketError::Machine));
        assert_eq!(ticket.expect(ticket.machine, 4), Err(TicketError::Generation));
        assert_eq!(ticket.expect(ticket.machine, 3), Ok(()));
        assert_eq!(ticket.expect(ticket.machine, 2), Ok(()));
    }

    #[test]
    fn a_pass_is_no_ticket_and_a_ticket_no_pass() {
        let signer = Signer::from_seed(&[1; 32]).unwrap();
        let pass = Pass {
            machine: MachineId::new(1, [7; 10]),
            generation: 3,
            boot: "b".into(),
            agent_key: signer.verifier().to_text(),
            pass: true,
        };
        let text = signer.pass(&pass).unwrap();
        assert_eq!(signer.verifier().pass(&text), Ok(pass));
        assert_eq!(signer.verifier().ticket(&text, NOW), Err(TicketError::Malformed));
        let text = signer.ticket(&ticket(Purpose::Control), NOW).unwrap();
        assert_eq!(signer.verifier().pass(&text), Err(TicketError::Malformed));
    }

    proptest! {
        #[test]
        fn any_text_is_verified_or_refused(text in "\\PC{0,200}") {
            let verifier = Signer::from_seed(&[1; 32]).unwrap().verifier();
            prop_assert!(verifier.ticket(&text, NOW).is_err());
            prop_assert!(Verifier::from_text(&text).is_err() || text.trim().len() == 43);
        }
    }
}
