//! What the agent shows when it dials.
//!
//! The first dial of a wake shows the platform's own ticket beside the agent's public key; every later one a ticket
//! signed by the agent beside the pass that vouches for its key.

use snapvm_protocol::headers::{AGENT_KEY, BOOT, PASS, TICKET};
use snapvm_protocol::ids::TerminalId;
use snapvm_protocol::tickets::{Purpose, Ticket};

use crate::agent::Agent;
use crate::clock::Reading;
use crate::dial::{DialError, Socket};

/// Why the agent could not dial.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// It never had a pass, or has none any more.
    #[error("no pass")]
    NoPass,
    /// A ticket could not be made.
    #[error("no ticket could be made")]
    Ticket,
    /// The dial.
    #[error(transparent)]
    Dial(#[from] DialError),
}

impl CredentialError {
    /// Whether only a wake can help.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::NoPass | Self::Ticket => true,
            Self::Dial(error) => error.ends_binding(),
        }
    }
}

/// Dials the control socket with a wake ticket.
///
/// # Errors
/// See [`DialError`].
pub async fn dial_with_ticket(agent: &Agent, ticket: &str) -> Result<Socket, DialError> {
    let headers = [(TICKET, ticket), (AGENT_KEY, &agent.identity.public_key), (BOOT, &agent.identity.boot)];
    agent.dialer.dial(&control_path(agent), &headers).await
}

/// Dials the control socket with the agent's own key.
///
/// # Errors
/// See [`CredentialError`].
pub async fn dial_control(agent: &Agent) -> Result<Socket, CredentialError> {
    dial_with_key(agent, &control_path(agent), Purpose::Control).await
}

/// Dials a session's socket with the agent's own key.
///
/// # Errors
/// See [`CredentialError`].
pub async fn dial_terminal(agent: &Agent, session: TerminalId) -> Result<Socket, CredentialError> {
    let path = format!("/agent/v1/machines/{}/terminals/{session}", agent.admission.borrow().machine());
    dial_with_key(agent, &path, Purpose::Terminal { session }).await
}

fn control_path(agent: &Agent) -> String {
    format!("/agent/v1/machines/{}/control", agent.admission.borrow().machine())
}

async fn dial_with_key(agent: &Agent, path: &str, purpose: Purpose) -> Result<Socket, CredentialError> {
    let pass = agent.link.pass.borrow().clone().ok_or(CredentialError::NoPass)?;
    let (first, second) = agent.admission.borrow().clock.signing(Reading::take());
    let guesses = [Some(first), second].into_iter().flatten();
    let mut refused = CredentialError::Ticket;
    // Two guesses at the time only after a pause that the clocks disagree about.
    for now in guesses {
        let ticket = own_ticket(agent, purpose, now)?;
        let headers = [(PASS, pass.as_str()), (TICKET, ticket.as_str()), (BOOT, &agent.identity.boot)];
        match agent.dialer.dial(path, &headers).await {
            Ok(socket) => return Ok(socket),
            Err(error) if error.ends_binding() => refused = error.into(),
            Err(error) => return Err(error.into()),
        }
    }
    Err(refused)
}

fn own_ticket(agent: &Agent, purpose: Purpose, now: i64) -> Result<String, CredentialError> {
    let admission = agent.admission.borrow();
    let jti = crate::identity::random_id().map_err(|_| CredentialError::Ticket)?;
    let ticket = Ticket { machine: admission.machine(), generation: admission.generation(), purpose, jti };
    agent.identity.signer.ticket(&ticket, now).map_err(|_| CredentialError::Ticket)
}
