//! A session in one thread: the agent's pure stream, the protocol's pure client, and between them sockets that hold
//! messages back, break at any moment, and are let in again by an object that knows only who is there.
//!
//! ```text
//! client ⇄ [queue] ⇄ object ⇄ [queue] ⇄ stream ⇄ terminal (writes bytes that follow from their offset, reads slowly)
//! ```
//!
//! Messages on one socket keep their order; everything else happens in any. Checked: each byte a client gets is the
//! one that the shell wrote at that offset, it gets all of them but those that it was told are gone, and the terminal
//! reads each client's inputs once and in order. Then the faults end, and everything has to come to rest.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a test, also where it runs as a program of its own"
)]

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use snapvm_agent::terminal::stream::{Applied, Stream};
use snapvm_protocol::agent::TerminalEnd;
use snapvm_protocol::ids::TerminalId;
use snapvm_protocol::terminal::follower::{Follower, Heard};
use snapvm_protocol::terminal::{ClientMode, Follow, Frame, Notice, split_client};

/// Messages that a socket holds before it takes no more.
const SOCKET_HOLDS: usize = 40;
/// Inputs that wait for the terminal before it refuses more: few, so that it happens.
const TERMINAL_HOLDS: usize = 12;
/// Steps without faults within which everything has to come to rest.
const REST: usize = 400_000;

/// How much to do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    /// Sessions.
    pub(crate) sessions: usize,
    /// Inputs, over all sessions.
    pub(crate) keystrokes: usize,
}

/// What was done, and what went wrong.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    /// Sessions.
    pub(crate) sessions: u64,
    /// Bytes that shells wrote.
    pub(crate) written: u64,
    /// Bytes that clients got.
    pub(crate) received: u64,
    /// Clients' sockets that broke.
    pub(crate) disconnects: u64,
    /// Agents' sockets that broke.
    pub agent_disconnects: u64,
    /// Inputs that terminals read.
    pub(crate) keystrokes: u64,
    /// Inputs that were refused for lack of room.
    pub(crate) refused: u64,
    /// Times that a client was told that bytes are gone.
    pub(crate) gone: u64,
    /// The seed.
    pub(crate) seed: u64,
    /// What went wrong.
    pub(crate) violations: Vec<String>,
}

impl fmt::Display for Totals {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
        write!(
            formatter,
            "terminal model: {} sessions, {:.2} GiB written, {:.2} GiB received, {} keystrokes; faults: {} disconnects, \
             {} of agents, {} refusals, {} gaps; {} violations; seed {}",
            self.sessions,
            gib(self.written),
            gib(self.received),
            self.keystrokes,
            self.disconnects,
            self.agent_disconnects,
            self.refused,
            self.gone,
            self.violations.len(),
            self.seed,
        )
    }
}

/// Runs sessions, one after the other.
pub(crate) fn run(budget: Budget, seed: u64) -> Totals {
    let mut totals = Totals { seed, ..Totals::default() };
    let mut chance = Chance(seed);
    for number in 0..budget.sessions {
        let inputs = budget.keystrokes.div_ceil(budget.sessions);
        let mut session = Session::new(Chance(chance.next()), inputs, &mut totals);
        if let Err(violation) = session.live() {
            totals.violations.push(format!("session {number}: {violation}"));
        }
        totals.sessions += 1;
    }
    totals
}

/// `SplitMix64`.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    fn index(&mut self, end: usize) -> usize {
        usize::try_from(self.below(end as u64)).expect("below a length")
    }

    fn one_in(&mut self, odds: u64) -> bool {
        self.below(odds) == 0
    }
}

fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// What the shell writes at an offset.
fn byte(salt: u64, offset: u64) -> u8 {
    mix(salt ^ (offset >> 3)).to_le_bytes()[usize::try_from(offset & 7).expect("small")]
}

/// A socket's messages in both directions.
#[derive(Default)]
struct Wire {
    up: VecDeque<Vec<u8>>,
    down: VecDeque<Vec<u8>>,
}

