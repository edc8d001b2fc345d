//! The object itself: takes commands, keeps the cache, waits for those who wait.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use futures::channel::oneshot;
use futures::future::{Either, select};
use snapvm_protocol::agent::ToAgent;
use snapvm_protocol::ids::MachineId;
use snapvm_protocol::lifecycle::MachineState;
use snapvm_protocol::sprites::Sprite;
use snapvm_protocol::tickets::{Purpose, Ticket};
use worker::{Request, Response, State};

use crate::memory::Memory;
use crate::terminal_session::command::Command as TerminalCommand;

use super::cause::By;
use super::command::{Command, Lease, Reply};
use super::outside::{Failure, Outside, Record};
use super::prepared::Prepared;
use super::state::{Event, Machine, Refusal, Work};
use super::terminals::Terminal;

/// Longest time a request waits for a machine to wake.
const WAIT_MS: u64 = 55_000;
/// How long a lease lasts. Stop and revocation wait out the last one.
pub const LEASE_MS: u64 = 10_000;

/// No alarm.
pub(super) const NEVER: u64 = u64::MAX;

/// A machine's gateway. Cheap to clone: work that outlives its request holds one.
pub struct Gateway<O>(pub(super) Rc<Inner<O>>);

impl<O> Clone for Gateway<O> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

pub(super) struct Inner<O> {
    pub(super) state: State,
    pub(super) outside: O,
    pub(super) memory: Memory,
    pub(super) cache: RefCell<Option<Cache>>,
    pub(super) waiters: RefCell<Vec<Waiter>>,
    pub(super) at_work: RefCell<Vec<Work>>,
    /// The alarm that this instance has set, or [`NEVER`]; `None` when it has not yet.
    pub(super) armed: Cell<Option<u64>>,
    /// A write to Postgres is under way.
    pub(super) saving: Cell<bool>,
    pub(super) reporting: Cell<bool>,
    /// The state has changed since it began.
    pub(super) save_again: Cell<bool>,
    /// How many readings of the variables have begun.
    pub(super) readings: Cell<u64>,
    /// The last look at the sprite.
    pub(super) looked: RefCell<Option<Looked>>,
}

/// A look at the sprite that found it as it should be.
#[derive(Clone)]
pub(super) struct Looked {
    /// When it began.
    pub(super) at_ms: u64,
    pub(super) generation: u32,
    pub(super) sprite: Sprite,
}

/// Somebody who waits for the machine.
pub(super) struct Waiter {
    pub(super) by: By,
    pub(super) answer: oneshot::Sender<Result<(), Refusal>>,
}

/// The cache of what SQLite has.
#[derive(Clone)]
pub(super) struct Cache {
    pub(super) machine: Machine,
    pub(super) record: Record,
}

impl<O: Outside> Gateway<O> {
    /// Opens the object's memory.
    ///
    /// # Errors
    /// When SQLite does not work.
    pub fn new(state: State, outside: O) -> worker::Result<Self> {
        let memory = Memory::open(state.storage().sql())?;
        state.set_websocket_auto_response(&worker::WebSocketRequestResponsePair::new("ping", "pong")?);
        Ok(Self(Rc::new(Inner {
            state,
            outside,
            memory,
            cache: RefCell::new(None),
            waiters: RefCell::new(Vec::new()),
            at_work: RefCell::new(Vec::new()),
            armed: Cell::new(None),
            saving: Cell::new(false),
            reporting: Cell::new(false),
            save_again: Cell::new(false),
            readings: Cell::new(0),
            looked: RefCell::new(None),
        })))
    }

    /// `/{machine}/command` and, from agents, `/agent/v1/machines/{machine}/control`.
    ///
    /// # Errors
    /// When the platform fails.
    pub async fn fetch(&self, mut request: Request) -> worker::Result<Response> {
        let path = request.path();
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        match segments.as_slice() {
            [machine, "command"] => {
                let Ok(machine) = machine.parse() else { return Response::error("not a machine", 400) };
                let command: Command = serde_json::from_str(&request.text().await?)?;
                Response::from_json(&self.command(machine, command).await)
            }
            ["agent", "v1", "machines", machine, "control"] => {
                let Ok(machine) = machine.parse() else { return Response::error("not a machine", 404) };
                self.accept_control(machine, &request).await
            }
            _ => Response::error("not found", 404),
        }
    }

