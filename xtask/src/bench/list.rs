//! Listing 50 machines under row-level security: SnapVM's Worker, and two peers that answer with the same page.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio_postgres::Client;

use super::Sizes;
use super::load::{self, Asks, Load};
use super::peer::Peer;
use super::report::Report;
use crate::client::{Connection, Person};
use crate::database::connect::connect;
use crate::progress;
use crate::stack::Stack;

const CONNECTIONS: usize = 16;
/// Machines in each organization.
const EACH: i32 = 200;
/// Organizations that somebody belongs to, and so the ones that are asked for; more are only rows in the way.
const ASKED: i32 = 500;
/// Requests that count for nobody.
const WARM_UP: usize = 200;
/// The peers' names in the report.
const TRANSACTION: &str = "Hono, begin/set/select/commit";
const FUNCTION: &str = "Hono, same function";

/// Measures, and leaves the rows in the database.
pub(crate) async fn run(stack: &Stack, sizes: &Sizes, report: &mut Report) -> Result<()> {
    let database = connect(&stack.database.superuser).await?;
    let mut people = Vec::new();
    for number in 0..CONNECTIONS {
        people.push(Person::sign_up(stack.port, number).await?);
    }
    let peer = Peer::start(stack).await?;

    grow(&database, &people, 0, 5).await?;
    let few = warmed(stack, &people, 5, sizes).await?;

    grow(&database, &people, 5, ASKED).await?;
    compare(stack, &peer, &people, sizes, report).await?;
    peer.stop().await?;

    if sizes.million {
        grow(&database, &people, ASKED, 5000).await?;
        let many = warmed(stack, &people, ASKED, sizes).await?;
        report.compare(
            "list 50 machines, p50 with 1,000,000 rows against 1,000",
            "ms",
            many.times.quantile(0.5),
            Some("SnapVM, 1,000 rows"),
            &[("SnapVM, 1,000 rows", few.times.quantile(0.5))],
        );
    }
    Ok(())
}

/// The three in turns, so that whatever else the machine does meets all of them.
async fn compare(stack: &Stack, peer: &Peer, people: &[Person], sizes: &Sizes, report: &mut Report) -> Result<()> {
    same_page(stack, peer, people).await?;
    let (mut ours, mut transaction, mut function) = (Load::default(), Load::default(), Load::default());
    for round in 0..=sizes.list_rounds {
        // The first round warms everything up and counts for nobody.
        let requests = if round == 0 { WARM_UP } else { sizes.list_requests };
        let rounds = [
            snapvm(stack, people, ASKED, sizes, requests).await?,
            hono(peer, "/transaction", people, sizes, requests).await?,
            hono(peer, "/function", people, sizes, requests).await?,
        ];
        if round > 0 {
            for (load, more) in [&mut ours, &mut transaction, &mut function].into_iter().zip(rounds) {
                load.add(more);
            }
        }
    }
    let rates = [(TRANSACTION, transaction.rate()), (FUNCTION, function.rate())];
    for (name, against) in [("begin/set/select/commit", TRANSACTION), ("the same function", FUNCTION)] {
        let metric = format!("list 50 of 100,000 machines, against {name}");
        report.compare(metric, "req/s", ours.rate(), Some(against), &rates);
    }
    for (name, quantile) in [("p50", 0.5), ("p99", 0.99)] {
        let times =
            [(TRANSACTION, transaction.times.quantile(quantile)), (FUNCTION, function.times.quantile(quantile))];
        let ours = ours.times.quantile(quantile);
        report.compare(format!("list 50 of 100,000 machines, {name}"), "ms", ours, Some(TRANSACTION), &times);
    }
    Ok(())
}

/// `SnapVM` by itself, after the pooler, the caches and the isolate have seen these requests.
async fn warmed(stack: &Stack, people: &[Person], orgs: i32, sizes: &Sizes) -> Result<Load> {
    snapvm(stack, people, orgs, sizes, WARM_UP).await?;
    snapvm(stack, people, orgs, sizes, sizes.list_requests).await
}

async fn snapvm(stack: &Stack, people: &[Person], orgs: i32, sizes: &Sizes, requests: usize) -> Result<Load> {
    let host = format!("localhost:{}", stack.port);
    load::run(stack.port, &host, &asks("", people, orgs), requests, sizes.list_bound).await
}

