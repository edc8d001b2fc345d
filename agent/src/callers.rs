//! Callers of the API who come straight to the agent: what is looked at before anything is done for them.

use std::rc::Rc;

use hyper::body::Incoming;
use hyper::{Request, StatusCode};

use crate::admission::{IngressRefusal, Wants};
use crate::agent::Agent;
use crate::clock::Reading;
use crate::http::one_ticket;

/// Why a caller is not let in.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Only a wake ticket is taken now.
    #[error("the machine is asleep")]
    Asleep,
    /// Nobody could say that access has changed.
    #[error("the machine has lost its connection to the platform")]
    Gone,
    /// There is none, or more than one.
    #[error("a ticket is needed")]
    NoTicket,
    /// It is no good.
    #[error("{0}")]
    Ticket(#[from] IngressRefusal),
}

impl Refused {
    /// What the gateway goes by: after 410 and 503 it comes again.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Asleep => StatusCode::GONE,
            Self::Gone => StatusCode::SERVICE_UNAVAILABLE,
            Self::NoTicket | Self::Ticket(_) => StatusCode::FORBIDDEN,
        }
    }
}

/// Lets a caller in: the epoch of what begins now. The ticket is looked at last, so that whoever is told to come again
/// comes with the same one.
///
/// # Errors
/// [`Refused`].
pub fn admit(agent: &Rc<Agent>, request: &Request<Incoming>, wants: Wants) -> Result<u64, Refused> {
    if agent.phase.borrow().is_asleep() {
        return Err(Refused::Asleep);
    }
    if agent.link.gone_for() >= agent.timings.gone {
        return Err(Refused::Gone);
    }
    let ticket = one_ticket(request).ok_or(Refused::NoTicket)?;
    let (epoch, is_newer) = agent.admission.borrow_mut().caller(wants, ticket, Reading::take())?;
    if is_newer {
        agent.connections.close_before(epoch);
    }
    Ok(epoch)
}
