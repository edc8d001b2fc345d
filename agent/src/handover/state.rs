//! What an agent hands over to its successor: everything that is not to be lost (pure).
//!
//! Descriptors are numbers, which stay what they are over an exec. The bytes of rings and of typed input are left out of
//! the JSON; [`State::blobs`] are stored beside it as they are.

use serde::{Deserialize, Serialize};
use snapvm_protocol::agent::TerminalEnd;
use snapvm_protocol::ids::TerminalId;
use snapvm_protocol::variables::Variables;

use crate::activity::Meter;
use crate::admission::Learned;
use crate::identity::Seed;
use crate::services::lifecycle::Lifecycle;
use crate::terminal::input::Keys;

/// Everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The boot id.
    pub boot: String,
    /// What the key is made of.
    pub seed: Seed,
    /// SHA-256 of the successor, as it was verified.
    pub digest: String,
    /// Generation, epoch, used tickets, time.
    pub learned: Learned,
    /// Vouches for the key.
    pub pass: Option<String>,
    /// The idle clock.
    pub meter: Meter,
    /// When the machine was last woken, in milliseconds of the boot clock.
    pub woken_at: Option<u64>,
    /// Tasks of programs in the guest, as last reported.
    pub tasks: Vec<String>,
    /// The listening socket.
    pub listener: i32,
    /// Sessions.
    pub terminals: Vec<Terminal>,
    /// Services, in the object's order.
    pub services: Vec<Service>,
    /// What is in the environment of whatever is started.
    #[serde(default)]
    pub variables: Variables,
}

/// A terminal session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terminal {
    /// Its stream.
    pub stream: Stream,
    /// The terminal's master side.
    pub master: i32,
    /// The shell's process id.
    pub leader: u32,
    /// How the shell ended, though not all of its output may have been read yet.
    pub exit: Option<TerminalEnd>,
    /// Typed, and not yet written to the terminal.
    pub pending: Vec<Input>,
}

/// A session's stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// The session's id.
    pub session: TerminalId,
    /// Random per shell.
    pub epoch: u64,
    /// The terminal's size.
    pub columns: u16,
    /// The terminal's size.
    pub rows: u16,
    /// Input numbers per tab.
    pub keys: Keys,
    /// How the shell ended, once its last output is in `bytes`.
    pub end: Option<TerminalEnd>,
    /// Offset of the first of `bytes`.
    pub start: u64,
    /// The last output.
    #[serde(skip)]
    pub bytes: Vec<u8>,
    /// The offset that `screen` stands for, where the last output alone would not do.
    #[serde(default)]
    pub screen_at: Option<u64>,
    /// A snapshot of what was shown there.
    #[serde(skip)]
    pub screen: Vec<u8>,
}

/// Accepted input, or what is left of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// The tab.
    pub key: String,
    /// The number.
    pub number: u32,
    /// What is still to be written.
    #[serde(skip)]
    pub bytes: Vec<u8>,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Its definition, and what it is doing.
    pub life: Lifecycle,
    /// The pipes that its log comes through.
    pub pipes: Vec<i32>,
}

impl State {
    /// The bytes that are not in the JSON, in the order in which they are stored.
    pub fn blobs(&mut self) -> impl Iterator<Item = &mut Vec<u8>> {
        self.terminals.iter_mut().flat_map(|terminal| {
            let inputs = terminal.pending.iter_mut().map(|input| &mut input.bytes);
            let stream = &mut terminal.stream;
            let screen = stream.screen_at.is_some().then_some(&mut stream.screen);
            std::iter::once(&mut stream.bytes).chain(screen).chain(inputs)
        })
    }

    /// Every descriptor that has to stay open.
    pub fn descriptors(&self) -> impl Iterator<Item = i32> {
        let masters = self.terminals.iter().map(|terminal| terminal.master);
        let pipes = self.services.iter().flat_map(|service| service.pipes.iter().copied());
        std::iter::once(self.listener).chain(masters).chain(pipes)
    }
}
