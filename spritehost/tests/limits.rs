//! Limits, and what an operator sees and orders.

mod harness;

use std::time::Duration;

use harness::{DEADLINE, Host, TOKEN, operator, order_fault, request, try_request, visit};
use hyper::{Method, StatusCode};
use serde_json::{Value, json};

#[tokio::test]
async fn limits_are_refused_as_the_provider_refuses() {
    let host = Host::start(&["--running-limit", "1", "--creation-limit", "3", "--warm-after", "3s"]).await;
    let second = host.create("b").await["url"].as_str().unwrap().to_owned();
    let first = host.run_app("a").await;
    let full = host.call(Method::GET, "/v1/sprites/b/services", "").await;
    assert_eq!(full.status, StatusCode::TOO_MANY_REQUESTS);
    let body = full.json();
    assert_eq!((&body["error"], &body["limit"]), (&json!("concurrent_sprite_limit_exceeded"), &json!(1)));
    assert_eq!((&body["current_count"], &body["upgrade_available"]), (&json!(1), &json!(false)));
    assert_eq!(full.headers["retry-after"].to_str().unwrap(), body["retry_after_seconds"].to_string());
    assert_eq!(
        (full.headers["x-ratelimit-limit"].as_bytes(), full.headers["x-ratelimit-remaining"].as_bytes()),
        (&b"1"[..], &b"0"[..])
    );
    assert!(full.headers.contains_key("x-ratelimit-reset"));
    // At the URL it is plain text.
    let refused = visit(&second, "/").await;
    assert_eq!(
        (refused.status, refused.headers["content-type"].to_str().unwrap()),
        (StatusCode::TOO_MANY_REQUESTS, "text/plain; charset=utf-8")
    );
    assert_eq!(visit(&first, "/").await.status, StatusCode::OK, "what runs is not concerned");
    let list = host.get("/v1/sprites").await;
    assert_eq!((&list["running_limit"], &list["org"]["running"]), (&json!(1), &json!(1)));
    // Asleep it counts for nothing, and looking needs no place.
    host.until("a", "warm").await;
    assert_eq!(host.run("b", "echo fine").await.stdout, "fine\n");
    host.until("b", "warm").await;
    assert_eq!(visit(&first, "/").await.status, StatusCode::OK);

    host.create("c").await;
    let many = host.call(Method::POST, "/v1/sprites", json!({ "name": "d" }).to_string()).await;
    let body = many.json();
    assert_eq!((many.status, &body["error"]), (StatusCode::TOO_MANY_REQUESTS, &json!("sprite_creation_rate_limited")));
    assert_eq!((&body["window_seconds"], &body["limit"]), (&json!(60), &json!(3)));
    assert_eq!(host.call(Method::GET, "/v1/sprites/d", "").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn every_kind_of_failure_can_be_ordered() {
    let host = Host::start(&["--faults"]).await;
    let body = |name: &str| json!({ "name": name }).to_string();
    let order = async |operation: &str, when: &str, answer: Value| {
        order_fault(&host, &json!({ "operation": operation, "when": when, "answer": answer })).await;
    };
    order("create_sprite", "before", json!("duplicate")).await;
    let twice = host.call(Method::POST, "/v1/sprites", body("one")).await;
    assert_eq!((twice.status, &twice.json()["error"]), (StatusCode::BAD_REQUEST, &json!("sprite_exists")));
    assert_eq!(host.status("one").await, "cold", "though the first has made it");

    order("get_sprite", "before", json!({ "limited": "concurrent_sprite_limit_exceeded" })).await;
    let limited = host.call(Method::GET, "/v1/sprites/one", "").await;
    assert!(limited.status == StatusCode::TOO_MANY_REQUESTS && limited.headers.contains_key("retry-after"));
    order("get_sprite", "after", json!("redirect")).await;
    let redirected = host.call(Method::GET, "/v1/sprites/one", "").await;
    assert!(redirected.status == StatusCode::FOUND && redirected.headers.contains_key("location"));
    order("get_sprite", "after", json!({ "status": 503 })).await;
    let text = host.call(Method::GET, "/v1/sprites/one", "").await;
    assert!(serde_json::from_str::<Value>(&text.text()).is_err(), "errors may be plain text");

    let started = std::time::Instant::now();
    order("get_sprite", "before", json!({ "delay_ms": 300 })).await;
    assert_eq!(host.status("one").await, "cold");
    assert!(started.elapsed() >= Duration::from_millis(300));

    // A cold wake that takes longer than anybody would wait, and then works.
    let url = host.run_app("slow").await;
    order("url", "before", json!({ "delay_ms": 700 })).await;
    let slow = visit(&url, "/");
    assert!(tokio::time::timeout(Duration::from_millis(300), slow).await.is_err());
    assert_eq!(visit(&url, "/").await.status, StatusCode::OK);

    // A checkpoint whose progress nobody hears of is made all the same.
    for (how, id) in [("drop", "v1"), ("cut", "v2")] {
        order("create_checkpoint", "after", json!(how)).await;
        let (url, token) = (format!("{}/v1/sprites/one/checkpoint", host.base), format!("Bearer {TOKEN}"));
        assert!(try_request(Method::POST, &url, &[("authorization", &token)], "").await.is_err(), "{how}");
        let kept = async || host.get("/v1/sprites/one/checkpoints").await[0]["id"] == id;
        let made = async {
            while !kept().await {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(DEADLINE, made).await.expect("it is made");
    }

    order("get_sprite", "before", json!("drop")).await;
    assert_eq!(operator(&host, Method::DELETE, "/faults", String::new()).await.0, StatusCode::NO_CONTENT);
    assert_eq!(host.status("one").await, "cold", "orders can be taken back");
    let wrong = json!({ "operation": "dance", "when": "before", "answer": "drop" }).to_string();
    assert_eq!(operator(&host, Method::PUT, "/faults", wrong).await.0, StatusCode::BAD_REQUEST);

    let without = Host::start(&[]).await;
    let status = operator(&without, Method::DELETE, "/faults", String::new()).await.0;
    assert_eq!(status, StatusCode::NOT_FOUND, "only when the program was told so");
}

#[tokio::test]
async fn calls_are_counted_and_unlisted_ones_are_remembered() {
    let host = Host::start(&["--metrics", "127.0.0.1:0"]).await;
    let url = host.run_app("seen").await;
    host.call(Method::PATCH, "/v1/sprites/seen", "").await;
    host.call(Method::GET, "/v1/sprites/seen/control", "").await;
    host.run("seen", "curl -s --unix-socket /.sprite/api.sock http://sprite/v1/secrets").await;
    assert_eq!(visit(&url, "/").await.status, StatusCode::OK);
    let (_, report) = operator(&host, Method::GET, "/calls", String::new()).await;
    let report: Value = serde_json::from_str(&report).unwrap();
    let unlisted = json!(["PATCH /v1/sprites/seen", "GET /v1/sprites/seen/control", "guest GET /v1/secrets"]);
    assert_eq!(report["unlisted"], unlisted);
    let calls = json!({ "create_sprite": 1, "fs_write": 1, "put_service": 1, "exec": 1, "url": 2 });
    assert_eq!(report["calls"], calls);

    let text = request(Method::GET, &host.metrics, &[], "").await.text();
    for line in [
        "spritehost_sprites{status=\"running\"} 1",
        "spritehost_calls_total{operation=\"create_sprite\",status=\"201\"} 1",
        "spritehost_unlisted_calls_total 3",
        "spritehost_wakes_total{from=\"cold\"} 1",
        "# TYPE spritehost_wake_seconds_total counter",
    ] {
        assert!(text.lines().any(|have| have == line), "{line} is not in\n{text}");
    }
    let disk = text.lines().find_map(|line| line.strip_prefix("spritehost_disk_bytes{sprite=\"seen\"} "));
    assert!(disk.unwrap().parse::<u64>().unwrap() > 1000, "{text}");
}

#[tokio::test]
async fn frozen_sprites_are_dropped_while_memory_runs_short() {
    // As if the machine never had enough.
    let host = Host::start(&["--warm-after", "100ms", "--cold-after", "1h", "--memory-reserve", "4000000000"]).await;
    host.create("dropped").await;
    host.run("dropped", "echo kept > ~/file").await;
    host.until("dropped", "cold").await;
    assert_eq!(host.run("dropped", "cat ~/file").await.stdout, "kept\n");
    let plenty = Host::start(&["--warm-after", "100ms", "--cold-after", "1h", "--memory-reserve", "1"]).await;
    plenty.create("stays").await;
    plenty.run("stays", "true").await;
    plenty.until("stays", "warm").await;
    host.until("dropped", "cold").await;
    assert_eq!(plenty.status("stays").await, "warm");
}
