//! Logs of services through the front door: pages, a search, following, and what sleep and access do to it.

use serde_json::{Value, json};
use snapvm_tests::client::Answer;
use snapvm_tests::events::Events;
use snapvm_tests::machines::Machine;
use snapvm_tests::{Client, PATIENCE, until};

use crate::world;

async fn serve(machine: &Machine, name: &str, script: &str) {
    let definition = json!({"command": "sh", "args": ["-c", script], "directory": "/var/tmp"});
    machine.client.put(format!("{}/services/{name}", machine.path), definition).await.expect(200);
}

fn path(machine: &Machine, name: &str, query: &str) -> String {
    format!("{}/services/{name}/logs{query}", machine.path)
}

async fn ask(client: &Client, machine: &Machine, name: &str, query: &str) -> Answer {
    client.get(path(machine, name, query)).await
}

async fn page(machine: &Machine, name: &str, query: &str) -> Value {
    ask(&machine.client, machine, name, query).await.expect(200)
}

async fn follow(client: &Client, machine: &Machine, name: &str, query: &str) -> Events {
    let events = client.request("GET", path(machine, name, query)).header("accept", "text/event-stream").open().await;
    assert_eq!((events.status, events.header("content-type")), (200, Some("text/event-stream")));
    events
}

fn texts(page: &Value) -> Vec<String> {
    page["lines"].as_array().unwrap().iter().map(|line| line["text"].as_str().unwrap().to_owned()).collect()
}

fn numbers(from: u32, to: u32) -> Vec<String> {
    (from..=to).map(|number| number.to_string()).collect()
}

async fn run(machine: &Machine, line: &str) -> Value {
    let command = json!({"command": "sh", "args": ["-c", line], "cwd": "/var/tmp"});
    machine.client.post(format!("{}/exec", machine.path), command).await.expect(200)
}

/// Waits until the newest line is this one.
async fn until_last(machine: &Machine, name: &str, wanted: &str) -> Value {
    let look = || async {
        let page = page(machine, name, "").await;
        (texts(&page).last().map(String::as_str) == Some(wanted)).then_some(page)
    };
    until(&format!("the last line of {name} is {wanted}"), PATIENCE, look).await
}

/// The lines of a follower up to this one, none of which was skipped; and the place behind them.
async fn lines_until(events: &mut Events, wanted: &str) -> (Vec<String>, String) {
    let mut found = Vec::new();
    loop {
        let batch = events.until("lines").await;
        assert_eq!(batch["skipped"], false, "{batch}");
        found.extend(texts(&batch));
        if found.last().map(String::as_str) == Some(wanted) {
            return (found, batch["newest"].as_str().unwrap().to_owned());
        }
    }
}

#[tokio::test]
async fn pages_lead_back_to_the_first_line_and_a_search_finds() {
    let (org, machine) = Machine::running(world()).await;
    serve(&machine, "web", r"seq 1 450; printf '\033[31mAn Error\033[0m <b>\n'; echo oops >&2; exec sleep 86400").await;
    let newest = until_last(&machine, "web", "oops").await;
    assert_eq!((texts(&newest).len(), newest["older"].is_string()), (200, true));
    assert!(newest["lines"][0]["at"].as_str().unwrap().ends_with('Z'), "{}", newest["lines"][0]);
    let (mut before, mut found) = (String::new(), Vec::new());
    loop {
        let page = page(&machine, "web", &format!("?lines=100{before}")).await;
        found.splice(0..0, texts(&page));
        let Some(older) = page["older"].as_str() else { break };
        before = format!("&before={older}");
    }
    let mut wanted = numbers(1, 450);
    wanted.extend(["\u{1b}[31mAn Error\u{1b}[0m <b>".to_owned(), "oops".to_owned()]);
    assert_eq!(found, wanted);
    // Viewers see services, and so their logs.
    let viewer = org.member(world(), "viewer").await.client;
    let (reader, _) = org.owner.token("read").await;
    for client in [&viewer, &reader] {
        let found = ask(client, &machine, "web", "?search=eRROR").await.expect(200);
        assert_eq!(texts(&found), ["\u{1b}[31mAn Error\u{1b}[0m <b>"]);
    }
    assert_eq!(page(&machine, "web", "?search=nowhere").await["lines"], json!([]));
    ask(&viewer, &machine, "none", "").await.problem(404, "not_found");

    // So many read at once, and no more; whoever goes makes room.
    let mut followers = Vec::new();
    for _ in 0..32 {
        followers.push(follow(&viewer, &machine, "web", "?lines=1").await);
    }
    ask(&viewer, &machine, "web", "").await.problem(429, "busy");
    drop(followers);
    let free = || async { (ask(&viewer, &machine, "web", "").await.status == 200).then_some(()) };
    until("there is room again", PATIENCE, free).await;
}

