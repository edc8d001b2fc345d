//! One session: its shell, its stream, and the tasks between them.
//!
//! ```text
//! read_output: pty → ring → publish ─changed─▶ socket        write_input: pending → pty → written ─changed─▶ socket
//!              └ after a quiet while: keep ─changed─▶ socket
//! ```
//!
//! Input and output are independent, so that an interrupt reaches a shell whose output nobody takes.

mod input;
mod output;

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use snapvm_protocol::agent::{OpenTerminal, TerminalEnd, TerminalStatus};
use snapvm_protocol::ids::TerminalId;
use snapvm_protocol::terminal::{Foreground, Frame};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::foreground;
use super::pty::{self, Master, StartError};
use super::socket;
use super::stream::{Applied, PENDING_MAX, Stream};
use crate::agent::Agent;
use crate::handover::state;
use crate::reaper::{Child, Exit};
use input::Pending;

/// Longest that a shell's end may take to be in the stream, once what held the terminal has been killed.
const ENDING: Duration = Duration::from_secs(1);
/// How long a session stays after its shell's end for clients that come back, however often the sockets go.
const LOOKED_AT: Duration = Duration::from_mins(10);
/// Between HUP and KILL.
const GRACE: Duration = Duration::from_millis(500);
/// How long a closing socket may take.
const CLOSING: Duration = Duration::from_secs(2);

/// A session.
pub struct Session {
    /// Its id.
    pub id: TerminalId,
    /// Its stream.
    pub stream: RefCell<Stream>,
    /// Something changed that clients may have to hear.
    pub changed: Notify,
    master: Master,
    leader: Option<Pid>,
    pending: RefCell<Pending>,
    more_input: Notify,
    room: Notify,
    exit: watch::Sender<Option<TerminalEnd>>,
    progress: watch::Sender<()>,
    forgotten: watch::Sender<bool>,
    link: RefCell<Option<Link>>,
    size: Cell<(u16, u16)>,
    ended: Cell<Option<Instant>>,
}

/// The socket's task, and what it is told.
struct Link {
    order: watch::Sender<socket::Order>,
    task: JoinHandle<()>,
}

