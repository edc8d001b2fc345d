//! A proxy between the Worker and the pooler that counts what goes over the wire.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// Counts the round trips that a client asks Postgres for: `Sync` ends an extended query, `Query` is a simple one.
#[derive(Debug, Clone)]
pub struct WireCounter {
    /// The port it listens on.
    pub port: u16,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    round_trips: AtomicU64,
    connections: AtomicU64,
}

impl WireCounter {
    /// Listens, and passes everything on to `upstream`.
    pub async fn start(upstream: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let counter = Self { port: listener.local_addr().expect("an address").port(), counts: Arc::default() };
        let counts = counter.counts.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                counts.connections.fetch_add(1, Ordering::SeqCst);
                let server = TcpStream::connect(("127.0.0.1", upstream)).await.expect("the pooler listens");
                let ((client_in, client_out), (server_in, server_out)) = (client.into_split(), server.into_split());
                tokio::spawn(requests(client_in, server_out, counts.clone()));
                tokio::spawn(answers(server_in, client_out));
            }
        });
        counter
    }

    /// Round trips so far, not counting those of connecting.
    pub fn round_trips(&self) -> u64 {
        self.counts.round_trips.load(Ordering::SeqCst)
    }

    /// Connections so far.
    pub fn connections(&self) -> u64 {
        self.counts.connections.load(Ordering::SeqCst)
    }
}

/// Copies messages and looks at their first byte. The startup message has none.
async fn requests(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, counts: Arc<Counts>) -> Option<()> {
    let startup = message(&mut from, None).await?;
    to.write_all(&startup).await.ok()?;
    loop {
        let kind = from.read_u8().await.ok()?;
        if matches!(kind, b'S' | b'Q') {
            counts.round_trips.fetch_add(1, Ordering::SeqCst);
        }
        let bytes = message(&mut from, Some(kind)).await?;
        to.write_all(&bytes).await.ok()?;
    }
}

async fn message(from: &mut OwnedReadHalf, kind: Option<u8>) -> Option<Vec<u8>> {
    let length = from.read_u32().await.ok()?;
    let mut bytes: Vec<u8> = kind.into_iter().chain(length.to_be_bytes()).collect();
    let head = bytes.len();
    bytes.resize(head + usize::try_from(length).ok()?.checked_sub(4)?, 0);
    from.read_exact(&mut bytes[head..]).await.ok()?;
    Some(bytes)
}

async fn answers(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    // Its end is the connection's end, whichever side closed it.
    let _ = tokio::io::copy(&mut from, &mut to).await;
}