#[tokio::test]
async fn whoever_follows_gets_each_line_once_until_access_changes_or_the_machine_sleeps() {
    let (org, machine) = Machine::running(world()).await;
    // It writes what comes through a pipe, so that each step knows what is there.
    serve(&machine, "web", "rm -f pipe; mkfifo pipe; echo begun; while :; do cat pipe; done").await;
    until_last(&machine, "web", "begun").await;
    let person = org.member(world(), "viewer").await;
    let mut events = follow(&person.client, &machine, "web", "").await;
    assert_eq!(events.header("cache-control"), Some("no-store"));
    assert!(events.headers.iter().all(|(name, _)| !name.starts_with("x-snap-")), "{:?}", events.headers);
    assert_eq!(lines_until(&mut events, "begun").await.0, ["begun"]);
    let mut searching = follow(&person.client, &machine, "web", "?search=77").await;
    run(&machine, "seq 1 3000 > pipe").await;
    let (found, place) = lines_until(&mut events, "3000").await;
    assert_eq!(found, numbers(1, 3000));
    let wanted: Vec<String> = numbers(1, 3000).into_iter().filter(|text| text.contains("77")).collect();
    assert_eq!(lines_until(&mut searching, "2977").await.0, wanted);

    // A role that changes ends it, and whoever still may goes on where it ended.
    let member = org.path(&format!("/members/{}", person.account));
    org.owner.client.patch(&member, json!({"role": "member"})).await.expect(200);
    assert_eq!(events.until("end").await["reason"], "access_changed");
    assert_eq!(events.next().await, None);
    run(&machine, "seq 3001 3010 > pipe").await;
    let mut events = follow(&person.client, &machine, "web", &format!("?after={place}")).await;
    assert_eq!(lines_until(&mut events, "3010").await.0, numbers(3001, 3010));
    org.owner.client.delete(&member).await.expect(204);
    assert_eq!(events.until("end").await["reason"], "access_changed");
    ask(&person.client, &machine, "web", "").await.problem(404, "not_found");

    // A sleep ends it, and nobody who only looks wakes the machine.
    let mut events = follow(&machine.client, &machine, "web", "?lines=1").await;
    assert_eq!(texts(&events.until("lines").await), ["3010"]);
    machine.order("hibernate").await;
    assert_eq!(events.until("end").await["reason"], "machine_sleeping");
    machine.until("hibernated").await;
    for query in ["", "?follow=true", "?wake=false"] {
        ask(&machine.client, &machine, "web", query).await.problem(409, "asleep");
    }
    assert_ne!(world().sprites().status(&machine.sprite()).await.as_deref(), Some("running"));
    let woken = page(&machine, "web", "?wake=true&lines=2").await;
    assert_eq!(texts(&woken), ["3009", "3010"]);
    machine.until("running").await;
    let history = machine.client.get(format!("{}/events", machine.path)).await.expect(200);
    let waking = history["events"].as_array().unwrap().iter().find(|event| event["kind"] == "waking").unwrap();
    assert_eq!((&waking["cause"], &waking["actor"]), (&json!("service"), &json!(org.owner.name)));

    machine.order("stop").await;
    machine.until("stopped").await;
    for query in ["", "?wake=true"] {
        ask(&machine.client, &machine, "web", query).await.problem(409, "stopped");
    }
}

/// Lines of a hundred bytes, ten megabytes a second, each with its number.
const FLOOD: &str = r#"exec python3 -u -c '
import sys, time
number = 0
while True:
    sys.stdout.write("".join("%010d %s\n" % (line, "x" * 88) for line in range(number, number + 10000)))
    number += 10000
    time.sleep(0.1)
'"#;

#[tokio::test]
async fn a_flood_is_read_in_order_with_its_gaps_said_and_fills_no_disk() {
    let (_, machine) = Machine::running(world()).await;
    serve(&machine, "loud", FLOOD).await;
    machine.until_service("loud", "running").await;
    let full = || async { page(&machine, "loud", "?lines=1000").await["older"].is_string().then_some(()) };
    until("more than a page is there", PATIENCE, full).await;
    let mut events = follow(&machine.client, &machine, "loud", "").await;
    let (mut last, mut count) = (None, 0);
    while count < 50_000 {
        let batch = events.until("lines").await;
        for text in texts(&batch) {
            // The log's own words: how much came too fast.
            if text.starts_with("snapvm: ") {
                continue;
            }
            let number: u64 = text.split(' ').next().unwrap().parse().unwrap();
            assert_eq!(text.len(), 99, "a whole line");
            assert!(last.is_none_or(|last| number > last), "{number} after {last:?}");
            last = Some(number);
            count += 1;
        }
    }
    drop(events);
    let used = run(&machine, "du -cb ~/.snapvm/logs/loud.log* | tail -1 | cut -f 1").await;
    let used: u64 = used["stdout"].as_str().unwrap().trim().parse().unwrap();
    assert!((1..10 * 1024 * 1024).contains(&used), "{used} bytes of logs");
    machine.client.delete(format!("{}/services/loud", machine.path)).await.expect(204);
}
