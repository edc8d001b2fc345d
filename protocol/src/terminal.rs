//! Frames of a terminal session (sub-protocol `snapvm.terminal.v1`).
//!
//! ```text
//! client ──frame──▶ TerminalSession ──[client id u32][frame]──▶ agent      and back
//! ```
//!
//! Every frame is one binary WebSocket message: a type byte and a payload, numbers big-endian. Text messages are
//! only `ping` and `pong`. The object is a switch: it puts the client's id in front of what a client sends, and takes
//! it off what the agent sends. Client id 0 is the object itself.
//!
//! Invariants of the stream: every byte of a shell's output has an offset from the start of its epoch; a client gets
//! each offset once, in order, or a [`Frame::Truncated`] that says which are gone. Input numbers start at 1 for each
//! (session, client key) and grow by one; the agent applies each number once and acknowledges it.

use serde::{Deserialize, Serialize};

pub mod follower;

use crate::agent::TerminalEnd;

/// The sub-protocol that a client asks for.
pub const SUBPROTOCOL: &str = "snapvm.terminal.v1";
/// Longest frame, in bytes, without the client id.
pub const FRAME_MAX: usize = 64 * 1024;
/// Most output bytes that the agent puts in one frame.
pub const OUTPUT_MAX: usize = 32 * 1024;
/// Most input bytes in one frame.
pub const INPUT_MAX: usize = 16 * 1024;
/// Output that the agent keeps for clients that come back.
pub const RING_BYTES: usize = 2 * 1024 * 1024;
/// Bytes a client may have unacknowledged before the agent stops sending to it.
pub const WINDOW_BYTES: u64 = 512 * 1024;
/// Columns and rows that a size is clamped to.
pub const SIZE_MAX: u16 = 1000;
/// Longest snapshot, in bytes: a screen, its scrollback and its modes. Oldest lines are dropped first.
pub const SNAPSHOT_MAX: usize = 1024 * 1024;
/// Longest kept screen, in bytes: what the object holds for those who look at a machine that sleeps.
pub const KEPT_MAX: usize = 256 * 1024;
/// Most bytes of a snapshot or kept screen in one frame.
pub const PART_MAX: usize = 32 * 1024;

/// Longest name of a command, in characters.
pub const COMMAND_MAX: usize = 64;

/// What a client does with output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Follow {
    /// Keeps every byte: it gets exactly what the shell wrote, from its offset or from the oldest byte that is left.
    #[default]
    Bytes,
    /// Feeds an emulator. Where bytes are gone, where it is new, and where it is too far behind, it gets a snapshot.
    /// Queries in output of before [`Ready::live`], and while another client owns the size, have their last byte
    /// replaced by CAN (0x18), so that its emulator does not answer them; offsets stay.
    Screen,
}

/// A client's wish to follow a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attach {
    /// Its width.
    pub columns: u16,
    /// Its height.
    pub rows: u16,
    /// Random per tab, up to 32 characters: input numbers count within it, over any number of sockets.
    pub key: String,
    /// The epoch it has output of.
    #[serde(default)]
    pub epoch: Option<u64>,
    /// The next offset it wants; without an epoch it means nothing.
    #[serde(default)]
    pub offset: Option<u64>,
    /// What it does with output.
    #[serde(default)]
    pub follow: Follow,
    /// Whether it is to be told what runs in the terminal's foreground.
    #[serde(default)]
    pub foreground: bool,
}

/// What runs in a terminal's foreground.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Foreground {
    /// Whether something does; otherwise the shell waits for a command.
    pub running: bool,
    /// Its name, at most [`COMMAND_MAX`] characters, where that can be known.
    #[serde(default)]
    pub command: Option<String>,
}

/// The answer to [`Attach`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// Random per shell, below 2^53 so that a browser's number holds it.
    pub epoch: u64,
    /// The offset that the next output frame starts at.
    pub offset: u64,
    /// The highest input number applied for the client's key.
    pub input: u32,
    /// Whether the client must clear its screen first: the epoch is new to it, or its offset is gone.
    pub reset: bool,
    /// The stream's end when this was said: output before it is history, from it on it is live.
    pub live: u64,
    /// A snapshot follows, before any output; it stands for everything before `offset`.
    #[serde(default)]
    pub snapshot: Option<SnapshotHead>,
    /// Whether the terminal has the size that this client asked for because it typed or sized last.
    pub owner: bool,
    /// The terminal's width.
    pub columns: u16,
    /// The terminal's height.
    pub rows: u16,
    /// How the shell ended, where it has.
    #[serde(default)]
    pub end: Option<TerminalEnd>,
}

