//! The switch: frames from clients to the agent and back.

use futures::FutureExt;
use snapvm_protocol::agent::close;
use snapvm_protocol::terminal::{FRAME_MAX, Frame, Notice, is_from_client, is_write, split_client};
use worker::WebSocket;

use super::access::Entry;
use super::clients::{AGENT, id_of};
use super::object::Session;
use super::outside::Outside;
use crate::object::Rest;

/// Input that stays unacknowledged for this long makes the gateway wake the machine.
const UNACKNOWLEDGED_MS: u64 = 2_000;
/// Type byte of an acknowledgement of input.
const INPUT_ACKNOWLEDGE: u8 = 0x13;
/// Type byte of input.
const INPUT: u8 = 0x02;

/// What input asks for beyond being passed on.
pub(super) enum Then {
    /// The machine is to wake: there is no agent.
    Wake,
    /// The alarm is to see whether it is acknowledged.
    SetAlarm,
}

impl<O: Outside> Session<O> {
    /// A binary message of either side.
    ///
    /// # Errors
    /// When the platform fails.
    pub fn message(&self, socket: &WebSocket, bytes: &[u8]) -> worker::Result<Rest> {
        let Some(id) = id_of(socket) else { return Ok(None) };
        if bytes.len() > FRAME_MAX + 4 {
            socket.close(Some(close::MALFORMED), Some("the frame is too long"))?;
            return Ok(None);
        }
        if id == AGENT {
            self.from_agent(socket, bytes);
            return Ok(None);
        }
        self.from_client(id, socket, bytes)
    }

    fn from_agent(&self, socket: &WebSocket, bytes: &[u8]) {
        let Ok((id, frame)) = split_client(bytes) else {
            let _ = socket.close(Some(close::MALFORMED), Some("the frame is cut short"));
            return;
        };
        if id == AGENT {
            return self.keep(frame);
        }
        if frame.first() == Some(&INPUT_ACKNOWLEDGE) {
            self.0.unacknowledged.set(None);
        }
        self.to_client(id, frame);
        self.look_if_due(id);
    }

    fn from_client(&self, id: u32, socket: &WebSocket, frame: &[u8]) -> worker::Result<Rest> {
        if !is_from_client(frame) {
            socket.close(Some(close::MALFORMED), Some("not a frame of a client"))?;
            return Ok(None);
        }
        let session = self.clone();
        Ok(match self.enter(id, frame) {
            Entry::Open => self.pass_on(id, frame).map(|then| {
                async move {
                    session.follow_up(id, then).await;
                    Ok(())
                }
                .boxed_local()
            }),
            Entry::Due => Some(
                async move {
                    session.look(id).await;
                    Ok(())
                }
                .boxed_local(),
            ),
            Entry::Waits => None,
            Entry::Full => {
                self.refuse_more(id);
                None
            }
            Entry::Unknown => {
                socket.close(Some(close::UNAUTHENTICATED), Some("connect again"))?;
                None
            }
        })
    }

    /// A frame of somebody who may be here goes to the agent; what is to be done about it then.
    pub(super) fn pass_on(&self, id: u32, frame: &[u8]) -> Option<Then> {
        let writes = self.with_client(id, |peer| peer.client.visitor.write) == Some(true);
        if is_write(frame) && !writes {
            return None;
        }
        let mut message = Vec::with_capacity(4 + frame.len());
        message.extend_from_slice(&id.to_be_bytes());
        message.extend_from_slice(frame);
        let reached = self.to_agent(&message);
        if frame.first() == Some(&INPUT) { self.watch_input(id, reached) } else { None }
    }

    /// Typed input either reaches an agent that acknowledges it, or wakes the machine.
    fn watch_input(&self, id: u32, reached: bool) -> Option<Then> {
        let now = self.0.outside.now_ms();
        if !reached {
            // The first key asks for the wake; those after it would only ask again.
            let asks = now >= self.0.called_ms.get() + UNACKNOWLEDGED_MS;
            if asks {
                self.0.called_ms.set(now);
            }
            return asks.then_some(Then::Wake);
        }
        if self.0.unacknowledged.get().is_none() {
            self.0.unacknowledged.set(Some((now, id)));
        }
        (!self.0.alarm_set.replace(true)).then_some(Then::SetAlarm)
    }

    /// Does what has to be done about a client's input.
    pub(super) async fn follow_up(&self, id: u32, then: Then) {
        match then {
            Then::SetAlarm => self.set_alarm(UNACKNOWLEDGED_MS).await,
            Then::Wake => {
                let word = self.open(true, true, id).await;
                if self.agent().is_none() {
                    self.to_client(id, &word.encode());
                }
            }
        }
    }

    /// Has input been waiting for an acknowledgement for two seconds? The alarm may be older than the input: that is
    /// waited for here, so that typing sets no more than one alarm in two seconds.
    pub(super) async fn check_input(&self) {
        while let Some((since, _)) = self.0.unacknowledged.get() {
            let age = self.0.outside.now_ms().saturating_sub(since);
            if age >= UNACKNOWLEDGED_MS {
                break;
            }
            self.0.outside.delay(UNACKNOWLEDGED_MS - age).await;
        }
        self.0.alarm_set.set(false);
        let Some((_, client)) = self.0.unacknowledged.take() else { return };
        let word = self.open(true, true, client).await;
        // An agent that is there may just not get its shell to read, which is nothing new; an end it tells itself, after
        // the last output.
        let is_agents = matches!(word, Frame::Notice(Notice::Waking) | Frame::End(_));
        if !is_agents || self.agent().is_none() {
            self.broadcast(&word);
        }
    }

    pub(super) async fn set_alarm(&self, after_ms: u64) {
        if let Err(error) = self.0.state.storage().set_alarm(std::time::Duration::from_millis(after_ms)).await {
            self.0.outside.log(&format!("setting an alarm: {error}"));
        }
    }

    /// A socket closed or broke.
    ///
    /// # Errors
    /// None.
    pub async fn closed(&self, socket: &WebSocket, code: u16) -> worker::Result<()> {
        let Some(id) = id_of(socket) else { return Ok(()) };
        if id != AGENT {
            self.remove_client(id);
            return Ok(());
        }
        // An older socket of the agent's may close after a newer one came.
        if self.find_agent() {
            return Ok(());
        }
        // What was typed and not taken stays so: the alarm wakes the machine for it.
        let notice = if code == close::SLEEPING { Notice::Sleeping } else { Notice::Waking };
        // It is asleep only when the runtime has paused it; the gateway says so then.
        self.broadcast(&Frame::Notice(notice.clone()));
        if self.has_ended() && notice == Notice::Waking {
            // It may be gone for good, and with it who would have told how. One that sleeps still has the last output.
            let word = self.open(false, false, AGENT).await;
            if self.agent().is_none() {
                self.broadcast(&word);
            }
        }
        Ok(())
    }
}
