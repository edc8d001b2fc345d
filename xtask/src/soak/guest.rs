//! The machines of a soak, who uses them, and the program that runs in their terminals (`guest.py`).

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use snapvm_protocol::ids::sprite_name;
use tokio::time::{Instant, timeout, timeout_at};

use crate::bench::shell::Shell;
use crate::bench::terminal::Terminal;
use crate::chance::Chance;
use crate::client::{Connection, Person};
use crate::stack::Stack;

const PROGRAM: &str = include_str!("guest.py");
const FOLDER: &str = "/var/tmp/soak";
/// The code with which the program ends.
pub(crate) const CODE: i32 = 7;
/// How long one call may take.
const CALL: Duration = Duration::from_secs(15);

/// Somebody's browser.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    /// The Worker's port.
    pub(crate) port: u16,
    /// The console's origin.
    pub(crate) origin: String,
    /// The session's cookie.
    pub(crate) cookie: String,
}

impl Visitor {
    fn of(person: &Person) -> Self {
        Self { port: person.port, origin: person.origin.clone(), cookie: person.cookie.clone() }
    }

    /// Calls the API until it answers with success: it may be away.
    pub(crate) async fn insist(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        deadline: Instant,
    ) -> Result<Value> {
        let mut last = anyhow!("no answer");
        let asking = async {
            loop {
                match self.ask(method, path, body).await {
                    Ok(value) => return value,
                    Err(error) => last = error,
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        let asked = timeout_at(deadline, asking).await;
        asked.map_err(|_| last.context(format!("{method} {path} never succeeds")))
    }

    /// Calls the API once.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let mut connection = Connection::open(self.port, &format!("localhost:{}", self.port)).await?;
        let headers = [("origin", self.origin.as_str()), ("cookie", self.cookie.as_str())];
        let answer = timeout(CALL, connection.ask(method, path, &headers, body)).await??;
        if answer.status >= 300 {
            bail!("{method} {path} answered {}: {}", answer.status, answer.text());
        }
        Ok(serde_json::from_slice(&answer.body)?)
    }
}

/// One machine.
#[derive(Debug)]
pub(crate) struct Machine {
    /// Its path in the API.
    pub(crate) path: String,
    /// Where its files are on this computer.
    files: PathBuf,
    /// What of its sprite is in the mount table of each of its processes.
    mark: String,
    /// How often its agent was killed.
    pub(crate) deaths: AtomicU64,
    /// Whether it is to be left asleep: nobody wakes it.
    pub(crate) hushed: Arc<AtomicBool>,
}

/// What the program wrote and what it read, by its own notes.
#[derive(Debug)]
pub(crate) struct Notes {
    /// What it wrote.
    pub(crate) output: Vec<u8>,
    /// What it read.
    pub(crate) input: Vec<u8>,
}

impl Machine {
    /// The line that turns a shell into the program.
    pub(crate) fn command(name: &str, seed: u64, bytes: u64, writers: usize, pace: &str) -> String {
        format!("exec python3 {FOLDER}/guest.py {FOLDER} {name} {seed} {bytes} {writers} {pace}\r")
    }

    /// The first thing that the program writes.
    pub(crate) fn mark(name: &str) -> Vec<u8> {
        format!("<<{name}>>").into_bytes()
    }

    /// Takes the notes of a program that has ended; they are deleted with it.
    pub(crate) fn notes(&self, name: &str) -> Result<Notes> {
        let take = |kind: &str| {
            let path = self.files.join(format!("{name}.{kind}"));
            std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
        };
        Ok(Notes { output: take("out")?, input: take("in")? })
    }

    /// Kills its agent, and every shell with it.
    pub(crate) fn kill_agent(&self) -> bool {
        let agent = crate::bench::memory::agents().unwrap_or_default().into_iter().find(|pid| {
            let mounts = std::fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
            mounts.contains(&self.mark)
        });
        let Some(agent) = agent else { return false };
        self.deaths.fetch_add(1, Ordering::SeqCst);
        kill(Pid::from_raw(agent.cast_signed()), Signal::SIGKILL).is_ok()
    }
}

/// Everything that sessions share.
#[derive(Debug)]
pub(crate) struct Machines {
    all: Vec<Machine>,
    /// Who may type.
    pub(crate) member: Visitor,
    /// Who may look.
    pub(crate) viewer: Visitor,
}

impl Machines {
    /// Signs people up and makes this many machines with the program in them.
    pub(crate) async fn make(stack: &Stack, count: usize) -> Result<Self> {
        let host = stack.spritehost.as_ref().context("the stack has no runtime")?;
        let mut person = Person::sign_up(stack.port, 1).await?;
        let viewer = Person::sign_up(stack.port, 2).await?;
        let org = person.org.clone();
        let role = json!({"email": viewer.email, "role": "viewer"});
        person.expect("POST", &format!("/v1/orgs/{org}/members"), Some(&role)).await?;
        let mut all = Vec::new();
        for number in 0..count {
            let name = format!("soak-{number}");
            let made = person.expect("POST", &format!("/v1/orgs/{org}/machines"), Some(&json!({"name": name}))).await?;
            let id = made.get("id").and_then(Value::as_str).context("a machine without id")?;
            let sprite = sprite_name(id.parse()?, 1);
            let path = format!("/v1/orgs/{org}/machines/{name}");
            let session = person.expect("POST", &format!("{path}/terminals"), Some(&json!({}))).await?;
            let session = session.get("id").and_then(Value::as_str).context("a terminal without id")?;
            let mut terminal = Terminal::open(&person, &name, session).await?;
            terminal.prompt().await?;
            terminal.input(&upload()).await?;
            terminal.until("UPLOADED").await?;
            all.push(Machine {
                path,
                files: host.dir.join("sprites").join(&sprite).join("upper").join(FOLDER.trim_start_matches('/')),
                mark: format!("/{sprite}/"),
                deaths: 0.into(),
                hushed: Arc::default(),
            });
        }
        Ok(Self { all, member: Visitor::of(&person), viewer: Visitor::of(&viewer) })
    }

    /// One of them.
    pub(crate) fn pick(&self, chance: &mut Chance) -> Result<&Machine> {
        let which = usize::try_from(chance.below(self.all.len() as u64))?;
        self.all.get(which).context("there is no machine")
    }

    /// All of them.
    pub(crate) fn all(&self) -> &[Machine] {
        &self.all
    }
}

/// What to type to have the program in the machine.
fn upload() -> String {
    let text = STANDARD.encode(PROGRAM);
    let lines: Vec<&str> =
        text.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap_or_default()).collect();
    // The shell's echo of the last line has its two halves apart.
    format!("mkdir -p {FOLDER}; base64 -d > {FOLDER}/guest.py << E\r{}\rE\recho UP''LOADED\r", lines.join("\r"))
}