/// A snapshot to come, in frames of [`Frame::SnapshotPart`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotHead {
    /// Its length, at most [`SNAPSHOT_MAX`].
    pub bytes: u32,
    /// Lines of scrollback that were left out, oldest first, to keep it that short.
    pub dropped_lines: u32,
}

/// The last screen of a session, kept by the object to be looked at without waking the machine. Its bytes follow in
/// frames of [`Frame::KeptPart`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptHead {
    /// The shell it is of.
    pub epoch: u64,
    /// The offset that it stands for: output continues there if the shell lives.
    pub offset: u64,
    /// Its width.
    pub columns: u16,
    /// Its height.
    pub rows: u16,
    /// The shell's working directory then.
    #[serde(default)]
    pub directory: Option<String>,
    /// Its length, at most [`KEPT_MAX`].
    pub bytes: u32,
    /// When the object took it, Unix ms; absent from the agent, whose clock means nothing.
    #[serde(default)]
    pub at_ms: Option<u64>,
}

/// Somebody who has a session open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Their account's name.
    pub name: String,
    /// Whether they may type.
    pub write: bool,
    /// How many windows they have it open in.
    pub windows: u32,
    /// Whether the client that is told is one of them.
    pub you: bool,
}

/// What the object tells a client on its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Notice {
    /// The agent is not connected; the machine is being woken.
    Waking,
    /// The agent is connected.
    Connected,
    /// The machine is asleep. The client may ask for a wake by typing or by connecting with `wake=true`.
    Asleep,
    /// The machine goes to sleep.
    Sleeping,
    /// Who has the session open; told when it changes, to everybody.
    People {
        /// All of them, at most 50.
        people: Vec<Person>,
    },
    /// The machine cannot be woken.
    Failed {
        /// A sentence for people.
        reason: String,
    },
    /// Nobody has used the machine for a while: it goes to sleep soon, unless somebody does or a hold is taken.
    IdleSoon {
        /// In about so many milliseconds; clocks differ, so no time of day.
        in_ms: u64,
    },
    /// It does not after all.
    IdleOver,
    /// Something that only a newer SnapVM says: to be left out.
    #[serde(other)]
    Unknown,
}

