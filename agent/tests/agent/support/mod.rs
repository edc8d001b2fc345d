//! What every test of the agent stands on: the real binary between a dial origin that acts as the objects, a fake
//! runtime socket, and apps on loopback. Nothing sleeps; everything waits for an event with a deadline.

pub mod apps;
pub mod exec;
pub mod guest;
pub mod http;
pub mod origin;
pub mod terminal;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use snapvm_protocol::ids::{MachineId, TerminalId};
use snapvm_protocol::tickets::{Purpose, Signer, Ticket};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpSocket;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use guest::Guest;
use origin::{Control, Origin};

/// How long anything may take.
pub const DEADLINE: Duration = Duration::from_mins(1);

/// Waits, but not for ever.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let value = tokio::time::timeout(DEADLINE, future).await;
    value.unwrap_or_else(|_| panic!("nothing came of: {what}"))
}

/// Waits until a file has just this.
pub async fn becomes(file: &Path, wanted: &[u8]) {
    while !std::fs::read(file).is_ok_and(|has| has == wanted) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A port that refuses connections, and is nobody else's until the socket is dropped or listens.
pub fn silent_port() -> (TcpSocket, u16) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = socket.local_addr().unwrap().port();
    (socket, port)
}

pub fn machine() -> MachineId {
    MachineId::new(1, [7; 10])
}

pub fn terminal(number: u8) -> TerminalId {
    TerminalId::new(1, [number; 10])
}

pub fn platform() -> Signer {
    Signer::from_seed(&[42; 32]).unwrap()
}

pub fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// A ticket of the platform; each has its own id.
pub fn ticket(purpose: Purpose) -> String {
    ticket_of(&platform(), machine(), 3, purpose, now_ms())
}

pub fn ticket_of(signer: &Signer, machine: MachineId, generation: u32, purpose: Purpose, at: i64) -> String {
    let mut random = [0; 8];
    getrandom::fill(&mut random).unwrap();
    let ticket = Ticket { machine, generation, purpose, jti: format!("{:x}", u64::from_be_bytes(random)) };
    signer.ticket(&ticket, at).unwrap()
}

/// The agent's program.
pub fn binary() -> PathBuf {
    std::env::var_os("AGENT_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_agent").into()).into()
}

/// What the agent's log says behind these words.
pub async fn said(log: &mut mpsc::UnboundedReceiver<String>, words: &str) -> String {
    soon(words, async {
        loop {
            let line = log.recv().await.expect("the agent lives");
            if let Some(rest) = line.strip_prefix(words) {
                break rest.to_owned();
            }
        }
    })
    .await
}

/// What distinguishes the services of a world's agent from those of others.
pub fn scope(home: &TempDir) -> String {
    format!("snapvm-test-{}", home.path().file_name().unwrap().to_str().unwrap().trim_start_matches('.'))
}

/// Ends what an agent that was killed leaves behind: services outlive their agent on purpose.
struct Leftovers(String);

impl Drop for Leftovers {
    fn drop(&mut self) {
        // What forks meanwhile is found the next time.
        while self.kill() > 0 {}
    }
}

