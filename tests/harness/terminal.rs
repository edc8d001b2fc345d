//! A client of a terminal session that keeps the stream's promises to the letter: every byte once and in order, input
//! again until it is acknowledged.

use std::collections::VecDeque;
use std::time::Duration;

use snapvm_protocol::agent::TerminalEnd;
use snapvm_protocol::terminal::{Attach, Follow, Frame, KeptHead, Notice, Person, SUBPROTOCOL};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::protocol::Message;

use crate::client::{Client, SESSION_COOKIE};
use crate::machines::Machine;
use crate::sockets::{self, Refused, Socket};
use crate::world::World;
use crate::{PATIENCE, chance};

/// A tab with a terminal.
pub struct Terminal {
    /// The session.
    pub id: String,
    /// The shell that it shows.
    pub epoch: Option<u64>,
    /// The offset of the next byte.
    pub offset: u64,
    /// Everything received so far.
    pub output: Vec<u8>,
    /// What the object has said of the machine.
    pub notices: Vec<Notice>,
    /// Who has the session open, as it was told last.
    pub people: Vec<Person>,
    /// The kept screen that was shown last, and how many notices came before it was whole.
    pub kept: Option<(KeptHead, Vec<u8>, usize)>,
    /// How the shell ended, and how much output there was before.
    pub end: Option<(TerminalEnd, usize)>,
    /// How often it has been let in.
    pub attached: u32,
    /// The code that the socket was closed with.
    pub closed: Option<u16>,
    socket: Option<Socket>,
    key: String,
    typed: u32,
    unacknowledged: VecDeque<(u32, Vec<u8>)>,
    /// The offsets that attaches on this socket asked for, and where the stream is: behind `offset` while an answer to
    /// an earlier attach brings what it has.
    asked: Vec<u64>,
    place: u64,
}

impl Terminal {
    /// A new session of a machine, with its shell's prompt.
    pub async fn start(world: &World, machine: &Machine) -> Self {
        let id = machine.terminal().await;
        let mut terminal = Self::open(world, machine, &id).await;
        terminal.until_prompt().await;
        terminal
    }

    /// Follows a session, waking its machine.
    pub async fn open(world: &World, machine: &Machine, id: &str) -> Self {
        let mut terminal = Self::closed(id);
        terminal.connect(world, machine, true).await;
        terminal
    }