struct Client {
    mode: ClientMode,
    follower: Follower,
    /// The id that the object gave it, and its socket.
    socket: Option<(u32, Wire)>,
    to_type: usize,
    /// What it typed, in order.
    typed: Vec<Vec<u8>>,
    /// Offset from which on it has every byte.
    has_from: u64,
    /// It does not read.
    stalled: bool,
    /// While it is away, it stays away for long.
    sleeps: bool,
}

struct Session<'a> {
    chance: Chance,
    totals: &'a mut Totals,
    salt: u64,
    stream: Stream,
    /// The agent's socket to the object.
    agent: Option<Wire>,
    /// Inputs that wait for the terminal: key, number, bytes.
    pending: VecDeque<(String, u32, Vec<u8>)>,
    /// What the terminal read, by key.
    read: BTreeMap<String, Vec<Vec<u8>>>,
    clients: Vec<Client>,
    next_id: u32,
    to_write: u64,
    faults: bool,
}

impl<'a> Session<'a> {
    fn new(mut chance: Chance, inputs: usize, totals: &'a mut Totals) -> Self {
        let (writers, viewers) = (1 + chance.index(2), chance.index(3));
        let clients = (0..writers + viewers)
            .map(|number| {
                let mode = if number < writers { ClientMode::Write } else { ClientMode::Read };
                Client {
                    mode,
                    follower: Follower::new(Follow::Bytes, format!("tab{number}"), 80, 24),
                    socket: None,
                    to_type: if mode == ClientMode::Write { inputs.div_ceil(writers) } else { 0 },
                    typed: vec![],
                    has_from: 0,
                    stalled: false,
                    sleeps: false,
                }
            })
            .collect();
        // Most fit into the ring, some overrun it a few times.
        let to_write = if chance.one_in(4) { chance.below(8 << 20) } else { chance.below(1 << 20) };
        Self {
            salt: chance.next(),
            totals,
            stream: Stream::new(TerminalId::new(1, [1; 10]), chance.next() >> 11, 80, 24),
            agent: None,
            pending: VecDeque::new(),
            read: BTreeMap::new(),
            clients,
            next_id: 1,
            to_write,
            faults: true,
            chance,
        }
    }

    fn live(&mut self) -> Result<(), String> {
        while self.to_write > 0 || self.clients.iter().any(|client| client.to_type > 0) {
            self.step()?;
        }
        self.faults = false;
        for client in &mut self.clients {
            client.stalled = false;
        }
        for _ in 0..REST {
            if self.pending.is_empty() && self.stream.end().is_none() && self.is_all_typed() {
                self.stream.ended(TerminalEnd::Exit { code: 0 });
            }
            if self.stream.end().is_some() && self.clients.iter().all(|client| client.follower.end().is_some()) {
                return self.check();
            }
            self.step()?;
        }
        Err(format!("it never comes to rest: {}", self.describe()))
    }

    fn is_all_typed(&self) -> bool {
        self.clients.iter().all(|client| client.follower.waiting() == 0)
    }

    fn describe(&self) -> String {
        let clients = self.clients.iter().map(|client| {
            let follower = &client.follower;
            format!(
                "{:?} at {} of {}, attached {}, {} inputs wait",
                client.mode,
                follower.offset(),
                self.stream.status().offset,
                follower.is_attached(),
                follower.waiting()
            )
        });
        format!("{} pending; {}", self.pending.len(), clients.collect::<Vec<_>>().join("; "))
    }

    fn step(&mut self) -> Result<(), String> {
        let which = self.chance.index(self.clients.len());
        match self.chance.below(16) {
            0 | 1 => self.write(),
            2 => self.take_input(),
            3 | 4 => self.speak(),
            5 | 6 => self.agent_to_object(),
            7 | 8 => self.object_to_agent()?,
            9..=11 => self.object_to_client(which)?,
            12 | 13 => self.client_to_object(which),
            14 => self.type_something(which),
            _ => self.sockets(which),
        }
        Ok(())
    }

