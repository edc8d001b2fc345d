//! The peer of a terminal in the browser: `sshx` and `sshx-server`, of the crates registry, on this machine.
//!
//! `sshx` runs shells and holds a connection to `sshx-server`, which browsers come to over a WebSocket: CBOR messages,
//! with the terminals' bytes encrypted by a key that the server does not know (`web/protocol.rs` of `sshx-server`,
//! `encrypt.rs` of `sshx`). It is optional: where it cannot be built, the bench goes on without it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use aes::Aes128;
use aes::cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};
use anyhow::{Context, Result, bail};
use argon2::{Algorithm, Argon2, Params, Version};
use bytes::Bytes;
use ciborium::Value;
use ctr::Ctr64BE;
use futures::{SinkExt, StreamExt};
use nix::sys::signal::Signal;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::shell::Shell;
use crate::ports::{self, ReservedPort};
use crate::process::{Process, ProcessSpec};
use crate::{paths, progress};

const PATIENCE: Duration = Duration::from_secs(30);
/// What it mixes into the key.
const SALT: &[u8] = b"This is a non-random salt for sshx.io, since we want to stretch the security of 83-bit keys!";
/// Streams of the cipher: a shell's output has its number added.
const OUTPUT: u64 = 0x1_0000_0000;
const INPUT: u64 = 0x2_0000_0000;

/// A running `sshx`, and the server before it.
pub(super) struct Sshx {
    server: Process,
    client: Process,
    port: ReservedPort,
    /// The path of its session's socket.
    path: String,
    key: [u8; 16],
    /// Bytes typed so far into all of its shells, which share a stream.
    typed: u64,
    /// Bytes of output that never came.
    pub(super) lost: u64,
}

/// One shell, on a socket of its own.
pub(super) struct SshxShell<'a> {
    sshx: &'a mut Sshx,
    socket: WebSocketStream<TcpStream>,
    id: u64,
    /// The offset that comes next.
    offset: u64,
}

impl Sshx {
    /// Builds it where it isn't there yet, and starts it in this folder.
    pub(super) async fn start(folder: &Path) -> Result<Self> {
        let programs = install()?;
        std::fs::create_dir_all(folder)?;
        let port = ports::reserve()?;
        let address = format!("http://127.0.0.1:{}", port.number);
        let spawn = |name: &str, arguments: &[&str]| {
            ProcessSpec {
                name: name.to_owned(),
                program: programs.join(name),
                arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
                environment: vec![("HOME".to_owned(), folder.display().to_string())],
                log: folder.join(format!("{name}.log")),
                signal_at_parent_death: Signal::SIGKILL,
                refuses_root: false,
            }
            .spawn()
        };
        let number = port.number.to_string();
        let mut server = spawn("sshx-server", &["--listen", "127.0.0.1", "--port", &number, "--secret", "bench"])?;
        let started = Instant::now();
        while ports::is_free(port.number) {
            patient(started, &mut server).await?;
        }
        let mut client = spawn("sshx", &["--server", &address, "--shell", "/bin/bash", "--quiet"])?;
        let url = loop {
            let log = std::fs::read_to_string(folder.join("sshx.log")).unwrap_or_default();
            match log.lines().find(|line| line.starts_with(&address)) {
                Some(url) if log.ends_with('\n') => break url.to_owned(),
                _ => patient(started, &mut client).await?,
            }
        };
        let (page, secret) = url.split_once('#').context("a session without key")?;
        let path = format!("/api{}", page.trim_start_matches(&address));
        let mut key = [0; 16];
        let parameters = Params::new(19 * 1024, 2, 1, Some(key.len())).map_err(|error| anyhow::anyhow!("{error}"))?;
        Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters)
            .hash_password_into(secret.as_bytes(), SALT, &mut key)
            .map_err(|error| anyhow::anyhow!("{error}"))?;
        Ok(Self { server, client, port, path, key, typed: 0, lost: 0 })
    }

    /// A new shell, and a browser's socket to it.
    pub(super) async fn open(&mut self) -> Result<SshxShell<'_>> {
        let stream = TcpStream::connect(("127.0.0.1", self.port.number)).await?;
        stream.set_nodelay(true)?;
        let url = format!("ws://127.0.0.1:{}{}", self.port.number, self.path);
        let (socket, _) = tokio_tungstenite::client_async(url, stream).await?;
        let mut zeros = [0; 16];
        self.crypt(0, 0, &mut zeros);
        let mut shell = SshxShell { sshx: self, socket, id: 0, offset: 0 };
        shell.until_told("hello").await?;
        shell.tell("authenticate", vec![Value::Bytes(zeros.to_vec()), Value::Null]).await?;
        let before = shells(&shell.until_told("shells").await?);
        shell.tell("create", vec![0.into(), 0.into()]).await?;
        shell.id = loop {
            let now = shells(&shell.until_told("shells").await?);
            if let Some(new) = now.into_iter().find(|id| !before.contains(id)) {
                break new;
            }
        };
        shell.tell("subscribe", vec![shell.id.into(), 0.into()]).await?;
        Ok(shell)
    }

    /// Encrypts or decrypts, which is the same.
    fn crypt(&self, stream: u64, offset: u64, bytes: &mut [u8]) {
        let mut start = [0; 16];
        for (byte, value) in start.iter_mut().zip(stream.to_be_bytes()) {
            *byte = value;
        }
        let mut cipher = Ctr64BE::<Aes128>::new(&self.key.into(), &start.into());
        cipher.seek(offset);
        cipher.apply_keystream(bytes);
    }

    /// Stops both.
    pub(super) async fn stop(self) -> Result<()> {
        self.client.stop(Signal::SIGINT, PATIENCE).await?;
        self.server.stop(Signal::SIGTERM, PATIENCE).await
    }
}

