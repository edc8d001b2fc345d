//! What the runtime brings to an object, whichever it is: the shells in the Worker pass it on through this.

use futures::future::LocalBoxFuture;
use snapvm_protocol::agent::close;
use worker::{Request, Response, Result, WebSocket};

use crate::machine_gateway::{object::Gateway, outside::Outside as GatewayOutside};
use crate::org_feed::{object::Feed, outside::Outside as FeedOutside};
use crate::terminal_session::{object::Session, outside::Outside as SessionOutside};

/// What an event still has to wait for, where it has to.
pub type Rest = Option<LocalBoxFuture<'static, Result<()>>>;

/// An object. Cheap to clone.
#[expect(async_fn_in_trait, reason = "objects run on one thread; their futures need not be Send")]
pub trait Object: Clone + 'static {
    /// A request of the Worker's, or an upgrade that it passes on.
    async fn fetch(&self, request: Request) -> Result<Response>;
    /// The time of the alarm has come.
    async fn alarm(&self) -> Result<Response>;
    /// A text came; pings are answered by the runtime.
    async fn text(&self, socket: WebSocket, text: &str) -> Result<()>;
    /// Bytes came. What can be done at once is done when this returns: they are keys and their echoes, and a promise
    /// for each would take longer than the rest.
    ///
    /// # Errors
    /// When the platform fails.
    fn binary(&self, socket: WebSocket, _bytes: &[u8]) -> Result<Rest> {
        socket.close(Some(close::MALFORMED), Some("text only"))?;
        Ok(None)
    }
    /// A socket closed or broke.
    async fn closed(&self, socket: WebSocket, code: u16) -> Result<()>;
}

impl<O: GatewayOutside> Object for Gateway<O> {
    async fn fetch(&self, request: Request) -> Result<Response> {
        self.fetch(request).await
    }
    async fn alarm(&self) -> Result<Response> {
        self.alarm().await
    }
    async fn text(&self, socket: WebSocket, text: &str) -> Result<()> {
        self.message(socket, text).await
    }
    async fn closed(&self, socket: WebSocket, _code: u16) -> Result<()> {
        self.closed(&socket).await
    }
}

impl<O: SessionOutside> Object for Session<O> {
    async fn fetch(&self, request: Request) -> Result<Response> {
        self.fetch(request).await
    }
    async fn alarm(&self) -> Result<Response> {
        self.alarm().await
    }
    async fn text(&self, _socket: WebSocket, _text: &str) -> Result<()> {
        // None means anything.
        Ok(())
    }
    fn binary(&self, socket: WebSocket, bytes: &[u8]) -> Result<Rest> {
        self.message(&socket, bytes)
    }
    async fn closed(&self, socket: WebSocket, code: u16) -> Result<()> {
        self.closed(&socket, code).await
    }
}

impl<O: FeedOutside> Object for Feed<O> {
    async fn fetch(&self, request: Request) -> Result<Response> {
        self.fetch(request).await
    }
    async fn alarm(&self) -> Result<Response> {
        self.alarm().await
    }
    async fn text(&self, socket: WebSocket, text: &str) -> Result<()> {
        self.text(&socket, text);
        Ok(())
    }
    async fn closed(&self, socket: WebSocket, _code: u16) -> Result<()> {
        self.closed(&socket);
        Ok(())
    }
}