    fn write(&mut self) {
        if self.stream.is_held_up() {
            return;
        }
        let most = if self.chance.one_in(8) { 200_000 } else { 3000 };
        let mut rest = self.chance.below(most).min(self.to_write);
        self.to_write -= rest;
        self.totals.written += rest;
        while rest > 0 {
            let at = self.stream.status().offset;
            let room = self.stream.room(usize::try_from(rest).expect("small"));
            for (place, offset) in room.iter_mut().zip(at..) {
                *place = byte(self.salt, offset);
            }
            let length = room.len();
            self.stream.commit(length);
            rest -= length as u64;
        }
        if self.chance.one_in(2) || self.to_write == 0 {
            self.stream.publish();
        }
    }

    fn take_input(&mut self) {
        let Some((key, number, bytes)) = self.pending.pop_front() else { return };
        self.stream.written(&key, number);
        self.read.entry(key).or_default().push(bytes);
        self.totals.keystrokes += 1;
        if self.pending.is_empty() {
            self.stream.has_room();
        }
    }

    /// The agent puts what it has to say on its socket.
    fn speak(&mut self) {
        let Some(agent) = self.agent.as_mut() else { return };
        for _ in 0..self.chance.below(8) {
            let mut message = vec![];
            if agent.up.len() >= SOCKET_HOLDS || !self.stream.next(&mut message) {
                break;
            }
            agent.up.push_back(message);
        }
    }

    fn agent_to_object(&mut self) {
        let Some(message) = self.agent.as_mut().and_then(|agent| agent.up.pop_front()) else { return };
        let (id, frame) = split_client(&message).expect("the agent's message");
        let to = self.clients.iter_mut().filter_map(|client| client.socket.as_mut()).find(|(other, _)| *other == id);
        if let Some((_, wire)) = to {
            wire.down.push_back(frame.to_vec());
        }
    }

    fn object_to_agent(&mut self) -> Result<(), String> {
        let Some(message) = self.agent.as_mut().and_then(|agent| agent.down.pop_front()) else { return Ok(()) };
        let (id, frame) = split_client(&message).expect("the object's message");
        let frame = Frame::decode(frame).map_err(|error| format!("a frame: {error}"))?;
        if let Applied::Input { key, number, bytes } = self.stream.receive(id, frame) {
            if self.pending.len() >= TERMINAL_HOLDS {
                self.totals.refused += 1;
                self.stream.refused(&key, number);
            } else {
                self.pending.push_back((key, number, bytes.to_vec()));
            }
        }
        Ok(())
    }

    fn client_to_object(&mut self, which: usize) {
        let Some(client) = self.clients.get_mut(which) else { return };
        let Some((id, wire)) = client.socket.as_mut() else { return };
        let Some(frame) = wire.up.pop_front() else { return };
        if let Some(agent) = self.agent.as_mut() {
            agent.down.push_back([&id.to_be_bytes(), frame.as_slice()].concat());
        }
    }

    fn object_to_client(&mut self, which: usize) -> Result<(), String> {
        let Some(client) = self.clients.get_mut(which).filter(|client| !client.stalled) else { return Ok(()) };
        let Some((_, wire)) = client.socket.as_mut() else { return Ok(()) };
        let Some(message) = wire.down.pop_front() else {
            // It has parsed everything that came.
            if client.follower.is_attached() && wire.up.is_empty() {
                wire.up.push_back(Frame::Acknowledge(client.follower.offset()).encode());
            }
            return Ok(());
        };
        let frame = Frame::decode(&message).map_err(|error| format!("a frame: {error}"))?;
        let mut replies = vec![];
        let heard = client.follower.hear(frame, &mut replies).map_err(|broken| format!("client {which}: {broken}"))?;
        match heard {
            Heard::Ready { offset, reset, .. } if reset && client.follower.offset() == offset => {
                client.has_from = offset;
            }
            Heard::Gone(_, to) => {
                self.totals.gone += 1;
                client.has_from = to;
            }
            Heard::Output(offset, bytes) => {
                self.totals.received += bytes.len() as u64;
                if bytes.iter().zip(offset..).any(|(got, at)| *got != byte(self.salt, at)) {
                    return Err(format!("client {which}: other bytes at {offset}"));
                }
                if self.chance.one_in(3) {
                    replies.push(Frame::Acknowledge(client.follower.offset()).encode());
                }
            }
            _ => {}
        }
        wire.up.extend(replies);
        Ok(())
    }

