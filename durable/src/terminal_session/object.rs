//! The object: lets clients and the agent in, and takes what the machine's gateway says.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use serde::{Deserialize, Serialize};
use snapvm_protocol::agent::{TerminalEnd, close};
use snapvm_protocol::ids::{MachineId, TerminalId};
use snapvm_protocol::lifecycle::Cause;
use snapvm_protocol::terminal::{Frame, Notice, SUBPROTOCOL};
use snapvm_protocol::tickets::{Purpose, TicketError};
use worker::{Request, Response, State, WebSocketPair};

use super::clients::{Client, Sockets, send};
use super::command::Command;
use super::kept::Arriving;
use super::outside::{Arrival, Outside};
use crate::background;
use crate::dial::{Dial, LIFETIME_MS};
use crate::machine_gateway::cause::By;
use crate::machine_gateway::command::{Command as GatewayCommand, Reply};
use crate::memory::Memory;

/// The Worker's word on a client, as JSON in ASCII, on the request that opens its socket.
pub const ARRIVAL: &str = "x-snap-arrival";
/// How long a session that has ended can still be looked at: as long as it is listed.
const ENDED_MS: u64 = 24 * 60 * 60 * 1000;

/// A session's switch. Cheap to clone.
pub struct Session<O>(pub(super) Rc<Inner<O>>);

impl<O> Clone for Session<O> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

pub(super) struct Inner<O> {
    pub(super) state: State,
    pub(super) outside: O,
    pub(super) memory: Memory,
    /// A cache of what the platform keeps.
    pub(super) sockets: RefCell<Option<Sockets>>,
    pub(super) arriving: RefCell<Option<Arriving>>,
    /// Since when input is unacknowledged, Unix ms, and which client's.
    pub(super) unacknowledged: Cell<Option<(u64, u32)>>,
    pub(super) alarm_set: Cell<bool>,
    /// When input that found no agent last asked for a wake, Unix ms.
    pub(super) called_ms: Cell<u64>,
    /// Whether people are about to be told who is there.
    pub(super) telling: Cell<bool>,
}

/// How and when the shell ended.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Ended {
    end: TerminalEnd,
    at_ms: u64,
}

