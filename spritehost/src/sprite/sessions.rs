//! Programs that callers run in a sprite, each for any number of callers at a time.
//!
//! Invariants:
//! * Output goes to every attached caller in order; the slowest holds the program up, and one who has gone holds up
//!   nobody.
//! * Who attaches gets what is left of the output so far, then everything from there on, without a gap.
//! * A session is found as long as its program runs. Its id is the process id, which a later program may have again.
//!
//! Absent on purpose: a rendered snapshot of the screen. What is replayed are the last bytes as they were.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, watch};

use crate::guest::lock;

/// Output that is kept for those who attach later, in bytes.
const SCROLLBACK_MAX: usize = 256 * 1024;
/// Pieces of output that wait for a slow caller; then the program waits.
const BACKLOG: usize = 16;
/// Ended sessions whose ids are remembered.
const ENDED_MAX: usize = 256;

/// Sessions of one boot.
#[derive(Default)]
pub(crate) struct Sessions {
    state: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    running: BTreeMap<u32, Arc<Session>>,
    ended: VecDeque<u32>,
}

/// What became of a session.
pub(crate) enum Found {
    /// It runs.
    Running(Arc<Session>),
    /// It has ended not long ago.
    Ended,
    /// Nobody knows of it.
    Unknown,
}

/// What a session was started with.
pub(crate) struct Description {
    /// The program's process id in the guest.
    pub pid: u32,
    /// The command line.
    pub command: String,
    /// Where it started.
    pub workdir: String,
    /// Whether it has a terminal.
    pub tty: bool,
    /// The operation of process 1 that it is.
    pub operation: u64,
}

/// A running program.
pub(crate) struct Session {
    /// What it was started with.
    pub about: Description,
    /// When it was started.
    pub created: DateTime<Utc>,
    /// The exit code, once there is one: it may come before the last output.
    pub code: watch::Receiver<Option<u8>>,
    exit: watch::Sender<Option<u8>>,
    input: tokio::sync::Mutex<Option<pipe::Sender>>,
    output: Mutex<Output>,
    attached: watch::Sender<usize>,
}

struct Output {
    scrollback: VecDeque<Bytes>,
    kept: usize,
    total: u64,
    last: DateTime<Utc>,
    callers: Vec<mpsc::Sender<Bytes>>,
    over: bool,
}

/// A caller's end of a session: dropped when the caller has gone.
pub(crate) struct Attachment {
    /// The session.
    pub session: Arc<Session>,
    /// What was said before.
    pub replay: Vec<Bytes>,
    /// What is said from now on; it ends with the program's output.
    pub output: mpsc::Receiver<Bytes>,
}

impl Sessions {
    /// Takes on a session.
    pub(super) fn add(&self, session: &Arc<Session>) {
        lock(&self.state).running.insert(session.about.pid, session.clone());
    }

    /// Drops a session that has ended; a later one of the same id stays.
    pub(super) fn remove(&self, session: &Arc<Session>) {
        let mut table = lock(&self.state);
        let pid = session.about.pid;
        if table.running.get(&pid).is_some_and(|held| Arc::ptr_eq(held, session)) {
            table.running.remove(&pid);
            table.ended.push_back(pid);
            if table.ended.len() > ENDED_MAX {
                table.ended.pop_front();
            }
        }
    }

    /// Looks for a session.
    pub(crate) fn find(&self, id: &str) -> Found {
        let Ok(pid) = id.parse() else { return Found::Unknown };
        let table = lock(&self.state);
        match table.running.get(&pid) {
            Some(session) => Found::Running(session.clone()),
            None if table.ended.contains(&pid) => Found::Ended,
            None => Found::Unknown,
        }
    }

    /// All that run.
    pub(crate) fn list(&self) -> Vec<Arc<Session>> {
        lock(&self.state).running.values().cloned().collect()
    }
}

impl Session {
    pub(super) fn new(about: Description, input: pipe::Sender) -> Arc<Self> {
        let (exit, code) = watch::channel(None);
        let now = Utc::now();
        let output =
            Output { scrollback: VecDeque::new(), kept: 0, total: 0, last: now, callers: Vec::new(), over: false };
        Arc::new(Self {
            about,
            created: now,
            code,
            exit,
            input: tokio::sync::Mutex::new(Some(input)),
            output: Mutex::new(output),
            attached: watch::Sender::new(0),
        })
    }

    /// Joins it.
    pub(crate) fn attach(self: &Arc<Self>) -> Attachment {
        let (sender, receiver) = mpsc::channel(BACKLOG);
        let mut output = lock(&self.output);
        if !output.over {
            output.callers.push(sender);
        }
        self.attached.send_modify(|count| *count += 1);
        Attachment { session: self.clone(), replay: output.scrollback.iter().cloned().collect(), output: receiver }
    }

