//! Logs of services without a machine behind them: who may ask, what is wrong with a request, and what a machine that is
//! not there means. What a machine answers is in the tests of machines.

use snapvm_tests::client::Answer;
use snapvm_tests::{Client, Org, rows, world};

/// A machine with a service in its record, in this state.
async fn machine(state: &str) -> (Org, String) {
    let org = world().org().await;
    let superuser = world().superuser().await;
    let machine = rows::machine(&superuser, &org.slug, &org.owner.account, "one").await;
    let set = "update app.machine set state = $2 where id = $1::text::uuid";
    rows::run(&superuser, set, &[&machine.id, state]).await;
    let path = org.path(&format!("/machines/one/services/{}/logs", machine.service));
    (org, path)
}

async fn get(client: &Client, path: &str, query: &str) -> Answer {
    client.get(format!("{path}{query}")).await
}

#[tokio::test]
async fn whoever_does_not_see_the_machine_learns_nothing_and_viewers_may_read() {
    let (org, path) = machine("hibernated").await;
    let outsider = world().org().await.owner.client;
    let viewer = org.member(world(), "viewer").await.client;
    let (reader, _) = org.owner.token("read").await;
    for query in ["", "?follow=true", "?wake=true"] {
        get(&world().anonymous(), &path, query).await.problem(401, "unauthenticated");
        get(&outsider, &path, query).await.problem(404, "not_found");
    }
    for client in [&viewer, &reader, &org.owner.client] {
        let problem = get(client, &path, "").await.problem(409, "asleep");
        assert!(problem["detail"].as_str().unwrap().contains("wake=true"), "{problem}");
        get(client, &path, "?follow=true").await.problem(409, "asleep");
        get(client, &path, "?wake=false").await.problem(409, "asleep");
    }
    // Nobody was woken by it, and reading is not in the audit log.
    let record = org.owner.client.get(org.path("/machines/one")).await.expect(200);
    assert_eq!(record["state"], "hibernated");
    let audit = org.owner.client.get(org.path("/audit")).await.expect(200);
    assert!(!audit.to_string().contains("service_logs_get"), "{audit}");
    for other in ["none", "%00", "A", "a%2fb"] {
        let path = org.path(&format!("/machines/one/services/{other}/logs"));
        get(&viewer, &path, "").await.problem(404, "not_found");
    }
    get(&viewer, &path.replace("/one/", "/none/"), "").await.problem(404, "not_found");
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_named() {
    let (org, path) = machine("hibernated").await;
    let long = format!("?search={}", "a".repeat(201));
    for (query, field) in [
        ("?lines=0", "lines"),
        ("?lines=1001", "lines"),
        ("?lines=-1", "lines"),
        ("?lines=ten", "lines"),
        ("?before=1", "before"),
        ("?before=01.2", "before"),
        ("?before=1.2&follow=true", "before"),
        ("?after=1.2", "after"),
        ("?after=x&follow=true", "after"),
        ("?search=a%0Ab", "search"),
        ("?search=a%00b", "search"),
        (&long, "search"),
        ("?follow=1", "follow"),
        ("?wake=yes", "wake"),
    ] {
        get(&org.owner.client, &path, query).await.invalid(field);
    }
    // A browser's EventSource says by its header alone that it follows.
    let request = org.owner.client.request("GET", format!("{path}?before=1.2"));
    request.header("accept", "text/html, text/event-stream;q=0.5").send().await.invalid("before");
    for query in ["?lines=1000&before=1.0&search=%C3%A4", "?search=", "?after=1.0&follow=true&lines=1"] {
        get(&org.owner.client, &path, query).await.problem(409, "asleep");
    }
}

#[tokio::test]
async fn a_machine_that_is_not_there_says_what_to_do() {
    for (state, status, code) in [
        ("stopped", 409, "stopped"),
        ("failed", 409, "failed"),
        ("running", 503, "waking"),
        ("creating", 503, "waking"),
    ] {
        let (org, path) = machine(state).await;
        get(&org.owner.client, &path, "").await.problem(status, code);
        if status == 409 {
            get(&org.owner.client, &path, "?wake=true").await.problem(status, code);
        }
    }
}
