//! D1 of the design, counted on the wire: how often one API call goes to the database and back.

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::report::Report;
use super::wire::WireCounter;
use crate::client::Person;
use crate::stack::Stack;

/// Puts a counter between the Worker and the pooler, and counts.
pub(crate) async fn run(stack: &Stack, report: &mut Report) -> Result<()> {
    let address = stack.database.app.rsplit('@').next().and_then(|rest| rest.split('/').next());
    let pooler = address.and_then(|address| address.split(':').nth(1)).context("no port")?.parse()?;
    let counter = WireCounter::start(pooler).await?;
    let worker = stack.worker()?;
    worker.stop().await?;
    let file = stack.dir.join("workerd/config.capnp");
    let configuration = std::fs::read_to_string(&file)?;
    let (from, to) = (format!("127.0.0.1:{pooler}"), format!("127.0.0.1:{}", counter.port));
    if configuration.matches(&from).count() != 1 {
        bail!("the Worker's configuration names the pooler more than once, or not at all");
    }
    std::fs::write(&file, configuration.replace(&from, &to))?;
    worker.start().await?;

    let mut person = Person::sign_up(stack.port, 2000).await?;
    let path = format!("/v1/orgs/{}/machines", person.org);
    let one = format!("{path}/counted");
    let body = json!({"name": "counted"});
    for (operation, method, path, body) in [
        ("machines_create", "POST", &path, Some(&body)),
        ("machines_get", "GET", &one, None),
        ("machines_list", "GET", &path, None),
    ] {
        let before = counter.round_trips(operation);
        person.expect(method, path, body).await?;
        let trips = counter.round_trips(operation) - before;
        #[expect(clippy::cast_precision_loss, reason = "a few")]
        report.add(format!("database round trips: {operation}"), "", trips as f64);
    }
    person.expect("DELETE", &one, None).await?;
    Ok(())
}
