//! One session from its shell's start to its end.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use snapvm_protocol::agent::TerminalEnd;
use snapvm_protocol::terminal::Follow;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Options;
use super::check::{self, Findings};
use super::client::{Client, Plan};
use super::guest::{Machine, Machines};
use super::tally::Tally;
use crate::chance::Chance;

/// Lives one session, and adds it to the tally.
pub(super) async fn live(machines: &Machines, tally: &Arc<Tally>, options: &Options, mut chance: Chance) {
    let name = format!("s{:08x}", chance.below(1 << 32));
    match try_to_live(machines, tally, options, &mut chance, &name).await {
        Ok(findings) => {
            tally.add(|counts| &counts.sessions);
            tally.add_many(|counts| &counts.written, findings.written);
            tally.add_many(|counts| &counts.inputs, findings.inputs);
            for violation in findings.violations {
                tally.violation(format!("session {name}: {violation}"));
            }
        }
        Err(error) => tally.violation(format!("session {name}: {error:#}")),
    }
}

async fn try_to_live(
    machines: &Machines,
    tally: &Arc<Tally>,
    options: &Options,
    chance: &mut Chance,
    name: &str,
) -> Result<Findings> {
    let machine = machines.pick(chance)?;
    let deaths = machine.deaths.load(Ordering::SeqCst);
    let deadline = Instant::now() + options.patience;
    let made =
        machines.member.insist("POST", &format!("{}/terminals", machine.path), Some(&json!({})), deadline).await?;
    let id = made.get("id").and_then(Value::as_str).context("a terminal without id")?;
    let path = format!("{}/terminals/{id}/stream", machine.path);

    let writers = if chance.one_in(3) { 2 } else { 1 };
    let watchers = usize::try_from(chance.below(3))?;
    let rest = Arc::new(watch::Sender::new(None));
    let mut clients = Vec::new();
    for number in 0..writers + watchers {
        let types = number < writers;
        let plan = Plan {
            number,
            types,
            follow: if !types && chance.one_in(2) { Follow::Screen } else { Follow::Bytes },
            inputs: if types { options.inputs } else { 0 },
            faults: chance.below(8),
            rests: number == 0 && options.rests && chance.one_in(6),
            path: path.clone(),
            deadline,
            hushed: Arc::clone(&machine.hushed),
        };
        let visitor = if types { &machines.member } else { &machines.viewer };
        clients.push(Client::new(plan, visitor.clone(), chance.branch(), Arc::clone(tally), Arc::clone(&rest)));
    }
    let pace = match chance.below(3) {
        0 => "flood",
        1 => "bursts",
        _ => "trickle",
    };
    // Most fit into what the agent keeps, some overrun it.
    let bytes = match pace {
        "flood" => chance.below(options.bytes),
        "bursts" => chance.below(options.bytes / 4),
        _ => chance.below(100_000),
    };
    let command = Machine::command(name, chance.number() >> 1, bytes, writers, pace);
    let first = clients.first_mut().context("no client")?;
    let begins = first.begin(&command, &Machine::mark(name)).await;
    let begins = match begins {
        Ok(begins) => begins,
        Err(_) if machine.deaths.load(Ordering::SeqCst) > deaths => return Ok(lost(tally)),
        Err(error) => return Err(error),
    };

    let following = clients.into_iter().map(|client| tokio::spawn(client.follow()));
    let mut finished = Vec::new();
    let mut violations = Vec::new();
    for client in futures::future::join_all(following).await {
        match client? {
            Ok(client) => finished.push(client),
            Err((client, error)) => {
                violations.push(format!("client {} ({:?}): {error:#}", client.plan.number, client.plan.follow));
                finished.push(client);
            }
        }
    }
    let died = machine.deaths.load(Ordering::SeqCst) > deaths;
    for client in finished.iter().filter(|client| client.end().is_some()) {
        let end = client.end();
        if !(end == Some(check::WHOLE) || died && end == Some(TerminalEnd::Lost)) {
            violations.push(format!("client {}: the shell ended otherwise: {end:?}", client.plan.number));
        }
        if client.epochs.len() > 1 {
            violations.push(format!("client {}: it was shown several shells: {:?}", client.plan.number, client.epochs));
        }
    }
    if finished.iter().any(|client| client.end() == Some(TerminalEnd::Lost)) {
        tally.add(|counts| &counts.lost);
        tally
            .add_many(|counts| &counts.unapplied, finished.iter().map(|client| client.follower.waiting() as u64).sum());
    }
    let notes = machine.notes(name)?;
    if !violations.is_empty() {
        let typed =
            String::from_utf8_lossy(notes.input.get(notes.input.len().saturating_sub(40)..).unwrap_or_default());
        violations.push(format!(
            "the program of {bytes} bytes ({pace}) wrote {} from offset {begins}, and what it read ends with {typed:?}",
            notes.output.len()
        ));
    }
    let mut findings = check::compare(&notes, begins, &finished, died);
    violations.append(&mut findings.violations);
    Ok(Findings { violations, ..findings })
}

fn lost(tally: &Tally) -> Findings {
    tally.add(|counts| &counts.lost);
    Findings::default()
}
