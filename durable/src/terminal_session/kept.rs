//! The kept screen: what a session's terminal showed last, for those who look while no agent is there. It is sent
//! before any word on the machine, wakes nothing, and goes with the session.
//!
//! It arrives in parts. Only a whole one takes the place of the one before; a new head takes the place of one that
//! has arrived by half, and a part that does not follow the last one ends it.

use snapvm_protocol::terminal::{Frame, KeptHead, PART_MAX};
use worker::WebSocket;

use super::clients::send;
use super::object::Session;
use super::outside::Outside;

/// Its place in SQLite: one row, at most 256 KiB and a path.
const KEY: &str = "kept";
/// Longest path of a working directory that is kept.
const DIRECTORY_MAX: usize = 4096;

/// A kept screen on its way.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Arriving {
    head: KeptHead,
    bytes: Vec<u8>,
}

/// Takes a frame of it; gives the whole one once it is.
fn take(arriving: &mut Option<Arriving>, frame: Frame<'_>) -> Option<Arriving> {
    match frame {
        Frame::Kept(mut head) => {
            head.directory = head.directory.filter(|path| path.starts_with('/') && path.len() <= DIRECTORY_MAX);
            *arriving = Some(Arriving { head, bytes: Vec::new() });
        }
        Frame::KeptPart(position, part) => {
            let mut present = arriving.take()?;
            let follows = usize::try_from(position) == Ok(present.bytes.len());
            if !follows || part.is_empty() || present.bytes.len() + part.len() > present.length() {
                return None;
            }
            present.bytes.extend_from_slice(part);
            *arriving = Some(present);
        }
        _ => return None,
    }
    arriving.take_if(|present| present.bytes.len() == present.length())
}

impl Arriving {
    fn length(&self) -> usize {
        usize::try_from(self.head.bytes).unwrap_or(usize::MAX)
    }
}

impl<O: Outside> Session<O> {
    /// The agent's word to the object itself.
    pub(super) fn keep(&self, frame: &[u8]) {
        let Ok(frame) = Frame::decode(frame) else {
            self.0.arriving.borrow_mut().take();
            return;
        };
        let Some(whole) = take(&mut self.0.arriving.borrow_mut(), frame) else { return };
        let head = KeptHead { at_ms: Some(self.0.outside.now_ms()), ..whole.head };
        if let Err(error) = self.0.memory.put_blob(KEY, &head, whole.bytes) {
            self.0.outside.log(&format!("keeping a screen: {error}"));
        }
    }

    /// Shows a client the kept screen, if there is one.
    pub(super) fn show_kept(&self, socket: &WebSocket) {
        for frame in self.kept_frames() {
            send(socket, &frame);
        }
    }

    /// Shows everybody the kept screen, also those who were there all the time: some may lack the last of it, and none
    /// knows when it was taken, or in which directory a shell in its place is to start.
    pub(super) fn show_kept_to_all(&self) {
        if self.client_ids().is_empty() || self.agent().is_some() {
            return;
        }
        let frames = self.kept_frames();
        self.with_sockets(|sockets| {
            for peer in sockets.clients.values() {
                for frame in &frames {
                    send(&peer.socket, frame);
                }
            }
        });
    }

    fn kept_frames(&self) -> Vec<Vec<u8>> {
        let (head, bytes) = match self.0.memory.blob::<KeptHead>(KEY) {
            Ok(Some(kept)) => kept,
            Ok(None) => return Vec::new(),
            Err(error) => {
                self.0.outside.log(&format!("reading a kept screen: {error}"));
                return Vec::new();
            }
        };
        let mut frames = vec![Frame::Kept(head).encode()];
        let mut position = 0;
        for part in bytes.chunks(PART_MAX) {
            frames.push(Frame::KeptPart(position, part).encode());
            position = position.saturating_add(u32::try_from(part.len()).unwrap_or(0));
        }
        frames
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn head(bytes: usize) -> KeptHead {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        KeptHead { epoch: 1, offset: 2, columns: 80, rows: 24, directory: Some("/srv".into()), bytes, at_ms: None }
    }

    #[test]
    fn only_a_whole_one_counts() {
        let mut arriving = None;
        assert_eq!(take(&mut arriving, Frame::KeptPart(0, b"ab")), None, "parts of nothing");
        assert_eq!(take(&mut arriving, Frame::Kept(head(4))), None);
        assert_eq!(take(&mut arriving, Frame::KeptPart(0, b"ab")), None);
        assert_eq!(take(&mut arriving, Frame::Kept(head(3))), None, "a new head");
        assert_eq!(take(&mut arriving, Frame::KeptPart(2, b"cd")), None, "a part of the old one");
        assert_eq!(take(&mut arriving, Frame::KeptPart(0, b"abc")), None, "it has ended");
        for wrong in [Frame::KeptPart(0, b"abcd"), Frame::KeptPart(1, b"b"), Frame::KeptPart(0, b"")] {
            assert_eq!(take(&mut arriving, Frame::Kept(head(3))), None);
            assert_eq!(take(&mut arriving, wrong), None);
            assert_eq!(arriving, None);
        }
        assert_eq!(take(&mut arriving, Frame::Kept(head(0))), Some(Arriving { head: head(0), bytes: vec![] }));
        let odd = KeptHead { directory: Some("relative".into()), ..head(0) };
        assert_eq!(take(&mut arriving, Frame::Kept(odd)).and_then(|whole| whole.head.directory), None);
    }

    proptest! {
        #[test]
        fn however_it_is_cut_it_arrives(bytes in proptest::collection::vec(any::<u8>(), 1..300), size in 1_usize..40) {
            let mut arriving = None;
            prop_assert_eq!(take(&mut arriving, Frame::Kept(head(bytes.len()))), None);
            let mut whole = None;
            for (number, part) in bytes.chunks(size).enumerate() {
                prop_assert_eq!(&whole, &None);
                whole = take(&mut arriving, Frame::KeptPart(u32::try_from(number * size).unwrap_or(0), part));
            }
            prop_assert_eq!(whole, Some(Arriving { head: head(bytes.len()), bytes }));
        }
    }
}
