//! From clients to the terminal: written in order, as far as there is room, and acknowledged then.

use std::collections::VecDeque;
use std::rc::Rc;

use super::Session;
use crate::handover::state;
use crate::terminal::pty::Write;

/// Input on its way to the terminal. What of the first has been written is gone from it.
#[derive(Default)]
pub(super) struct Pending {
    pub(super) inputs: VecDeque<state::Input>,
    pub(super) bytes: usize,
}

impl Session {
    pub(super) async fn write_input(self: Rc<Self>) {
        loop {
            if self.pending.borrow().inputs.is_empty() {
                if self.end().is_some() {
                    return;
                }
                self.more_input.notified().await;
                continue;
            }
            let writable = tokio::select! {
                writable = self.master.writable() => writable.is_ok(),
                () = self.over() => false,
            };
            if !writable || !self.write() {
                self.refuse_pending();
                return;
            }
        }
    }

    /// Writes as much of the first input as there is room for; false when nobody takes input any more.
    fn write(&self) -> bool {
        let mut pending = self.pending.borrow_mut();
        let Some(input) = pending.inputs.front_mut() else { return true };
        match self.master.write(&input.bytes) {
            Write::Bytes(length) => {
                input.bytes.drain(..length);
                pending.bytes = pending.bytes.saturating_sub(length);
            }
            Write::Hangup => return false,
        }
        if let Some(input) = pending.inputs.pop_front_if(|input| input.bytes.is_empty()) {
            let mut stream = self.stream.borrow_mut();
            stream.written(&input.key, input.number);
            if pending.inputs.is_empty() {
                stream.has_room();
            }
            drop((pending, stream));
            self.tell();
        }
        true
    }

    fn refuse_pending(&self) {
        let mut pending = self.pending.borrow_mut();
        for input in pending.inputs.drain(..).rev() {
            self.stream.borrow_mut().refused(&input.key, input.number);
        }
        pending.bytes = 0;
    }
}