/// What the object tells the agent of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientMode {
    /// May type and size.
    Write,
    /// May only look: its input is dropped in the object and again in the agent.
    Read,
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame<'a> {
    /// 0x01 client → agent.
    Attach(Attach),
    /// 0x02 client → agent: number and bytes.
    Input(u32, &'a [u8]),
    /// 0x03 client → agent: everything before this offset has been parsed by the client's emulator.
    Acknowledge(u64),
    /// 0x04 client → agent: columns and rows.
    Resize(u16, u16),
    /// 0x11 agent → client.
    Ready(Ready),
    /// 0x12 agent → client: offset of the first byte, and bytes.
    Output(u64, &'a [u8]),
    /// 0x13 agent → client: every number up to this one is applied.
    InputAcknowledge(u32),
    /// 0x14 agent → client: these offsets (from, to) are gone.
    Truncated(u64, u64),
    /// 0x15 agent → client: the shell ended; its last output was before.
    End(TerminalEnd),
    /// 0x16 agent → client: the terminal's columns and rows now, and whether this client owns them.
    Size(u16, u16, bool),
    /// 0x17 agent → client: position of the first byte in the snapshot, and bytes.
    SnapshotPart(u32, &'a [u8]),
    /// 0x18 agent → client, if it asked to be told: what runs in the foreground now.
    Foreground(Foreground),
    /// 0x21 object → client.
    Notice(Notice),
    /// 0x22 agent → object, with client id 0; object → client while the agent is not there.
    Kept(KeptHead),
    /// 0x23 in both directions: position of the first byte in the kept screen, and bytes.
    KeptPart(u32, &'a [u8]),
    /// 0x31 object → agent, with the client's id in front: a client is there.
    Joined(ClientMode),
    /// 0x32 object → agent, with the client's id in front: it is gone.
    Left,
}

/// Why a frame was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFrame {
    /// Longer than [`FRAME_MAX`].
    #[error("the frame is longer than {FRAME_MAX} bytes")]
    TooLong,
    /// Shorter than its type needs.
    #[error("the frame is cut short")]
    Short,
    /// No such type.
    #[error("the frame's type is unknown")]
    Type,
    /// The payload does not fit the type.
    #[error("the frame's payload is malformed")]
    Payload,
}

impl<'a> Frame<'a> {
    /// Reads one frame.
    ///
    /// # Errors
    /// See [`InvalidFrame`].
    pub fn decode(bytes: &'a [u8]) -> Result<Self, InvalidFrame> {
        if bytes.len() > FRAME_MAX {
            return Err(InvalidFrame::TooLong);
        }
        let (kind, payload) = bytes.split_first().ok_or(InvalidFrame::Short)?;
        Ok(match kind {
            0x01 => {
                let attach: Attach = json(payload)?;
                if attach.key.is_empty() || attach.key.len() > 32 {
                    return Err(InvalidFrame::Payload);
                }
                Self::Attach(attach)
            }
            0x02 => {
                let (number, input) = split::<4>(payload)?;
                if input.len() > INPUT_MAX {
                    return Err(InvalidFrame::TooLong);
                }
                Self::Input(u32::from_be_bytes(number), input)
            }
            0x03 => Self::Acknowledge(u64::from_be_bytes(whole(payload)?)),
            0x04 => size(payload).map(|(columns, rows)| Self::Resize(columns, rows))?,
            0x11 => Self::Ready(json(payload)?),
            0x12 => {
                let (offset, output) = split::<8>(payload)?;
                Self::Output(u64::from_be_bytes(offset), output)
            }
            0x13 => Self::InputAcknowledge(u32::from_be_bytes(whole(payload)?)),
            0x14 => {
                let (from, to) = split::<8>(payload)?;
                Self::Truncated(u64::from_be_bytes(from), u64::from_be_bytes(whole(to)?))
            }
            0x15 => Self::End(json(payload)?),
            0x16 => {
                let (owner, size_bytes) = payload.split_last().ok_or(InvalidFrame::Short)?;
                let (columns, rows) = size(size_bytes)?;
                Self::Size(columns, rows, flag(*owner)?)
            }
            0x17 => part(payload, SNAPSHOT_MAX).map(|(position, bytes)| Self::SnapshotPart(position, bytes))?,
            0x18 => {
                let foreground: Foreground = json(payload)?;
                if foreground.command.as_ref().is_some_and(|name| name.chars().count() > COMMAND_MAX) {
                    return Err(InvalidFrame::TooLong);
                }
                Self::Foreground(foreground)
            }
            0x21 => Self::Notice(json(payload)?),
            0x22 => {
                let head: KeptHead = json(payload)?;
                if usize::try_from(head.bytes).map_or(true, |bytes| bytes > KEPT_MAX) {
                    return Err(InvalidFrame::TooLong);
                }
                Self::Kept(head)
            }
            0x23 => part(payload, KEPT_MAX).map(|(position, bytes)| Self::KeptPart(position, bytes))?,
            0x31 => Self::Joined(json(payload)?),
            0x32 if payload.is_empty() => Self::Left,
            0x32 => return Err(InvalidFrame::Payload),
            _ => return Err(InvalidFrame::Type),
        })
    }

    /// Appends the frame to `out`.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        match self {
            Self::Attach(attach) => put_json(out, 0x01, attach),
            Self::Input(number, input) => put(out, 0x02, &[&number.to_be_bytes(), input]),
            Self::Acknowledge(offset) => put(out, 0x03, &[&offset.to_be_bytes()]),
            Self::Resize(columns, rows) => put(out, 0x04, &[&columns.to_be_bytes(), &rows.to_be_bytes()]),
            Self::Ready(ready) => put_json(out, 0x11, ready),
            Self::Output(offset, output) => put(out, 0x12, &[&offset.to_be_bytes(), output]),
            Self::InputAcknowledge(number) => put(out, 0x13, &[&number.to_be_bytes()]),
            Self::Truncated(from, to) => put(out, 0x14, &[&from.to_be_bytes(), &to.to_be_bytes()]),
            Self::End(end) => put_json(out, 0x15, end),
            Self::Size(columns, rows, owner) => {
                put(out, 0x16, &[&columns.to_be_bytes(), &rows.to_be_bytes(), &[u8::from(*owner)]]);
            }
            Self::SnapshotPart(position, bytes) => put(out, 0x17, &[&position.to_be_bytes(), bytes]),
            Self::Foreground(foreground) => put_json(out, 0x18, foreground),
            Self::Notice(notice) => put_json(out, 0x21, notice),
            Self::Kept(head) => put_json(out, 0x22, head),
            Self::KeptPart(position, bytes) => put(out, 0x23, &[&position.to_be_bytes(), bytes]),
            Self::Joined(mode) => put_json(out, 0x31, mode),
            Self::Left => out.push(0x32),
        }
    }

    /// The frame as one message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        self.encode_into(&mut out);
        out
    }

    /// The frame as one message of the agent's leg, with the client's id in front.
    #[must_use]
    pub fn encode_for(&self, client: u32) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        out.extend_from_slice(&client.to_be_bytes());
        self.encode_into(&mut out);
        out
    }
}

