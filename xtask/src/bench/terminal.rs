//! A terminal's client over the whole path, and the two things that are measured with it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::{SinkExt, StreamExt};
use snapvm_protocol::terminal::{Attach, Follow, Frame, Notice, SUBPROTOCOL};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::load::Times;
use crate::client::Person;

/// Longest silence of a terminal that has something to say.
const PATIENCE: Duration = Duration::from_mins(1);
/// Between two keys: a fast typist's distance is ten times that, and the agent has sent everything by then.
pub(super) const BETWEEN_KEYS: Duration = Duration::from_millis(3);

/// A terminal, attached.
pub(crate) struct Terminal {
    socket: WebSocketStream<TcpStream>,
    sent: u32,
}

impl Terminal {
    /// Opens the stream of a session and attaches; the machine is woken for it.
    pub(crate) async fn open(person: &Person, machine: &str, session: &str) -> Result<Self> {
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
        let mut terminal = Self { socket, sent: 0 };
        let key = crate::random::hex(8)?;
        loop {
            let message = terminal.message().await?;
            match Frame::decode(&message)? {
                Frame::Notice(Notice::Connected) => {
                    let attach = Attach {
                        columns: 80,
                        rows: 24,
                        key: key.clone(),
                        epoch: None,
                        offset: None,
                        follow: Follow::Bytes,
                    };
                    terminal.send(&Frame::Attach(attach)).await?;
                }
                Frame::Notice(Notice::Failed { reason }) => bail!("the machine failed: {reason}"),
                Frame::Ready(_) => return Ok(terminal),
                _ => {}
            }
        }
    }

    async fn send(&mut self, frame: &Frame<'_>) -> Result<()> {
        Ok(self.socket.send(Message::binary(frame.encode())).await?)
    }

    /// The next binary message.
    async fn message(&mut self) -> Result<bytes::Bytes> {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.socket.next()).await.context("the terminal is silent")?;
            match next.context("the terminal closed")?? {
                Message::Binary(message) => return Ok(message),
                Message::Close(frame) => bail!("the terminal closed: {frame:?}"),
                _ => {}
            }
        }
    }

    /// Types.
    pub(crate) async fn input(&mut self, text: &str) -> Result<()> {
        self.sent += 1;
        self.send(&Frame::Input(self.sent, text.as_bytes())).await
    }

    /// The next output, acknowledged on receipt, goes to `look`, which says whether that was enough.
    async fn output(&mut self, mut look: impl FnMut(&[u8]) -> bool) -> Result<()> {
        loop {
            let message = self.message().await?;
            match Frame::decode(&message)? {
                Frame::Output(offset, output) => {
                    self.send(&Frame::Acknowledge(offset + output.len() as u64)).await?;
                    if look(output) {
                        return Ok(());
                    }
                }
                Frame::Truncated(from, to) => bail!("output {from} to {to} is gone"),
                Frame::End(_) => bail!("the shell ended"),
                _ => {}
            }
        }
    }

    /// Reads until the output holds this text, and gives what came after it.
    pub(crate) async fn until(&mut self, text: &str) -> Result<Vec<u8>> {
        let mut seen = Vec::new();
        self.output(|output| {
            seen.extend_from_slice(output);
            find(&seen, text.as_bytes()).is_some()
        })
        .await?;
        let place = find(&seen, text.as_bytes()).unwrap_or_default() + text.len();
        Ok(seen.split_off(place))
    }

    /// Waits for a shell's prompt.
    pub(crate) async fn prompt(&mut self) -> Result<()> {
        let mut seen = Vec::new();
        self.output(|output| {
            seen.extend_from_slice(output);
            seen.ends_with(b"$ ") || seen.ends_with(b"# ")
        })
        .await
    }

    /// How long a key takes to come back from `cat`.
    pub(crate) async fn echoes(&mut self, keys: usize) -> Result<Times> {
        self.input("stty raw -echo; printf 'GO''GO'; exec cat\r").await?;
        self.until("GOGO").await?;
        let mut times = Times::default();
        // The first tenth warms up.
        for key in 0..keys + keys / 10 {
            tokio::time::sleep(BETWEEN_KEYS).await;
            let before = Instant::now();
            self.input("x").await?;
            self.output(|_| true).await?;
            if key >= keys / 10 {
                times.push(before.elapsed());
            }
        }
        Ok(times)
    }

    /// Bytes a second of this many bytes of output, acknowledged on receipt.
    pub(crate) async fn bulk(&mut self, bytes: usize) -> Result<f64> {
        self.input(&format!("stty raw -echo; printf 'GO''GO'; head -c {bytes} /dev/zero | tr '\\0' x\r")).await?;
        let mut rest = bytes.saturating_sub(self.until("GOGO").await?.len());
        let before = Instant::now();
        let measured = rest;
        self.output(|output| {
            rest = rest.saturating_sub(output.len());
            rest == 0
        })
        .await?;
        Ok(super::per_second(measured, before.elapsed()))
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}
