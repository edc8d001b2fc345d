//! What a machine's life costs in time: made, put to sleep, woken from warm and from cold; beside a bare `runc run` and
//! `podman start` of the same image with the same program, in turns.
//!
//! Several machines take turns as well: a wake is one only when the Worker's lease of the last request has ended, and
//! that wait is spent on all of them at once.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::app::{self, LEASE};
use super::load::Times;
use super::memory::{agents, is_of, resident};
use super::report::Report;
use super::shell::Shell;
use super::{Sizes, containers, machine};
use crate::client::{Connection, Person};
use crate::progress;
use crate::stack::Stack;

/// How long a machine of this bench stays warm: longer than a lease, so that there are warm wakes.
pub(super) const COLD_AFTER: Duration = Duration::from_secs(13);
/// Machines that take turns.
const MACHINES: usize = 4;
/// Services and sessions of the machine whose agent is weighed.
const TEN: usize = 10;
const RUNC: &str = "runc run";
const PODMAN: &str = "podman start";

/// A machine with the app on it.
struct Subject {
    name: String,
    host: String,
    cookie: String,
}

/// Measures everything.
pub(super) async fn run(stack: &Stack, sizes: &Sizes, report: &mut Report) -> Result<()> {
    let mut person = Person::sign_up(stack.port, 1000).await?;
    progress::say("create to prompt");
    let times = machine::create_to_prompt(&mut person, sizes.creates).await?;
    report.add("create to prompt p50", "ms", times.quantile(0.5));
    report.add("create to prompt p99", "ms", times.quantile(0.99));

    let mut subjects = Vec::new();
    for number in 0..MACHINES {
        subjects.push(subject(stack, &mut person, number).await?);
    }
    let containers = containers::Containers::prepare(stack)?;
    let (mut warm, mut cold) = (Times::default(), Times::default());
    let (mut to_warm, mut to_cold) = (Times::default(), Times::default());
    let (mut runc, mut podman) = (Times::default(), Times::default());
    for round in 0..sizes.wakes.div_ceil(MACHINES).max(1) {
        progress::say(&format!("warm wakes, cold wakes, and containers: round {}", round + 1));
        for (status, wakes, sleeps) in [("warm", &mut warm, &mut to_warm), ("cold", &mut cold, &mut to_cold)] {
            let last = Instant::now();
            for subject in &subjects {
                let ordered = Instant::now();
                person.expect("POST", &path(&person, subject, "hibernate"), None).await?;
                if status == "warm" {
                    app::until_status(stack, &person, &subject.name, "warm").await?;
                    sleeps.push(ordered.elapsed());
                }
            }
            for subject in &subjects {
                machine::until_state(&mut person, &subject.name, "hibernated").await?;
                if status == "cold" {
                    app::until_status(stack, &person, &subject.name, "cold").await?;
                }
            }
            if status == "cold" {
                sleeps.push(last.elapsed());
            }
            tokio::time::sleep(LEASE.saturating_sub(last.elapsed())).await;
            for subject in &subjects {
                wakes.push(wake(stack, subject).await?);
            }
            for subject in &subjects {
                machine::until_state(&mut person, &subject.name, "running").await?;
            }
        }
        for _ in 0..MACHINES {
            runc.push(containers.runc().await.context("runc run")?);
            if let Some(time) = containers.podman().await.context("podman start")? {
                podman.push(time);
            }
        }
    }
    containers.remove()?;

    let quantiles = |times: &Times| (times.quantile(0.5), times.quantile(0.99));
    let (runc, podman) = (quantiles(&runc), quantiles(&podman));
    for (name, times) in [("warm", &warm), ("cold", &cold)] {
        let (p50, p99) = quantiles(times);
        let mut peers = vec![(RUNC, runc.0)];
        if podman.0 > 0.0 {
            peers.push((PODMAN, podman.0));
        }
        report.compare(format!("{name} wake to an app's first byte p50"), "ms", p50, Some(PODMAN), &peers);
        if name == "cold" && podman.0 > 0.0 {
            let metric = "cold wake to an app's first byte p50, against podman";
            report.compare(metric, "ms", p50, Some(PODMAN), &[(PODMAN, podman.0)]);
        }
        report.compare(format!("{name} wake to an app's first byte p99"), "ms", p99, Some(RUNC), &[(RUNC, runc.1)]);
    }
    report.add("sleep, order to warm p50", "ms", to_warm.quantile(0.5));
    report.add("sleep, order to cold p50 (13 s of it are waited warm)", "ms", to_cold.quantile(0.5));
    ten(stack, &mut person, report).await
}

fn path(person: &Person, subject: &Subject, verb: &str) -> String {
    format!("/v1/orgs/{}/machines/{}/{verb}", person.org, subject.name)
}

async fn subject(stack: &Stack, person: &mut Person, number: usize) -> Result<Subject> {
    let name = format!("life-{number}");
    person.expect("POST", &format!("/v1/orgs/{}/machines", person.org), Some(&json!({"name": name}))).await?;
    machine::until_state(person, &name, "running").await?;
    let (host, cookie) = app::serve(stack, person, &name).await?;
    Ok(Subject { name, host, cookie })
}

/// From a visitor's request to the app's first byte.
async fn wake(stack: &Stack, subject: &Subject) -> Result<Duration> {
    let mut gateway = Connection::open(stack.port, &subject.host).await?;
    let before = Instant::now();
    app::until_answered(&mut gateway, &subject.cookie).await?;
    Ok(before.elapsed())
}

/// The agent of a machine with ten services and ten sessions, none of which does anything.
async fn ten(stack: &Stack, person: &mut Person, report: &mut Report) -> Result<()> {
    progress::say("an agent with ten services and ten sessions");
    let before = agents()?;
    let org = person.org.clone();
    person.expect("POST", &format!("/v1/orgs/{org}/machines"), Some(&json!({"name": "ten"}))).await?;
    machine::until_state(person, "ten", "running").await?;
    let mut terminals = Vec::new();
    for number in 0..TEN {
        let service = json!({"command": "sleep", "args": ["infinity"]});
        let path = format!("/v1/orgs/{org}/machines/ten/services/idle-{number}");
        person.expect("PUT", &path, Some(&service)).await?;
        let mut terminal = machine::terminal(person, "ten").await?;
        terminal.prompt().await?;
        terminals.push(terminal);
    }
    // Whatever it freed is given back after a while.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let host = stack.spritehost.as_ref().context("no spritehost")?;
    let new: Vec<u32> = agents()?.into_iter().filter(|pid| !before.contains(pid) && is_of(*pid, &host.dir)).collect();
    let [pid] = new.as_slice() else { bail!("{} new agents, and not one", new.len()) };
    report.add("agent idle memory with ten services and ten sessions", "MB", resident(*pid)? * 1024.0 / 1e6);
    drop(terminals);
    Ok(())
}