    /// The time of `alarm_ms` has come.
    ///
    /// # Errors
    /// None: whatever fails is tried again by the next alarm.
    pub async fn alarm(&self) -> worker::Result<Response> {
        self.0.armed.set(None);
        if let Ok(Some(machine)) = self.0.memory.get::<MachineId>("id")
            && self.ensure(machine).await.is_ok()
        {
            self.look().await;
        }
        Response::ok("")
    }

    async fn command(&self, machine: MachineId, command: Command) -> Reply {
        let ensured = match self.ensure(machine).await {
            Ok(()) => self.look_for_owner(machine).await,
            failed => failed,
        };
        if let Err(failure) = ensured {
            let code = if failure == Failure::NoMachine { "not_found" } else { "database_unavailable" };
            return Reply::Refused { code: code.into(), detail: format!("{failure}.") };
        }
        match command {
            Command::Provision => self.order(Event::Provision).await,
            Command::Start { by } => self.order(Event::Start { by }).await,
            Command::Stop { by } => self.order(Event::Stop { by }).await,
            Command::Hibernate { by } => self.order(Event::Hibernate { by }).await,
            Command::Delete { by } => self.order(Event::Delete { by }).await,
            Command::Reconcile => {
                self.checkpoints().await;
                self.order(Event::Alarm).await
            }
            Command::Checkpoints => self.checkpoints().await,
            Command::Check { recorded, desired } => {
                self.checkpoints().await;
                self.order(Event::Check { recorded, desired }).await
            }
            Command::Settings | Command::Services | Command::Holds => self.reload(&command).await,
            Command::Variables => {
                self.reload_variables().await;
                self.present()
            }
            Command::Why => self.why(),
            Command::Service { name, action } => {
                self.tell(&ToAgent::ServiceCommand { name, action });
                self.reload(&Command::Services).await
            }
            Command::OpenTerminal { session, columns, rows, directory, wake, unanswered, by } => {
                let wanted = Terminal { session, columns, rows, directory, started: false, ended_ms: None, end: None };
                self.open_terminal(wanted, wake, unanswered, by).await
            }
            Command::CloseTerminal { session } => self.close_terminal(session).await,
            Command::Access { epoch } => {
                // Looked at also when the epoch is known: a look that began before this change does not count.
                if !self.raise_epoch(epoch) {
                    self.spawn_word(TerminalCommand::LookAgain);
                }
                self.present()
            }
            Command::Lease { epoch, by } => self.lease(epoch, by, |epoch| Purpose::Ingress { epoch }).await,
            Command::Exec { epoch, by } => self.lease(epoch, by, |epoch| Purpose::Exec { epoch }).await,
            Command::Logs { epoch, wake, by } => self.logs(epoch, wake, by).await,
            Command::UseCode { jti, until_ms } => {
                let used = self.0.memory.use_ticket(&jti, self.0.outside.now_ms(), until_ms);
                Reply::Code { fresh: used.unwrap_or(false) }
            }
            Command::CheckAgent { generation, boot, agent_key } => Reply::Agent {
                bound: self.binding().is_some_and(|binding| {
                    binding.generation == generation && binding.boot == boot && binding.key == agent_key
                }),
            },
        }
    }

    async fn order(&self, event: Event) -> Reply {
        match self.apply(event).await {
            Ok(()) => self.present(),
            Err(refusal) => refused(refusal),
        }
    }

    /// Where the machine is now.
    pub(super) fn present(&self) -> Reply {
        match self.0.cache.borrow().as_ref() {
            Some(cache) => Reply::State { state: cache.machine.state, reason: cache.machine.reason.clone() },
            None => Reply::State { state: MachineState::Deleting, reason: "Deleted.".into() },
        }
    }

