//! What a terminal costs: through the whole path, at the agent alone, and at what else there is, in one run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::direct::Direct;
use super::load::Times;
use super::machine::{median, session, until_state};
use super::memory::{agents, is_of, resident};
use super::report::Report;
use super::shell::Shell;
use super::sshx::Sshx;
use super::terminal::Terminal;
use super::{Sizes, pty};
use crate::client::{Connection, Person};
use crate::progress;
use crate::stack::Stack;

const MACHINE: &str = "terminals";
/// Names of the columns beside SnapVM's.
const AGENT: &str = "agent alone";
const SSHX: &str = "sshx";
const LOCAL_PTY: &str = "PTY alone";
/// Between two sign-ins, of five a second.
const BETWEEN_SIGN_INS: Duration = Duration::from_millis(200);
/// An account may try to sign in ten times in a quarter of an hour.
const SIGN_INS_EACH: usize = 9;
/// Who signs in: enough people for half a minute.
const PEOPLE: usize = 20;
/// How long a flood goes on, and how long memory is left to come to rest.
const REST: Duration = Duration::from_secs(3);
/// Writes more than 3 MiB.
const LINES: &str = "seq 450000; printf 'DO''NE'\r";

/// A machine of a stack, and who uses it.
struct WholePath {
    person: Person,
    agent: u32,
}

impl WholePath {
    async fn make(stack: &Stack) -> Result<Self> {
        let mut person = Person::sign_up(stack.port, 1000).await?;
        let path = format!("/v1/orgs/{}/machines", person.org);
        person.expect("POST", &path, Some(&json!({"name": MACHINE}))).await?;
        until_state(&mut person, MACHINE, "running").await?;
        let host = stack.spritehost.as_ref().context("no spritehost")?;
        let agent = agents()?.into_iter().find(|pid| is_of(*pid, &host.dir)).context("the machine has no agent")?;
        Ok(Self { person, agent })
    }

    async fn open(&mut self) -> Result<Terminal> {
        let session = session(&mut self.person, MACHINE).await?;
        Terminal::open(&self.person, MACHINE, &session).await
    }
}

/// Measures everything.
pub(super) async fn run(stack: &Stack, sizes: &Sizes, report: &mut Report) -> Result<()> {
    let mut whole = WholePath::make(stack).await?;
    let mut direct = Direct::start(&stack.dir.join("direct")).await?;
    // A peer that cannot be had is absent from the table, and takes nothing else with it.
    let mut sshx = Sshx::start(&stack.dir.join("sshx"))
        .await
        .inspect_err(|error| progress::say(&format!("sshx cannot be had, and is not compared with: {error:#}")))
        .ok();
    let outcome = measure(stack, &mut whole, &mut direct, sshx.as_mut(), sizes, report).await;
    if let Some(sshx) = sshx {
        if sshx.lost > 0 {
            progress::say(&format!("sshx left out {} bytes of output on the way, which count as come", sshx.lost));
        }
        sshx.stop().await?;
    }
    direct.stop().await?;
    outcome
}

async fn measure(
    stack: &Stack,
    whole: &mut WholePath,
    direct: &mut Direct,
    mut sshx: Option<&mut Sshx>,
    sizes: &Sizes,
    report: &mut Report,
) -> Result<()> {
    // First, while nothing has grown yet.
    progress::say("memory of sessions");
    memory(whole, direct, sizes, report).await?;
    direct.close().await?;
    progress::say("echo");
    echo(whole, direct, sshx.as_deref_mut(), sizes, report).await?;
    direct.close().await?;
    progress::say("output");
    output(whole, direct, sshx.as_deref_mut(), sizes, report).await?;
    direct.close().await?;
    progress::say("Ctrl-C");
    interrupt(whole, direct, sshx, sizes, report).await?;
    direct.close().await?;
    progress::say("reconnect");
    reconnect(whole, direct, sizes, report).await?;
    progress::say("echo beside sign-ins");
    sign_ins(stack, whole, sizes, report).await?;
    direct.close().await?;
    progress::say("a stalled client");
    stalled(whole, direct, report).await
}

/// A terminal whose shell has said that it is there.
async fn ready<S: Shell>(opening: impl Future<Output = Result<S>>) -> Result<S> {
    let mut shell = opening.await?;
    shell.prompt().await?;
    Ok(shell)
}