impl<O: Outside> Session<O> {
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
            sockets: RefCell::new(None),
            arriving: RefCell::new(None),
            unacknowledged: Cell::new(None),
            alarm_set: Cell::new(false),
            called_ms: Cell::new(0),
            telling: Cell::new(false),
        })))
    }

    /// `/{machine}/{session}/client`, `/agent/v1/machines/{machine}/terminals/{session}`, `/command`.
    ///
    /// # Errors
    /// When the platform fails.
    pub async fn fetch(&self, mut request: Request) -> worker::Result<Response> {
        let path = request.path();
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let parsed = |machine: &str, session: &str| Some((machine.parse().ok()?, session.parse().ok()?));
        match segments.as_slice() {
            [machine, session, "client"] => match parsed(machine, session) {
                Some((machine, session)) => self.accept_client(machine, session, &request).await,
                None => Response::error("not found", 404),
            },
            ["agent", "v1", "machines", machine, "terminals", session] => match parsed(machine, session) {
                Some((machine, session)) => self.accept_agent(machine, session, &request).await,
                None => Response::error("not found", 404),
            },
            ["command"] => {
                self.command(serde_json::from_str(&request.text().await?)?).await?;
                Response::ok("")
            }
            _ => Response::error("not found", 404),
        }
    }

    async fn command(&self, command: Command) -> worker::Result<()> {
        match command {
            Command::Notice { notice } => {
                if notice == Notice::Asleep {
                    self.show_kept_to_all();
                }
                // Who attaches needs an agent: `connected` is said when its socket comes, not before.
                if notice != Notice::Connected {
                    self.broadcast(&Frame::Notice(notice));
                }
            }
            Command::LookAgain => self.look_at_all().await,
            Command::Ended { end, agent_tells } => {
                self.remember_end(end).await?;
                if !agent_tells {
                    self.show_kept_to_all();
                    self.broadcast(&Frame::End(end));
                }
            }
            Command::Forget => self.forget().await?,
        }
        Ok(())
    }

    /// From now on the object is one to be forgotten.
    async fn remember_end(&self, end: TerminalEnd) -> worker::Result<()> {
        self.0.memory.put("ended", &Ended { end, at_ms: self.0.outside.now_ms() })?;
        self.set_alarm(ENDED_MS).await;
        Ok(())
    }

    pub(super) fn has_ended(&self) -> bool {
        self.0.memory.get::<Ended>("ended").is_ok_and(|ended| ended.is_some())
    }

    async fn forget(&self) -> worker::Result<()> {
        for socket in self.0.state.get_websockets() {
            let _ = socket.close(Some(close::NOT_FOUND), Some("gone"));
        }
        self.forget_sockets();
        self.0.state.storage().delete_all().await
    }

    /// Input has waited for an acknowledgement, or the session has ended long ago.
    ///
    /// # Errors
    /// When the platform fails.
    pub async fn alarm(&self) -> worker::Result<Response> {
        match self.0.memory.get::<Ended>("ended")? {
            None => self.check_input().await,
            Some(ended) => match (ended.at_ms + ENDED_MS).checked_sub(self.0.outside.now_ms()) {
                Some(rest @ 1..) => self.set_alarm(rest).await,
                _ => self.forget().await?,
            },
        }
        Response::ok("")
    }

    async fn accept_client(
        &self,
        machine: MachineId,
        session: TerminalId,
        request: &Request,
    ) -> worker::Result<Response> {
        let Some(Arrival { visitor, wake, directory }) =
            request.headers().get(ARRIVAL)?.and_then(|text| serde_json::from_slice(text.as_bytes()).ok())
        else {
            return Response::error("not a visitor", 403);
        };
        self.remember(machine, session)?;
        if let Some(directory) = directory {
            self.0.memory.put("directory", &directory)?;
        }
        let id = self.next_id()?;
        let client = Client { visitor, checked_ms: self.0.outside.now_ms() };
        let joined = Frame::Joined(client.mode());
        let pair = WebSocketPair::new()?;
        self.0.state.accept_web_socket(&pair.server);
        self.add_client(id, pair.server.clone(), client)?;
        self.tell_people();
        if self.to_agent(&joined.encode_for(id)) {
            send(&pair.server, &Frame::Notice(Notice::Connected).encode());
        } else {
            self.show_kept(&pair.server);
            // Also where the shell has ended: an agent that comes back has its last output.
            self.call(id, wake);
        }
        let response = Response::from_websocket(pair.client)?;
        let headers = worker::Headers::new();
        headers.set("sec-websocket-protocol", SUBPROTOCOL)?;
        Ok(response.with_headers(headers))
    }

    /// Asks for the session's shell, and tells a client what the machine is doing.
    fn call(&self, id: u32, wake: bool) {
        let this = self.clone();
        background::run(&self.0.state, async move {
            let word = this.open(wake, false, id).await;
            // The agent may have dialled meanwhile, and said so itself.
            if this.agent().is_none() {
                this.to_client(id, &word.encode());
            }
        });
    }

    /// Asks the gateway for the session's shell on a client's account, and gives a frame for clients: what the machine is doing, or how the
    /// shell ended, should nobody have been there to hear it.
    pub(super) async fn open(&self, wake: bool, unanswered: bool, client: u32) -> Frame<'static> {
        let failed = |reason: &str| Frame::Notice(Notice::Failed { reason: reason.into() });
        let (Ok(Some(machine)), Ok(Some(session))) = (self.0.memory.get("machine"), self.0.memory.get("session"))
        else {
            return failed("The session is not known here.");
        };
        let directory = self.0.memory.get("directory").ok().flatten();
        let account = self.with_client(client, |peer| peer.client.visitor.account.clone());
        let by = By { actor: account, ..By::nobody(Cause::Terminal) };
        let command = GatewayCommand::OpenTerminal { session, columns: 80, rows: 24, directory, wake, unanswered, by };
        match self.0.outside.gateway(machine, &command).await {
            Some(Reply::State { state, reason }) => Frame::Notice(crate::machine_gateway::notice(state, &reason, wake)),
            Some(Reply::Ended { end }) => {
                if let Err(error) = self.remember_end(end).await {
                    self.0.outside.log(&format!("terminal {session}: {error}"));
                }
                Frame::End(end)
            }
            Some(Reply::Refused { detail, .. }) => failed(&detail),
            _ => failed("The machine's gateway did not answer. Try again in a moment."),
        }
    }

    async fn accept_agent(
        &self,
        machine: MachineId,
        session: TerminalId,
        request: &Request,
    ) -> worker::Result<Response> {
        if let Err(error) = self.admit(machine, session, request).await? {
            self.0.outside.log(&format!("terminal {session}: an agent's socket was refused: {error}"));
            return Response::error(error.to_string(), 403);
        }
        self.remember(machine, session)?;
        if let Some(old) = self.agent() {
            let _ = old.close(Some(close::REPLACED), Some("replaced"));
        }
        let pair = WebSocketPair::new()?;
        self.0.state.accept_web_socket(&pair.server);
        self.add_agent(pair.server)?;
        self.0.unacknowledged.set(None);
        self.0.arriving.borrow_mut().take();
        self.0.called_ms.set(0);
        for id in self.client_ids() {
            if let Some(joined) = self.with_client(id, |peer| Frame::Joined(peer.client.mode())) {
                self.to_agent(&joined.encode_for(id));
                self.to_client(id, &Frame::Notice(Notice::Connected).encode());
            }
        }
        Response::from_websocket(pair.client)
    }

    /// Writes down what it is; once.
    fn remember(&self, machine: MachineId, session: TerminalId) -> worker::Result<()> {
        if self.0.memory.get("session")? != Some(session) {
            self.0.memory.put("machine", &machine)?;
            self.0.memory.put("session", &session)?;
        }
        Ok(())
    }

    async fn admit(
        &self,
        machine: MachineId,
        session: TerminalId,
        request: &Request,
    ) -> worker::Result<Result<(), TicketError>> {
        let now = self.0.outside.now_ms();
        let admitted = match Dial::read(request)?.check(machine, self.0.outside.verifier(), now) {
            Ok(admitted) => admitted,
            Err(error) => return Ok(Err(error)),
        };
        if admitted.purpose != (Purpose::Terminal { session }) {
            return Ok(Err(TicketError::Purpose));
        }
        if !self.0.memory.use_ticket(&admitted.jti, now, now + 2 * LIFETIME_MS)? {
            return Ok(Err(TicketError::Replayed));
        }
        let binding = admitted.binding;
        let command =
            GatewayCommand::CheckAgent { generation: binding.generation, boot: binding.boot, agent_key: binding.key };
        match self.0.outside.gateway(machine, &command).await {
            Some(Reply::Agent { bound: true }) => Ok(Ok(())),
            _ => Ok(Err(TicketError::Generation)),
        }
    }
}
