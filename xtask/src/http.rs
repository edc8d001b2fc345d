//! The smallest HTTP client that can tell whether something on this machine answers.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An answer, as it came.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The status line and the headers.
    pub head: String,
    /// Everything after the head: a chunked body is still in chunks.
    pub body: String,
}

/// Asks a loopback port for a path.
///
/// # Errors
/// When nothing answers within `patience`, or not in HTTP.
pub async fn get(port: u16, path: &str, patience: Duration) -> Result<Answer> {
    tokio::time::timeout(patience, exchange(port, path))
        .await
        .with_context(|| format!("port {port} didn't answer within {} s", patience.as_secs()))?
}

async fn exchange(port: u16, path: &str) -> Result<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost:{port}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let Some(status) = head.split(' ').nth(1).and_then(|status| status.parse().ok()) else {
        bail!("port {port} didn't answer in HTTP");
    };
    Ok(Answer { status, head: head.to_owned(), body: body.to_owned() })
}
