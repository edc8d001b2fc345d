//! What the session's socket is to be sent next (pure): each client's turn, its opening, its output, the kept screen.
//!
//! Nothing is queued: what a client still has to hear follows from comparing what it knows with what is.

use snapvm_protocol::queries::Muter;
use snapvm_protocol::terminal::{Follow, Frame, KeptHead, OUTPUT_MAX, PART_MAX, Ready, SnapshotHead};

use super::Stream;
use crate::terminal::client::Opening;

impl Stream {
    /// Appends the next message for the session's socket to `out`; `false` when there is none now. Clients take
    /// turns, so that none waits for another's backlog.
    pub fn next(&mut self, out: &mut Vec<u8>) -> bool {
        if self.next_kept(out) {
            return true;
        }
        let mut turn = self.served;
        for _ in 0..self.clients.len() {
            let after = self.clients.range(turn.saturating_add(1)..).next();
            let Some(id) = after.or_else(|| self.clients.first_key_value()).map(|(id, _)| *id) else { break };
            if self.next_for(id, out) {
                self.served = id;
                return true;
            }
            turn = id;
        }
        false
    }

    fn next_for(&mut self, id: u32, out: &mut Vec<u8>) -> bool {
        if self.needs_opening(id) {
            return self.open(id, out);
        }
        let is_owner = self.owner == Some(id);
        let Some(attached) = self.clients.get_mut(&id).and_then(|client| client.attached.as_mut()) else {
            return false;
        };
        let applied = self.keys.applied(&attached.key);
        let mut put = |frame: Frame<'_>| {
            out.extend_from_slice(&id.to_be_bytes());
            frame.encode_into(out);
            true
        };
        // An echo does not wait for the word that its key was written; that word waits for one frame of a flood.
        let owed = applied != attached.told_input || attached.repeat_input;
        if owed && (attached.overtaken || attached.ready(self.ring.start(), self.published) == 0) {
            if applied == attached.told_input {
                // After the news, so that the same number comes a second time: that is what asks for input.
                attached.repeat_input = false;
            }
            attached.told_input = applied;
            attached.overtaken = attached.repeat_input;
            return put(Frame::InputAcknowledge(applied));
        }
        if attached.knows != (self.size, is_owner) {
            attached.knows = (self.size, is_owner);
            return put(Frame::Size(self.size.0, self.size.1, is_owner));
        }
        if attached.foreground.as_ref().is_some_and(|told| told.as_ref() != Some(&self.foreground)) {
            attached.foreground = Some(Some(self.foreground.clone()));
            return put(Frame::Foreground(self.foreground.clone()));
        }
        if attached.cursor < self.ring.start() && attached.snapshot.is_none() {
            if attached.window() == 0 {
                // It is told, or gets a snapshot, when it takes anything again.
                return false;
            }
            attached.skip_to(self.ring.clean_start());
        }
        if let Some((from, to)) = attached.gone.take() {
            return put(Frame::Truncated(from, to));
        }
        if let Some((snapshot, sent)) = &mut attached.snapshot {
            let to = snapshot.bytes.len().min(sent.saturating_add(PART_MAX));
            let part = snapshot.bytes.get(*sent..to).unwrap_or_default();
            put(Frame::SnapshotPart(u32::try_from(*sent).unwrap_or(u32::MAX), part));
            *sent = to;
            if to == snapshot.bytes.len() {
                attached.snapshot = None;
            }
            return true;
        }
        let most = attached.window().min(self.published.saturating_sub(attached.cursor)).min(OUTPUT_MAX as u64);
        let first = self.ring.piece(attached.cursor, most);
        if !first.is_empty() {
            attached.overtaken = owed;
            put(Frame::Output(attached.cursor, first));
            let begin = out.len().saturating_sub(first.len());
            // The rest may lie in the next chunk; it belongs to the same frame.
            let after = attached.cursor.saturating_add(first.len() as u64);
            let second = self.ring.piece(after, most.saturating_sub(first.len() as u64));
            out.extend_from_slice(second);
            if attached.follow == Follow::Screen {
                attached.mute(attached.cursor, out.get_mut(begin..).unwrap_or_default());
            }
            attached.cursor = after.saturating_add(second.len() as u64);
            return true;
        }
        match self.end {
            Some(end) if attached.cursor == self.published && !attached.told_end => {
                attached.told_end = true;
                put(Frame::End(end))
            }
            _ => false,
        }
    }

    /// Whether a client's next frame is Ready: it has just attached, or it follows as a screen, fell out of the ring
    /// and takes output again.
    fn needs_opening(&mut self, id: u32) -> bool {
        let start = self.ring.start();
        let Some(attached) = self.attached(id) else { return false };
        let is_out = attached.cursor < start && attached.snapshot.is_none();
        if attached.opening.is_none() && is_out && attached.follow == Follow::Screen && attached.window() > 0 {
            attached.opening = Some(Opening::Anew { had: true });
        }
        attached.opening.is_some()
    }

    /// Appends Ready for a client, unless it has to wait for its snapshot.
    fn open(&mut self, id: u32, out: &mut Vec<u8>) -> bool {
        let (start, clean) = (self.ring.start(), self.ring.clean_start());
        let is_sending = self
            .clients
            .values()
            .filter_map(|client| client.attached.as_ref())
            .any(|attached| attached.snapshot.is_some());
        let (published, size, epoch, end) = (self.published, self.size, self.epoch, self.end);
        let is_owner = self.owner == Some(id);
        let Some(attached) = self.clients.get_mut(&id).and_then(|client| client.attached.as_mut()) else {
            return false;
        };
        let opening = match attached.opening {
            // While it waited, what it has went out of the ring.
            Some(Opening::Continue) if attached.cursor < start => Opening::Anew { had: true },
            Some(opening) => opening,
            None => return false,
        };
        let from = attached.cursor;
        if let Opening::Anew { had } = opening {
            let snapshot = match attached.follow {
                Follow::Bytes => None,
                Follow::Screen if is_sending && !self.screen.is_at_hand() => return false,
                Follow::Screen => self.screen.snapshot(&self.ring),
            };
            match snapshot {
                Some(snapshot) => attached.begin_with(snapshot),
                None if had && from >= start => {}
                None => {
                    (attached.cursor, attached.acknowledged) = (clean, clean);
                    attached.muter = Muter::default();
                }
            }
            attached.gone = (had && from < attached.cursor).then_some((from, attached.cursor));
        }
        let applied = self.keys.applied(&attached.key);
        attached.opening = None;
        attached.answers.start = attached.answers.start.max(published);
        (attached.told_input, attached.repeat_input, attached.knows) = (applied, false, (size, is_owner));
        let ready = Ready {
            epoch,
            offset: attached.cursor,
            input: applied,
            reset: attached.cursor != from || attached.snapshot.is_some() || opening == Opening::Anew { had: false },
            live: published,
            snapshot: attached.snapshot.as_ref().map(|(snapshot, _)| SnapshotHead {
                bytes: u32::try_from(snapshot.bytes.len()).unwrap_or(u32::MAX),
                dropped_lines: snapshot.dropped_lines,
            }),
            owner: is_owner,
            columns: size.0,
            rows: size.1,
            end,
        };
        out.extend_from_slice(&id.to_be_bytes());
        Frame::Ready(ready).encode_into(out);
        true
    }

    /// Appends the next message about the kept screen.
    fn next_kept(&mut self, out: &mut Vec<u8>) -> bool {
        let Some((snapshot, directory, sent)) = &mut self.keeping.sending else { return false };
        // To the object itself.
        out.extend_from_slice(&0_u32.to_be_bytes());
        let Some(from) = *sent else {
            let head = KeptHead {
                epoch: self.epoch,
                offset: snapshot.offset,
                columns: snapshot.size.0,
                rows: snapshot.size.1,
                directory: directory.take(),
                bytes: u32::try_from(snapshot.bytes.len()).unwrap_or(u32::MAX),
                at_ms: None,
            };
            *sent = Some(0);
            Frame::Kept(head).encode_into(out);
            return true;
        };
        let to = snapshot.bytes.len().min(from.saturating_add(PART_MAX));
        let part = snapshot.bytes.get(from..to).unwrap_or_default();
        Frame::KeptPart(u32::try_from(from).unwrap_or(u32::MAX), part).encode_into(out);
        *sent = Some(to);
        if to == snapshot.bytes.len() {
            self.keeping.last = Some((snapshot.offset, snapshot.size));
            self.keeping.sending = None;
        }
        true
    }
}