async fn echo(
    whole: &mut WholePath,
    direct: &mut Direct,
    sshx: Option<&mut Sshx>,
    sizes: &Sizes,
    report: &mut Report,
) -> Result<()> {
    let keys = sizes.keys;
    let ours = ready(whole.open()).await?.echoes(keys).await?;
    let agent = ready(direct.open()).await?.echoes(keys).await?;
    let alone = tokio::task::spawn_blocking(move || pty::echoes(keys)).await??;
    for (name, quantile) in [("p50", 0.5), ("p99", 0.99)] {
        let peers = [(AGENT, agent.quantile(quantile)), (LOCAL_PTY, alone.quantile(quantile))];
        report.compare(format!("echo {name}"), "ms", ours.quantile(quantile), Some(AGENT), &peers);
    }
    if let Some(sshx) = sshx {
        let theirs = ready(sshx.open()).await?.echoes(keys).await?;
        for (name, quantile) in [("p50", 0.5), ("p99", 0.99)] {
            let peers = [(SSHX, theirs.quantile(quantile))];
            report.compare(format!("echo {name}, against sshx"), "ms", ours.quantile(quantile), Some(SSHX), &peers);
        }
    }
    Ok(())
}

async fn output(
    whole: &mut WholePath,
    direct: &mut Direct,
    mut sshx: Option<&mut Sshx>,
    sizes: &Sizes,
    report: &mut Report,
) -> Result<()> {
    let (mut ours, mut agent, mut alone, mut theirs) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let bytes = sizes.bulk;
    for _ in 0..3 {
        ours.push(ready(whole.open()).await?.bulk(bytes).await.context("the whole path")? / 1e6);
        agent.push(ready(direct.open()).await?.bulk(bytes).await.context(AGENT)? / 1e6);
        alone.push(tokio::task::spawn_blocking(move || pty::bulk(bytes)).await?? / 1e6);
        if let Some(sshx) = sshx.as_deref_mut() {
            theirs.push(ready(sshx.open()).await?.bulk(bytes).await.context(SSHX)? / 1e6);
        }
    }
    let (ours, peers) = (median(ours), [(AGENT, median(agent)), (LOCAL_PTY, median(alone))]);
    report.compare("output", "MB/s", ours, Some(AGENT), &peers);
    if !theirs.is_empty() {
        report.compare("output, against sshx", "MB/s", ours, Some(SSHX), &[(SSHX, median(theirs))]);
    }
    Ok(())
}

async fn interrupt(
    whole: &mut WholePath,
    direct: &mut Direct,
    sshx: Option<&mut Sshx>,
    sizes: &Sizes,
    report: &mut Report,
) -> Result<()> {
    let ours = interrupts(&mut ready(whole.open()).await?, sizes.floods).await?;
    let agent = interrupts(&mut ready(direct.open()).await?, sizes.floods).await?;
    let name = "Ctrl-C under a flood of output p50";
    let mut peers = vec![(AGENT, agent.quantile(0.5))];
    if let Some(sshx) = sshx {
        peers.push((SSHX, interrupts(&mut ready(sshx.open()).await?, sizes.floods).await?.quantile(0.5)));
    }
    report.compare(name, "ms", ours.quantile(0.5), Some(AGENT), &peers);
    Ok(())
}

async fn interrupts(shell: &mut impl Shell, rounds: usize) -> Result<Times> {
    let mut times = Times::default();
    for _ in 0..rounds {
        times.push(shell.interrupt().await?);
    }
    Ok(times)
}

/// To the painted screen of a session with more output behind it than the agent keeps.
async fn reconnect(whole: &mut WholePath, direct: &mut Direct, sizes: &Sizes, report: &mut Report) -> Result<()> {
    let session = session(&mut whole.person, MACHINE).await?;
    let mut before = ready(Terminal::open(&whole.person, MACHINE, &session)).await?;
    before.input(LINES).await?;
    before.until("DONE").await?;
    drop(before);
    let mut ours = Times::default();
    for _ in 0..sizes.reconnects {
        ours.push(Terminal::painted(&whole.person, MACHINE, &session).await?);
    }
    let mut terminal = ready(direct.open()).await?;
    terminal.input(LINES).await?;
    terminal.until("DONE").await?;
    let mut agent = Times::default();
    for _ in 0..sizes.reconnects {
        agent.push(terminal.repainted().await?);
    }
    let name = "reconnect to the painted screen p50";
    report.compare(name, "ms", ours.quantile(0.5), Some(AGENT), &[(AGENT, agent.quantile(0.5))]);
    Ok(())
}

