//! Logs of services: what is kept of what real processes write, and what whoever reads them gets.

use std::net::SocketAddr;

use hyper::Method;
use serde_json::{Value, json};
use snapvm_protocol::agent::{SleepKind, ToAgent, ToObject};
use snapvm_protocol::logs::LOGS_PATH;
use snapvm_protocol::services::ServiceState;
use snapvm_protocol::tickets::Purpose;

use crate::services::{shell, state_of, welcome_with};
use crate::support::exec::Caller;
use crate::support::http::{Answer, send};
use crate::support::{World, soon, ticket};
use crate::upgrade::deliver_another;

const READS: Purpose = Purpose::Logs { epoch: 1 };

async fn ask(to: SocketAddr, ticket: &str, request: &Value) -> Answer {
    send(to, Method::POST, LOGS_PATH, &[("x-snap-ticket", ticket)], request.to_string().as_bytes()).await
}

async fn page(world: &World, request: Value) -> Value {
    let answer = ask(world.address, &ticket(READS), &request).await;
    assert_eq!((answer.status, answer.mark()), (200, Some("agent")), "{}", answer.text());
    serde_json::from_slice(&answer.body).unwrap()
}

fn texts(page: &Value) -> Vec<&str> {
    page["lines"].as_array().unwrap().iter().map(|line| line["text"].as_str().unwrap()).collect()
}

