//! The control socket: dialed after a wake, kept while awake, dialed again after drops.
//!
//! ```text
//! wait ──wake ticket──▶ dial ──▶ Hello, Welcome, messages ──drop──▶ back-off ──▶ dial with the own key
//!  ▲                     │ 401, 403                        │ 4401, 4403, 4406, 4409, asleep
//!  └─────────────────────┴─────────────────────────────────┘
//! ```
//!
//! Invariant: what a message says is either in the next Welcome too or of no use later, so nothing is queued over a
//! drop.

pub mod credentials;
mod messages;

use std::rc::Rc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use snapvm_protocol::agent::{ToAgent, ToObject, WokeBy, close, decode};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::Message;

use crate::agent::{Agent, Beat, Woken};
use crate::dial::backoff::Backoff;
use crate::dial::{Socket, close_code, close_message};
use crate::journal::note;
use credentials::CredentialError;

/// How long the object may take to answer Hello.
const WELCOME: Duration = Duration::from_secs(15);
/// How long a message may take to be handed to the network.
const SENDING: Duration = Duration::from_secs(30);
/// How long the other side may take to close.
const CLOSING: Duration = Duration::from_millis(500);

/// What to dial with.
enum Next {
    /// Nothing: only a wake helps.
    Wait,
    /// A wake ticket.
    Ticket(Woken),
    /// The own key, after a wait.
    Again(Duration),
}

/// How a conversation ended.
enum Ended {
    /// Dial again.
    Lost,
    /// The machine stood still: dial again at once.
    Paused,
    /// Only a wake helps.
    Over,
    /// A wake came; the old socket stays until the new one is there.
    Woken(Woken, Box<Socket>),
}

/// Dials for as long as the agent lives; at once when it goes on for an agent before it.
pub async fn run(agent: Rc<Agent>, mut wakes: mpsc::UnboundedReceiver<Woken>, redials: bool) {
    let mut backoff = Backoff::default();
    let mut next = if redials { Next::Again(Duration::ZERO) } else { Next::Wait };
    let mut old = None;
    let mut beat = agent.beat.subscribe();
    loop {
        let woken = match next {
            Next::Ticket(woken) => Some(woken),
            Next::Wait => match wakes.recv().await {
                Some(woken) => Some(woken),
                None => return,
            },
            Next::Again(wait) => tokio::select! {
                woken = wakes.recv() => woken,
                () = tokio::time::sleep(wait) => None,
            },
        };
        let by = woken.as_ref().map_or(WokeBy::Redial, |woken| woken.by);
        let dial = async {
            match &woken {
                Some(woken) => Ok(credentials::dial_with_ticket(&agent, &woken.ticket).await?),
                None => credentials::dial_control(&agent).await,
            }
        };
        let dialed = tokio::select! {
            dialed = dial => dialed,
            Some(newer) = wakes.recv() => {
                next = Next::Ticket(newer);
                continue;
            }
        };
        drop(old.take());
        next = match dialed {
            Ok(socket) => {
                let since = Instant::now();
                let ended = converse(&agent, socket, by, &mut wakes, &mut beat).await;
                agent.link.closed();
                backoff.lasted(since.elapsed(), agent.timings.healthy());
                match ended {
                    Ended::Woken(woken, socket) => {
                        old = Some(socket);
                        Next::Ticket(woken)
                    }
                    Ended::Paused => Next::Again(Duration::ZERO),
                    Ended::Lost if agent.phase.borrow().is_asleep() => Next::Wait,
                    Ended::Lost => again(&mut backoff),
                    Ended::Over => Next::Wait,
                }
            }
            Err(error) if error.is_final() => {
                note!("the control socket was refused: {error}");
                *agent.link.pass.borrow_mut() = None;
                Next::Wait
            }
            // Nothing used the ticket up: it may serve once more.
            Err(CredentialError::Dial(_)) if woken.is_some() && wakes.is_empty() => {
                let newer = tokio::select! {
                    newer = wakes.recv() => newer,
                    () = tokio::time::sleep(wait(&mut backoff)) => None,
                };
                newer.or(woken).map_or(Next::Wait, Next::Ticket)
            }
            Err(_) => again(&mut backoff),
        };
    }
}