impl Leftovers {
    /// Kills whatever has the world's home folder in its environment; how many that were.
    fn kill(&self) -> usize {
        let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let is_ours = |number: &i32| {
            let environment = std::fs::read(format!("/proc/{number}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|entry| entry == self.0.as_bytes())
        };
        let kill = |number: i32| nix::sys::signal::kill(nix::unistd::Pid::from_raw(number), nix::sys::signal::SIGKILL);
        numbers.filter(is_ours).filter(|number| kill(*number).is_ok()).count()
    }
}

/// The agent, and everything around it.
pub struct World {
    pub agent: Child,
    _leftovers: Leftovers,
    pub address: SocketAddr,
    pub origin: Origin,
    pub guest: Guest,
    pub home: TempDir,
    pub log: mpsc::UnboundedReceiver<String>,
    timings: serde_json::Value,
    environment: Vec<(String, String)>,
}

impl World {
    /// Everything, with intervals as given over short ones.
    pub async fn with(mut timings: serde_json::Value, environment: &[(&str, &str)]) -> Self {
        timings["healthy"] = json!(0);
        let home = TempDir::new().unwrap();
        std::fs::write(
            home.path().join(".bash_profile"),
            "PS1='$ '; unset PROMPT_COMMAND; bind 'set enable-bracketed-paste off'\n",
        )
        .unwrap();
        let origin = Origin::start().await;
        let guest = Guest::start(home.path().join("api.sock"));
        let environment: Vec<_> =
            environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let (agent, address, log) = start(&home, &origin, &timings, &environment).await;
        let leftovers = Leftovers(format!("HOME={}", home.path().display()));
        Self { agent, _leftovers: leftovers, address, origin, guest, home, log, timings, environment }
    }

    /// The same disk after a boot: the agent died with the machine's memory, and another one starts.
    pub async fn boot(mut self) -> Self {
        self.agent.kill().await.unwrap();
        let (agent, address, log) = start(&self.home, &self.origin, &self.timings, &self.environment).await;
        Self { agent, address, log, ..self }
    }

    pub async fn new() -> Self {
        Self::with(json!({}), &[]).await
    }

    /// Wakes the agent and takes its control socket up to the Welcome.
    pub async fn control(&mut self) -> Control {
        self.control_with(origin::welcome()).await
    }

    pub async fn control_with(&mut self, welcome: snapvm_protocol::agent::ToAgent) -> Control {
        let (address, wake) = (self.address, ticket(Purpose::Wake));
        // The answer waits for the binary's digest, which takes an unoptimized build a while; the dial does not.
        let reply = tokio::spawn(async move { http::wake(address, &wake).await });
        let mut control = self.origin.control().await;
        control.hello().await;
        control.welcome(welcome).await;
        let reply = reply.await.unwrap();
        assert_eq!(reply.status, 202, "{}", reply.text());
        control
    }
}

/// Starts an agent in this home, up to where it listens.
async fn start(
    home: &TempDir,
    origin: &Origin,
    timings: &serde_json::Value,
    environment: &[(String, String)],
) -> (Child, SocketAddr, mpsc::UnboundedReceiver<String>) {
    // In the background, as shells start programs there: interrupts are ignored.
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", "trap '' INT QUIT HUP; exec \"$0\" \"$@\""])
        .arg(binary())
        .args(["--listen", "127.0.0.1:0"])
        .env("SNAPVM_MACHINE", machine().to_string())
        .env("SNAPVM_GENERATION", "3")
        .env("SNAPVM_DIAL_ORIGIN", format!("http://{}", origin.address))
        .env("SNAPVM_PLATFORM_KEY", platform().verifier().to_text())
        .env("SNAPVM_GUEST_SOCKET", home.path().join("api.sock"))
        .env("SNAPVM_TEST_TIMINGS", timings.to_string())
        .env("SNAPVM_TEST_LOGS", home.path().join("logs"))
        .env("SNAPVM_TEST_ONCE", home.path().join("once"))
        .env("SNAPVM_TEST_SCOPE", scope(home))
        .env("SNAPVM_TEST_NEXT_BINARY", home.path().join("agent.next"))
        .env("HOME", home.path())
        .env("SHELL", "/bin/bash")
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut agent = command.spawn().unwrap();
    let mut lines = BufReader::new(agent.stderr.take().unwrap()).lines();
    let (sender, mut log) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok(Some(line)) = lines.next_line().await {
            if std::env::var_os("AGENT_LOG").is_some() {
                eprintln!("{line}");
            }
            let _ = sender.send(line);
        }
    });
    let address = said(&mut log, "agent: listens on ").await.parse().unwrap();
    (agent, address, log)
}