    /// Gives the program input; without any, that was the end of it.
    pub(crate) async fn feed(&self, bytes: Option<&[u8]>) {
        let mut input = self.input.lock().await;
        let Some(pipe) = input.as_mut() else { return };
        let fed = match bytes {
            Some(bytes) => pipe.write_all(bytes).await.is_ok(),
            None => false,
        };
        if fed {
            lock(&self.output).last = Utc::now();
        } else {
            *input = None;
        }
    }

    /// Hands a piece of output to everybody.
    pub(super) async fn say(&self, piece: Bytes) {
        let callers = {
            let mut output = lock(&self.output);
            output.last = Utc::now();
            output.total += piece.len() as u64;
            output.kept += piece.len();
            // A copy: the piece may be a small part of a large buffer.
            output.scrollback.push_back(Bytes::copy_from_slice(&piece));
            while output.kept > SCROLLBACK_MAX
                && let Some(oldest) = output.scrollback.pop_front()
            {
                output.kept -= oldest.len();
            }
            output.callers.retain(|caller| !caller.is_closed());
            output.callers.clone()
        };
        for caller in callers {
            let _ = caller.send(piece.clone()).await;
        }
    }

    /// Says how it ended.
    pub(super) fn exited(&self, code: u8) {
        self.exit.send_replace(Some(code));
    }

    /// Ends everybody's output.
    pub(super) fn close(&self) {
        let mut output = lock(&self.output);
        output.over = true;
        output.callers.clear();
    }

    /// Whether output waits for a slow caller.
    pub(super) fn is_held_up(&self) -> bool {
        lock(&self.output).callers.iter().any(|caller| caller.capacity() == 0 && !caller.is_closed())
    }

    /// How many callers there are.
    pub(super) fn attached(&self) -> watch::Receiver<usize> {
        self.attached.subscribe()
    }

    /// When it was last heard of, and how many bytes a second it has said.
    pub(crate) fn traffic(&self) -> (DateTime<Utc>, f64) {
        let output = lock(&self.output);
        let seconds = Utc::now().signed_duration_since(self.created).num_milliseconds().max(1);
        #[expect(clippy::cast_precision_loss, reason = "it is a rate for people")]
        let rate = output.total as f64 * 1000.0 / seconds as f64;
        (output.last, rate)
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        self.session.attached.send_modify(|count| *count = count.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Arc<Session> {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        drop(reader);
        rustix::io::ioctl_fionbio(&writer, true).unwrap();
        let about = Description { pid: 7, command: "x".into(), workdir: "/".into(), tty: true, operation: 1 };
        Session::new(about, pipe::Sender::from_owned_fd(writer).unwrap())
    }

    #[tokio::test]
    async fn who_attaches_late_gets_the_rest_without_a_gap() {
        let session = session();
        let mut first = session.attach();
        session.say(Bytes::from_static(b"one")).await;
        let mut second = session.attach();
        session.say(Bytes::from_static(b"two")).await;
        session.close();
        assert_eq!(second.replay, ["one"]);
        assert_eq!((second.output.recv().await, second.output.recv().await), (Some("two".into()), None));
        assert_eq!((first.output.recv().await, first.output.recv().await), (Some("one".into()), Some("two".into())));
        assert_eq!(*session.attached().borrow(), 2);
        drop(second);
        assert_eq!(*session.attached().borrow(), 1);
        assert_eq!(session.attach().output.recv().await, None, "there is nothing more to come");
    }

    #[tokio::test]
    async fn what_is_kept_is_bounded_and_a_caller_who_has_gone_holds_up_nobody() {
        let session = session();
        drop(session.attach());
        for _ in 0..100 {
            session.say(Bytes::from(vec![b'x'; 10_000])).await;
        }
        let kept: usize = session.attach().replay.iter().map(Bytes::len).sum();
        assert!(kept <= SCROLLBACK_MAX && kept > SCROLLBACK_MAX - 10_000, "{kept}");
    }

    #[test]
    fn ended_sessions_are_told_from_unknown_ones() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _entered = runtime.enter();
        let (sessions, old, new) = (Sessions::default(), session(), session());
        sessions.add(&old);
        assert!(matches!(sessions.find("7"), Found::Running(_)));
        assert!(matches!(sessions.find("x"), Found::Unknown));
        sessions.add(&new);
        sessions.remove(&old);
        assert!(matches!(sessions.find("7"), Found::Running(_)), "the id was given out again");
        sessions.remove(&new);
        assert!(matches!(sessions.find("7"), Found::Ended));
    }
}
