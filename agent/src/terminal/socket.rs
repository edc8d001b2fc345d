//! A session's socket: dialed, kept, dialed again, closed by order.
//!
//! All clients of the session come over it, each frame with the client's id in front. A message that is not that is
//! answered by closing with 4400. A frame that *is* attributed to a client but cannot be read is left out: a viewer
//! must not be able to take everybody's socket down by sending rubbish through the object.

use std::rc::Rc;

use futures_util::{SinkExt as _, StreamExt as _};
use hyper::body::Bytes;
use snapvm_protocol::agent::close;
use snapvm_protocol::terminal::{Frame, split_client};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::Message;

use super::session::Session;
use crate::agent::{Agent, Beat};
use crate::control::credentials;
use crate::dial::backoff::Backoff;
use crate::dial::{Socket, close_code, close_message};
use crate::journal::note;

/// What the session wants of its socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// To be there.
    Stay,
    /// To be closed with this code.
    Close(u16),
}

/// Why a socket is no more.
enum Ended {
    /// Dial again.
    Lost,
    /// The machine stood still: dial again at once.
    Paused,
    /// Until the next Welcome.
    Over,
}

/// Keeps the session's socket until told otherwise.
pub async fn keep(agent: Rc<Agent>, session: Rc<Session>, mut order: watch::Receiver<Order>) {
    let mut backoff = Backoff::default();
    let mut beat = agent.beat.subscribe();
    loop {
        let dialed = tokio::select! {
            dialed = credentials::dial_terminal(&agent, session.id) => dialed,
            _ = closed(&mut order) => return,
        };
        let ended = match dialed {
            Ok(socket) => {
                let since = Instant::now();
                session.connected();
                let ended = converse(&agent, &session, socket, &mut order, &mut beat).await;
                session.clients_gone();
                backoff.lasted(since.elapsed(), agent.timings.healthy());
                ended
            }
            Err(error) if error.is_final() => Ended::Over,
            Err(_) => Ended::Lost,
        };
        match ended {
            Ended::Over => return,
            Ended::Paused => {}
            Ended::Lost => {
                let wait = backoff.next(crate::identity::random::<1>().map_or(128, |[byte]| byte));
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    _ = closed(&mut order) => return,
                }
            }
        }
    }
}

async fn closed(order: &mut watch::Receiver<Order>) -> u16 {
    let order = order.wait_for(|order| matches!(order, Order::Close(_))).await;
    match order.as_deref() {
        Ok(Order::Close(code)) => *code,
        // The session is gone.
        _ => close::NOT_FOUND,
    }
}

async fn converse(
    agent: &Agent,
    session: &Session,
    socket: Socket,
    order: &mut watch::Receiver<Order>,
    beat: &mut watch::Receiver<Beat>,
) -> Ended {
    let (mut sink, mut stream) = socket.split();
    let dead = agent.timings.dead();
    let mut heard = Instant::now();
    let pauses = beat.borrow_and_update().pauses;
    let (ping, mut pinged) = watch::channel(());

    let sending = async {
        let mut buffer = Vec::new();
        loop {
            loop {
                buffer.clear();
                if !session.stream.borrow_mut().next(&mut buffer) {
                    break;
                }
                let message = Bytes::from(std::mem::take(&mut buffer));
                sink.feed(Message::Binary(message.clone())).await?;
                // The sink has copied it: the same memory serves for the next message.
                buffer = Vec::from(message);
            }
            if pinged.has_changed().unwrap_or(false) {
                pinged.borrow_and_update();
                sink.feed(Message::text("ping")).await?;
            }
            sink.flush().await?;
            session.progressed();
            tokio::select! {
                () = session.changed.notified() => {}
                _ = pinged.changed() => pinged.mark_changed(),
            }
        }
    };
    let receiving = async {
        loop {
            tokio::select! {
                biased;
                message = stream.next() => {
                    heard = Instant::now();
                    match message {
                        Some(Ok(Message::Binary(bytes))) => {
                            if !receive(agent, session, &bytes) {
                                break (Ended::Lost, Some(close::MALFORMED));
                            }
                        }
                        Some(Ok(Message::Text(text))) if text.as_str() != "pong" => {
                            break (Ended::Lost, Some(close::MALFORMED));
                        }
                        Some(Ok(Message::Close(frame))) => break (after_close(close_code(frame.as_ref())), None),
                        Some(Ok(_)) => {}
                        Some(Err(_)) | None => break (Ended::Lost, None),
                    }
                }
                code = closed(order) => break (Ended::Over, Some(code)),
                _ = beat.changed() => {
                    if beat.borrow_and_update().pauses != pauses {
                        break (Ended::Paused, None);
                    }
                    ping.send_replace(());
                }
                () = sleep_until(heard + dead) => break (Ended::Lost, None),
            }
        }
    };
    let outcome: Result<(Ended, Option<u16>), tokio_tungstenite::tungstenite::Error> = tokio::select! {
        sent = sending => sent,
        received = receiving => Ok(received),
    };
    let Ok((ended, code)) = outcome else { return Ended::Lost };
    if let Some(code) = code {
        if code == close::MALFORMED {
            note!("a terminal's socket brought a malformed message");
        }
        let closing = async {
            sink.send(close_message(code)).await?;
            // What was sent must not be lost with unread input.
            while let Some(Ok(_)) = stream.next().await {}
            Ok::<_, tokio_tungstenite::tungstenite::Error>(())
        };
        let _ = timeout(std::time::Duration::from_millis(500), closing).await;
    }
    ended
}

fn receive(agent: &Agent, session: &Session, bytes: &[u8]) -> bool {
    let Ok((client, frame)) = split_client(bytes) else { return false };
    match Frame::decode(frame) {
        Ok(frame) => session.receive(agent, client, frame),
        // From the object itself, or about a client: not to be left out.
        Err(_) if client == 0 || !snapvm_protocol::terminal::is_from_client(frame) => return false,
        Err(_) => {}
    }
    true
}

fn after_close(code: u16) -> Ended {
    match code {
        close::UNAUTHENTICATED
        | close::FORBIDDEN
        | close::NOT_FOUND
        | close::VERSION
        | close::REPLACED
        | close::SLEEPING => Ended::Over,
        _ => Ended::Lost,
    }
}
