//! The object: takes changes, lets followers in, and tells them.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use snapvm_protocol::feed::{Change, SUBPROTOCOL, least};
use worker::{Request, Response, State, WebSocket, WebSocketPair};

use super::access::{Ready, ready};
use super::followers::{Follower, Peer, id_of};
use super::outside::{Arrival, Outside};
use super::state::{Entry, Log, PACE_MS};
use crate::memory::Memory;

/// The Worker's word on a follower, a line of ASCII, on the request that opens its socket.
pub const ARRIVAL: &str = "x-snap-arrival";
/// The answer that says that nobody has followed for long.
pub const NOBODY: &str = "nobody";
/// Longest list of changes that comes at once, in bytes.
const CHANGES_MAX: usize = 256 * 1024;
/// Most followers of one organization.
const FOLLOWERS_MAX: usize = 2_000;
/// The kind under which entries are kept.
const ENTRY: &str = "change";
/// Where the sequence's name is kept.
const NAME: &str = "feed";
/// Where it is kept how many followers have come.
const COUNT: &str = "count";
/// Where it is kept since when nobody follows, Unix ms.
const ALONE: &str = "alone";

/// An organization's feed. Cheap to clone.
pub struct Feed<O>(pub(super) Rc<Inner<O>>);

impl<O> Clone for Feed<O> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

pub(super) struct Inner<O> {
    pub(super) state: State,
    pub(super) outside: O,
    memory: Memory,
    /// Names the sequence.
    pub(super) name: RefCell<String>,
    /// A cache of what SQLite has.
    log: RefCell<Log>,
    /// A cache of what the platform keeps.
    pub(super) peers: RefCell<Option<Vec<Peer>>>,
    /// When followers were last told, Unix ms.
    told_ms: Cell<u64>,
    /// When the alarm is set for, Unix ms, as far as this instance knows.
    alarm_ms: Cell<Option<u64>>,
}

impl<O: Outside> Feed<O> {
    /// Opens the object's memory.
    ///
    /// # Errors
    /// When SQLite does not work.
    pub fn new(state: State, outside: O) -> worker::Result<Self> {
        let memory = Memory::open(state.storage().sql())?;
        state.set_websocket_auto_response(&worker::WebSocketRequestResponsePair::new("ping", "pong")?);
        let name = match memory.get(NAME)? {
            Some(name) => name,
            None => {
                let name = outside.random_id();
                memory.put(NAME, &name)?;
                name
            }
        };
        let entries = memory.items::<String>(ENTRY)?;
        let log = RefCell::new(Log::read(entries.iter().filter_map(|line| Entry::read(line)).collect()));
        let name = RefCell::new(name);
        let (told_ms, alarm_ms) = (Cell::new(0), Cell::new(None));
        let peers = RefCell::new(None);
        Ok(Self(Rc::new(Inner { state, outside, memory, name, log, peers, told_ms, alarm_ms })))
    }

    /// `/changes`: lines, each a change; answered with [`NOBODY`] when nobody has followed for long: then nothing need be
    /// announced until somebody comes. `/follower`: a socket.
    ///
    /// # Errors
    /// When the platform fails.
    pub async fn fetch(&self, mut request: Request) -> worker::Result<Response> {
        match request.path().as_str() {
            "/changes" => {
                let lines = request.text().await?;
                if lines.len() > CHANGES_MAX {
                    return Response::error("too much", 413);
                }
                Response::ok(if self.take(&lines).await? { "" } else { NOBODY })
            }
            "/follower" => self.accept(&request),
            _ => Response::error("not found", 404),
        }
    }

    /// There is something to tell, or somebody to look at.
    ///
    /// # Errors
    /// None.
    pub async fn alarm(&self) -> worker::Result<Response> {
        self.0.alarm_ms.set(None);
        self.tell_all().await;
        Response::ok("")
    }

    /// Writes changes down; followers are told now, or in a moment if they have just been. False when nobody has followed
    /// for long.
    async fn take(&self, lines: &str) -> worker::Result<bool> {
        let now = self.0.outside.now_ms();
        let is_alone = self.peers().is_empty();
        if is_alone && self.forget(now)? {
            return Ok(false);
        }
        let mut doubted = Vec::new();
        for change in lines.lines().filter_map(Change::read) {
            if matches!(change.kind.as_str(), "members" | "credential") {
                doubted.extend(self.doubt(&change.thing));
            }
            if least(&change.kind).is_some() {
                self.add(change, now)?;
            }
        }
        self.spawn_looks(doubted);
        match (self.0.told_ms.get() + PACE_MS).checked_sub(now) {
            Some(rest @ 1..) if !is_alone => self.set_alarm(rest).await,
            _ => self.tell_all().await,
        }
        Ok(true)
    }

