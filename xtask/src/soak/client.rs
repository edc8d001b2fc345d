//! One window on a session, on a bad line: it is cut off, closed and opened again, it stalls, it types.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use futures::{SinkExt, StreamExt};
use snapvm_protocol::agent::TerminalEnd;
use snapvm_protocol::terminal::follower::{Follower, Heard};
use snapvm_protocol::terminal::{Follow, Frame, Notice, SUBPROTOCOL};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::guest::Visitor;
use super::tally::Tally;
use crate::chance::Chance;

type Socket = WebSocketStream<TcpStream>;

/// Longest time that opening a socket may take.
const OPENING: Duration = Duration::from_secs(20);
/// Longest input: most are single keys.
const PASTE: u64 = 12_000;

/// What a window is to do.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Its number in the session.
    pub(crate) number: usize,
    /// Whether it types.
    pub(crate) types: bool,
    /// What it does with output.
    pub(crate) follow: Follow,
    /// Inputs to type.
    pub(crate) inputs: u64,
    /// Faults it still has before it.
    pub(crate) faults: u64,
    /// Whether it asks for a rest.
    pub(crate) rests: bool,
    /// The path of the session's stream.
    pub(crate) path: String,
    /// When the session has to be over.
    pub(crate) deadline: Instant,
    /// Whether the machine is to be left asleep.
    pub(crate) hushed: Arc<AtomicBool>,
}

/// Bytes without a gap.
#[derive(Debug, Default)]
pub(crate) struct Piece {
    /// Offset of the first.
    pub(crate) from: u64,
    /// The bytes.
    pub(crate) bytes: Vec<u8>,
}

/// A window.
pub(crate) struct Client {
    /// What it is to do.
    pub(crate) plan: Plan,
    /// Its half of the stream.
    pub(crate) follower: Follower,
    /// What it has got.
    pub(crate) pieces: Vec<Piece>,
    /// What it typed, by number.
    pub(crate) typed: Vec<Vec<u8>>,
    visitor: Visitor,
    chance: Chance,
    tally: Arc<Tally>,
    /// Until when the session stands still.
    rest: Arc<watch::Sender<Option<Instant>>>,
    socket: Option<Socket>,
    stalled_until: Option<Instant>,
    /// What it was told last of the machine, or why it was not let in: for who asks why it waits.
    told: String,
    /// The shells that it has followed.
    pub(crate) epochs: Vec<u64>,
    /// The offset of the kept screen that it was shown over its present socket.
    pub(crate) kept: Option<u64>,
}

/// What to do next.
enum Next {
    Message(Option<Result<Message, tokio_tungstenite::tungstenite::Error>>),
    Act,
    Late,
}

impl Client {
    pub(crate) fn new(
        plan: Plan,
        visitor: Visitor,
        mut chance: Chance,
        tally: Arc<Tally>,
        rest: Arc<watch::Sender<Option<Instant>>>,
    ) -> Self {
        let key = format!("w{}-{:016x}", plan.number, chance.number());
        let follower = Follower::new(plan.follow, key, 80, 24);
        tally.add(|counts| &counts.clients);
        Self {
            plan,
            follower,
            pieces: vec![],
            typed: vec![],
            visitor,
            chance,
            tally,
            rest,
            socket: None,
            stalled_until: None,
            told: "nothing".into(),
            epochs: vec![],
            kept: None,
        }
    }