/// Echo while five people a second sign in: hashing must not be in its way.
async fn sign_ins(stack: &Stack, whole: &mut WholePath, sizes: &Sizes, report: &mut Report) -> Result<()> {
    let mut people = Vec::new();
    for number in 0..PEOPLE {
        people.push(Person::sign_up(stack.port, number).await?.email);
    }
    let mut terminal = ready(whole.open()).await?;
    let done = Arc::new(AtomicBool::new(false));
    let signing = tokio::spawn(sign_in(stack.port, people, done.clone()));
    let times = terminal.echoes(sizes.keys).await;
    done.store(true, Ordering::Relaxed);
    let count = signing.await??;
    let times = times?;
    progress::say(&format!("{count} sign-ins meanwhile"));
    for (name, quantile) in [("p50", 0.5), ("p99", 0.99)] {
        report.add(format!("echo {name} while five sign in a second"), "ms", times.quantile(quantile));
    }
    Ok(())
}

/// Signs in at a steady pace, whatever the answers take, until it is told that it is enough; says how often.
async fn sign_in(port: u16, people: Vec<String>, done: Arc<AtomicBool>) -> Result<usize> {
    let mut pace = tokio::time::interval(BETWEEN_SIGN_INS);
    let mut asked = tokio::task::JoinSet::new();
    let mut count = 0;
    let turns = std::iter::repeat_n(people, SIGN_INS_EACH).flatten();
    for (number, email) in turns.enumerate() {
        pace.tick().await;
        if done.load(Ordering::Relaxed) {
            break;
        }
        asked.spawn(async move {
            let host = format!("localhost:{port}");
            let (origin, address) = (format!("http://{host}"), format!("10.1.{}.1", number % 250));
            let body = json!({"email": email, "password": "correct horse battery"});
            let headers = [("origin", origin.as_str()), ("cf-connecting-ip", &address)];
            let answer =
                Connection::open(port, &host).await?.ask("POST", "/v1/sessions", &headers, Some(&body)).await?;
            if answer.status != 201 {
                bail!("sign-in answered {}: {}", answer.status, answer.text());
            }
            Ok(())
        });
        count += 1;
    }
    if !done.load(Ordering::Relaxed) {
        bail!("the echoes took longer than there are people to sign in");
    }
    while let Some(answer) = asked.join_next().await {
        answer??;
    }
    Ok(count)
}

/// What each session adds to its agent, with a shell at its prompt and a client.
async fn memory(whole: &mut WholePath, direct: &mut Direct, sizes: &Sizes, report: &mut Report) -> Result<()> {
    let (mut ours, mut agent) = (Vec::new(), Vec::new());
    // The first one brings what all of them share.
    let kept = (ready(whole.open()).await?, ready(direct.open()).await?);
    let before = (rested(whole.agent).await?, rested(direct.pid()).await?);
    for _ in 0..sizes.sessions {
        ours.push(ready(whole.open()).await?);
        agent.push(ready(direct.open()).await?);
    }
    let after = (rested(whole.agent).await?, rested(direct.pid()).await?);
    drop(kept);
    let count = f64::from(sizes.sessions);
    let peers = [(AGENT, (after.1 - before.1) / count)];
    report.compare("agent memory of a session", "KiB", (after.0 - before.0) / count, Some(AGENT), &peers);
    Ok(())
}

/// What an agent takes with a client that reads nothing while `yes` writes.
async fn stalled(whole: &mut WholePath, direct: &mut Direct, report: &mut Report) -> Result<()> {
    let (mut ours, mut agent) = (ready(whole.open()).await?, ready(direct.open()).await?);
    let before = (rested(whole.agent).await?, rested(direct.pid()).await?);
    for terminal in [&mut ours, &mut agent] {
        terminal.stall().await?;
        terminal.input("yes\r").await?;
    }
    let after = (rested(whole.agent).await?, rested(direct.pid()).await?);
    let (whole, alone) = (after.0 / 1024.0, after.1 / 1024.0);
    report.compare("agent memory with a stalled client and yes", "MiB", whole, Some(AGENT), &[(AGENT, alone)]);
    let (whole, alone) = (after.0 - before.0, after.1 - before.1);
    report.compare("agent memory that a stalled client adds", "KiB", whole, Some(AGENT), &[(AGENT, alone)]);
    Ok(())
}

async fn rested(pid: u32) -> Result<f64> {
    tokio::time::sleep(REST).await;
    resident(pid)
}
