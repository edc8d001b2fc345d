//! An app on a machine: through the gateway, past it, and after the machine was cold.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use snapvm_protocol::headers;
use snapvm_protocol::ids::MachineId;
use snapvm_protocol::tickets::{Purpose, Signer, Ticket};

use super::Sizes;
use super::load::Times;
use super::machine::until_state;
use super::report::Report;
use crate::client::{Connection, Person};
use crate::database::connect::connect;
use crate::progress;
use crate::stack::Stack;

const PORT: u16 = 3000;
const PATIENCE: Duration = Duration::from_mins(1);
/// A lease's life, and a little more.
pub(super) const LEASE: Duration = Duration::from_millis(10_500);

/// The smallest app that keeps connections: what is measured is the way to it. Its own start, a few tens of
/// milliseconds of Python, is part of a cold wake.
const APP: &str = r#"
import socket, threading
def serve(c):
    b = b""
    while True:
        d = c.recv(65536)
        if not d: return c.close()
        b += d
        while b"\r\n\r\n" in b:
            b = b.split(b"\r\n\r\n", 1)[1]
            c.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
s = socket.create_server(("127.0.0.1", 3000), backlog=64)
while True: threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
"#;

/// The app on another port, for those who start it without us.
pub(super) fn program(port: u16) -> String {
    APP.replace("3000", &port.to_string())
}

/// Measures on a machine that is there.
pub(super) async fn run(
    stack: &Stack,
    person: &mut Person,
    machine: &str,
    sizes: &Sizes,
    report: &mut Report,
) -> Result<()> {
    progress::say("app");
    let path = format!("/v1/orgs/{}/machines/{machine}", person.org);
    let (host, cookie) = serve(stack, person, machine).await?;
    let mut gateway = Connection::open(stack.port, &host).await?;

    overhead(stack, person, machine, (&mut gateway, &cookie), sizes, report).await?;

    progress::say("cold wakes");
    let mut times = Times::default();
    let mut last = Instant::now();
    for _ in 0..sizes.wakes {
        person.expect("POST", &format!("{path}/hibernate"), None).await?;
        until_state(person, machine, "hibernated").await?;
        until_status(stack, person, machine, "cold").await?;
        // A visitor who comes back later: until then the Worker may still use the lease of the last request.
        tokio::time::sleep(LEASE.saturating_sub(last.elapsed())).await;
        let mut gateway = Connection::open(stack.port, &host).await?;
        let before = Instant::now();
        until_answered(&mut gateway, &cookie).await?;
        times.push(before.elapsed());
        last = Instant::now();
        until_state(person, machine, "running").await?;
    }
    report.add("cold wake to an app's first byte p50", "ms", times.quantile(0.5));
    Ok(())
}

/// Runs the app as a service of a machine, and waits for it; gives its host, and a visitor's cookie.
pub(super) async fn serve(stack: &Stack, person: &mut Person, machine: &str) -> Result<(String, String)> {
    let path = format!("/v1/orgs/{}/machines/{machine}/services/web", person.org);
    let service = json!({"command": "python3", "args": ["-c", APP], "http_port": PORT});
    person.expect("PUT", &path, Some(&service)).await?;
    let host = format!("{PORT}--{machine}--{}.apps.localhost:{}", person.org, stack.port);
    let cookie = shake_hands(person, &host).await?;
    let mut gateway = Connection::open(stack.port, &host).await?;
    until_answered(&mut gateway, &cookie).await?;
    Ok((host, cookie))
}

/// How a member's browser gets into a private app; gives the app's cookie.
async fn shake_hands(person: &Person, host: &str) -> Result<String> {
    let mut app = Connection::open(person.port, host).await?;
    let mut console = Connection::open(person.port, &format!("localhost:{}", person.port)).await?;
    let begun = app.ask("GET", "/", &[("sec-fetch-mode", "navigate")], None).await?;
    let pre = begun.cookie("__Host-snap_pre")?;
    let allowed = console.ask("GET", below(begun.header("location")?)?, &[("cookie", &person.cookie)], None).await?;
    let done = app.ask("GET", below(allowed.header("location")?)?, &[("cookie", &pre)], None).await?;
    done.cookie("__Host-snap_app")
}

/// Path and query of a URL.
fn below(url: &str) -> Result<&str> {
    let (_, rest) = url.split_once("//").context("no URL")?;
    rest.find('/').and_then(|place| rest.get(place..)).context("a URL without path")
}