    /// Types a line and waits for a text, without any fault; gives the offset of the text.
    pub(crate) async fn begin(&mut self, line: &str, wanted: &[u8]) -> Result<u64> {
        let wait = self.plan.deadline;
        let beginning = async {
            while self.open(true).await.is_err() {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            let mut typed = false;
            loop {
                let prompted = |piece: &Piece| piece.bytes.ends_with(b"# ") || piece.bytes.ends_with(b"$ ");
                if !typed && self.pieces.last().is_some_and(prompted) {
                    typed = true;
                    self.type_bytes(line.as_bytes().to_vec()).await;
                }
                let piece = self.pieces.first();
                let found = piece.and_then(|piece| {
                    let place = piece.bytes.windows(wanted.len()).position(|window| window == wanted)?;
                    Some(piece.from + place as u64)
                });
                if let Some(found) = found {
                    return Ok(found);
                }
                match self.socket.as_mut() {
                    Some(socket) => {
                        let message = socket.next().await;
                        self.hear(message).await?;
                    }
                    // The Worker may die before the program runs.
                    None => {
                        if self.open(true).await.is_err() {
                            tokio::time::sleep(Duration::from_millis(100)).await;
                        }
                    }
                }
            }
        };
        match timeout_at(wait, beginning).await {
            Ok(begun) => begun,
            Err(_) => {
                let output: Vec<u8> = self.pieces.iter().flat_map(|piece| piece.bytes.iter().copied()).collect();
                let output = String::from_utf8_lossy(&output);
                Err(anyhow!("the program does not begin: {}; output {output:?}", self.waits_for()))
            }
        }
    }

    /// Follows until the shell has ended.
    pub(crate) async fn follow(mut self) -> Result<Self, (Self, anyhow::Error)> {
        let mut act = Instant::now();
        loop {
            // What it does may take long by itself; late is late.
            let late = self.plan.deadline + Duration::from_secs(1);
            let once = timeout_at(late, self.follow_once(&mut act)).await;
            if let Err(error) = once.unwrap_or_else(|_| Err(self.late())) {
                // At once: the others may wait for it until they give up.
                crate::progress::say(&format!("client {} ({:?}): {error:#}", self.plan.number, self.plan.follow));
                return Err((self, error));
            }
            if self.follower.end().is_some() {
                return Ok(self);
            }
        }
    }

    async fn follow_once(&mut self, act: &mut Instant) -> Result<()> {
        if let Some(until) = *self.rest.borrow()
            && until > Instant::now()
        {
            *act = (*act).max(until);
        }
        let stalled = self.stalled_until.is_some_and(|until| until > Instant::now());
        let deadline = self.plan.deadline;
        let next = match self.socket.as_mut() {
            Some(socket) if !stalled => tokio::select! {
                message = socket.next() => Next::Message(message),
                () = sleep_until(*act) => Next::Act,
                () = sleep_until(deadline) => Next::Late,
            },
            _ => tokio::select! {
                () = sleep_until(*act) => Next::Act,
                () = sleep_until(deadline) => Next::Late,
            },
        };
        match next {
            Next::Message(message) => {
                let was_open = self.socket.is_some();
                self.hear(message).await?;
                if was_open && self.socket.is_none() && self.follower.end().is_none() {
                    self.tally.add(|counts| &counts.broke);
                    *act = Instant::now() + Duration::from_millis(self.chance.below(300));
                }
            }
            Next::Act => {
                *act = Instant::now() + Duration::from_millis(self.chance.between(2, 120));
                if let Some(pause) = self.act().await {
                    *act = Instant::now() + pause;
                }
            }
            Next::Late => return Err(self.late()),
        }
        Ok(())
    }

    fn late(&self) -> anyhow::Error {
        anyhow!("it is not over in time: {}", self.waits_for())
    }

    /// Where it stands, for who wonders why it does not go on.
    fn waits_for(&self) -> String {
        format!(
            "it has the stream up to {}, typed {} inputs (the last {:?}), of which {} are not applied; a socket: {}, \
             attached: {}, told last: {}",
            self.follower.offset(),
            self.typed.len(),
            self.typed.last().map(|typed| String::from_utf8_lossy(typed.get(..20).unwrap_or(typed))),
            self.follower.waiting(),
            self.socket.is_some(),
            self.follower.is_attached(),
            self.told,
        )
    }

    /// Does something; says how long it does nothing then.
    async fn act(&mut self) -> Option<Duration> {
        if self.socket.is_none() {
            // Who watches wakes nobody.
            let wake = self.plan.types && self.chance.one_in(2);
            return match self.open(wake).await {
                Ok(()) => None,
                Err(_) => Some(Duration::from_millis(100)),
            };
        }
        let fault = self.plan.faults > 0 && self.chance.one_in(6);
        if !fault {
            self.type_some().await;
            return None;
        }
        self.plan.faults -= 1;
        match self.chance.below(7) {
            0..=2 => self.cut(),
            3 | 4 => self.close().await,
            5 => {
                self.tally.add(|counts| &counts.stalls);
                let until = Instant::now() + Duration::from_millis(self.chance.between(100, 3000));
                self.stalled_until = Some(until);
                return Some(until.saturating_duration_since(Instant::now()));
            }
            _ => {
                let (columns, rows) = (self.chance.between(2, 200), self.chance.between(2, 60));
                if let Some(frame) =
                    self.follower.resize(u16::try_from(columns).unwrap_or(80), u16::try_from(rows).unwrap_or(24))
                {
                    self.send(frame).await;
                }
                return None;
            }
        }
        // Most come back at once, some after the ring has gone over what they lack.
        let away = if self.chance.one_in(4) { self.chance.below(5000) } else { self.chance.below(200) };
        Some(Duration::from_millis(away))
    }

    async fn type_some(&mut self) {
        if !self.plan.types {
            return;
        }
        let left = self.plan.inputs.saturating_sub(self.typed.len() as u64);
        for _ in 0..self.chance.between(1, 12).min(left) {
            let text = self.text();
            self.type_bytes(text).await;
        }
        if left > 0 && self.plan.rests && self.typed.len() as u64 > self.plan.inputs / 2 {
            self.plan.rests = false;
            self.tally.add(|counts| &counts.rests);
            self.type_bytes(format!("{}:{}:rest;", self.plan.number, self.typed.len() + 1).into_bytes()).await;
            self.rest.send_replace(Some(Instant::now() + Duration::from_secs(13)));
        } else if left == 0 && self.plan.inputs > 0 {
            self.plan.inputs = 0;
            self.type_bytes(format!("{}:{}:quit;", self.plan.number, self.typed.len() + 1).into_bytes()).await;
        }
    }

    /// What nobody else types: its window, its number, and any bytes up to a semicolon.
    fn text(&mut self) -> Vec<u8> {
        let length = if self.chance.one_in(60) { self.chance.below(PASTE) } else { self.chance.below(4) };
        let mut text = format!("{}:{}:", self.plan.number, self.typed.len() + 1).into_bytes();
        text.extend((0..length).map(|_| match self.chance.byte() {
            b';' => b'.',
            byte => byte,
        }));
        text.push(b';');
        text
    }

    async fn type_bytes(&mut self, bytes: Vec<u8>) {
        let mut replies = vec![];
        self.follower.input(&bytes, &mut replies);
        self.typed.push(bytes);
        for reply in replies {
            self.send(reply).await;
        }
    }

    async fn open(&mut self, wake: bool) -> Result<()> {
        let wakes = wake && !self.plan.hushed.load(Ordering::SeqCst);
        let path = format!("{}{}", self.plan.path, if wakes { "?wake=true" } else { "" });
        let opened = timeout(OPENING, open(&self.visitor, &path)).await;
        match opened.context("no answer").and_then(|opened| opened) {
            Ok(socket) => (self.socket, self.kept) = (Some(socket), None),
            Err(error) => {
                self.told = format!("no socket: {error:#}");
                return Err(error);
            }
        }
        Ok(())
    }

    fn lost(&mut self) {
        self.socket = None;
        self.stalled_until = None;
        self.follower.disconnected();
    }

    fn cut(&mut self) {
        self.tally.add(|counts| &counts.cut);
        if let Some(socket) = self.socket.as_ref() {
            // A reset, not an end: what is on its way is lost.
            let _ = socket.get_ref().set_zero_linger();
        }
        self.lost();
    }

    async fn close(&mut self) {
        self.tally.add(|counts| &counts.closed);
        if let Some(mut socket) = self.socket.take() {
            let _ = timeout(Duration::from_secs(1), socket.close(None)).await;
        }
        self.lost();
    }

    async fn send(&mut self, frame: Vec<u8>) {
        let Some(socket) = self.socket.as_mut() else { return };
        // Who does not get rid of a frame has a dead socket.
        if !matches!(timeout(OPENING, socket.send(Message::binary(frame))).await, Ok(Ok(()))) {
            self.lost();
        }
    }

    async fn hear(&mut self, message: Option<Result<Message, tokio_tungstenite::tungstenite::Error>>) -> Result<()> {
        let bytes = match message {
            Some(Ok(Message::Binary(bytes))) => bytes,
            Some(Ok(Message::Close(_)) | Err(_)) | None => {
                self.lost();
                return Ok(());
            }
            Some(Ok(_)) => return Ok(()),
        };
        let frame = Frame::decode(&bytes)?;
        let mut replies = vec![];
        if let Frame::Kept(head) = &frame {
            self.kept = Some(head.offset);
        }
        let heard = self.follower.hear(frame, &mut replies)?;
        let epoch = self.follower.epoch();
        if epoch != self.epochs.last().copied() {
            self.epochs.extend(epoch);
        }
        match heard {
            Heard::Ready { offset, reset: true, .. } if self.follower.offset() == offset => {
                self.pieces.push(Piece { from: offset, bytes: vec![] });
            }
            Heard::Gone(_, to) => {
                self.tally.add(|counts| &counts.gone);
                self.pieces.push(Piece { from: to, bytes: vec![] });
            }
            Heard::Notice(Notice::People { .. }) => {}
            Heard::Notice(notice) => self.told = format!("{notice:?}"),
            Heard::Snapshot(..) => self.tally.add(|counts| &counts.snapshots),
            Heard::Output(_, output) => {
                self.tally.add_many(|counts| &counts.received, output.len() as u64);
                self.pieces.last_mut().context("output before ready")?.bytes.extend_from_slice(output);
                replies.push(Frame::Acknowledge(self.follower.offset()).encode());
            }
            _ => {}
        }
        for reply in replies {
            self.send(reply).await;
        }
        Ok(())
    }

    /// How the shell ended, by what it was told.
    pub(crate) fn end(&self) -> Option<TerminalEnd> {
        self.follower.end()
    }
}

async fn open(visitor: &Visitor, path: &str) -> Result<Socket> {
    let stream = TcpStream::connect(("127.0.0.1", visitor.port)).await?;
    stream.set_nodelay(true)?;
    let mut request = format!("ws://localhost:{}{path}", visitor.port).into_client_request()?;
    for (name, value) in
        [("cookie", &*visitor.cookie), ("origin", &visitor.origin), ("sec-websocket-protocol", SUBPROTOCOL)]
    {
        request.headers_mut().insert(name, value.parse()?);
    }
    Ok(tokio_tungstenite::client_async(request, stream).await?.0)
}
