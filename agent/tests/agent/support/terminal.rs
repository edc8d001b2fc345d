//! A session's socket, seen from the object, with clients on it.

use std::collections::BTreeMap;

use futures_util::{SinkExt as _, StreamExt as _};
use snapvm_protocol::agent::TerminalEnd;
use snapvm_protocol::terminal::{
    Attach, ClientMode, Follow, Foreground, Frame, KeptHead, Ready, SnapshotHead, split_client,
};
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
    Size(u16, u16, bool),
    SnapshotPart(u32, Vec<u8>),
    Foreground(Foreground),
    Kept(KeptHead),
    KeptPart(u32, Vec<u8>),
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
    /// What stands for everything before `from`.
    pub snapshot: Vec<u8>,
    /// How long it is to be.
    pub head: Option<SnapshotHead>,
    pub size: Option<((u16, u16), bool)>,
    /// What runs in the foreground, as it was told last.
    pub foreground: Option<Foreground>,
}

impl Screen {
    pub fn offset(&self) -> u64 {
        self.from + self.bytes.len() as u64
    }

    /// Whether the snapshot that was announced is here.
    pub fn is_whole(&self) -> bool {
        self.head.is_none_or(|head| self.snapshot.len() == head.bytes as usize)
    }

    /// What an emulator was fed: snapshot and output.
    pub fn fed(&self) -> String {
        String::from_utf8_lossy(&self.snapshot).into_owned() + &self.text()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// The last of it, for a failure's words.
    pub fn last(&self) -> String {
        String::from_utf8_lossy(&self.bytes[self.bytes.len().saturating_sub(200)..]).into_owned()
    }

    /// Takes a frame, and insists that output continues exactly.
    pub fn take(&mut self, got: &Got) {
        match got {
            Got::Ready(ready) => {
                if ready.reset {
                    (self.from, self.bytes, self.snapshot) = (ready.offset, vec![], vec![]);
                }
                self.head = ready.snapshot;
                self.size = Some(((ready.columns, ready.rows), ready.owner));
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
                if *to != self.from {
                    (self.from, self.bytes) = (*to, vec![]);
                }
            }
            Got::End(end) => {
                assert_eq!(self.end.replace(*end), None, "two ends");
            }
            Got::SnapshotPart(position, bytes) => {
                assert_eq!(*position as usize, self.snapshot.len(), "parts out of order");
                assert!(self.bytes.is_empty(), "output before the snapshot");
                self.snapshot.extend_from_slice(bytes);
            }
            Got::Size(columns, rows, owner) => self.size = Some(((*columns, *rows), *owner)),
            Got::Foreground(now) => self.foreground = Some(now.clone()),
            Got::Kept(_) | Got::KeptPart(..) => panic!("not for a client: {got:?}"),
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
        foreground: false,
    }
}

/// The same for a client with an emulator.
pub fn attach_screen(key: &str, screen: Option<&Screen>) -> Attach {
    Attach { follow: Follow::Screen, ..attach(key, screen) }
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
                            Frame::Size(columns, rows, owner) => Got::Size(columns, rows, owner),
                            Frame::SnapshotPart(position, bytes) => Got::SnapshotPart(position, bytes.to_vec()),
                            Frame::Foreground(now) => Got::Foreground(now),
                            Frame::Kept(head) => Got::Kept(head),
                            Frame::KeptPart(position, bytes) => Got::KeptPart(position, bytes.to_vec()),
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

    /// Takes the frames of a client, acknowledging what it got, until its screen is as wanted. Those of others are
    /// left out.
    pub async fn until(&mut self, client: u32, screen: &mut Screen, mut wanted: impl FnMut(&Screen) -> bool) {
        let mut screens = BTreeMap::from([(client, std::mem::take(screen))]);
        self.until_all(&mut screens, |screens| wanted(&screens[&client])).await;
        *screen = screens.remove(&client).unwrap();
    }

    /// The same for several clients.
    pub async fn until_all(
        &mut self,
        screens: &mut BTreeMap<u32, Screen>,
        mut wanted: impl FnMut(&BTreeMap<u32, Screen>) -> bool,
    ) {
        let waiting = tokio::time::timeout(super::DEADLINE, async {
            while !wanted(screens) {
                let (of, got) = self.next().await;
                let Some(screen) = screens.get_mut(&of) else { continue };
                screen.take(&got);
                if matches!(got, Got::Output(..)) || (matches!(got, Got::SnapshotPart(..)) && screen.is_whole()) {
                    let offset = screen.offset();
                    let _ = self.0.send(Message::binary(Frame::Acknowledge(offset).encode_for(of))).await;
                }
            }
        });
        if waiting.await.is_err() {
            for screen in screens.values() {
                let text = screen.fed();
                let tail = text.char_indices().rev().nth(300).map_or(0, |(at, _)| at);
                eprintln!("a screen that did not become as wanted: {:?}", &text[tail..]);
            }
            panic!("the screens did not become as wanted");
        }
    }

    /// Leaves out what is on its way to a client until its Ready.
    pub async fn until_ready(&mut self, client: u32, screen: &mut Screen) {
        loop {
            let (of, got) = self.next().await;
            if of == client && matches!(got, Got::Ready(_)) {
                return screen.take(&got);
            }
        }
    }

    pub async fn closed(&mut self) -> u16 {
        closed(&mut self.0).await
    }
}
