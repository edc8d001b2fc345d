//! The shells of the Durable Objects: the names that `wrangler.toml` knows. What they do is in `durable/`.

#![expect(missing_docs, reason = "the macro makes methods that cannot be documented")]

use snapvm_durable::machine_gateway::object::Gateway;
use snapvm_durable::terminal_session::object::Session;
use worker::{DurableObject, Env, Request, Response, State, WebSocket, WebSocketIncomingMessage, durable_object};

use crate::gateway::outside::World;

/// A close that the other side gets to see: the codes that only stand for "none" cannot be sent.
fn close_back(socket: &WebSocket, code: usize, reason: &str) {
    let _ = match u16::try_from(code) {
        Ok(1005 | 1006 | 1015) | Err(_) => socket.close::<String>(None, None),
        Ok(code) => socket.close(Some(code), Some(reason)),
    };
}

/// The shell of `MachineGateway`: see `durable/src/machine_gateway.rs`.
#[durable_object]
pub struct MachineGateway(Result<Gateway<World>, String>);

impl DurableObject for MachineGateway {
    fn new(state: State, env: Env) -> Self {
        let world = World::new(env).map_err(|error| error.to_string());
        Self(world.and_then(|world| Gateway::new(state, world).map_err(|error| error.to_string())))
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        self.0.as_ref().map_err(|error| worker::Error::from(error.clone()))?.fetch(request).await
    }

    async fn alarm(&self) -> worker::Result<Response> {
        self.0.as_ref().map_err(|error| worker::Error::from(error.clone()))?.alarm().await
    }

    async fn websocket_message(&self, socket: WebSocket, message: WebSocketIncomingMessage) -> worker::Result<()> {
        let Ok(gateway) = &self.0 else { return Ok(()) };
        match message {
            WebSocketIncomingMessage::String(text) => gateway.message(socket, &text).await,
            WebSocketIncomingMessage::Binary(_) => {
                socket.close(Some(snapvm_protocol::agent::close::MALFORMED), Some("text only"))
            }
        }
    }

    async fn websocket_close(
        &self,
        socket: WebSocket,
        code: usize,
        reason: String,
        _clean: bool,
    ) -> worker::Result<()> {
        close_back(&socket, code, &reason);
        let Ok(gateway) = &self.0 else { return Ok(()) };
        gateway.closed(&socket).await
    }

    async fn websocket_error(&self, socket: WebSocket, _error: worker::Error) -> worker::Result<()> {
        let Ok(gateway) = &self.0 else { return Ok(()) };
        gateway.closed(&socket).await
    }
}

/// The shell of `TerminalSession`: see `durable/src/terminal_session.rs`.
#[durable_object]
pub struct TerminalSession(Result<Session<World>, String>);

impl DurableObject for TerminalSession {
    fn new(state: State, env: Env) -> Self {
        let world = World::new(env).map_err(|error| error.to_string());
        Self(world.and_then(|world| Session::new(state, world).map_err(|error| error.to_string())))
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        self.0.as_ref().map_err(|error| worker::Error::from(error.clone()))?.fetch(request).await
    }

    async fn alarm(&self) -> worker::Result<Response> {
        self.0.as_ref().map_err(|error| worker::Error::from(error.clone()))?.alarm().await
    }

    async fn websocket_message(&self, socket: WebSocket, message: WebSocketIncomingMessage) -> worker::Result<()> {
        let Ok(session) = &self.0 else { return Ok(()) };
        match message {
            WebSocketIncomingMessage::Binary(bytes) => session.message(socket, &bytes).await,
            // Pings are answered by the runtime; no other text means anything.
            WebSocketIncomingMessage::String(_) => Ok(()),
        }
    }

    async fn websocket_close(
        &self,
        socket: WebSocket,
        code: usize,
        reason: String,
        _clean: bool,
    ) -> worker::Result<()> {
        close_back(&socket, code, &reason);
        let Ok(session) = &self.0 else { return Ok(()) };
        session.closed(&socket, u16::try_from(code).unwrap_or(1006)).await
    }

    async fn websocket_error(&self, socket: WebSocket, _error: worker::Error) -> worker::Result<()> {
        let Ok(session) = &self.0 else { return Ok(()) };
        session.closed(&socket, 1006).await
    }
}
