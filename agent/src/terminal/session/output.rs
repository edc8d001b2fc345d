//! From the terminal to the stream, until the shell has ended and everything that it wrote is there.

use std::rc::Rc;
use std::time::Duration;

use snapvm_protocol::agent::{TerminalEnd, ToObject};
use snapvm_protocol::terminal::OUTPUT_MAX;
use tokio::time::{Instant, sleep_until};

use super::Session;
use crate::agent::Agent;
use crate::terminal::coalesce::Coalescer;
use crate::terminal::foreground::Looking;
use crate::terminal::keeping::Keeping;
use crate::terminal::pty::Read;

/// What is read at a shell's end at once, in bytes: more than a terminal holds.
const REST_MAX: usize = 256 * 1024;
/// How long clients may take for a shell's last output before its end is told to the object.
const LAST_OUTPUT: Duration = Duration::from_secs(5);

impl Session {
    pub(super) async fn read_output(self: Rc<Self>, agent: Rc<Agent>) {
        let mut coalescer = Coalescer::default();
        let mut keeping = Keeping::new(agent.timings.keep_quiet(), agent.timings.keep_apart());
        let mut looking = Looking::default();
        let mut exit = self.exit.subscribe();
        // It may have ended before it was handed over.
        exit.mark_changed();
        let mut exited = None;
        while self.end().is_none() && exited.is_none_or(|(_, until)| Instant::now() < until) {
            let held_up = exited.is_none() && self.stream.borrow().is_held_up();
            let (due, keep, look) = (coalescer.due(), keeping.due(), looking.due());
            let mut hangup = false;
            tokio::select! {
                biased;
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.publish(&mut coalescer),
                () = sleep_until(keep.unwrap_or_else(Instant::now)), if keep.is_some() => {
                    keeping.kept(Instant::now());
                    self.keep();
                }
                () = sleep_until(look.unwrap_or_else(Instant::now)), if look.is_some() => {
                    looking.looked(Instant::now());
                    self.look();
                }
                _ = exit.changed(), if exited.is_none() => {
                    exited = exit.borrow_and_update().map(|end| (end, Instant::now() + agent.timings.drain()));
                    if exited.is_some() {
                        self.read_rest(&agent);
                    }
                }
                () = sleep_until(exited.map_or_else(Instant::now, |(_, until)| until)), if exited.is_some() => {}
                ready = self.master.readable(), if !held_up => {
                    hangup = ready.is_err() || self.read(&agent, &mut coalescer);
                    let now = Instant::now();
                    keeping.changed(now);
                    if self.stream.borrow().tells_foreground() {
                        looking.changed(now);
                    }
                    if coalescer.due().is_none() {
                        // Bulk output must not keep the socket's task from sending it.
                        tokio::task::yield_now().await;
                    }
                }
                () = self.room.notified(), if held_up => {}
            }
            if hangup {
                break;
            }
        }
        let end = match exited {
            Some((end, _)) => end,
            // It closed its terminal and lives on; what it does now cannot be seen.
            None => exit.wait_for(Option::is_some).await.ok().and_then(|end| *end).unwrap_or(TerminalEnd::Lost),
        };
        self.stream.borrow_mut().ended(end);
        self.ended.set(Some(Instant::now()));
        // Whoever comes when this agent is gone sees the last of it.
        self.keep();
        self.more_input.notify_one();
        self.delivered(LAST_OUTPUT).await;
        agent.link.send(ToObject::TerminalEnded { session: self.id, end });
        self.discard().await;
    }

    /// What a shell wrote before it ended is there when its end is known, and is read at once: nothing that keeps the
    /// reader from it may have the end overtake it, neither a client that lags nor a busy machine (found by the soak).
    /// What others go on writing is not followed for ever.
    fn read_rest(&self, agent: &Agent) {
        let mut stream = self.stream.borrow_mut();
        let mut read = 0;
        while read < REST_MAX {
            // Without waiting to be told that there is something, which may come later than the end.
            match self.master.read_now(stream.room(OUTPUT_MAX)) {
                Read::Bytes(length) => {
                    stream.commit(length);
                    read += length.max(1);
                }
                // A terminal that was hung up says so again.
                Read::Empty | Read::Hangup => break,
            }
        }
        stream.publish();
        drop(stream);
        if read > 0 {
            agent.activity("terminal");
            self.tell();
        }
    }

    /// Reads until there is nothing or a frame is full; whether the terminal was hung up.
    fn read(&self, agent: &Agent, coalescer: &mut Coalescer) -> bool {
        let mut stream = self.stream.borrow_mut();
        let (mut most, mut hangup) = (OUTPUT_MAX, false);
        while most > 0 {
            match self.master.read(stream.room(most)) {
                Read::Bytes(length) => {
                    stream.commit(length);
                    most = most.saturating_sub(length.max(1));
                }
                Read::Empty => break,
                Read::Hangup => {
                    hangup = true;
                    break;
                }
            }
        }
        let held = stream.held();
        drop(stream);
        if held > 0 {
            agent.activity("terminal");
            if hangup || coalescer.read(Instant::now(), held, OUTPUT_MAX as u64) {
                self.publish(coalescer);
            }
        }
        hangup
    }

    fn publish(&self, coalescer: &mut Coalescer) {
        coalescer.flush(Instant::now());
        self.stream.borrow_mut().publish();
        self.tell();
    }

    /// After the end: takes what processes in the background still write, so that they are not blocked.
    async fn discard(&self) {
        let reading = async {
            let mut scratch = [0; 4096];
            while self.master.readable().await.is_ok() && self.master.read(&mut scratch) != Read::Hangup {}
        };
        let mut forgotten = self.forgotten.subscribe();
        tokio::select! {
            () = reading => {}
            // Closing the terminal hangs up whoever still holds it.
            _ = forgotten.wait_for(|forgotten| *forgotten) => {}
        }
    }
}