    /// Fills the cache: from SQLite, or, for an object that knows nothing yet, from the record.
    pub(super) async fn ensure(&self, machine: MachineId) -> Result<(), Failure> {
        if self.0.cache.borrow().is_some() {
            return Ok(());
        }
        let failed = |error: worker::Error| Failure::Unavailable(error.to_string());
        let mut is_new = false;
        let stored = (self.0.memory.get("machine").map_err(failed)?, self.0.memory.get("record").map_err(failed)?);
        let cache = match stored {
            (Some(machine), Some(record)) => Cache { machine, record },
            _ => {
                let mut record = self.0.outside.load(machine).await?;
                is_new = true;
                self.0.memory.put("id", &machine).map_err(failed)?;
                self.keep_variables(&mut record);
                let provisioned = record.sprite_url.is_some();
                let looks = self.0.outside.looks_seconds();
                let mut machine = Machine::from_record(record.state, record.idle_seconds, provisioned, looks);
                machine.prepared = record.is_prepared().then_some(Prepared::Waiting);
                machine.holds.clone_from(&record.holds);
                machine.reason.clone_from(&record.reason);
                if let Some(desired) = record.desired {
                    machine = machine.ordered(desired);
                }
                Cache { machine, record }
            }
        };
        let (is_on_its_way, is_unsaved) = (cache.machine.is_on_its_way(), cache.machine.unsaved);
        // When everything is restarted, sockets go without a word: what was connected then need not be now.
        let lost = cache.machine.connected && self.control_socket().is_none();
        // Somebody else may have filled it during the await.
        let filled = {
            let mut slot = self.0.cache.borrow_mut();
            let empty = slot.is_none();
            slot.get_or_insert(cache);
            empty
        };
        if filled && lost {
            let _ = self.apply(Event::Lost).await;
        }
        // Of what the record says that is under way, nothing is known here: it is begun again.
        if filled && is_new && is_on_its_way {
            let _ = self.apply(Event::Alarm).await;
        }
        // The instance before may have been evicted while it wrote.
        if filled && is_unsaved {
            self.save(None);
        }
        Ok(())
    }

    /// Reads the record again after somebody changed it, and tells the agent.
    pub(super) async fn reload(&self, command: &Command) -> Reply {
        let Some(machine) = self.record().map(|record| record.machine) else { return self.present() };
        match self.0.outside.load(machine).await {
            Ok(record) => {
                self.raise_epoch(record.epoch);
                let (services, idle_seconds, cpu_counts) =
                    (record.services.clone(), record.idle_seconds, record.cpu_counts);
                if let Some(cache) = self.0.cache.borrow_mut().as_mut() {
                    cache.record.services.clone_from(&services);
                }
                self.remember();
                match command {
                    Command::Services => self.tell(&ToAgent::Services { services }),
                    Command::Holds => {
                        let _ = self.apply(Event::Holds { until_ms: record.holds }).await;
                    }
                    _ => {
                        let _ = self.apply(Event::Settings { idle_seconds, cpu_counts }).await;
                    }
                }
            }
            Err(failure) => self.0.outside.log(&format!("machine {machine}: reading its record: {failure}")),
        }
        self.present()
    }

    /// Permission for traffic of one purpose, once the machine is awake.
    pub(super) async fn lease(&self, epoch: u64, by: By, purpose: impl FnOnce(u64) -> Purpose) -> Reply {
        let asked_ms = self.0.outside.now_ms();
        if !self.is_ready() {
            if let Err(refusal) = self.apply(Event::Wanted { by: by.clone() }).await {
                return refused(refusal);
            }
            if let Err(refusal) = self.wait(by).await {
                return refused(refusal);
            }
        }
        let Some(mut record) = self.record() else { return self.present() };
        if epoch > record.epoch {
            self.raise_epoch(epoch);
            record.epoch = epoch;
        }
        // Looked at for every lease: the token must never reach a URL that has been opened to everybody. The look of a wake
        // that this one waited for is as good, and the lease ends as if it had been given then.
        let now = self.0.outside.now_ms();
        let (looked_ms, sprite) = match self.look_since(asked_ms, record.generation, now) {
            Some(looked) => (looked.at_ms, Ok(looked.sprite)),
            None => (now, self.0.outside.sprite(&record).await),
        };
        match sprite {
            Ok(sprite) => match self.ticket(&record, purpose(record.epoch)) {
                Some(ticket) => Reply::Lease(Lease {
                    url: sprite.url.trim_end_matches('/').to_owned(),
                    ticket,
                    epoch: record.epoch,
                    expires_ms: looked_ms + LEASE_MS,
                }),
                None => refused(Refusal { code: "gateway_unavailable", detail: "No ticket could be signed.".into() }),
            },
            Err(Failure::UnsafeRuntime) => refused(Refusal {
                code: "unsafe_runtime",
                detail: "The machine's runtime is open to everybody; nothing is sent to it.".into(),
            }),
            Err(failure) => {
                if failure == Failure::NoSprite {
                    let _ = self.apply(Event::Looked { status: None }).await;
                }
                refused(Refusal { code: "runtime_unavailable", detail: format!("{failure}.") })
            }
        }
    }

