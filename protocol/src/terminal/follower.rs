//! The client's half of a stream (pure): what it asks for, what it has, and what it still has to send.
//!
//! ```text
//! socket ─frame─▶ hear() ─▶ Heard (for whoever shows it) and replies (for the socket)
//! keys ─▶ input() ─▶ a frame for the socket, kept until the agent has applied it
//! ```
//!
//! It holds the other side to the stream's promises: whatever breaks one is a [`Broken`], never skipped over.
//! Absent on purpose: sockets, clocks, an emulator. Acknowledging is its owner's, who knows what has been parsed.

use std::collections::VecDeque;

use super::{Attach, Follow, Frame, Notice, SnapshotHead};
use crate::agent::TerminalEnd;

/// Input that may be on its way at a time, in bytes; the rest waits here. Less than what the agent takes, so that
/// nothing is refused and sent again in vain.
pub const IN_FLIGHT_MAX: usize = 256 * 1024;

/// A client of one session, over any number of sockets.
#[derive(Debug, Clone)]
pub struct Follower {
    follow: Follow,
    key: String,
    size: (u16, u16),
    epoch: Option<u64>,
    /// Of the next byte that it has not.
    offset: u64,
    /// Of the next byte that it is sent: before `offset` while it is sent again what it has.
    position: u64,
    /// A gap was made, and is still to be said.
    owed: bool,
    /// Nothing came since `Ready`.
    begins: bool,
    /// Offsets that it asked for over the present socket. A `Ready` may answer an earlier `Attach` than the last: both
    /// may have reached the same agent.
    asked: Vec<Option<u64>>,
    attached: bool,
    snapshot: Option<Snapshot>,
    end: Option<TerminalEnd>,
    numbered: u32,
    /// Not yet applied, oldest first.
    waiting: VecDeque<(u32, Vec<u8>)>,
    /// Of those, how many have been sent over the present socket.
    sent: usize,
    sent_bytes: usize,
    applied: u32,
}

#[derive(Debug, Clone)]
struct Snapshot {
    head: SnapshotHead,
    bytes: Vec<u8>,
}

/// What a frame means to whoever shows the stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard<'a> {
    /// Nothing.
    Nothing,
    /// The stream goes on at this offset; with `reset`, on a cleared screen.
    Ready {
        /// Of the next byte.
        offset: u64,
        /// Whether what is shown is void.
        reset: bool,
        /// The output before this offset is history.
        live: u64,
    },
    /// A whole snapshot: the screen at this offset.
    Snapshot(u64, Vec<u8>),
    /// Output, and the offset of its first byte; none when all of it was there already. It is to be acknowledged.
    Output(u64, &'a [u8]),
    /// These offsets (from, to) are gone.
    Gone(u64, u64),
    /// The shell ended.
    End(TerminalEnd),
    /// The object's word.
    Notice(Notice),
}

/// A promise of the stream that was not kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// Output does not continue where it stopped.
    #[error("output at {got}, and {wanted} was next")]
    Offset {
        /// Where it should have gone on.
        wanted: u64,
        /// Where it did.
        got: u64,
    },
    /// A stream that should have gone on was begun anew, or the other way round.
    #[error("ready at {got} with reset {reset}, and {wanted} is next")]
    Ready {
        /// Offset of the next byte.
        wanted: u64,
        /// Offset that was given.
        got: u64,
        /// Whether it began anew.
        reset: bool,
    },
    /// Gone offsets that are none, or not ours.
    #[error("{from} to {to} is gone, and {wanted} was next")]
    Gone {
        /// Where it should have gone on.
        wanted: u64,
        /// First that is gone.
        from: u64,
        /// First that is there.
        to: u64,
    },
    /// Input was acknowledged that was never sent.
    #[error("input {got} is acknowledged, and {sent} was the last")]
    Input {
        /// Last number given.
        sent: u32,
        /// Number acknowledged.
        got: u32,
    },
    /// A part of a snapshot where none belongs.
    #[error("a snapshot's part at {0} does not belong there")]
    SnapshotPart(u32),
    /// A frame that has no place here.
    #[error("{0} has no place here")]
    Order(&'static str),
}

impl Follower {
    /// A client that has nothing yet. `key` is random, at most 32 characters.
    #[must_use]
    pub fn new(follow: Follow, key: impl Into<String>, columns: u16, rows: u16) -> Self {
        Self {
            follow,
            key: key.into(),
            size: (columns, rows),
            epoch: None,
            offset: 0,
            position: 0,
            owed: false,
            begins: false,
            asked: Vec::new(),
            attached: false,
            snapshot: None,
            end: None,
            numbered: 0,
            waiting: VecDeque::new(),
            sent: 0,
            sent_bytes: 0,
            applied: 0,
        }
    }

