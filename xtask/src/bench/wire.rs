//! A proxy between the Worker and the pooler that counts round trips, by the operation that asked for them.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// Longest message that is looked at; the Worker's are far below.
const MESSAGE_MAX: usize = 16 * 1024 * 1024;

/// Counts the round trips that a client asks Postgres for: `Sync` ends an extended query, `Query` is a simple one.
#[derive(Debug, Clone)]
pub(crate) struct WireCounter {
    /// The port it listens on.
    pub(crate) port: u16,
    /// What each connection asked, and in how many round trips.
    connections: Arc<Mutex<Vec<(String, u64)>>>,
}

impl WireCounter {
    /// Listens, and passes everything on to `upstream`.
    pub(crate) async fn start(upstream: u16) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let counter = Self { port: listener.local_addr()?.port(), connections: Arc::default() };
        let connections = counter.connections.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(("127.0.0.1", upstream)).await else { continue };
                let ((client_in, client_out), (mut server_in, server_out)) = (client.into_split(), server.into_split());
                let connections = connections.clone();
                tokio::spawn(async move { requests(client_in, server_out, &connections).await });
                let mut client_out = client_out;
                tokio::spawn(async move { tokio::io::copy(&mut server_in, &mut client_out).await });
            }
        });
        Ok(counter)
    }

    /// Round trips on the connections that called this function of the schema `api`. What an object asks at the same
    /// time, on connections of its own, is not the call's.
    pub(crate) fn round_trips(&self, function: &str) -> u64 {
        let wanted = format!("api.{function}(");
        let connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.iter().filter(|(asked, _)| asked.contains(&wanted)).map(|(_, trips)| trips).sum()
    }
}

/// Copies messages. A connection serves one request, so that all of its round trips are the operation's it names.
async fn requests(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    connections: &Mutex<Vec<(String, u64)>>,
) -> Result<()> {
    let startup = message(&mut from, None).await?;
    to.write_all(&startup).await?;
    let place = {
        let mut connections = connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.push((String::new(), 0));
        connections.len() - 1
    };
    loop {
        let kind = from.read_u8().await?;
        let bytes = message(&mut from, Some(kind)).await?;
        if let Some((asked, trips)) = connections.lock().unwrap_or_else(PoisonError::into_inner).get_mut(place) {
            if matches!(kind, b'P' | b'Q') {
                asked.push_str(&String::from_utf8_lossy(&bytes));
            }
            *trips += u64::from(matches!(kind, b'S' | b'Q'));
        }
        to.write_all(&bytes).await?;
    }
}

async fn message(from: &mut OwnedReadHalf, kind: Option<u8>) -> Result<Vec<u8>> {
    let length = from.read_u32().await?;
    let rest = usize::try_from(length)?.checked_sub(4).filter(|rest| *rest <= MESSAGE_MAX).context("no message")?;
    let mut bytes: Vec<u8> = kind.into_iter().chain(length.to_be_bytes()).collect();
    let head = bytes.len();
    bytes.resize(head + rest, 0);
    from.read_exact(bytes.get_mut(head..).unwrap_or_default()).await?;
    Ok(bytes)
}
