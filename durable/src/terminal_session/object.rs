//! The object: lets clients and the agent in, and takes what the machine's gateway says.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use serde::{Deserialize, Serialize};
use snapvm_protocol::agent::{TerminalEnd, close};
use snapvm_protocol::ids::{MachineId, TerminalId};
use snapvm_protocol::terminal::{ClientMode, Frame, Notice, SUBPROTOCOL};
use snapvm_protocol::tickets::{Purpose, TicketError};
use worker::{Request, Response, State, WebSocket, WebSocketPair};

use super::command::Command;
use super::outside::{Outside, Visitor};
use crate::dial::{Dial, LIFETIME_MS};
use crate::machine_gateway::command::{Command as GatewayCommand, Reply};
use crate::memory::Memory;

/// The Worker's word on a client, as JSON, on the request that opens its socket.
pub const VISITOR: &str = "x-snap-visitor";
/// Client id of the agent's socket.
pub(super) const AGENT: u32 = 0;
pub(super) const CLIENT: &str = "client";

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
    /// Sockets by client id, [`AGENT`] among them: a cache of what the platform keeps.
    pub(super) sockets: RefCell<Option<HashMap<u32, WebSocket>>>,
    pub(super) clients: RefCell<HashMap<u32, Client>>,
    /// Since when input is unacknowledged, Unix ms.
    pub(super) unacknowledged: Cell<Option<u64>>,
    pub(super) alarm_set: Cell<bool>,
    /// Whether clients have been told how the shell ended.
    pub(super) end_told: Cell<bool>,
}

/// What is remembered of a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Client {
    pub(super) visitor: Visitor,
    /// When their access was last looked at, Unix ms.
    pub(super) checked_ms: u64,
}

impl Client {
    pub(super) fn mode(&self) -> ClientMode {
        if self.visitor.write { ClientMode::Write } else { ClientMode::Read }
    }
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
            clients: RefCell::new(HashMap::new()),
            unacknowledged: Cell::new(None),
            alarm_set: Cell::new(false),
            end_told: Cell::new(false),
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
                self.command(request.json().await?).await?;
                Response::ok("")
            }
            _ => Response::error("not found", 404),
        }
    }

    async fn command(&self, command: Command) -> worker::Result<()> {
        match command {
            Command::Notice { notice } => {
                // Who attaches needs an agent: `connected` is said when its socket comes, not before.
                if notice != Notice::Connected {
                    self.broadcast(&Frame::Notice(notice));
                }
            }
            Command::Ended { end } => {
                self.0.memory.put("end", &end)?;
                // The agent has usually said so itself, after the last output.
                if !self.0.end_told.replace(true) && (self.agent().is_none() || end == TerminalEnd::Lost) {
                    self.broadcast(&Frame::End(end));
                }
            }
            Command::Forget => {
                for socket in self.0.state.get_websockets() {
                    let _ = socket.close(Some(close::NOT_FOUND), Some("gone"));
                }
                self.0.sockets.borrow_mut().take();
                self.0.state.storage().delete_all().await?;
            }
        }
        Ok(())
    }

    async fn accept_client(
        &self,
        machine: MachineId,
        session: TerminalId,
        request: &Request,
    ) -> worker::Result<Response> {
        let Some(visitor) =
            request.headers().get(VISITOR)?.and_then(|text| serde_json::from_str::<Visitor>(&text).ok())
        else {
            return Response::error("not a visitor", 403);
        };
        self.0.memory.put("machine", &machine)?;
        self.0.memory.put("session", &session)?;
        let id = self.0.memory.get::<u32>("clients")?.unwrap_or(AGENT).wrapping_add(1).max(1);
        self.0.memory.put("clients", &id)?;
        let client = Client { visitor, checked_ms: self.0.outside.now_ms() };
        self.0.memory.put_item(CLIENT, &id.to_string(), &client)?;
        let pair = WebSocketPair::new()?;
        self.0.state.accept_web_socket(&pair.server);
        pair.server.serialize_attachment(id)?;
        self.remember_socket(id, pair.server.clone());
        self.0.clients.borrow_mut().insert(id, client.clone());

        if let Some(end) = self.0.memory.get::<TerminalEnd>("end")?.filter(|_| self.agent().is_none()) {
            send(&pair.server, &Frame::End(end).encode());
        } else if self.agent().is_some() {
            self.to_agent(&Frame::Joined(client.mode()).encode_for(id));
            send(&pair.server, &Frame::Notice(Notice::Connected).encode());
        } else {
            let this = self.clone();
            let socket = pair.server.clone();
            self.0.state.wait_until(async move {
                let notice = this.open(client.visitor.wake).await;
                // The agent may have dialled meanwhile, and said so itself.
                if this.agent().is_none() {
                    send(&socket, &Frame::Notice(notice).encode());
                }
            });
        }
        let response = Response::from_websocket(pair.client)?;
        let headers = worker::Headers::new();
        headers.set("sec-websocket-protocol", SUBPROTOCOL)?;
        Ok(response.with_headers(headers))
    }

    /// Asks the gateway for the session's shell, and says in a client's words what the machine is doing.
    pub(super) async fn open(&self, wake: bool) -> Notice {
        let failed = |reason: &str| Notice::Failed { reason: reason.into() };
        let (Ok(Some(machine)), Ok(Some(session))) = (self.0.memory.get("machine"), self.0.memory.get("session"))
        else {
            return failed("The session is not known here.");
        };
        let command = GatewayCommand::OpenTerminal { session, columns: 80, rows: 24, wake };
        match self.0.outside.gateway(machine, &command).await {
            Some(Reply::State { state, reason }) => crate::machine_gateway::notice(state, &reason, wake),
            Some(Reply::Refused { detail, .. }) => Notice::Failed { reason: detail },
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
        self.0.memory.put("machine", &machine)?;
        self.0.memory.put("session", &session)?;
        self.0.memory.remove("end")?;
        self.0.end_told.set(false);
        if let Some(old) = self.agent() {
            let _ = old.close(Some(close::REPLACED), Some("replaced"));
        }
        let pair = WebSocketPair::new()?;
        self.0.state.accept_web_socket(&pair.server);
        pair.server.serialize_attachment(AGENT)?;
        self.remember_socket(AGENT, pair.server);
        self.0.unacknowledged.set(None);
        for id in self.client_ids() {
            if let Some(client) = self.client(id) {
                self.to_agent(&Frame::Joined(client.mode()).encode_for(id));
                self.to_client(id, &Frame::Notice(Notice::Connected).encode());
            }
        }
        Response::from_websocket(pair.client)
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

/// Sends a frame; a socket that is closing needs none.
pub(super) fn send(socket: &WebSocket, frame: &[u8]) {
    let _ = socket.send_with_bytes(frame);
}