    /// The offset of the next byte.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The shell that it follows.
    #[must_use]
    pub fn epoch(&self) -> Option<u64> {
        self.epoch
    }

    /// How the shell ended, if it was told.
    #[must_use]
    pub fn end(&self) -> Option<TerminalEnd> {
        self.end
    }

    /// Whether frames may be sent: it has been let in on this socket.
    #[must_use]
    pub fn is_attached(&self) -> bool {
        self.attached
    }

    /// Inputs that have not been applied.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The highest number that was applied.
    #[must_use]
    pub fn applied(&self) -> u32 {
        self.applied
    }

    /// What it asks for when it is let in.
    #[must_use]
    pub fn attach(&self) -> Attach {
        Attach {
            columns: self.size.0,
            rows: self.size.1,
            key: self.key.clone(),
            epoch: self.epoch,
            offset: self.epoch.map(|_| self.offset),
            follow: self.follow,
            foreground: false,
        }
    }

    /// The window has another size; the frame to send, if somebody is there to hear it.
    pub fn resize(&mut self, columns: u16, rows: u16) -> Option<Vec<u8>> {
        self.size = (columns, rows);
        self.attached.then(|| Frame::Resize(columns, rows).encode())
    }

    /// Takes what was typed (at most [`super::INPUT_MAX`] bytes); gives its number.
    pub fn input(&mut self, bytes: &[u8], replies: &mut Vec<Vec<u8>>) -> u32 {
        self.numbered += 1;
        self.waiting.push_back((self.numbered, bytes.to_vec()));
        self.send_input(replies);
        self.numbered
    }

    /// The socket is gone.
    pub fn disconnected(&mut self) {
        self.asked.clear();
        self.detached();
    }

    /// The agent's socket is gone, or is a new one.
    fn detached(&mut self) {
        self.attached = false;
        self.snapshot = None;
        (self.sent, self.sent_bytes) = (0, 0);
    }

