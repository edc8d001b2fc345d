//! SnapVM's agent without anything of SnapVM before it: the bench is its dial origin, and speaks as the objects do.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use futures::{SinkExt, StreamExt};
use nix::sys::signal::Signal;
use snapvm_protocol::agent::{OpenTerminal, ToAgent, WAKE_PATH, environment};
use snapvm_protocol::headers;
use snapvm_protocol::ids::{MachineId, TerminalId};
use snapvm_protocol::tickets::{Pass, Purpose, Signer, Ticket};
use snapvm_protocol::variables::Variables;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

use super::terminal::Terminal;
use crate::client::Connection;
use crate::ports::{self, ReservedPort};
use crate::process::{Process, ProcessSpec};

const PATIENCE: Duration = Duration::from_secs(20);
const GENERATION: u32 = 1;

type Socket = WebSocketStream<TcpStream>;

/// What the agent dialed with.
struct Dialed {
    socket: Socket,
    path: String,
    boot: String,
    key: String,
}

/// A running agent, awake.
pub(super) struct Direct {
    process: Process,
    _port: ReservedPort,
    orders: mpsc::Sender<ToAgent>,
    terminals: mpsc::Receiver<Dialed>,
    opened: u8,
    /// How many of them are closed.
    closed: u8,
}

impl Direct {
    /// Starts an agent whose home is this folder, and wakes it.
    pub(super) async fn start(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let origin = listener.local_addr()?;
        let port = ports::reserve()?;
        let machine = MachineId::new(1, [7; 10]);
        let platform = Signer::from_seed(&[42; 32])?;
        let process = ProcessSpec {
            name: "agent".into(),
            program: crate::paths::agent(),
            arguments: vec!["--listen".into(), format!("127.0.0.1:{}", port.number)],
            environment: [
                (environment::MACHINE, machine.to_string()),
                (environment::GENERATION, GENERATION.to_string()),
                (environment::DIAL_ORIGIN, format!("http://{origin}")),
                (environment::PLATFORM_KEY, platform.verifier().to_text()),
                ("SNAPVM_GUEST_SOCKET", folder.join("api.sock").display().to_string()),
                ("SNAPVM_TEST_LOGS", folder.join("logs").display().to_string()),
                ("HOME", folder.display().to_string()),
                ("SHELL", "/bin/bash".to_owned()),
            ]
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
            log: folder.join("agent.log"),
            signal_at_parent_death: Signal::SIGKILL,
            refuses_root: false,
        }
        .spawn()?;

        let (controls, mut dialed) = mpsc::channel(4);
        let (sender, terminals) = mpsc::channel(64);
        tokio::spawn(accept(listener, controls, sender));
        let wake = Ticket { machine, generation: GENERATION, purpose: Purpose::Wake, jti: crate::random::hex(8)? };
        // Its answer waits for the binary's digest, and says nothing that we need.
        tokio::spawn(wake_up(port.number, platform.ticket(&wake, now_ms()?)?));
        let control = tokio::time::timeout(PATIENCE, dialed.recv()).await.context("the agent does not dial")?;
        let control = control.context("no origin")?;
        let pass = Pass { machine, generation: GENERATION, boot: control.boot, agent_key: control.key, pass: true };
        let welcome = ToAgent::Welcome {
            now_ms: now_ms()?,
            machine,
            generation: GENERATION,
            pass: platform.pass(&pass)?,
            epoch: 1,
            idle_seconds: 900,
            cpu_counts: false,
            services: vec![],
            terminals: vec![],
            variables: Variables::default(),
        };
        let (orders, received) = mpsc::channel(4);
        tokio::spawn(object(control.socket, received));
        orders.send(welcome).await.context("the agent is gone")?;
        Ok(Self { process, _port: port, orders, terminals, opened: 0, closed: 0 })
    }

    /// A new session.
    pub(super) async fn open(&mut self) -> Result<Terminal> {
        self.opened += 1;
        let session = TerminalId::new(1, [self.opened; 10]);
        let order = OpenTerminal { session, columns: 80, rows: 24, fresh: true, directory: None };
        self.orders.send(ToAgent::OpenTerminal(order)).await.context("the agent is gone")?;
        let wanted = session.to_string();
        loop {
            let dialed = tokio::time::timeout(PATIENCE, self.terminals.recv()).await.context("nothing was dialed")?;
            let dialed = dialed.context("no origin")?;
            // A session whose terminal we dropped is dialed again, until it is closed.
            if dialed.path.ends_with(&wanted) {
                return Terminal::on_agent(dialed.socket).await;
            }
        }
    }

    /// Ends every session.
    pub(super) async fn close(&mut self) -> Result<()> {
        for number in std::mem::replace(&mut self.closed, self.opened) + 1..=self.opened {
            let session = TerminalId::new(1, [number; 10]);
            self.orders.send(ToAgent::CloseTerminal { session }).await.context("the agent is gone")?;
        }
        Ok(())
    }

    /// The agent's process.
    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Stops it, and with it every shell.
    pub(super) async fn stop(self) -> Result<()> {
        self.process.stop(Signal::SIGTERM, PATIENCE).await
    }
}

/// Takes every socket that is dialed, as the Worker does.
async fn accept(listener: TcpListener, controls: mpsc::Sender<Dialed>, terminals: mpsc::Sender<Dialed>) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (mut path, mut boot, mut key) = (String::new(), String::new(), String::new());
        #[expect(clippy::result_large_err, reason = "the callback's type is the library's")]
        let look = |request: &Request, response: Response| {
            request.uri().path().clone_into(&mut path);
            let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
            header(headers::BOOT).clone_into(&mut boot);
            header(headers::AGENT_KEY).clone_into(&mut key);
            Ok(response)
        };
        let socket = tokio_tungstenite::accept_hdr_async(stream, look).await?;
        let to = if path.ends_with("/control") { &controls } else { &terminals };
        to.send(Dialed { socket, path, boot, key }).await?;
    }
}

/// Asks until the agent listens.
async fn wake_up(port: u16, ticket: String) -> Result<()> {
    let mut connection = loop {
        match Connection::open(port, "sprite.example").await {
            Ok(connection) => break connection,
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    let answer = connection.ask("POST", WAKE_PATH, &[(headers::TICKET, &ticket)], None).await?;
    if answer.status != 202 {
        bail!("the agent answered {}: {}", answer.status, answer.text());
    }
    Ok(())
}

/// The control socket's object: it passes orders on, and answers pings.
async fn object(mut socket: Socket, mut orders: mpsc::Receiver<ToAgent>) -> Result<()> {
    loop {
        tokio::select! {
            order = orders.recv() => {
                let Some(order) = order else { return Ok(()) };
                socket.send(Message::text(serde_json::to_string(&order)?)).await?;
            }
            message = socket.next() => {
                if let Message::Text(text) = message.context("the agent is gone")?? && text.as_str() == "ping" {
                    socket.send(Message::text("pong")).await?;
                }
            }
        }
    }
}

fn now_ms() -> Result<i64> {
    Ok(i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?)
}
