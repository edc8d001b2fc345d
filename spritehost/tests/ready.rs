//! Cold sprites that are ready to boot.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod harness;

use std::time::{Duration, Instant};

use harness::{DEADLINE, Host, request, visit};
use hyper::{Method, StatusCode};
use rustix::process::{Pid, Signal};
use serde_json::json;

const QUICK: [&str; 6] = ["--warm-after", "200ms", "--cold-after", "200ms", "--metrics", "127.0.0.1:0"];

async fn metric(host: &Host, name: &str) -> u64 {
    let text = request(Method::GET, &host.metrics, &[], "").await.text();
    let value = text.lines().find_map(|line| line.strip_prefix(&format!("spritehost_{name} ")));
    value.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().unwrap()
}

/// Waits until so many sprites are cold and ready, and none is anything else.
async fn until_ready(host: &Host, count: u64) {
    let started = Instant::now();
    while metric(host, "ready_sprites").await != count || metric(host, "sprites{status=\"cold\"}").await < count {
        assert!(started.elapsed() < DEADLINE * 3, "{count} sprites did not get ready");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn first_process(host: &Host, name: &str) -> i32 {
    host.first_process(name).unwrap()
}

/// How many processes are in the namespace of this one.
fn processes_beside(pid: i32) -> usize {
    let namespace = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let own = namespace(&pid.to_string());
    assert!(own.is_some(), "process {pid} is gone");
    let all = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.file_name().into_string().unwrap());
    all.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()) && namespace(name) == own).count()
}

/// Waits until a process is gone.
async fn until_gone(pid: i32) {
    let started = Instant::now();
    while std::fs::read_link(format!("/proc/{pid}/ns/pid")).is_ok() {
        assert!(started.elapsed() < DEADLINE, "process {pid} lives");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_ready_sprite_is_as_cold_as_any_and_boots_from_what_stood_by() {
    let host = Host::start(&QUICK).await;
    let url = host.run_app("one").await;
    let before = visit(&url, "/").await.json();
    host.run("one", "echo memory > /dev/shm/gone; echo disk > ~/kept; sleep 1000 >/dev/null 2>&1 & sleep 0").await;
    until_ready(&host, 1).await;
    assert_eq!(host.status("one").await, "cold");
    let waiting = first_process(&host, "one");
    assert_eq!(processes_beside(waiting), 1, "process 1 and nothing else");

    let starts = (0..4).map(|_| {
        let url = url.clone();
        tokio::spawn(async move { visit(&url, "/").await.json()["start"].clone() })
    });
    for start in starts.collect::<Vec<_>>() {
        assert_ne!(start.await.unwrap(), before["start"], "a new process");
    }
    assert_eq!(first_process(&host, "one"), waiting, "what stood by is what runs");
    assert_eq!(metric(&host, "wakes_total{from=\"ready\"}").await, 1);
    let left = host.run("one", "cat ~/kept; ls /dev/shm; pgrep -c sleep").await;
    assert_eq!(left.stdout, "disk\n0\n", "files stay, and nothing else does");
    // And again, from the next one.
    until_ready(&host, 1).await;
    assert_ne!(first_process(&host, "one"), waiting);
    assert_eq!(visit(&url, "/").await.status, StatusCode::OK);
}

#[tokio::test]
async fn only_so_many_are_ready_and_those_that_slept_last() {
    let host = Host::start(&[QUICK.as_slice(), &["--ready", "1"]].concat()).await;
    for name in ["first", "second"] {
        host.create(name).await;
        host.until_ready(name).await;
    }
    until_gone(first_process(&host, "first")).await;
    assert_eq!(processes_beside(first_process(&host, "second")), 1);
    assert_eq!(host.run("first", "echo awake").await.stdout, "awake\n", "the other one boots as ever");

    let none = Host::start(&[QUICK.as_slice(), &["--ready", "0"]].concat()).await;
    none.create("none").await;
    none.run("none", "true").await;
    none.until("none", "cold").await;
    assert_eq!(none.run("none", "echo awake").await.stdout, "awake\n");
    assert_eq!(metric(&none, "wakes_total{from=\"ready\"}").await, 0);
}

#[tokio::test]
async fn what_happens_to_a_cold_sprite_holds_for_one_that_is_ready() {
    let host = Host::start(&QUICK).await;
    host.create("kept").await;
    host.run("kept", "echo one > ~/file").await;
    until_ready(&host, 1).await;

    // A checkpoint puts another layer under it.
    let made = host.call(Method::POST, "/v1/sprites/kept/checkpoint", "{}").await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.text());
    until_ready(&host, 1).await;
    assert_eq!(host.run("kept", "cat ~/file; echo two > ~/file").await.stdout, "one\n");
    until_ready(&host, 1).await;
    let restored = host.call(Method::POST, "/v1/sprites/kept/checkpoints/v1/restore", "").await;
    assert_eq!(restored.status, StatusCode::OK, "{}", restored.text());
    assert_eq!(host.run("kept", "cat ~/file").await.stdout, "one\n");

    // A policy, and a service, of a time at which it slept.
    until_ready(&host, 1).await;
    let policy = json!({ "rules": [{ "domain": "*.example.com", "action": "allow" }] }).to_string();
    let policed = host.call(Method::POST, "/v1/sprites/kept/policy/network", policy).await;
    assert!(policed.status.is_success(), "{}", policed.text());
    assert_eq!(host.status("kept").await, "cold");
    let refused = host.run("kept", "timeout 2 bash -c 'echo > /dev/tcp/192.0.2.1/80' 2>&1 | grep -om1 refused").await;
    assert_eq!(refused.stdout, "refused\n", "the policy is in force");

    // Process 1 of what stands by dies: it boots from nothing.
    until_ready(&host, 1).await;
    let waiting = first_process(&host, "kept");
    rustix::process::kill_process(Pid::from_raw(waiting).unwrap(), Signal::KILL).unwrap();
    until_gone(waiting).await;
    assert_eq!(host.run("kept", "cat ~/file").await.stdout, "one\n");

    // A deletion takes it along.
    until_ready(&host, 1).await;
    let waiting = first_process(&host, "kept");
    assert_eq!(host.call(Method::DELETE, "/v1/sprites/kept", "").await.status, StatusCode::NO_CONTENT);
    until_gone(waiting).await;
    assert_eq!(metric(&host, "ready_sprites").await, 0);
}
