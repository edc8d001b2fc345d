//! What is done to the Worker, the agents and the machines while sessions live: each by chance, until the run is over.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::Options;
use super::guest::{Machine, Machines};
use super::tally::Tally;
use crate::chance::Chance;
use crate::stack::{Releases, Stack};

/// How long a machine may take to fall asleep. One that somebody woke meanwhile does not.
const ASLEEP: Duration = Duration::from_secs(20);
/// How long a machine may take to be awake again.
const AWAKE: Duration = Duration::from_mins(2);
/// Between two looks at a machine's state.
const LOOK: Duration = Duration::from_millis(100);
/// What the history says of an upgrade that succeeded.
const UPGRADED: &str = "upgraded in place";

/// Half to one and a half times as long.
fn around(time: Duration, chance: &mut Chance) -> Duration {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(chance.between(millis / 2, millis.saturating_mul(3) / 2))
}

/// Kills the Worker and starts it again, sometimes as the next release; returns what keeps it from starting.
pub(super) async fn kill_the_worker(
    stack: &Stack,
    releases: &Releases,
    tally: &Tally,
    options: &Options,
    mut chance: Chance,
) -> anyhow::Error {
    let Some(every) = options.worker_dies else { return std::future::pending().await };
    for _ in 0..options.worker_deaths_max {
        sleep(around(every, &mut chance)).await;
        let is_release = options.releases.is_some_and(|deaths| chance.one_in(deaths));
        let restarted = async {
            let worker = stack.worker()?;
            worker.kill().await;
            if is_release {
                releases.next(stack)?;
            } else {
                sleep(Duration::from_millis(chance.below(1500))).await;
            }
            worker.start().await
        };
        if let Err(error) = restarted.await {
            return error;
        }
        tally.add(|counts| &counts.worker_deaths);
        if is_release {
            tally.add(|counts| &counts.releases);
        }
    }
    std::future::pending().await
}

/// Kills agents, and the shells with them.
pub(super) async fn kill_agents(machines: &Machines, tally: &Tally, options: &Options, mut chance: Chance) {
    let Some(every) = options.agent_dies else { return std::future::pending().await };
    loop {
        sleep(around(every, &mut chance)).await;
        if machines.pick(&mut chance).is_ok_and(Machine::kill_agent) {
            tally.add(|counts| &counts.agent_deaths);
        }
    }
}

/// Orders machines to hibernate, and after a while to start.
pub(super) async fn order_sleeps(machines: &Machines, tally: &Tally, options: &Options, mut chance: Chance) {
    let Some(every) = options.sleeps else { return std::future::pending().await };
    loop {
        sleep(around(every, &mut chance)).await;
        let Ok(machine) = machines.pick(&mut chance) else { continue };
        // Some are woken on their way to sleep by whoever comes, some are left alone.
        machine.hushed.store(!chance.one_in(3), Ordering::SeqCst);
        let order = |verb: &str| format!("{}/{verb}", machine.path);
        if machines.member.ask("POST", &order("hibernate"), None).await.is_err() {
            // It is not awake, or nobody is there to take the order.
            machine.hushed.store(false, Ordering::SeqCst);
            continue;
        }
        let until = Instant::now() + ASLEEP;
        while Instant::now() < until {
            let record = machines.member.ask("GET", &machine.path, None).await.unwrap_or_default();
            match record.get("state").and_then(Value::as_str) {
                Some("hibernated") => {
                    tally.add(|counts| &counts.sleeps);
                    sleep(Duration::from_millis(chance.below(3000))).await;
                    break;
                }
                Some("running" | "waking") => {
                    tally.add(|counts| &counts.called_off);
                    break;
                }
                _ => sleep(LOOK).await,
            }
        }
        machine.hushed.store(false, Ordering::SeqCst);
        if let Err(error) = machines.member.insist("POST", &order("start"), None, Instant::now() + AWAKE).await {
            tally.violation(format!("{} does not start: {error:#}", machine.path));
        }
    }
}

/// Counts the upgrades in the machines' histories.
pub(super) async fn count_upgrades(machines: &Machines, tally: &Tally) -> anyhow::Result<()> {
    for machine in machines.all() {
        let mut before = String::new();
        loop {
            let path = format!("{}/events?limit=200{before}", machine.path);
            let page = machines.member.insist("GET", &path, None, Instant::now() + AWAKE).await?;
            let events = page.get("events").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let text = |event: &Value, name: &str| event.get(name).and_then(Value::as_str).map(str::to_owned);
            let told = events.iter().filter(|event| text(event, "detail").is_some_and(|text| text.contains(UPGRADED)));
            tally.add_many(|counts| &counts.upgrades, told.count() as u64);
            let Some(last) = events.last().filter(|_| events.len() == 200).and_then(|event| text(event, "id")) else {
                break;
            };
            before = format!("&before={last}");
        }
    }
    Ok(())
}