/// Splits a message of the agent's leg into client id and frame bytes.
///
/// # Errors
/// [`InvalidFrame::Short`] when there is no id and no type byte.
pub fn split_client(bytes: &[u8]) -> Result<(u32, &[u8]), InvalidFrame> {
    let (id, frame) = split::<4>(bytes)?;
    if frame.is_empty() {
        return Err(InvalidFrame::Short);
    }
    Ok((u32::from_be_bytes(id), frame))
}

/// Whether a client's frame changes the session, so that a reader's must be dropped. Looks at the type byte only.
#[must_use]
pub fn is_write(frame: &[u8]) -> bool {
    matches!(frame.first(), Some(0x02 | 0x04))
}

/// Whether a client may send a frame of this type at all. Looks at the type byte only.
#[must_use]
pub fn is_from_client(frame: &[u8]) -> bool {
    matches!(frame.first(), Some(0x01..=0x04))
}

fn split<const N: usize>(bytes: &[u8]) -> Result<([u8; N], &[u8]), InvalidFrame> {
    let (head, tail) = bytes.split_first_chunk::<N>().ok_or(InvalidFrame::Short)?;
    Ok((*head, tail))
}

fn whole<const N: usize>(bytes: &[u8]) -> Result<[u8; N], InvalidFrame> {
    let (head, tail) = split::<N>(bytes)?;
    if tail.is_empty() { Ok(head) } else { Err(InvalidFrame::Payload) }
}

fn size(bytes: &[u8]) -> Result<(u16, u16), InvalidFrame> {
    let (columns, rows) = split::<2>(bytes)?;
    let clamp = |value: u16| value.clamp(1, SIZE_MAX);
    Ok((clamp(u16::from_be_bytes(columns)), clamp(u16::from_be_bytes(whole(rows)?))))
}

fn flag(byte: u8) -> Result<bool, InvalidFrame> {
    match byte {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(InvalidFrame::Payload),
    }
}

/// A position and bytes that lie within `most`.
fn part(payload: &[u8], most: usize) -> Result<(u32, &[u8]), InvalidFrame> {
    let (position, bytes) = split::<4>(payload)?;
    let position = u32::from_be_bytes(position);
    let end = usize::try_from(position).map_or(usize::MAX, |position| position.saturating_add(bytes.len()));
    if bytes.len() > PART_MAX || end > most {
        return Err(InvalidFrame::TooLong);
    }
    Ok((position, bytes))
}

fn json<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, InvalidFrame> {
    serde_json::from_slice(bytes).map_err(|_| InvalidFrame::Payload)
}

fn put(out: &mut Vec<u8>, kind: u8, parts: &[&[u8]]) {
    out.push(kind);
    for part in parts {
        out.extend_from_slice(part);
    }
}

fn put_json(out: &mut Vec<u8>, kind: u8, value: &impl Serialize) {
    out.push(kind);
    // Writing these types to memory cannot fail: no map has keys other than strings.
    if serde_json::to_writer(&mut *out, value).is_err() {
        out.truncate(0);
    }
}

#[cfg(test)]
mod tests;