/// Waits until the newest line is this one.
async fn last_is(world: &World, service: &str, wanted: &str) -> Value {
    soon(wanted, async {
        loop {
            let page = page(world, json!({"service": service})).await;
            if texts(&page).last() == Some(&wanted) {
                break page;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

#[tokio::test]
async fn lines_have_times_and_pages_lead_back_to_the_first() {
    let mut world = World::with(json!({"service_backoff": 60_000}), &[]).await;
    let script = "seq 1 25; echo 'an Error'; echo oops >&2; printf 'no end'; exec sleep 1000";
    let _control = world.control_with(welcome_with(vec![shell("web", script)])).await;
    let newest = last_is(&world, "web", "oops").await;
    let line = &newest["lines"][0];
    assert!(line["at"].as_str().unwrap().ends_with('Z') && line["text"] == "1", "{line}");
    soon("the line without an end", async {
        while page(&world, json!({"service": "web"})).await["partial"]["text"] != "no end" {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let (mut before, mut found) = (Value::Null, vec![]);
    loop {
        let page = page(&world, json!({"service": "web", "lines": 10, "before": before})).await;
        found.splice(0..0, texts(&page).into_iter().map(str::to_owned));
        before = page["older"].clone();
        if before.is_null() {
            break;
        }
    }
    let mut wanted: Vec<String> = (1..=25).map(|number| number.to_string()).collect();
    wanted.extend(["an Error".to_owned(), "oops".to_owned()]);
    assert_eq!(found, wanted);
    assert_eq!(texts(&page(&world, json!({"service": "web", "search": "eRROR"})).await), ["an Error"]);
    assert_eq!(page(&world, json!({"service": "none"})).await["lines"], json!([]));
}

#[tokio::test]
async fn what_is_no_ticket_for_it_or_no_request_is_refused() {
    let mut world = World::new().await;
    let _control = world.control().await;
    let request = json!({"service": "web"});
    for wrong in [Purpose::Exec { epoch: 1 }, Purpose::Wake, Purpose::Ingress { epoch: 1 }, Purpose::Logs { epoch: 0 }]
    {
        assert_eq!(ask(world.address, &ticket(wrong), &request).await.status, 403, "{wrong:?}");
    }
    assert_eq!(ask(world.address, "", &request).await.status, 403);
    for wrong in [json!({}), json!({"service": "../../etc/passwd"}), json!({"service": "web", "lines": 0}), json!([])] {
        assert_eq!(ask(world.address, &ticket(READS), &wrong).await.status, 400, "{wrong}");
    }
}

#[tokio::test]
async fn a_flood_is_rotated_and_bounded_and_holds_nobody_up() {
    let mut world = World::with(json!({"service_backoff": 60_000}), &[]).await;
    // Thirty megabytes as fast as they go, then a moment, then the end.
    let script = "yes 'a line of some length, so that it is like one of a real log' | head -c 30000000; echo; sleep 1.2; \
        echo the end; exec sleep 1000";
    let _control = world.control_with(welcome_with(vec![shell("loud", script)])).await;
    // How much of it was too much depends on the computer; that it is counted is a test of the lines.
    last_is(&world, "loud", "the end").await;
    let logs = world.home.path().join("logs");
    let sizes: Vec<u64> =
        std::fs::read_dir(&logs).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).collect();
    assert!(sizes.len() <= 4 && sizes.iter().all(|size| *size < 2304 * 1024), "{sizes:?}");
    // Its memory did not grow with it.
    let status = std::fs::read_to_string(format!("/proc/{}/status", world.agent.id().unwrap())).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kilobytes: u64 = resident.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kilobytes < 64 * 1024, "{kilobytes} kB");
}

#[tokio::test]
async fn whoever_follows_gets_each_line_once_until_the_machine_sleeps() {
    let mut world = World::with(json!({"service_backoff": 60_000}), &[]).await;
    let go = world.home.path().join("go");
    let script = format!(
        "echo first; while [ ! -e {0} ]; do sleep 0.02; done; seq 1 3000; echo last; exec sleep 1000",
        go.display()
    );
    let mut control = world.control_with(welcome_with(vec![shell("web", &script)])).await;
    last_is(&world, "web", "first").await;
    let mut caller =
        Caller::ask(world.address, LOGS_PATH, &ticket(READS), &json!({"service": "web", "follow": true})).await;
    assert_eq!(caller.status, 200);
    assert_eq!(texts(&caller.until("lines").await), ["first"]);
    std::fs::write(&go, "").unwrap();
    let (mut found, mut place) = (vec![], Value::Null);
    while found.last().map(String::as_str) != Some("last") {
        let batch = caller.until("lines").await;
        assert_eq!(batch["skipped"], false);
        found.extend(texts(&batch).into_iter().map(str::to_owned));
        place = batch["newest"].clone();
    }
    let mut wanted: Vec<String> = (1..=3000).map(|number| number.to_string()).collect();
    wanted.push("last".to_owned());
    assert_eq!(found, wanted);
    // From a place on, there is nothing that was there before.
    let request = json!({"service": "web", "follow": true, "after": place});
    let mut again = Caller::ask(world.address, LOGS_PATH, &ticket(READS), &request).await;
    control.send(&ToAgent::Sleep { sleep: 1, kind: SleepKind::Hibernate, clear_tasks: false }).await;
    control.until(|message| matches!(message, ToObject::SleepReady { sleep: 1 }).then_some(())).await;
    control.send(&ToAgent::SleepGo { sleep: 1 }).await;
    assert_eq!(caller.until("end").await["reason"], "machine_sleeping");
    assert_eq!(again.event().await.unwrap(), ("end".to_owned(), json!({"reason": "machine_sleeping"})));
    assert_eq!(ask(world.address, &ticket(READS), &json!({"service": "web"})).await.status, 410);
}

#[tokio::test]
async fn a_log_outlives_an_upgrade_and_goes_with_its_service() {
    let mut world = World::with(json!({}), &[]).await;
    let script = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done";
    let mut control = world.control_with(welcome_with(vec![shell("web", script)])).await;
    state_of(&mut control, "web", ServiceState::Running).await;
    control.send(&ToAgent::Upgrade { digest: deliver_another(&world, "another") }).await;
    let mut control = world.origin.control().await;
    control.hello().await;
    control.welcome(welcome_with(vec![shell("web", script)])).await;
    let at = texts(&page(&world, json!({"service": "web"})).await).len();
    soon("lines of after the upgrade", async {
        while texts(&page(&world, json!({"service": "web", "lines": 1000})).await).len() < at + 5 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let all = page(&world, json!({"service": "web", "lines": 1000})).await;
    let numbers: Vec<usize> = texts(&all).into_iter().map(|text| text.parse().unwrap()).collect();
    assert_eq!(numbers, (1..=numbers.len()).collect::<Vec<_>>());
    control.send(&ToAgent::Services { services: vec![] }).await;
    soon("its files are gone", async {
        while std::fs::read_dir(world.home.path().join("logs")).unwrap().next().is_some() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