/// Where its programs are; builds them when they are not there.
fn install() -> Result<PathBuf> {
    let root = paths::tools().join("sshx");
    let programs = root.join("bin");
    if !["sshx", "sshx-server"].iter().all(|name| programs.join(name).is_file()) {
        progress::say("building sshx and sshx-server from the crates registry, to compare with (they need protoc)");
        let mut command = Command::new("cargo");
        command.args(["install", "--quiet", "--locked", "--root"]).arg(&root).args(["sshx", "sshx-server"]);
        progress::run("building sshx", command)?;
    }
    Ok(programs)
}

/// A moment, unless it took too long or the program ended.
async fn patient(started: Instant, process: &mut Process) -> Result<()> {
    if let Some(failure) = process.failure()? {
        return Err(failure);
    }
    if started.elapsed() > PATIENCE {
        bail!("it does not start");
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    Ok(())
}

/// The numbers in a list of shells.
fn shells(told: &[Value]) -> Vec<u64> {
    let list = told.first().and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(|shell| number(shell.as_array()?.first()?)).collect()
}

fn number(value: &Value) -> Option<u64> {
    value.as_integer()?.try_into().ok()
}

impl SshxShell<'_> {
    async fn tell(&mut self, what: &str, fields: Vec<Value>) -> Result<()> {
        let mut bytes = Vec::new();
        ciborium::into_writer(&Value::Map(vec![(what.into(), Value::Array(fields))]), &mut bytes)?;
        Ok(self.socket.send(Message::binary(bytes)).await?)
    }

    /// The fields of the next message of this kind; a single one stands alone on the wire.
    async fn until_told(&mut self, wanted: &str) -> Result<Vec<Value>> {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.socket.next()).await.context("sshx is silent")?;
            let Message::Binary(message) = next.context("sshx closed")?? else { continue };
            let told: Value = ciborium::from_reader(&*message)?;
            for (kind, fields) in told.into_map().unwrap_or_default() {
                match (kind.as_text(), fields) {
                    (Some("invalidAuth" | "error"), told) => bail!("sshx refuses: {told:?}"),
                    (Some("shells"), list) if wanted == "shells" => return Ok(vec![list]),
                    (Some(kind), Value::Array(fields)) if kind == wanted => return Ok(fields),
                    _ => {}
                }
            }
        }
    }

    /// The next output: its offset and its encrypted pieces.
    async fn chunks(&mut self) -> Result<(u64, Vec<Vec<u8>>)> {
        let mut fields = self.until_told("chunks").await?.into_iter();
        let (_, offset, chunks) = (fields.next(), fields.next(), fields.next());
        let offset = offset.as_ref().and_then(number).context("no offset")?;
        let chunks = chunks.and_then(|chunks| chunks.into_array().ok()).context("no chunks")?;
        let chunks: Vec<_> = chunks.into_iter().filter_map(|chunk| chunk.into_bytes().ok()).collect();
        self.sshx.lost += offset.saturating_sub(self.offset);
        self.offset = offset + chunks.iter().map(|chunk| chunk.len() as u64).sum::<u64>();
        Ok((offset, chunks))
    }
}

impl Shell for SshxShell<'_> {
    async fn input(&mut self, text: &str) -> Result<()> {
        let (mut bytes, offset) = (text.as_bytes().to_vec(), self.sshx.typed);
        self.sshx.crypt(INPUT, offset, &mut bytes);
        self.sshx.typed += text.len() as u64;
        self.tell("data", vec![self.id.into(), Value::Bytes(bytes), offset.into()]).await
    }

    async fn output(&mut self) -> Result<Bytes> {
        let (offset, chunks) = self.chunks().await?;
        let mut bytes = chunks.concat();
        self.sshx.crypt(OUTPUT | self.id, offset, &mut bytes);
        Ok(bytes.into())
    }

    /// Only the end is decrypted: the peer's rate is to be the peer's, and not that of our cipher. What the server
    /// dropped because this client came too late for it counts as come.
    async fn skim(&mut self) -> Result<(usize, Bytes)> {
        let before = self.offset;
        let (_, chunks) = self.chunks().await?;
        let last = chunks.last().map(Vec::as_slice).unwrap_or_default();
        let mut end = last.get(last.len().saturating_sub(2)..).unwrap_or_default().to_vec();
        self.sshx.crypt(OUTPUT | self.id, self.offset - end.len() as u64, &mut end);
        Ok((self.offset.saturating_sub(before).try_into()?, end.into()))
    }
}
