//! What the parts of the agent share. One thread, so plain cells; no borrow is held over an await.
//!
//! ```text
//! http ─wake─▶ control ─Welcome─▶ terminals, services        ┌ awake ◀──cancel── preparing ┐
//!   └─app──▶ ingress            sleep ◀─Sleep/SleepGo        └──Sleep──▶ preparing ──go──▶ asleep ──wake──▶ awake
//! ```

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use snapvm_protocol::agent::{ToObject, WokeBy};
use snapvm_protocol::variables::Variables;
use tokio::sync::{mpsc, watch};

use crate::activity::Meter;
use crate::admission::Admission;
use crate::clock::Reading;
use crate::configuration::{Configuration, Timings};
use crate::dial::Dialer;
use crate::exec::Commands;
use crate::guest::tasks::Tasks;
use crate::handover::Succession;
use crate::http::Listener;
use crate::identity::Identity;
use crate::ingress::connections::Connections;
use crate::logs::Readers;
use crate::services::Services;
use crate::services::containment::Grounds;
use crate::sleep::Phase;
use crate::terminal::Terminals;

/// A tick of the one timer that runs while idle.
#[derive(Debug, Clone, Copy, Default)]
pub struct Beat {
    /// Which tick.
    pub count: u64,
    /// How often the machine was found to have stood still.
    pub pauses: u64,
}

/// A wake ticket that was let in.
#[derive(Debug)]
pub struct Woken {
    /// The ticket, which also opens the first control socket.
    pub ticket: String,
    /// How the agent came to be woken.
    pub by: WokeBy,
}

/// The agent.
pub struct Agent {
    /// Who this process is.
    pub identity: Identity,
    /// The protocol version it speaks.
    pub protocol: u32,
    /// Intervals.
    pub timings: Timings,
    /// Opens sockets.
    pub dialer: Dialer,
    /// Takes requests.
    pub listener: Listener,
    /// The upgrade in place.
    pub succession: Succession,
    /// Which tickets are let in.
    pub admission: RefCell<Admission>,
    /// Awake, preparing to sleep, asleep.
    pub phase: RefCell<Phase>,
    /// When it was last woken from a sleep or a boot, in milliseconds of the boot clock.
    pub woken_at: Cell<Option<u64>>,
    /// Whether anything happens.
    pub meter: RefCell<Meter>,
    /// The control socket.
    pub link: Link,
    /// App connections.
    pub connections: Connections,
    /// One-shot commands.
    pub commands: Commands,
    /// Those who read logs.
    pub readers: Readers,
    /// Shells.
    pub terminals: Terminals,
    /// Services.
    pub services: Services,
    /// What is in the environment of whatever is started from now on. In memory only: secrets are among them.
    pub variables: RefCell<Variables>,
    /// The runtime's tasks.
    pub tasks: Tasks,
    /// The tick.
    pub beat: watch::Sender<Beat>,
}

/// What the rest of the agent knows of the control socket.
pub struct Link {
    outbox: RefCell<Option<mpsc::UnboundedSender<ToObject>>>,
    /// Boot-clock ms at which the socket went; `None` while it is there.
    gone_since: Cell<Option<u64>>,
    /// Vouches for the agent's key.
    pub pass: RefCell<Option<String>>,
    /// Whether a Welcome was ever received by this process.
    pub welcomed: Cell<bool>,
    wakes: mpsc::UnboundedSender<Woken>,
}

impl Link {
    fn new(wakes: mpsc::UnboundedSender<Woken>) -> Self {
        Self {
            outbox: RefCell::new(None),
            gone_since: Cell::new(Some(Reading::take().boot)),
            pass: RefCell::new(None),
            welcomed: Cell::new(false),
            wakes,
        }
    }

    /// Sends to the object, or drops the message when there is no socket: Hello and Welcome say everything anew.
    pub fn send(&self, message: ToObject) {
        if let Some(outbox) = self.outbox.borrow().as_ref() {
            // A closed channel is a socket that just went.
            let _ = outbox.send(message);
        }
    }

