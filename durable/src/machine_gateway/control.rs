//! The agent's control socket: who may open it, and what it says.

use snapvm_protocol::agent::{PROTOCOL_VERSION, ToAgent, ToObject, WokeBy, close, decode, version_of};
use snapvm_protocol::ids::MachineId;
use snapvm_protocol::services::{SERVICES_MAX, ServiceStatus};
use snapvm_protocol::tickets::{Pass, Purpose, TicketError};
use worker::{Request, Response, WebSocket, WebSocketPair};

use super::object::Gateway;
use super::outside::Outside;
use super::reports::Report;
use super::state::{ActivityKind, Event};
use super::terminals::Terminal;
use crate::dial::{Binding, Dial, LIFETIME_MS};
use crate::terminal_session::command::Command as TerminalCommand;

impl<O: Outside> Gateway<O> {
    pub(super) fn binding(&self) -> Option<Binding> {
        self.0.memory.get("binding").ok().flatten()
    }

    pub(super) async fn accept_control(&self, machine: MachineId, request: &Request) -> worker::Result<Response> {
        if self.ensure(machine).await.is_err() {
            return Response::error("no such machine", 404);
        }
        if let Err(error) = self.admit(machine, request)? {
            self.0.outside.log(&format!("machine {machine}: a control socket was refused: {error}"));
            return Response::error(error.to_string(), 403);
        }
        for old in self.0.state.get_websockets() {
            let _ = old.close(Some(close::REPLACED), Some("replaced"));
        }
        let serial = self.0.memory.get::<u64>("control")?.unwrap_or(0) + 1;
        self.0.memory.put("control", &serial)?;
        let pair = WebSocketPair::new()?;
        self.0.state.accept_web_socket(&pair.server);
        // Kept with the socket while the object sleeps: only the newest one's counts.
        pair.server.serialize_attachment(serial.to_string())?;
        Response::from_websocket(pair.client)
    }

    /// Checks a dial, and binds the agent's key on the first one.
    fn admit(&self, machine: MachineId, request: &Request) -> worker::Result<Result<(), TicketError>> {
        let Some(record) = self.record() else { return Ok(Err(TicketError::Machine)) };
        let now = self.0.outside.now_ms();
        let dial = Dial::read(request)?;
        let first = dial.pass.is_none();
        let admitted = match dial.check(machine, self.0.outside.verifier(), now) {
            Ok(admitted) => admitted,
            Err(error) => return Ok(Err(error)),
        };
        if admitted.purpose != (if first { Purpose::Wake } else { Purpose::Control }) {
            return Ok(Err(TicketError::Purpose));
        }
        let bound = first || self.binding().as_ref() == Some(&admitted.binding);
        if !bound || admitted.binding.generation != record.generation {
            return Ok(Err(TicketError::Generation));
        }
        if !self.0.memory.use_ticket(&admitted.jti, now, now + 2 * LIFETIME_MS)? {
            return Ok(Err(TicketError::Replayed));
        }
        self.0.memory.put("binding", &admitted.binding)?;
        Ok(Ok(()))
    }

    /// Sends to the agent, if it is connected.
    pub(super) fn tell(&self, message: &ToAgent) {
        let Some(socket) = self.control_socket() else { return };
        let sent =
            serde_json::to_string(message).map_err(worker::Error::from).and_then(|text| socket.send_with_str(text));
        if let Err(error) = sent {
            self.0.outside.log(&format!("telling the agent: {error}"));
        }
    }

    pub(super) fn control_socket(&self) -> Option<WebSocket> {
        self.0.state.get_websockets().into_iter().find(|socket| self.is_current(socket))
    }

    fn is_current(&self, socket: &WebSocket) -> bool {
        let serial = socket.deserialize_attachment::<String>().ok().flatten();
        let current = self.0.memory.get::<u64>("control").ok().flatten();
        serial.is_some_and(|serial| serial.parse().ok() == current && current.is_some())
    }

    /// Nothing that still comes from the agent's socket counts. The agent waits for a wake.
    pub(super) fn disconnect(&self) -> worker::Result<()> {
        let serial = self.0.memory.get::<u64>("control")?.unwrap_or(0) + 1;
        self.0.memory.put("control", &serial)?;
        for socket in self.0.state.get_websockets() {
            let _ = socket.close(Some(close::FORBIDDEN), Some("the machine is restored or made anew"));
        }
        Ok(())
    }

    pub(super) fn close_sockets(&self) {
        for socket in self.0.state.get_websockets() {
            let _ = socket.close(Some(close::FORBIDDEN), Some("deleted"));
        }
    }

    /// A text of the agent's.
    ///
    /// # Errors
    /// When the platform fails.
    pub async fn message(&self, socket: WebSocket, text: &str) -> worker::Result<()> {
        let Ok(Some(machine)) = self.0.memory.get::<MachineId>("id") else {
            return socket.close(Some(close::NOT_FOUND), Some("no such machine"));
        };
        if self.ensure(machine).await.is_err() || !self.is_current(&socket) {
            return Ok(());
        }
        // First of all, since nothing else of what another version says can be relied on.
        if let Some((protocol, digest)) = version_of(text)
            && protocol != PROTOCOL_VERSION
        {
            socket.close(Some(close::VERSION), Some("another version"))?;
            let carried = digest == self.0.outside.agent_digest();
            let _ = self.apply(Event::Outdated { protocol, carried }).await;
            return Ok(());
        }
        let message = match decode::<ToObject>(text) {
            Ok(message) => message,
            Err(error) => {
                self.0.outside.log(&format!("machine {machine}: a control message: {error}"));
                return socket.close(Some(close::MALFORMED), Some(&*error.to_string()));
            }
        };
        self.take(machine, socket, message).await
    }