    /// Takes a frame. What has to be sent in answer is appended to `replies`.
    ///
    /// # Errors
    /// When it breaks a promise of the stream.
    pub fn hear<'a>(&mut self, frame: Frame<'a>, replies: &mut Vec<Vec<u8>>) -> Result<Heard<'a>, Broken> {
        if !self.attached
            && !matches!(
                frame,
                Frame::Ready(_) | Frame::Notice(_) | Frame::End(_) | Frame::Kept(_) | Frame::KeptPart(..)
            )
        {
            // What was on its way when the agent's socket went.
            return Ok(Heard::Nothing);
        }
        match frame {
            Frame::Notice(notice) => {
                match notice {
                    Notice::Connected => {
                        self.detached();
                        let attach = self.attach();
                        self.asked.push(attach.offset);
                        replies.push(Frame::Attach(attach).encode());
                    }
                    Notice::Waking | Notice::Asleep | Notice::Failed { .. } => self.detached(),
                    Notice::Sleeping
                    | Notice::People { .. }
                    | Notice::IdleSoon { .. }
                    | Notice::IdleOver
                    | Notice::Unknown => {}
                }
                Ok(Heard::Notice(notice))
            }
            Frame::Ready(ready) => self.ready(&ready, replies),
            Frame::SnapshotPart(position, bytes) => self.snapshot_part(position, bytes),
            Frame::Output(offset, bytes) => self.output(offset, bytes),
            Frame::Truncated(from, to) => self.truncated(from, to),
            Frame::InputAcknowledge(number) => {
                let again = number == self.applied;
                self.acknowledged(number)?;
                if again {
                    // Something was skipped on the way: all that is not applied is sent again.
                    (self.sent, self.sent_bytes) = (0, 0);
                }
                self.send_input(replies);
                Ok(Heard::Nothing)
            }
            Frame::End(end) => {
                // Said by the agent after the last byte, and by the object when there is no agent any more.
                self.end = Some(end);
                Ok(Heard::End(end))
            }
            Frame::Size(..) | Frame::Foreground(_) | Frame::Kept(_) | Frame::KeptPart(..) => Ok(Heard::Nothing),
            _ => Err(Broken::Order("a client's frame")),
        }
    }

    fn ready<'a>(&mut self, ready: &super::Ready, replies: &mut Vec<Vec<u8>>) -> Result<Heard<'a>, Broken> {
        let is_same = self.epoch == Some(ready.epoch);
        let broken = Broken::Ready { wanted: self.offset, got: ready.offset, reset: ready.reset };
        let goes_on = is_same && self.asked.contains(&Some(ready.offset));
        if !ready.reset && !goes_on {
            return Err(broken);
        }
        if ready.snapshot.is_some() && (!ready.reset || self.follow == Follow::Bytes) {
            return Err(Broken::Order("a snapshot"));
        }
        if self.epoch.is_some() && !is_same {
            // Another shell: what the old one missed is not for it.
            self.waiting.clear();
            (self.numbered, self.applied) = (ready.input, ready.input);
        }
        // It is told again, after what comes again.
        self.end = None;
        self.position = ready.offset;
        (self.owed, self.begins) = (false, true);
        let reset = ready.reset && (!is_same || self.follow == Follow::Screen || ready.offset > self.offset);
        if reset {
            // Of the same shell, a gap has to be said, unless nothing was asked for by offset.
            self.owed = is_same && self.follow == Follow::Bytes && !self.asked.contains(&None);
            if !self.owed {
                self.offset = ready.offset;
            }
        }
        self.epoch = Some(ready.epoch);
        self.attached = true;
        self.snapshot = ready.snapshot.map(|head| Snapshot { head, bytes: Vec::new() });
        self.acknowledged(ready.input)?;
        (self.sent, self.sent_bytes) = (0, 0);
        self.send_input(replies);
        Ok(Heard::Ready { offset: ready.offset, reset, live: ready.live })
    }

    fn output<'a>(&mut self, at: u64, bytes: &'a [u8]) -> Result<Heard<'a>, Broken> {
        if self.snapshot.is_some() || self.end.is_some() || self.owed {
            return Err(Broken::Order("output"));
        }
        if at != self.position {
            return Err(Broken::Offset { wanted: self.position, got: at });
        }
        self.begins = false;
        self.position = at.saturating_add(bytes.len() as u64);
        let had = usize::try_from(self.offset.saturating_sub(at)).unwrap_or(usize::MAX);
        let news = bytes.get(had..).unwrap_or_default();
        let from = self.offset;
        self.offset = self.offset.max(self.position);
        Ok(Heard::Output(from, news))
    }

    fn snapshot_part<'a>(&mut self, position: u32, bytes: &[u8]) -> Result<Heard<'a>, Broken> {
        let Some(snapshot) = self.snapshot.as_mut() else { return Err(Broken::SnapshotPart(position)) };
        if usize::try_from(position) != Ok(snapshot.bytes.len()) {
            return Err(Broken::SnapshotPart(position));
        }
        snapshot.bytes.extend_from_slice(bytes);
        let wanted = usize::try_from(snapshot.head.bytes).unwrap_or(usize::MAX);
        match snapshot.bytes.len().cmp(&wanted) {
            std::cmp::Ordering::Less => Ok(Heard::Nothing),
            std::cmp::Ordering::Equal => {
                let bytes = std::mem::take(&mut snapshot.bytes);
                self.snapshot = None;
                Ok(Heard::Snapshot(self.offset, bytes))
            }
            std::cmp::Ordering::Greater => Err(Broken::SnapshotPart(position)),
        }
    }

    fn truncated<'a>(&mut self, from: u64, to: u64) -> Result<Heard<'a>, Broken> {
        // It is said where the stream stands, or right after a `Ready` from behind the gap, which may have grown since.
        let is_ours = from == self.position || (self.begins && to >= self.position);
        if from >= to || from > self.offset || !is_ours {
            return Err(Broken::Gone { wanted: self.offset, from, to });
        }
        (self.owed, self.begins) = (false, false);
        self.position = to;
        let from = from.max(self.offset);
        if from >= to {
            return Ok(Heard::Nothing);
        }
        self.offset = to;
        Ok(Heard::Gone(from, to))
    }

    fn acknowledged(&mut self, number: u32) -> Result<(), Broken> {
        if number > self.numbered {
            return Err(Broken::Input { sent: self.numbered, got: number });
        }
        // The agent forgets a key that was not used for long: what was applied stays applied.
        self.applied = self.applied.max(number);
        while self.waiting.front().is_some_and(|(waiting, _)| *waiting <= number) {
            if let Some((_, bytes)) = self.waiting.pop_front()
                && self.sent > 0
            {
                self.sent -= 1;
                self.sent_bytes = self.sent_bytes.saturating_sub(bytes.len());
            }
        }
        Ok(())
    }

    fn send_input(&mut self, replies: &mut Vec<Vec<u8>>) {
        while self.attached && (self.sent == 0 || self.sent_bytes < IN_FLIGHT_MAX) {
            let Some((number, bytes)) = self.waiting.get(self.sent) else { break };
            replies.push(Frame::Input(*number, bytes).encode());
            self.sent += 1;
            self.sent_bytes += bytes.len();
        }
    }
}

#[cfg(test)]
mod tests;
