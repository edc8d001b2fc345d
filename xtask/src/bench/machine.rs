//! What a person waits for: a new machine's prompt, a key's echo, an app on a machine that was asleep.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::load::Times;
use super::memory::{agents, is_of, resident};
use super::report::Report;
use super::shell::Shell;
use super::terminal::Terminal;
use super::{Sizes, app, pty};
use crate::client::Person;
use crate::progress;
use crate::stack::Stack;

/// Longest time that a machine may take to get anywhere.
const PATIENCE: Duration = Duration::from_mins(1);
const LOCAL_PTY: &str = "PTY alone";

/// Measures everything that needs a machine.
pub(crate) async fn run(stack: &Stack, sizes: &Sizes, report: &mut Report) -> Result<()> {
    let mut person = Person::sign_up(stack.port, 1000).await?;
    let first = terminal(&mut person, "first").await?;
    drop(first);

    progress::say("terminal");
    measure_terminal(&mut person, sizes, report).await?;
    progress::say("agent");
    agent(stack, &mut person, report).await?;
    progress::say("create to prompt");
    let times = create_to_prompt(&mut person, sizes.creates).await?;
    report.add("create to prompt p50", "ms", times.quantile(0.5));
    app::run(stack, &mut person, "first", sizes, report).await
}

/// From the order to make a machine to its shell's prompt, so many times.
pub(super) async fn create_to_prompt(person: &mut Person, creates: usize) -> Result<Times> {
    let mut times = Times::default();
    for number in 0..creates {
        let name = format!("new-{number}");
        let before = Instant::now();
        let mut terminal = terminal(person, &name).await?;
        terminal.prompt().await?;
        times.push(before.elapsed());
        delete(person, &name).await?;
    }
    Ok(times)
}

/// A terminal of a machine, which is made if it isn't there.
pub(super) async fn terminal(person: &mut Person, machine: &str) -> Result<Terminal> {
    let org = person.org.clone();
    let (status, answer) =
        person.call("POST", &format!("/v1/orgs/{org}/machines"), Some(&json!({"name": machine}))).await?;
    if status != 201 && status != 409 {
        bail!("a machine could not be made: {status}: {answer}");
    }
    let session = session(person, machine).await?;
    Terminal::open(person, machine, &session).await
}

/// A new terminal session's id.
pub(super) async fn session(person: &mut Person, machine: &str) -> Result<String> {
    let path = format!("/v1/orgs/{}/machines/{machine}/terminals", person.org);
    let session = person.expect("POST", &path, Some(&json!({}))).await?;
    Ok(session.get("id").and_then(Value::as_str).context("a terminal without id")?.to_owned())
}

async fn delete(person: &mut Person, machine: &str) -> Result<()> {
    let path = format!("/v1/orgs/{}/machines/{machine}", person.org);
    person.expect("DELETE", &path, None).await?;
    let started = Instant::now();
    while person.call("GET", &path, None).await?.0 != 404 {
        if started.elapsed() > PATIENCE {
            bail!("{machine} is still there");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// Waits for a machine's state.
pub(super) async fn until_state(person: &mut Person, machine: &str, state: &str) -> Result<()> {
    let path = format!("/v1/orgs/{}/machines/{machine}", person.org);
    let started = Instant::now();
    loop {
        let record = person.expect("GET", &path, None).await?;
        if record.get("state").and_then(Value::as_str) == Some(state) {
            return Ok(());
        }
        if started.elapsed() > PATIENCE {
            bail!("{machine} isn't {state}: {record}");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// In turns with a pseudo-terminal of this machine.
async fn measure_terminal(person: &mut Person, sizes: &Sizes, report: &mut Report) -> Result<()> {
    let mut whole_path = terminal(person, "first").await?;
    whole_path.prompt().await?;
    let ours = whole_path.echoes(sizes.keys).await?;
    let keys = sizes.keys;
    let alone = tokio::task::spawn_blocking(move || pty::echoes(keys)).await??;
    for (name, quantile) in [("p50", 0.5), ("p99", 0.99)] {
        let peer = [(LOCAL_PTY, alone.quantile(quantile))];
        report.compare(format!("terminal echo {name}"), "ms", ours.quantile(quantile), Some(LOCAL_PTY), &peer);
    }

    let (mut ours, mut alone) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let mut terminal = terminal(person, "first").await?;
        terminal.prompt().await?;
        let bytes = sizes.bulk;
        ours.push(terminal.bulk(bytes).await? / 1e6);
        alone.push(tokio::task::spawn_blocking(move || pty::bulk(bytes)).await?? / 1e6);
    }
    report.compare("terminal output", "MB/s", median(ours), Some(LOCAL_PTY), &[(LOCAL_PTY, median(alone))]);
    Ok(())
}

pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// The agent of a machine on which nothing was done yet.
async fn agent(stack: &Stack, person: &mut Person, report: &mut Report) -> Result<()> {
    let org = person.org.clone();
    let before = agents()?;
    person.expect("POST", &format!("/v1/orgs/{org}/machines"), Some(&json!({"name": "idle"}))).await?;
    until_state(person, "idle", "running").await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let host = stack.spritehost.as_ref().context("no spritehost")?;
    // Other stacks of this machine have agents too: ours is new, and below our spritehost.
    let mut new = Vec::new();
    for pid in agents()? {
        if !before.contains(&pid) && is_of(pid, &host.dir) {
            new.push(pid);
        }
    }
    match new.as_slice() {
        [pid] => report.add("agent idle memory", "MB", resident(*pid)? * 1024.0 / 1e6),
        _ => progress::say(&format!("{} new agents, and not one: its memory isn't measured", new.len())),
    }
    delete(person, "idle").await
}