    async fn take(&self, machine: MachineId, socket: WebSocket, message: ToObject) -> worker::Result<()> {
        let event = match message {
            ToObject::Hello { boot, digest, terminals, services, woke, .. } => {
                self.hello(machine, socket, &boot, &terminals, &services, woke).await?;
                if self.binding().is_some_and(|binding| binding.boot == boot) {
                    let carried = self.0.outside.agent_digest().to_owned();
                    let _ = self.apply(Event::Agent { boot, digest, carried }).await;
                }
                return Ok(());
            }
            ToObject::Activity { reason } => Event::Activity { kind: ActivityKind::read(&reason) },
            ToObject::Idle { seconds } => {
                self.idle(seconds).await;
                return Ok(());
            }
            ToObject::SleepReady { sleep } => Event::SleepReady { sleep },
            ToObject::Tasks { names } => Event::Tasks { names },
            ToObject::UpgradeRefused { digest, reason, again } => Event::UpgradeRefused { digest, reason, again },
            ToObject::Service(status) => {
                let status = status.bounded();
                self.keeps(&status).await;
                return self.report(machine, Report::Service(status)).await;
            }
            ToObject::TerminalStarted(status) => {
                self.mark_started(status.session);
                return Ok(());
            }
            ToObject::TerminalFailed { session, error } => {
                let notice = snapvm_protocol::terminal::Notice::Failed { reason: error };
                let _ = self.0.outside.tell_terminal(session, &TerminalCommand::Notice { notice }).await;
                return Ok(());
            }
            ToObject::TerminalEnded { session, end } => return self.terminal_ended(machine, session, end).await,
            ToObject::Synced { sync } => Event::Synced { sync },
            ToObject::Unknown => return Ok(()),
        };
        let _ = self.apply(event).await;
        Ok(())
    }

    async fn hello(
        &self,
        machine: MachineId,
        socket: WebSocket,
        boot: &str,
        terminals: &[snapvm_protocol::agent::TerminalStatus],
        services: &[ServiceStatus],
        woke: WokeBy,
    ) -> worker::Result<()> {
        let Some(binding) = self.binding().filter(|binding| binding.boot == boot) else {
            return socket.close(Some(close::FORBIDDEN), Some("not the bound agent"));
        };
        // Services and terminals may have changed while nobody was there to hear it.
        let reading = self.begin_reading();
        let record = match self.0.outside.load(machine).await {
            Ok(mut record) => {
                self.keep_variables(&mut record);
                record
            }
            Err(failure) => {
                self.0.outside.log(&format!("machine {machine}: welcoming its agent: {failure}"));
                let Some(record) = self.record() else { return Ok(()) };
                record
            }
        };
        if let Some(cache) = self.0.cache.borrow_mut().as_mut() {
            cache.record.services.clone_from(&record.services);
            cache.machine.idle_seconds = record.idle_seconds;
        }
        let variables = self.variables(&record).await;
        for status in terminals {
            self.mark_started(status.session);
        }
        let wanted = self.wanted_terminals();
        let pass =
            Pass { machine, generation: binding.generation, boot: binding.boot, agent_key: binding.key, pass: true };
        let Ok(pass) = self.0.outside.signer().pass(&pass) else { return Ok(()) };
        self.tell(&ToAgent::Welcome {
            now_ms: i64::try_from(self.0.outside.now_ms()).unwrap_or(i64::MAX),
            machine,
            generation: binding.generation,
            pass,
            epoch: record.epoch,
            idle_seconds: record.idle_seconds,
            cpu_counts: record.cpu_counts,
            // As they are now: they may have changed while secrets were opened.
            services: self.record().map_or(record.services, |record| record.services),
            terminals: wanted.into_iter().map(Terminal::order).collect(),
            variables,
        });
        if !self.is_newest_reading(reading) {
            // They changed meanwhile, and whoever said so may have been answered before this Welcome.
            self.reload_variables().await;
        }
        self.raise_epoch(record.epoch);
        let _ = self.apply(Event::Holds { until_ms: record.holds }).await;
        let keepers = services.iter().filter(|status| status.keeps_awake).map(|status| status.clone().bounded().name);
        let _ = self.apply(Event::Keepers { names: keepers.collect() }).await;
        let _ = self.apply(Event::Hello).await;
        self.0.outside.log(&format!("machine {machine}: agent connected ({woke:?})"));
        for status in services {
            self.report(machine, Report::Service(status.clone().bounded())).await?;
        }
        Ok(())
    }

    /// A service that was not may keep the machine awake now, or the other way round.
    async fn keeps(&self, status: &ServiceStatus) {
        let mut names = match self.0.cache.borrow().as_ref() {
            Some(cache) => cache.machine.keepers.clone(),
            None => return,
        };
        if names.contains(&status.name) == status.keeps_awake {
            return;
        }
        names.retain(|name| *name != status.name);
        if status.keeps_awake && names.len() < SERVICES_MAX {
            names.push(status.name.clone());
        }
        let _ = self.apply(Event::Keepers { names }).await;
    }

    /// The control socket closed or broke.
    ///
    /// # Errors
    /// When the platform fails.
    pub async fn closed(&self, socket: &WebSocket) -> worker::Result<()> {
        if self.is_current(socket)
            && let Ok(Some(machine)) = self.0.memory.get::<MachineId>("id")
            && self.ensure(machine).await.is_ok()
        {
            let _ = self.apply(Event::Lost).await;
        }
        Ok(())
    }
}
