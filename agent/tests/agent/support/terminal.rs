//! A session's socket, seen from the object, with clients on it.

use futures_util::{SinkExt as _, StreamExt as _};
use snapvm_protocol::agent::TerminalEnd;
use snapvm_protocol::terminal::{Attach, ClientMode, Follow, Frame, Ready, split_client};
use tokio_tungstenite::tungstenite::Message;

use super::origin::{Dialed, Socket, closed};
use super::soon;

/// A frame that somebody owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Got {
    Ready(Ready),
    Output(u64, Vec<u8>),
    InputAcknowledge(u32),
    Truncated(u64, u64),
    End(TerminalEnd),
    Size(u16, u16),
}

/// The session's socket.
pub struct Session(pub Socket);

/// What a client has put together.
#[derive(Debug, Default)]
pub struct Screen {
    pub epoch: u64,
    pub from: u64,
    pub bytes: Vec<u8>,
    pub acknowledged: u32,
    pub end: Option<TerminalEnd>,
    pub gone: Vec<(u64, u64)>,
}

impl Screen {
    pub fn offset(&self) -> u64 {
        self.from + self.bytes.len() as u64
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// Takes a frame, and insists that output continues exactly.
    pub fn take(&mut self, got: &Got) {
        match got {
            Got::Ready(ready) => {
                if ready.reset {
                    (self.from, self.bytes) = (ready.offset, vec![]);
                }
                assert_eq!(ready.offset, self.offset());
                self.epoch = ready.epoch;
                self.acknowledged = ready.input;
            }
            Got::Output(offset, bytes) => {
                assert_eq!(*offset, self.offset(), "output out of order");
                self.bytes.extend_from_slice(bytes);
            }
            Got::InputAcknowledge(number) => self.acknowledged = *number,
            Got::Truncated(from, to) => {
                self.gone.push((*from, *to));
                (self.from, self.bytes) = (*to, vec![]);
            }
            Got::End(end) => {
                assert_eq!(self.end.replace(*end), None, "two ends");
            }
            Got::Size(..) => {}
        }
    }
}

pub fn attach(key: &str, screen: Option<&Screen>) -> Attach {
    Attach {
        columns: 80,
        rows: 24,
        key: key.into(),
        epoch: screen.map(|screen| screen.epoch),
        offset: screen.map(Screen::offset),
        follow: Follow::Bytes,
    }
}

impl Session {
    pub fn new(dialed: Dialed) -> Self {
        Self(dialed.socket)
    }

    pub async fn send(&mut self, client: u32, frame: &Frame<'_>) {
        self.0.send(Message::binary(frame.encode_for(client))).await.unwrap();
    }

    pub async fn join(&mut self, client: u32, mode: ClientMode, attach: Attach) {
        self.send(client, &Frame::Joined(mode)).await;
        self.send(client, &Frame::Attach(attach)).await;
    }

    pub async fn input(&mut self, client: u32, number: u32, text: &str) {
        self.send(client, &Frame::Input(number, text.as_bytes())).await;
    }

    /// The next frame, and whose it is.
    pub async fn next(&mut self) -> (u32, Got) {
        soon("a frame", async {
            loop {
                match self.0.next().await.expect("the socket lives").unwrap() {
                    Message::Binary(bytes) => {
                        let (client, frame) = split_client(&bytes).unwrap();
                        let got = match Frame::decode(frame).unwrap() {
                            Frame::Ready(ready) => Got::Ready(ready),
                            Frame::Output(offset, bytes) => Got::Output(offset, bytes.to_vec()),
                            Frame::InputAcknowledge(number) => Got::InputAcknowledge(number),
                            Frame::Truncated(from, to) => Got::Truncated(from, to),
                            Frame::End(end) => Got::End(end),
                            Frame::Size(columns, rows, _) => Got::Size(columns, rows),
                            other => panic!("not for a client: {other:?}"),
                        };
                        break (client, got);
                    }
                    Message::Text(text) if text.as_str() == "ping" => {
                        self.0.send(Message::text("pong")).await.unwrap();
                    }
                    other => panic!("not a frame: {other:?}"),
                }
            }
        })
        .await
    }

    /// Takes the frames of a client, acknowledging output, until its screen is as wanted.
    pub async fn until(&mut self, client: u32, screen: &mut Screen, mut wanted: impl FnMut(&Screen) -> bool) {
        let waiting = tokio::time::timeout(super::DEADLINE, async {
            while !wanted(screen) {
                let (of, got) = self.next().await;
                if of != client {
                    continue;
                }
                screen.take(&got);
                if matches!(got, Got::Output(..)) {
                    let offset = screen.offset();
                    let _ = self.0.send(Message::binary(Frame::Acknowledge(offset).encode_for(client))).await;
                }
            }
        });
        if waiting.await.is_err() {
            let text = screen.text();
            let tail = text.len().saturating_sub(300);
            panic!("the screen did not become as wanted: {:?}", text.get(tail..));
        }
    }

    pub async fn closed(&mut self) -> u16 {
        closed(&mut self.0).await
    }
}