/// Asks as a browser with patience does: until the app answers.
pub(super) async fn until_answered(connection: &mut Connection, cookie: &str) -> Result<()> {
    let started = Instant::now();
    loop {
        let answer = connection.ask("GET", "/", &[("cookie", cookie)], None).await?;
        if answer.status == 200 && &*answer.body == b"ok" {
            return Ok(());
        }
        if started.elapsed() > PATIENCE {
            bail!("the app answers {}: {}", answer.status, answer.text());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until the runtime says this of the machine's sprite.
pub(super) async fn until_status(stack: &Stack, person: &Person, machine: &str, status: &str) -> Result<()> {
    let row = row(stack, person, machine).await?;
    let host = stack.spritehost.as_ref().context("no spritehost")?;
    let port = host.url.rsplit(':').next().context("a URL without port")?.parse()?;
    let mut connection = Connection::open(port, &format!("127.0.0.1:{port}")).await?;
    let authorization = format!("Bearer {}", host.token);
    let started = Instant::now();
    loop {
        let path = format!("/v1/sprites/{}", row.sprite);
        let answer = connection.ask("GET", &path, &[("authorization", &authorization)], None).await?;
        let view: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if view.get("status").and_then(Value::as_str) == Some(status) {
            return Ok(());
        }
        if started.elapsed() > PATIENCE {
            bail!("the sprite does not get {status}: {}: {}", answer.status, answer.text());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What the gateway knows of a machine.
struct Row {
    id: MachineId,
    generation: u32,
    epoch: u64,
    sprite: String,
    url: String,
}

async fn row(stack: &Stack, person: &Person, machine: &str) -> Result<Row> {
    let database = connect(&stack.database.superuser).await?;
    let row = database
        .query_one(
            "select m.id::text, m.generation, m.epoch, m.sprite_name, m.sprite_url
             from app.machine m join app.org o on o.id = m.org_id where o.slug = $1 and m.name = $2",
            &[&person.org, &machine],
        )
        .await?;
    Ok(Row {
        id: row.try_get::<_, String>(0)?.parse()?,
        generation: row.try_get::<_, i32>(1)?.try_into()?,
        epoch: row.try_get::<_, i64>(2)?.try_into()?,
        sprite: row.try_get(3)?,
        url: row.try_get(4)?,
    })
}

/// The same requests through the gateway and straight to the sprite's URL, in turns.
async fn overhead(
    stack: &Stack,
    person: &Person,
    machine: &str,
    (gateway, cookie): (&mut Connection, &str),
    sizes: &Sizes,
    report: &mut Report,
) -> Result<()> {
    let row = row(stack, person, machine).await?;
    let host = row.url.split("//").nth(1).context("no URL")?.trim_end_matches('/');
    let port = host.rsplit(':').next().context("a URL without port")?.parse()?;
    let mut sprite = Connection::open(port, host).await?;
    let authorization = format!("Bearer {}", stack.secrets.sprites_token);
    let signer = Signer::from_seed_text(&stack.secrets.platform_key_seed)?;
    let (mut ours, mut direct) = (Times::default(), Times::default());
    let mut ticket = String::new();
    for number in 0..sizes.requests + 20 {
        if number % 200 == 0 {
            // It lives a minute.
            let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
            let claims = Ticket {
                machine: row.id,
                generation: row.generation,
                purpose: Purpose::Ingress { epoch: row.epoch },
                jti: crate::random::hex(8)?,
            };
            ticket = signer.ticket(&claims, i64::try_from(now)?)?;
        }
        let asked = [
            ("authorization", authorization.as_str()),
            (headers::TICKET, &ticket),
            (headers::PORT, "3000"),
            (headers::APP_HOST, host),
            (headers::APP_SCHEME, "http"),
            (headers::ACCOUNT, &person.account),
        ];
        let before = Instant::now();
        let answer = sprite.ask("GET", "/", &asked, None).await?;
        let past = before.elapsed();
        if answer.status != 200 {
            bail!("the sprite's URL answered {}: {}", answer.status, answer.text());
        }
        let before = Instant::now();
        let answer = gateway.ask("GET", "/", &[("cookie", cookie)], None).await?;
        let through = before.elapsed();
        if answer.status != 200 {
            bail!("the gateway answered {}: {}", answer.status, answer.text());
        }
        if number >= 20 {
            direct.push(past);
            ours.push(through);
        }
    }
    let (through, past) = (ours.quantile(0.5), direct.quantile(0.5));
    let peers = [("sprite's URL", past)];
    report.compare("app request through the gateway p50", "ms", through, Some("sprite's URL"), &peers);
    report.add("gateway overhead p50", "ms", through - past);
    Ok(())
}