    fn type_something(&mut self, which: usize) {
        let Some(client) = self.clients.get_mut(which).filter(|client| client.to_type > 0) else { return };
        let count = (1 + self.chance.index(20)).min(client.to_type);
        client.to_type -= count;
        for _ in 0..count {
            let text = format!("{which}:{};", client.typed.len()).into_bytes();
            let mut replies = vec![];
            client.follower.input(&text, &mut replies);
            client.typed.push(text);
            if let Some((_, wire)) = client.socket.as_mut() {
                wire.up.extend(replies);
            }
        }
    }

    /// Sockets break, come back, stall and go on.
    fn sockets(&mut self, which: usize) {
        match &self.agent {
            None => self.agent_arrives(),
            Some(_) if self.faults && self.chance.one_in(60) => self.agent_goes(),
            Some(_) => {}
        }
        let Some(client) = self.clients.get_mut(which) else { return };
        if client.socket.is_none() {
            if !self.faults || self.chance.one_in(if client.sleeps { 60 } else { 2 }) {
                self.client_arrives(which);
            }
        } else if self.faults && self.chance.one_in(12) {
            self.client_goes(which);
        } else {
            client.stalled = self.faults && self.chance.one_in(4);
        }
    }

    fn agent_arrives(&mut self) {
        let mut agent = Wire::default();
        for client in &mut self.clients {
            if let Some((id, wire)) = client.socket.as_mut() {
                agent.down.push_back(Frame::Joined(client.mode).encode_for(*id));
                wire.down.push_back(Frame::Notice(Notice::Connected).encode());
            }
        }
        self.agent = Some(agent);
    }

    fn agent_goes(&mut self) {
        self.totals.agent_disconnects += 1;
        self.agent = None;
        self.stream.disconnected();
        for (_, wire) in self.clients.iter_mut().filter_map(|client| client.socket.as_mut()) {
            wire.down.push_back(Frame::Notice(Notice::Waking).encode());
        }
    }

    fn client_arrives(&mut self, which: usize) {
        let Some(client) = self.clients.get_mut(which) else { return };
        let (id, mut wire) = (self.next_id, Wire::default());
        self.next_id += 1;
        let notice = if self.agent.is_some() { Notice::Connected } else { Notice::Waking };
        wire.down.push_back(Frame::Notice(notice).encode());
        client.socket = Some((id, wire));
        if let Some(agent) = self.agent.as_mut() {
            agent.down.push_back(Frame::Joined(client.mode).encode_for(id));
        }
    }

    fn client_goes(&mut self, which: usize) {
        let Some(client) = self.clients.get_mut(which) else { return };
        let Some((id, wire)) = client.socket.take() else { return };
        self.totals.disconnects += 1;
        client.sleeps = self.chance.one_in(4);
        client.follower.disconnected();
        if let Some(agent) = self.agent.as_mut() {
            // What it had sent before may or may not have come through.
            let through = self.chance.index(wire.up.len() + 1);
            for frame in wire.up.iter().take(through) {
                agent.down.push_back([&id.to_be_bytes(), frame.as_slice()].concat());
            }
            agent.down.push_back(Frame::Left.encode_for(id));
        }
    }

    fn check(&mut self) -> Result<(), String> {
        for (which, client) in self.clients.iter().enumerate() {
            let (got, end) = (client.follower.offset(), self.stream.status().offset);
            if got != end {
                return Err(format!("client {which} has output up to {got} of {end}"));
            }
            let read = self.read.get(&format!("tab{which}")).cloned().unwrap_or_default();
            if read != client.typed {
                return Err(format!(
                    "the terminal read {} inputs of client {which}'s {}",
                    read.len(),
                    client.typed.len()
                ));
            }
        }
        Ok(())
    }
}