impl Session {
    /// Starts a session's shell.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(agent: &Rc<Agent>, open: &OpenTerminal) -> Result<Rc<Self>, StartError> {
        let epoch = crate::identity::random::<8>().map_or(1, u64::from_be_bytes) & ((1 << 53) - 1);
        let stream = Stream::new(open.session, epoch, open.columns, open.rows);
        let size = stream.size();
        let (master, pid) = pty::start(size, open.directory.as_deref(), &agent.variables.borrow())?;
        Ok(Self::run(agent, stream, master, Pending::default(), Life::Shell(pid)))
    }

    /// Goes on with the session of an agent before this one.
    ///
    /// # Errors
    /// When its terminal is none.
    pub fn resume(agent: &Rc<Agent>, parts: state::Terminal, master: OwnedFd) -> io::Result<Rc<Self>> {
        rustix::termios::tcgetwinsize(&master)?;
        let master = Master::new(master)?;
        let bytes = parts.pending.iter().map(|input| input.bytes.len()).sum();
        let pending = Pending { inputs: parts.pending.into(), bytes };
        let life = match parts.exit.or(parts.stream.end) {
            Some(end) => Life::Ended(end),
            None => Life::Shell(parts.leader),
        };
        Ok(Self::run(agent, Stream::resume(parts.stream), master, pending, life))
    }

    /// What [`Session::resume`] needs. Nothing of it changes until the next await.
    #[must_use]
    pub fn parts(&self) -> state::Terminal {
        state::Terminal {
            stream: self.stream.borrow_mut().parts(),
            master: self.master.descriptor(),
            leader: self.leader.map_or(0, |leader| leader.as_raw_nonzero().get().cast_unsigned()),
            exit: *self.exit.borrow(),
            pending: self.pending.borrow().inputs.iter().cloned().collect(),
        }
    }

    fn run(agent: &Rc<Agent>, stream: Stream, master: Master, pending: Pending, life: Life) -> Rc<Self> {
        let (child, leader, exit) = match life {
            Life::Shell(pid) => (Some(Child::of(pid)), Pid::from_raw(pid.cast_signed()), None),
            Life::Ended(end) => (None, None, Some(end)),
        };
        let session = Rc::new(Self {
            id: stream.status().session,
            size: Cell::new(stream.size()),
            stream: RefCell::new(stream),
            changed: Notify::new(),
            master,
            leader,
            pending: RefCell::new(pending),
            more_input: Notify::new(),
            room: Notify::new(),
            exit: watch::Sender::new(exit),
            progress: watch::Sender::new(()),
            forgotten: watch::Sender::new(false),
            link: RefCell::new(None),
            ended: Cell::new(None),
        });
        if let Some(child) = child {
            let of = Rc::clone(&session);
            tokio::task::spawn_local(async move {
                let end = child.wait().await.map_or(TerminalEnd::Lost, end_of);
                of.exit.send_replace(Some(end));
            });
        }
        tokio::task::spawn_local(Rc::clone(&session).read_output(Rc::clone(agent)));
        tokio::task::spawn_local(Rc::clone(&session).write_input());
        session
    }

    /// For Hello and `TerminalStarted`.
    #[must_use]
    pub fn status(&self) -> TerminalStatus {
        self.stream.borrow().status()
    }

    /// How the shell ended, once its last output is in the ring.
    #[must_use]
    pub fn end(&self) -> Option<TerminalEnd> {
        self.stream.borrow().end()
    }

    /// Whether clients may still be on their way back for its last output.
    #[must_use]
    pub fn has_just_ended(&self) -> bool {
        self.ended.get().is_some_and(|at| at.elapsed() < LOOKED_AT)
    }

    /// Nobody will ask for the session again.
    pub fn forget(&self) {
        self.forgotten.send_replace(true);
    }

    /// Takes one frame of a client.
    pub fn receive(&self, agent: &Agent, client: u32, frame: Frame<'_>) {
        let asks = matches!(&frame, Frame::Attach(attach) if attach.foreground);
        let mut typed = false;
        let size = {
            let mut stream = self.stream.borrow_mut();
            if let Applied::Input { key, number, bytes } = stream.receive(client, frame) {
                let mut pending = self.pending.borrow_mut();
                if pending.bytes.saturating_add(bytes.len()) > PENDING_MAX {
                    stream.refused(&key, number);
                } else {
                    pending.bytes += bytes.len();
                    pending.inputs.push_back(state::Input { key, number, bytes: bytes.to_vec() });
                    drop(pending);
                    typed = true;
                    self.more_input.notify_one();
                    agent.activity("terminal");
                }
            }
            stream.size()
        };
        if self.size.replace(size) != size {
            self.master.resize(size);
        }
        self.room.notify_one();
        if asks {
            self.look();
        }
        // What is typed has its own moment.
        if !typed {
            self.tell();
        }
    }

    /// Looks at what runs in the foreground; clients that asked for it hear of a change.
    fn look(&self) {
        let now = match self.end() {
            None => foreground::look(self.master.foreground(), self.leader, &pty::shell_name()),
            Some(_) => Foreground::default(),
        };
        if self.stream.borrow_mut().runs(now) {
            self.tell();
        }
    }

    /// Has the object keep the screen, if it changed.
    pub fn keep(&self) {
        self.stream.borrow_mut().keep(self.directory());
        self.tell();
    }

    /// Where the process in the foreground works, or else the shell.
    fn directory(&self) -> Option<String> {
        let of = |pid: Pid| std::fs::read_link(format!("/proc/{}/cwd", pid.as_raw_nonzero())).ok();
        let directory = self.master.foreground().and_then(of).or_else(|| self.leader.and_then(of))?;
        directory.into_os_string().into_string().ok()
    }

    /// There is a socket.
    pub fn connected(&self) {
        let missed = self.stream.borrow_mut().connected();
        if missed {
            self.keep();
        }
    }

    /// The socket went, and every client with it.
    pub fn clients_gone(&self) {
        self.stream.borrow_mut().disconnected();
        self.room.notify_one();
        self.progressed();
    }

    /// Messages were handed to the socket.
    pub fn progressed(&self) {
        self.progress.send_replace(());
    }

    fn tell(&self) {
        self.changed.notify_one();
        self.progressed();
    }

    async fn over(&self) {
        let mut exit = self.exit.subscribe();
        // The sender lives in self.
        let _ = exit.wait_for(Option::is_some).await;
    }

    /// Waits until clients have been sent everything, or patience ends.
    pub async fn delivered(&self, patience: Duration) {
        let mut progress = self.progress.subscribe();
        let all = progress.wait_for(|()| {
            let stream = self.stream.borrow();
            stream.held() == 0 && stream.is_delivered()
        });
        let _ = timeout(patience, all).await;
    }

    /// HUP, grace, KILL; returns when the end is known.
    pub async fn hang_up(&self) {
        for signal in [Signal::HUP, Signal::KILL] {
            if self.exit.borrow().is_some() {
                break;
            }
            self.master.signal(self.leader, signal);
            if signal == Signal::HUP {
                // A job that was stopped takes the HUP only when it goes on.
                self.master.signal(self.leader, Signal::CONT);
            }
            let _ = timeout(GRACE, self.over()).await;
        }
        let mut progress = self.progress.subscribe();
        let _ = timeout(ENDING, progress.wait_for(|()| self.end().is_some())).await;
        // What was in the foreground may have ignored the HUP.
        self.master.signal(None, Signal::KILL);
    }

    /// Dials the session's socket unless it is there.
    pub fn connect(self: &Rc<Self>, agent: &Rc<Agent>) {
        let mut link = self.link.borrow_mut();
        let stays = |link: &Link| !link.task.is_finished() && *link.order.borrow() == socket::Order::Stay;
        if link.as_ref().is_some_and(stays) {
            return;
        }
        let (order, orders) = watch::channel(socket::Order::Stay);
        let task = tokio::task::spawn_local(socket::keep(Rc::clone(agent), Rc::clone(self), orders));
        *link = Some(Link { order, task });
    }

    /// Closes the socket, with a code for why.
    pub fn disconnect(&self, code: u16) {
        if let Some(link) = self.link.borrow().as_ref() {
            link.order.send_replace(socket::Order::Close(code));
        }
    }

    /// Waits until the socket is closed.
    pub async fn disconnected(&self) {
        let link = self.link.borrow_mut().take();
        if let Some(link) = link {
            let _ = timeout(CLOSING, link.task).await;
        }
    }
}

/// Whether a session's shell runs.
enum Life {
    /// It does, as this process.
    Shell(u32),
    /// It ended so.
    Ended(TerminalEnd),
}

fn end_of(exit: Exit) -> TerminalEnd {
    match exit {
        Exit::Code(code) => TerminalEnd::Exit { code },
        Exit::Signal(signal) => TerminalEnd::Signal { signal },
    }
}