    /// Nobody follows. What changes is kept for whoever comes back, for a while; then this sequence ends, which is true, and
    /// the next follower finds another one.
    fn forget(&self, now: u64) -> worker::Result<bool> {
        let memory = &self.0.memory;
        let Some(since) = memory.get::<u64>(ALONE)? else {
            memory.put(ALONE, &now)?;
            return Ok(false);
        };
        if now < since + self.0.outside.alone_ms() {
            return Ok(false);
        }
        let name = self.0.outside.random_id();
        memory.put(NAME, &name)?;
        *self.0.name.borrow_mut() = name;
        // Should nobody hear of it, then not with every change.
        memory.put(ALONE, &now)?;
        Ok(true)
    }

    fn add(&self, change: Change, now: u64) -> worker::Result<()> {
        let mut log = self.0.log.borrow_mut();
        let Some(added) = log.add(change, now) else { return Ok(()) };
        let key = |seq: u64| format!("{seq:016x}");
        if let Some(entry) = log.newest() {
            self.0.memory.put_item(ENTRY, &key(added.seq), &entry.line())?;
        }
        added.removed.into_iter().try_for_each(|gone| self.0.memory.remove_item(ENTRY, &key(gone)))
    }

    async fn tell_all(&self) {
        let now = self.0.outside.now_ms();
        self.0.told_ms.set(now);
        self.0.log.borrow_mut().tell();
        let last = self.with_log(Log::last);
        let (mut told, mut due, mut later) = (Vec::new(), Vec::new(), None);
        for peer in self.peers().iter().filter(|peer| peer.follower.seq < last) {
            match ready(peer, now) {
                Ready::Yes => told.push(peer.follower.id),
                Ready::Due => due.push(peer.follower.id),
                Ready::Waits(Some(at)) => later = Some(later.map_or(at, |other: u64| other.min(at))),
                // Whoever looks tells them.
                Ready::Waits(None) => {}
            }
        }
        for id in told {
            self.tell(id);
        }
        self.spawn_looks(due);
        if let Some(at) = later {
            self.set_alarm(at - now).await;
        }
    }

    /// Sets the alarm, unless it comes sooner anyway.
    pub(super) async fn set_alarm(&self, after_ms: u64) {
        let at = self.0.outside.now_ms() + after_ms;
        if self.0.alarm_ms.get().is_some_and(|present| present <= at) {
            return;
        }
        self.0.alarm_ms.set(Some(at));
        if let Err(error) = self.0.state.storage().set_alarm(std::time::Duration::from_millis(after_ms)).await {
            self.0.outside.log(&format!("setting an alarm: {error}"));
        }
    }

    pub(super) fn with_log<T>(&self, work: impl FnOnce(&Log) -> T) -> T {
        work(&self.0.log.borrow())
    }

    fn accept(&self, request: &Request) -> worker::Result<Response> {
        let Some(Arrival { resume, visitor }) = request.headers().get(ARRIVAL)?.and_then(|line| Arrival::read(&line))
        else {
            return Response::error("not a follower", 403);
        };
        if self.peers().len() >= FOLLOWERS_MAX {
            return Response::error("too many followers", 503);
        }
        let memory = &self.0.memory;
        let id = memory.get::<u64>(COUNT)?.unwrap_or(0) + 1;
        memory.put(COUNT, &id)?;
        memory.remove(ALONE)?;
        let resumed = resume
            .filter(|(feed, after)| *feed == *self.0.name.borrow() && self.with_log(|log| log.reaches_back_to(*after)))
            .map(|(_, after)| after);
        let checked_ms = self.0.outside.now_ms();
        let follower = Follower { id, visitor, checked_ms, seq: resumed.unwrap_or(0), behind: 0 };
        let pair = WebSocketPair::new()?;
        self.0.state.accept_web_socket(&pair.server);
        self.welcome(Peer::new(pair.server, follower), resumed.is_none())?;
        let response = Response::from_websocket(pair.client)?;
        let headers = worker::Headers::new();
        headers.set("sec-websocket-protocol", SUBPROTOCOL)?;
        Ok(response.with_headers(headers))
    }

    /// A text of a follower's.
    pub fn text(&self, socket: &WebSocket, text: &str) {
        if let Some(id) = id_of(socket) {
            self.heard(id, text);
        }
    }

    /// A socket closed or broke.
    pub fn closed(&self, socket: &WebSocket) {
        if let Some(id) = id_of(socket) {
            self.peers().retain(|peer| peer.follower.id != id);
        }
    }
}