    /// The last look, if it was made since this time, is not old, and of this generation.
    fn look_since(&self, asked_ms: u64, generation: u32, now: u64) -> Option<Looked> {
        let fits = |looked: &&Looked| {
            looked.at_ms >= asked_ms && looked.generation == generation && now < looked.at_ms + LEASE_MS / 4
        };
        self.0.looked.borrow().as_ref().filter(fits).cloned()
    }

    /// Waits until the machine is ready, or cannot become so.
    async fn wait(&self, by: By) -> Result<(), Refusal> {
        if self.is_ready() {
            return Ok(());
        }
        let (answer, receiver) = oneshot::channel();
        self.0.waiters.borrow_mut().push(Waiter { by, answer });
        let timeout = Box::pin(self.0.outside.delay(WAIT_MS));
        match select(receiver, timeout).await {
            Either::Left((Ok(outcome), _)) => outcome,
            _ => {
                Err(Refusal { code: "waking", detail: "The machine is still waking up. Try again in a moment.".into() })
            }
        }
    }

    /// Access changed if this is newer than what is known: the agent and open terminals hear of it.
    pub(super) fn raise_epoch(&self, epoch: u64) -> bool {
        let raised = match self.0.cache.borrow_mut().as_mut() {
            Some(cache) if epoch > cache.record.epoch => {
                cache.record.epoch = epoch;
                true
            }
            _ => false,
        };
        if raised {
            self.remember();
            self.tell(&ToAgent::Epoch { epoch });
            // Nobody may do anything at a machine that is being deleted, and its terminals are told so.
            if !self.is_deleting() {
                self.spawn_word(TerminalCommand::LookAgain);
            }
        }
        raised
    }

    pub(super) fn record(&self) -> Option<Record> {
        self.0.cache.borrow().as_ref().map(|cache| cache.record.clone())
    }

    pub(super) fn is_ready(&self) -> bool {
        self.0.cache.borrow().as_ref().is_some_and(|cache| cache.machine.is_ready())
    }

    fn is_deleting(&self) -> bool {
        self.0.cache.borrow().as_ref().is_some_and(|cache| cache.machine.state == MachineState::Deleting)
    }

    /// A signed ticket for the agent.
    pub(super) fn ticket(&self, record: &Record, purpose: Purpose) -> Option<String> {
        let ticket =
            Ticket { machine: record.machine, generation: record.generation, purpose, jti: self.0.outside.random_id() };
        let now = i64::try_from(self.0.outside.now_ms()).ok()?;
        self.0.outside.signer().ticket(&ticket, now).ok()
    }

    /// Writes the cache to SQLite. Synchronous: what follows in the same event sees it, and so does the next instance.
    pub(super) fn remember(&self) {
        let cache = self.0.cache.borrow();
        let Some(cache) = cache.as_ref() else { return };
        let written =
            self.0.memory.put("machine", &cache.machine).and_then(|()| self.0.memory.put("record", &cache.record));
        if let Err(error) = written {
            self.0.outside.log(&format!("machine {}: writing memory: {error}", cache.record.machine));
        }
    }
}

pub(super) fn refused(refusal: Refusal) -> Reply {
    Reply::Refused { code: refusal.code.into(), detail: refusal.detail }
}