    /// A tab that has not connected.
    pub fn closed(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            epoch: None,
            offset: 0,
            output: Vec::new(),
            notices: Vec::new(),
            people: Vec::new(),
            kept: None,
            end: None,
            attached: 0,
            closed: None,
            socket: None,
            key: chance::word(),
            typed: 0,
            unacknowledged: VecDeque::new(),
            asked: Vec::new(),
            place: 0,
        }
    }

    /// Connects, for the first time or again.
    pub async fn connect(&mut self, world: &World, machine: &Machine, wake: bool) {
        let socket = stream(world, &machine.client, machine, &self.id, wake).await;
        self.socket = Some(socket.unwrap_or_else(|refused| panic!("terminal {}: {refused:?}", self.id)));
        self.closed = None;
        self.asked.clear();
    }

    /// Connects again as soon as somebody answers.
    pub async fn reconnect(&mut self, world: &World, machine: &Machine, patience: Duration) {
        let connect = || async { stream(world, &machine.client, machine, &self.id, false).await.ok() };
        let socket = crate::until("the terminal connects again", patience, connect).await;
        self.socket = Some(socket);
        self.closed = None;
        self.asked.clear();
    }

    /// Goes away without a word.
    pub fn leave(&mut self) {
        self.socket = None;
    }

    /// Types.
    pub async fn type_text(&mut self, text: &str) {
        self.typed += 1;
        self.unacknowledged.push_back((self.typed, text.as_bytes().to_vec()));
        // Also to a machine that sleeps: it wakes it, and the shell gets it after the next `Ready`.
        self.send(&Frame::Input(self.typed, text.as_bytes())).await;
    }

    /// Runs a command, and gives what it printed.
    pub async fn run(&mut self, command: &str) -> String {
        let before = self.output.len();
        // The shell's echo of the line has the two halves of each mark apart; another tab's commands have other marks.
        let tag = format!("{}{}", self.key, self.typed);
        self.type_text(&format!("printf '%s%s\\n' B {tag}; {command}; printf '\\n%s%s\\n' D {tag}\r")).await;
        let (begin, end) = (format!("B{tag}\r\n"), format!("\r\nD{tag}\r"));
        self.until("a command's end", |terminal| find(&terminal.output[before..], end.as_bytes()).is_some()).await;
        let text = String::from_utf8_lossy(&self.output[before..]).into_owned();
        let (_, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("{text:?}"));
        // A command that prints nothing has no line of its own before the mark.
        let (printed, _) = rest.split_once(&end).or(rest.split_once(&end[2..])).unwrap_or_else(|| panic!("{text:?}"));
        printed.trim_end().to_owned()
    }

    /// Waits for a shell's prompt.
    pub async fn until_prompt(&mut self) {
        self.until("a prompt", |terminal| terminal.output.ends_with(b"$ ") || terminal.output.ends_with(b"# ")).await;
    }

    /// Waits for a text in the output.
    pub async fn until_text(&mut self, text: &str) {
        self.until(text, |terminal| find(&terminal.output, text.as_bytes()).is_some()).await;
    }

    /// Follows the stream until something is so.
    pub async fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        self.until_within(what, PATIENCE, is_so).await;
    }

    /// Follows the stream until something is so, which it has to be in time.
    pub async fn until_within(&mut self, what: &str, patience: Duration, is_so: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + patience;
        while !is_so(self) {
            let step = tokio::time::timeout_at(deadline, self.step()).await;
            assert!(step.is_ok(), "{what}: not within {patience:?}; {}", self.tail());
            assert!(self.socket.is_some() || is_so(self), "{what}: the socket closed; {}", self.tail());
        }
    }

    /// Follows the stream for a while, in which nothing has to happen.
    pub async fn drain(&mut self, time: Duration) {
        let deadline = Instant::now() + time;
        while self.socket.is_some() && tokio::time::timeout_at(deadline, self.step()).await.is_ok() {}
    }

    /// Whether the socket is open.
    pub fn is_open(&self) -> bool {
        self.socket.is_some()
    }

    /// Waits until the socket is closed, and gives its code.
    pub async fn until_closed(&mut self, patience: Duration) -> u16 {
        self.until_within("it is closed", patience, |terminal| !terminal.is_open()).await;
        self.closed.unwrap_or_default()
    }

    /// Waits until it is told that these have the session open: name, whether they may type, windows, whether it is
    /// one of them.
    pub async fn until_people(&mut self, people: &[(&str, bool, u32, bool)]) {
        let wanted: Vec<Person> = people
            .iter()
            .map(|&(name, write, windows, you)| Person { name: name.to_owned(), write, windows, you })
            .collect();
        self.until(&format!("{people:?}"), |terminal| terminal.people == wanted).await;
    }

    /// Whether all that was typed has been taken by the shell.
    pub fn is_acknowledged(&self) -> bool {
        self.unacknowledged.is_empty()
    }

    /// Sends what keeps the socket, as a browser does now and then.
    pub async fn ping(&mut self) {
        sockets::send(self.socket.as_mut().expect("an open socket"), Message::text("ping")).await;
    }

    /// Sends any bytes as a frame.
    pub async fn send_raw(&mut self, bytes: Vec<u8>) {
        let socket = self.socket.as_mut().expect("an open socket");
        sockets::send(socket, Message::Binary(bytes.into())).await;
    }

    async fn send(&mut self, frame: &Frame<'_>) {
        // A socket that is going away shows at the next read.
        if let Some(socket) = self.socket.as_mut() {
            let _ = futures::SinkExt::send(socket, Message::Binary(frame.encode().into())).await;
        }
    }

    async fn step(&mut self) {
        let socket = self.socket.as_mut().expect("an open socket");
        let bytes = match futures::StreamExt::next(socket).await {
            Some(Ok(Message::Binary(bytes))) => bytes,
            Some(Ok(Message::Close(frame))) => {
                self.closed = Some(frame.map_or(0, |frame| frame.code.into()));
                self.socket = None;
                return;
            }
            Some(Ok(_)) => return,
            Some(Err(_)) | None => {
                self.socket = None;
                return;
            }
        };
        match Frame::decode(&bytes).expect("a frame that can be read") {
            Frame::Notice(Notice::People { people }) => self.people = people,
            Frame::Notice(notice) => {
                if notice == Notice::Connected {
                    self.attach().await;
                }
                self.notices.push(notice);
            }
            Frame::Ready(ready) => {
                if self.epoch == Some(ready.epoch) {
                    let is_asked = self.asked.contains(&ready.offset) && ready.offset <= self.offset;
                    assert!(!ready.reset && is_asked, "{ready:?} for offset {} of {:?}", self.offset, self.asked);
                } else {
                    self.offset = ready.offset;
                }
                self.attached += 1;
                (self.epoch, self.place) = (Some(ready.epoch), ready.offset);
                self.unacknowledged.retain(|(number, _)| *number > ready.input);
                for (number, input) in self.unacknowledged.clone() {
                    self.send(&Frame::Input(number, &input)).await;
                }
            }
            Frame::Output(offset, output) => {
                assert_eq!(offset, self.place, "every byte once and in order");
                assert!(self.end.is_none(), "output after the end");
                self.place += u64::try_from(output.len()).expect("a length");
                let had = usize::try_from(self.offset - offset).expect("a length").min(output.len());
                self.output.extend_from_slice(&output[had..]);
                self.offset = self.offset.max(self.place);
                self.send(&Frame::Acknowledge(self.place)).await;
            }
            Frame::InputAcknowledge(applied) => self.unacknowledged.retain(|(number, _)| *number > applied),
            Frame::End(end) => self.end = Some((end, self.output.len())),
            Frame::Kept(head) => self.kept = Some((head, Vec::new(), self.notices.len())),
            Frame::KeptPart(position, part) => {
                let (head, bytes, notices) = self.kept.as_mut().expect("a head before its parts");
                assert_eq!(usize::try_from(position).expect("a length"), bytes.len());
                bytes.extend_from_slice(part);
                assert!(bytes.len() <= usize::try_from(head.bytes).expect("a length"));
                assert_eq!(*notices, self.notices.len(), "a kept screen comes in one piece");
            }
            Frame::Size(..) => {}
            other => panic!("{other:?}"),
        }
    }

    async fn attach(&mut self) {
        let attach = Attach {
            columns: 80,
            rows: 24,
            key: self.key.clone(),
            epoch: self.epoch,
            offset: self.epoch.map(|_| self.offset),
            follow: Follow::Bytes,
            foreground: false,
        };
        self.asked.push(self.offset);
        self.send(&Frame::Attach(attach)).await;
    }

    fn tail(&self) -> String {
        let from = self.output.len().saturating_sub(300);
        let output = String::from_utf8_lossy(&self.output[from..]).into_owned();
        format!(
            "notices {:?}, people {:?}, closed {:?}, end {:?}, output …{output:?}",
            self.notices, self.people, self.closed, self.end
        )
    }
}

/// Where a text is in some bytes.
fn find(bytes: &[u8], text: &[u8]) -> Option<usize> {
    bytes.windows(text.len()).position(|window| window == text)
}

/// Opens the socket of a session.
///
/// # Errors
/// What came instead.
pub async fn stream(
    world: &World,
    client: &Client,
    machine: &Machine,
    id: &str,
    wake: bool,
) -> Result<Socket, Refused> {
    let path = format!("{}/terminals/{id}/stream{}", machine.path, if wake { "?wake=true" } else { "" });
    let site = world.site();
    let mut headers = vec![("sec-websocket-protocol", SUBPROTOCOL), ("cf-connecting-ip", client.address())];
    let shown = match client.token() {
        Some(token) => format!("Bearer {token}"),
        None => client.session().map(|session| format!("{SESSION_COOKIE}={session}")).unwrap_or_default(),
    };
    match client.token() {
        Some(_) => headers.push(("authorization", &shown)),
        None => headers.extend([("cookie", shown.as_str()), ("origin", &site.origin)]),
    }
    sockets::open(world, &site.host, &path, &headers).await
}
