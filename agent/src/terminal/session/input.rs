//! From clients to the terminal: written in order, as far as there is room, and acknowledged then: beside the output
//! that it brings, or a moment later. An acknowledgement that goes out alone first is a message of its own, which an
//! echo would wait for on the whole way.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::Session;
use crate::handover::state;
use crate::terminal::pty::Write;

/// Longest wait of an acknowledgement for output.
const COMPANY: Duration = Duration::from_millis(2);

/// Input on its way to the terminal. What of the first has been written is gone from it.
#[derive(Default)]
pub(super) struct Pending {
    pub(super) inputs: VecDeque<state::Input>,
    pub(super) bytes: usize,
}

impl Session {
    pub(super) async fn write_input(self: Rc<Self>) {
        // When clients are told what input has changed, should no output take it along.
        let mut due: Option<Instant> = None;
        loop {
            let idle = self.pending.borrow().inputs.is_empty();
            if idle && self.end().is_some() {
                return self.tell();
            }
            let goes_on = tokio::select! {
                biased;
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    due = None;
                    self.tell();
                    continue;
                }
                () = self.more_input.notified(), if idle => true,
                writable = self.master.writable(), if !idle => writable.is_ok() && self.write(),
                () = self.over(), if !idle => false,
            };
            if !goes_on {
                self.refuse_pending();
                return self.tell();
            }
            due = due.or_else(|| Some(Instant::now() + COMPANY));
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