fn wait(backoff: &mut Backoff) -> Duration {
    backoff.next(crate::identity::random::<1>().map_or(128, |[byte]| byte))
}

fn again(backoff: &mut Backoff) -> Next {
    Next::Again(wait(backoff))
}

async fn converse(
    agent: &Rc<Agent>,
    mut socket: Socket,
    woke: WokeBy,
    wakes: &mut mpsc::UnboundedReceiver<Woken>,
    beat: &mut watch::Receiver<Beat>,
) -> Ended {
    let mut outbox = agent.link.open();
    let hello = ToObject::Hello {
        protocol: agent.protocol,
        boot: agent.identity.boot.clone(),
        digest: agent.identity.digest().await.to_owned(),
        generation: agent.admission.borrow().generation(),
        woke,
        terminals: agent.terminals.statuses(),
        services: agent.services.statuses(),
    };
    if !send(&mut socket, &hello).await {
        return Ended::Lost;
    }
    let pauses = beat.borrow_and_update().pauses;
    let (mut heard, mut welcome_by) = (Instant::now(), Some(Instant::now() + WELCOME));
    loop {
        tokio::select! {
            message = socket.next() => {
                heard = Instant::now();
                let text = match message {
                    Some(Ok(Message::Text(text))) => text,
                    Some(Ok(Message::Binary(_))) => return malformed(socket).await,
                    Some(Ok(Message::Close(frame))) => return after_close(close_code(frame.as_ref())),
                    Some(Ok(_)) => continue,
                    Some(Err(_)) | None => return Ended::Lost,
                };
                if text.as_str() == "pong" {
                    continue;
                }
                let Ok(message) = decode::<ToAgent>(&text) else { return malformed(socket).await };
                if let ToAgent::Welcome { machine, generation, .. } = &message {
                    if *machine != agent.admission.borrow().machine()
                        || !agent.admission.borrow_mut().adopt_generation(*generation)
                    {
                        note!("the object took the agent for another machine's");
                        shut(socket, close::FORBIDDEN).await;
                        return Ended::Over;
                    }
                    welcome_by = None;
                }
                let is_go = messages::take(agent, message, woke).await;
                if is_go {
                    shut(socket, close::SLEEPING).await;
                    return Ended::Over;
                }
            }
            Some(message) = outbox.recv() => {
                if !send(&mut socket, &message).await {
                    return Ended::Lost;
                }
            }
            Some(woken) = wakes.recv() => return Ended::Woken(woken, Box::new(socket)),
            _ = beat.changed() => {
                if beat.borrow_and_update().pauses != pauses {
                    return Ended::Paused;
                }
                if !matches!(timeout(SENDING, socket.send(Message::text("ping"))).await, Ok(Ok(()))) {
                    return Ended::Lost;
                }
            }
            () = sleep_until(heard + agent.timings.dead()) => return Ended::Lost,
            () = sleep_until(welcome_by.unwrap_or(heard)), if welcome_by.is_some() => return Ended::Lost,
        }
    }
}

async fn send(socket: &mut Socket, message: &ToObject) -> bool {
    let Ok(text) = serde_json::to_string(message) else { return true };
    matches!(timeout(SENDING, socket.send(Message::text(text))).await, Ok(Ok(())))
}

async fn malformed(socket: Socket) -> Ended {
    note!("the control socket brought a malformed message");
    shut(socket, close::MALFORMED).await;
    Ended::Lost
}

async fn shut(mut socket: Socket, code: u16) {
    let closing = async {
        socket.send(close_message(code)).await?;
        // Closing with unread input would take back what was sent.
        while let Some(Ok(_)) = socket.next().await {}
        Ok::<_, tokio_tungstenite::tungstenite::Error>(())
    };
    let _ = timeout(CLOSING, closing).await;
}

fn after_close(code: u16) -> Ended {
    match code {
        close::UNAUTHENTICATED | close::FORBIDDEN | close::VERSION | close::REPLACED | close::SLEEPING => {
            note!("the object closed the control socket with {code}");
            Ended::Over
        }
        _ => Ended::Lost,
    }
}