async fn hono(peer: &Peer, path: &str, people: &[Person], sizes: &Sizes, requests: usize) -> Result<Load> {
    let host = format!("localhost:{}", peer.port());
    load::run(peer.port(), &host, &asks(path, people, ASKED), requests, sizes.list_bound).await
}

/// Each person asks for each of their organizations in turn.
fn asks(prefix: &str, people: &[Person], orgs: i32) -> Vec<Asks> {
    let path = |org| format!("{prefix}/v1/orgs/bench-{org}/machines?limit=50");
    let all = people.iter().zip(0..);
    all.map(|(person, number)| {
        (0..orgs).filter(|org| belongs(number, *org)).map(|org| (path(org), person.cookie.clone())).collect()
    })
    .collect()
}

/// Everybody is in the first five organizations, and in every sixteenth of the others.
fn belongs(person: i32, org: i32) -> bool {
    org < 5 || (org < ASKED && org % 16 == person)
}

/// Who doesn't answer the same isn't compared.
async fn same_page(stack: &Stack, peer: &Peer, people: &[Person]) -> Result<()> {
    let person = people.first().context("nobody")?;
    let mut pages = Vec::new();
    for (port, prefix) in [(stack.port, ""), (peer.port(), "/transaction"), (peer.port(), "/function")] {
        let mut connection = Connection::open(port, &format!("localhost:{port}")).await?;
        let path = format!("{prefix}/v1/orgs/bench-3/machines?limit=50");
        let answer = connection.ask("GET", &path, &[("cookie", &person.cookie)], None).await?;
        let page: serde_json::Value = serde_json::from_slice(&answer.body)
            .with_context(|| format!("{path}: {}: {}", answer.status, answer.text()))?;
        // Without a session there is nothing, from anybody.
        let refused = connection.ask("GET", &path, &[("cookie", "__Host-snap_session=nobody")], None).await?;
        if refused.status < 400 {
            bail!("{path} answers {} to nobody", refused.status);
        }
        pages.push(page);
    }
    let [ours, transaction, function] = pages.as_slice() else { bail!("three pages") };
    if ours != transaction || ours != function {
        bail!("the peers answer differently:\n{ours}\n{transaction}\n{function}");
    }
    Ok(())
}

/// Adds organizations, with the people who ask and their machines.
async fn grow(database: &Client, people: &[Person], from: i32, to: i32) -> Result<()> {
    progress::say(&format!("rows of {} machines", (to - from) * EACH));
    database
        .execute(
            "insert into app.org (id, slug, name)
             select gen_random_uuid(), 'bench-' || n, 'Bench ' || n from generate_series($1::int, $2::int - 1) n",
            &[&from, &to],
        )
        .await?;
    let (mut orgs, mut accounts): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    for (person, number) in people.iter().zip(0..) {
        for org in (from..to).filter(|org| belongs(number, *org)) {
            orgs.push(format!("bench-{org}"));
            accounts.push(person.account.clone());
        }
    }
    database
        .execute(
            "insert into app.membership (org_id, account_id, role)
             select o.id, pair.account::uuid, 'member'
             from unnest($1::text[], $2::text[]) as pair (slug, account) join app.org o on o.slug = pair.slug",
            &[&orgs, &accounts],
        )
        .await?;
    // A member owns them: whoever asks may see the owner's name.
    let owners: Vec<&str> = people.iter().map(|person| person.account.as_str()).collect();
    database
        .execute(
            "insert into app.machine (org_id, id, name, owner_id, runtime, size, region, state, reason)
             select o.id, gen_random_uuid(), 'machine-' || lpad(m::text, 4, '0'), ($4::text[])[n % 16 + 1]::uuid, 'spritehost', 'small',
               'local', 'running', 'It runs.'
             from generate_series($1::int, $2::int - 1) n join app.org o on o.slug = 'bench-' || n,
               generate_series(1, $3::int) m",
            &[&from, &to, &EACH, &owners],
        )
        .await?;
    database.batch_execute("vacuum analyze app.machine, app.org, app.membership").await?;
    // What the rows left to write is not written while something is measured.
    database.batch_execute("checkpoint").await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    Ok(())
}