    /// A socket was opened; what is sent arrives at the receiver.
    pub fn open(&self) -> mpsc::UnboundedReceiver<ToObject> {
        let (sender, receiver) = mpsc::unbounded_channel();
        *self.outbox.borrow_mut() = Some(sender);
        receiver
    }

    /// The object said Welcome.
    pub fn established(&self) {
        self.gone_since.set(None);
        self.welcomed.set(true);
    }

    /// The socket went.
    pub fn closed(&self) {
        *self.outbox.borrow_mut() = None;
        if self.gone_since.get().is_none() {
            self.gone_since.set(Some(Reading::take().boot));
        }
    }

    /// For how long the socket has been gone, in milliseconds.
    #[must_use]
    pub fn gone_for(&self) -> u64 {
        self.gone_since.get().map_or(0, |since| Reading::take().boot.saturating_sub(since))
    }

    /// Hands a wake ticket to whoever dials.
    pub fn wake(&self, woken: Woken) {
        // The receiver lives as long as the agent.
        let _ = self.wakes.send(woken);
    }
}

/// The agent cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No identity.
    #[error(transparent)]
    Identity(#[from] crate::identity::IdentityError),
    /// No TLS.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

impl Agent {
    /// An agent that knows nothing yet, and the wake tickets it will hand to the control task.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn new(
        configuration: Configuration,
        listener: Listener,
        identity: Identity,
    ) -> Result<(Rc<Self>, mpsc::UnboundedReceiver<Woken>), StartError> {
        let (wakes, tickets) = mpsc::unbounded_channel();
        let Configuration {
            machine,
            generation,
            origin,
            platform,
            guest_socket,
            timings,
            next_binary,
            protocol,
            scope,
            by_cgroups,
            ..
        } = configuration;
        let agent = Rc::new(Self {
            identity,
            protocol,
            timings,
            dialer: Dialer::new(origin)?,
            listener,
            succession: Succession::new(next_binary),
            admission: RefCell::new(Admission::new(machine, generation, platform)),
            // A lease from before this boot may still be around: whoever holds it has to ask for a wake first.
            phase: RefCell::new(Phase::Asleep),
            woken_at: Cell::new(None),
            meter: RefCell::new(Meter::new(Reading::take().boot)),
            link: Link::new(wakes),
            connections: Connections::default(),
            commands: Commands::default(),
            readers: Readers::default(),
            terminals: Terminals::default(),
            services: Services::new(Grounds::new(scope, by_cgroups)),
            variables: RefCell::default(),
            tasks: Tasks::new(guest_socket),
            beat: watch::Sender::new(Beat::default()),
        });
        Ok((agent, tickets))
    }

    /// Something worth staying awake for happened.
    pub fn activity(&self, reason: &'static str) {
        if self.meter.borrow_mut().happened(Reading::take().boot) {
            self.link.send(ToObject::Activity { reason: reason.to_owned() });
        }
    }

    /// Takes an epoch, and closes app connections of older ones.
    pub fn adopt_epoch(&self, epoch: u64) {
        if self.admission.borrow_mut().adopt_epoch(epoch) {
            self.connections.close_before(epoch);
        }
    }

    /// Runs *wake*: the task again, then the dial. The services follow with the object's Welcome.
    pub fn wake(self: &Rc<Self>, ticket: String) {
        let by = match (self.link.welcomed.get(), self.phase.borrow().is_asleep()) {
            (false, _) => WokeBy::Boot,
            (true, true) => WokeBy::Thaw,
            (true, false) => WokeBy::Redial,
        };
        if by != WokeBy::Redial {
            self.woken_at.set(Some(Reading::take().boot));
        }
        crate::sleep::woken(self);
        self.meter.borrow_mut().woken(Reading::take().boot);
        let agent = Rc::clone(self);
        tokio::task::spawn_local(async move { agent.tasks.hold().await });
        self.link.wake(Woken { ticket, by });
    }
}
