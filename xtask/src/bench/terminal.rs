//! A client of SnapVM's terminals, over the whole path or on the socket that an agent dialed.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use snapvm_protocol::terminal::{Attach, ClientMode, Follow, Frame, Notice, Ready, SUBPROTOCOL, split_client};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::shell::Shell;
use crate::client::Person;

/// Longest silence of a terminal that has something to say.
const PATIENCE: Duration = Duration::from_mins(1);

/// A screen full of text is longer, with what scrolled out of it.
const LEAST_SCREEN: usize = 1000;

/// A terminal, attached.
pub(crate) struct Terminal {
    socket: WebSocketStream<TcpStream>,
    /// On an agent's socket: which client this is. The object is absent there, and so we say what it would.
    client: Option<u32>,
    sent: u32,
}

impl Terminal {
    /// Opens the stream of a session and attaches; the machine is woken for it.
    pub(crate) async fn open(person: &Person, machine: &str, session: &str) -> Result<Self> {
        let mut terminal = Self::connect(person, machine, session).await?;
        terminal.attach(Follow::Bytes).await?;
        Ok(terminal)
    }

    /// Opens the stream of a session with an emulator, and waits until everything that was there is.
    pub(super) async fn painted(person: &Person, machine: &str, session: &str) -> Result<Duration> {
        let before = Instant::now();
        Self::connect(person, machine, session).await?.paint().await?;
        Ok(before.elapsed())
    }

    async fn connect(person: &Person, machine: &str, session: &str) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", person.port)).await?;
        stream.set_nodelay(true)?;
        let path = format!("/v1/orgs/{}/machines/{machine}/terminals/{session}/stream?wake=true", person.org);
        let mut request = format!("ws://localhost:{}{path}", person.port).into_client_request()?;
        for (name, value) in
            [("cookie", &*person.cookie), ("origin", &person.origin), ("sec-websocket-protocol", SUBPROTOCOL)]
        {
            request.headers_mut().insert(name, value.parse()?);
        }
        let (socket, _) = tokio_tungstenite::client_async(request, stream).await?;
        let mut terminal = Self { socket, client: None, sent: 0 };
        loop {
            let message = terminal.message().await?;
            match Frame::decode(&message)? {
                Frame::Notice(Notice::Connected) => return Ok(terminal),
                Frame::Notice(Notice::Failed { reason }) => bail!("the machine failed: {reason}"),
                _ => {}
            }
        }
    }

    /// Attaches on a session's socket, as the first client.
    pub(super) async fn on_agent(socket: WebSocketStream<TcpStream>) -> Result<Self> {
        let mut terminal = Self { socket, client: Some(1), sent: 0 };
        terminal.send(&Frame::Joined(ClientMode::Write)).await?;
        terminal.attach(Follow::Bytes).await?;
        Ok(terminal)
    }

    /// Leaves an agent's socket and comes back on it with an emulator; waits until everything that was there is.
    pub(super) async fn repainted(&mut self) -> Result<Duration> {
        self.send(&Frame::Left).await?;
        let before = Instant::now();
        self.client = self.client.map(|client| client + 1);
        self.send(&Frame::Joined(ClientMode::Write)).await?;
        self.paint().await?;
        Ok(before.elapsed())
    }

    /// Attaches with an emulator, and reads nothing more.
    pub(super) async fn stall(&mut self) -> Result<()> {
        self.attach(Follow::Screen).await.map(drop)
    }

    async fn attach(&mut self, follow: Follow) -> Result<Ready> {
        self.sent = 0;
        let key = crate::random::hex(8)?;
        let attach = Attach { columns: 80, rows: 24, key, epoch: None, offset: None, follow, foreground: false };
        self.send(&Frame::Attach(attach)).await?;
        loop {
            let message = self.message().await?;
            if let Frame::Ready(ready) = Frame::decode(&message)? {
                return Ok(ready);
            }
        }
    }

    /// A snapshot, and the output up to what was live.
    async fn paint(&mut self) -> Result<()> {
        let ready = self.attach(Follow::Screen).await?;
        let mut rest = ready.snapshot.context("no snapshot, where older output is gone")?.bytes as usize;
        if rest < LEAST_SCREEN {
            bail!("a snapshot of {rest} bytes is none of a full screen");
        }
        let mut offset = ready.offset;
        while rest > 0 || offset < ready.live {
            let message = self.message().await?;
            match Frame::decode(&message)? {
                Frame::SnapshotPart(_, bytes) => rest = rest.saturating_sub(bytes.len()),
                Frame::Output(from, bytes) => offset = from + bytes.len() as u64,
                _ => continue,
            }
            if rest == 0 {
                self.send(&Frame::Acknowledge(offset)).await?;
            }
        }
        Ok(())
    }

    async fn send(&mut self, frame: &Frame<'_>) -> Result<()> {
        let bytes = self.client.map_or_else(|| frame.encode(), |client| frame.encode_for(client));
        Ok(self.socket.send(Message::binary(bytes)).await?)
    }

    /// The next frame that is for us.
    async fn message(&mut self) -> Result<Bytes> {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.socket.next()).await.context("the terminal is silent")?;
            match next.context("the terminal closed")?? {
                Message::Binary(message) => {
                    let Some(client) = self.client else { return Ok(message) };
                    let (to, frame) = split_client(&message).context("a frame without client")?;
                    if to == client {
                        return Ok(message.slice_ref(frame));
                    }
                }
                Message::Text(text) if text.as_str() == "ping" => self.socket.send(Message::text("pong")).await?,
                Message::Close(frame) => bail!("the terminal closed: {frame:?}"),
                _ => {}
            }
        }
    }
}

impl Shell for Terminal {
    async fn input(&mut self, text: &str) -> Result<()> {
        self.sent += 1;
        self.send(&Frame::Input(self.sent, text.as_bytes())).await
    }

    async fn output(&mut self) -> Result<Bytes> {
        loop {
            let message = self.message().await?;
            match Frame::decode(&message)? {
                Frame::Output(offset, output) => {
                    let output = message.slice_ref(output);
                    self.send(&Frame::Acknowledge(offset + output.len() as u64)).await?;
                    return Ok(output);
                }
                Frame::Truncated(from, to) => bail!("output {from} to {to} is gone"),
                Frame::End(_) => bail!("the shell ended"),
                _ => {}
            }
        }
    }
}
