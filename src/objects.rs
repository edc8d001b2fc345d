//! The shells of the Durable Objects: the names that `wrangler.toml` knows. What they do is in `durable/`.

#![expect(missing_docs, reason = "the macro makes methods that cannot be documented")]

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use js_sys::Uint8Array;
use snapvm_durable::machine_gateway::object::Gateway;
use snapvm_durable::object::Object;
use snapvm_durable::org_feed::object::Feed;
use snapvm_durable::terminal_session::object::Session;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_futures::future_to_promise;
use worker::{DurableObject, Env, Request, Response, State, WebSocket, durable_object};

use crate::gateway::outside::World;

/// The code of a socket that broke.
const BROKEN: u16 = 1006;

/// A close that the other side gets to see: the codes that only stand for "none" cannot be sent.
fn close_back(socket: &WebSocket, code: u16, reason: &str) {
    let _ = match code {
        1005 | BROKEN | 1015 => socket.close::<String>(None, None),
        code => socket.close(Some(code), Some(reason)),
    };
}

/// What the runtime is to wait for.
fn promise(rest: LocalBoxFuture<'static, worker::Result<()>>) -> JsValue {
    future_to_promise(async move { rest.await.map(|()| JsValue::UNDEFINED).map_err(JsValue::from) }).into()
}

/// An object's shell: what it wraps is there unless the deployment lacks something, which every request then says.
macro_rules! shell {
    ($(#[$about:meta])+ $name:ident($object:ident)) => {
        $(#[$about])+
        #[durable_object(alarm)]
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
        }

        // Not the macro's: it makes a promise of every message.
        #[wasm_bindgen]
        impl $name {
            /// A message came: what is returned is waited for.
            ///
            /// # Errors
            /// When the platform fails.
            #[wasm_bindgen(js_name = webSocketMessage)]
            pub fn websocket_message(&self, socket: web_sys::WebSocket, message: JsValue) -> Result<JsValue, JsValue> {
                let Ok(object) = &self.0 else { return Ok(JsValue::UNDEFINED) };
                let socket = WebSocket::from(socket);
                if let Some(text) = message.as_string() {
                    let object = object.clone();
                    return Ok(promise(async move { Object::text(&object, socket, &text).await }.boxed_local()));
                }
                let rest = Object::binary(object, socket, &Uint8Array::new(&message).to_vec())?;
                Ok(rest.map_or(JsValue::UNDEFINED, promise))
            }

            /// A socket closed.
            #[wasm_bindgen(js_name = webSocketClose)]
            pub fn websocket_close(&self, socket: web_sys::WebSocket, code: u16, reason: String) -> JsValue {
                let socket = WebSocket::from(socket);
                close_back(&socket, code, &reason);
                self.closed(socket, code)
            }

            /// A socket broke.
            #[wasm_bindgen(js_name = webSocketError)]
            pub fn websocket_error(&self, socket: web_sys::WebSocket) -> JsValue {
                self.closed(WebSocket::from(socket), BROKEN)
            }

            fn closed(&self, socket: WebSocket, code: u16) -> JsValue {
                let Ok(object) = self.0.clone() else { return JsValue::UNDEFINED };
                promise(async move { Object::closed(&object, socket, code).await }.boxed_local())
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
