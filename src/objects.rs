//! The shells of the Durable Objects: the names that `wrangler.toml` knows. What they do is in `durable/`.

#![expect(missing_docs, reason = "the macro makes methods that cannot be documented")]

use snapvm_durable::machine_gateway::object::Gateway;
use snapvm_durable::object::Object;
use snapvm_durable::org_feed::object::Feed;
use snapvm_durable::terminal_session::object::Session;
use worker::{DurableObject, Env, Request, Response, State, WebSocket, WebSocketIncomingMessage, durable_object};

use crate::gateway::outside::World;

/// The code of a socket that broke.
const BROKEN: u16 = 1006;

/// A close that the other side gets to see: the codes that only stand for "none" cannot be sent.
fn close_back(socket: &WebSocket, code: usize, reason: &str) {
    let _ = match u16::try_from(code) {
        Ok(1005 | BROKEN | 1015) | Err(_) => socket.close::<String>(None, None),
        Ok(code) => socket.close(Some(code), Some(reason)),
    };
}

/// An object's shell: what it wraps is there unless the deployment lacks something, which every request then says.
macro_rules! shell {
    ($(#[$about:meta])+ $name:ident($object:ident)) => {
        $(#[$about])+
        #[durable_object]
        pub struct $name(Result<$object<World>, String>);

        impl $name {
            fn object(&self) -> worker::Result<&$object<World>> {
                self.0.as_ref().map_err(|error| worker::Error::from(error.clone()))
            }
        }

        impl DurableObject for $name {
            fn new(state: State, env: Env) -> Self {
                let world = World::new(env).map_err(|error| error.to_string());
                Self(world.and_then(|world| $object::new(state, world).map_err(|error| error.to_string())))
            }

            async fn fetch(&self, request: Request) -> worker::Result<Response> {
                Object::fetch(self.object()?, request).await
            }

            async fn alarm(&self) -> worker::Result<Response> {
                Object::alarm(self.object()?).await
            }

            async fn websocket_message(
                &self,
                socket: WebSocket,
                message: WebSocketIncomingMessage,
            ) -> worker::Result<()> {
                let Ok(object) = &self.0 else { return Ok(()) };
                match message {
                    WebSocketIncomingMessage::String(text) => Object::text(object, socket, &text).await,
                    WebSocketIncomingMessage::Binary(bytes) => Object::binary(object, socket, &bytes).await,
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
                let Ok(object) = &self.0 else { return Ok(()) };
                Object::closed(object, socket, u16::try_from(code).unwrap_or(BROKEN)).await
            }

            async fn websocket_error(&self, socket: WebSocket, _error: worker::Error) -> worker::Result<()> {
                let Ok(object) = &self.0 else { return Ok(()) };
                Object::closed(object, socket, BROKEN).await
            }
        }
    };
}

shell! {
    /// The shell of `MachineGateway`: see `durable/src/machine_gateway.rs`.
    MachineGateway(Gateway)
}

shell! {
    /// The shell of `TerminalSession`: see `durable/src/terminal_session.rs`.
    TerminalSession(Session)
}

shell! {
    /// The shell of `OrgFeed`: see `durable/src/org_feed.rs`.
    OrgFeed(Feed)
}
