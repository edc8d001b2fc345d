//! Sleeping and waking.

mod harness;

use std::time::{Duration, Instant};

use harness::{DEADLINE, Host, TOKEN, visit};
use hyper::{Method, StatusCode};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SOCKET: &str = "curl -sS --unix-socket /.sprite/api.sock -H 'content-type: application/json'";

#[tokio::test]
async fn a_warm_sprite_stands_still_and_goes_on() {
    let host = Host::start(&["--warm-after", "1s", "--cold-after", "1h"]).await;
    let url = host.run_app("warm").await;
    // A connection to the dial origin, which doesn't keep it awake, and is cut.
    let hold = json!({ "cmd": "bash", "args": ["-c", "exec 3<>/dev/tcp/snapvm.internal/8787; echo hi >&3; cat <&3; sleep 9"] });
    host.put_service("warm", "dialler", &hold).await;
    let (mut dialled, _) = tokio::time::timeout(DEADLINE, host.origin.accept()).await.unwrap().unwrap();
    let before = visit(&url, "/").await.json();
    host.until("warm", "warm").await;
    let mut heard = Vec::new();
    tokio::time::timeout(DEADLINE, dialled.read_to_end(&mut heard)).await.unwrap().unwrap();
    assert_eq!(heard, b"hi\n");

    // Looking doesn't wake it.
    let asleep = Instant::now();
    while asleep.elapsed() < Duration::from_millis(700) {
        assert_eq!(host.status("warm").await, "warm");
        host.get("/v1/sprites?bulk_load=true").await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let after = visit(&url, "/").await.json();
    assert_eq!((&after["pid"], &after["start"]), (&before["pid"], &before["start"]), "the same process");
    // Its clock thread notices a little after the thread that answered.
    let mut later = after.clone();
    while later["ticks"] == after["ticks"] {
        later = visit(&url, "/").await.json();
    }
    assert!(later["gap"].as_f64().unwrap() > 0.6, "it stood still: {later}");
    assert_eq!(host.status("warm").await, "running");
}

#[tokio::test]
async fn a_cold_sprite_keeps_files_and_starts_services_again() {
    let host = Host::start(&["--warm-after", "300ms", "--cold-after", "300ms"]).await;
    let url = host.run_app("cold").await;
    let order = |name: &str, needs: &[&str]| json!({ "cmd": "sh", "args": ["-c", format!("echo {name} >> /home/sprite/order; exec sleep 999")], "needs": needs });
    host.put_service("cold", "a", &order("a", &["z"])).await;
    host.put_service("cold", "z", &order("z", &[])).await;
    host.run("cold", "rm -f ~/order; echo kept > ~/file; sudo useradd bob").await;
    let before = visit(&url, "/").await.json();
    host.until("cold", "cold").await;
    // Any number of waiters, one boot.
    let visits = (0..8).map(|_| {
        let url = url.clone();
        tokio::spawn(async move { visit(&url, "/").await.json()["start"].clone() })
    });
    let mut starts = Vec::new();
    for one in visits.collect::<Vec<_>>() {
        starts.push(one.await.unwrap());
    }
    starts.dedup();
    assert_eq!(starts.len(), 1, "one process answered all");
    let after = visit(&url, "/").await.json();
    assert_ne!(after["start"], before["start"], "a new process");
    let kept =
        host.run("cold", "cat ~/file; id -un bob; while [ $(wc -l < ~/order) -lt 2 ]; do sleep 0.01; done").await;
    assert_eq!(kept.stdout, "kept\nbob\n", "files stay, and services are started");
    let services = host.get("/v1/sprites/cold/services").await;
    let pids = ["a", "z"].map(|name| {
        let service = services.as_array().unwrap().iter().find(|service| service["name"] == name).unwrap();
        service["state"]["pid"].as_u64().unwrap()
    });
    assert!(pids[1] < pids[0], "what is needed starts first: {pids:?}");
    assert_eq!(host.run("cold", "ps -e -o stat= | grep -c Z").await.stdout, "0\n", "no zombies");
}

#[tokio::test]
async fn requests_keep_a_sprite_awake_as_long_as_they_last() {
    let host = Host::start(&["--warm-after", "500ms", "--cold-after", "1h"]).await;
    let url = host.run_app("busy").await;
    let slow = tokio::spawn(async move { visit(&url, "/slow").await.text() });
    let exec = host.run("busy", "sleep 1; echo awake");
    let (slow, exec) = tokio::join!(slow, exec);
    assert_eq!((slow.unwrap().as_str(), exec.stdout.as_str()), ("slowslowslow", "awake\n"));
    host.until("busy", "warm").await;
    // Every call into the guest wakes it.
    host.get("/v1/sprites/busy/services").await;
    assert_eq!(host.status("busy").await, "running");
    host.until("busy", "warm").await;
    host.write("busy", "/tmp/x", "x").await;
    assert_eq!(host.status("busy").await, "running");
}

#[tokio::test]
async fn tasks_keep_a_sprite_awake_until_they_expire() {
    let host = Host::start(&["--warm-after", "300ms", "--cold-after", "1h"]).await;
    host.create("tasks").await;
    let info = host.run("tasks", &format!("{SOCKET} http://sprite/info")).await;
    let info: serde_json::Value = serde_json::from_str(&info.stdout).unwrap();
    assert_eq!((&info["sprite_name"], &info["org"]), (&json!("tasks"), &json!("local")));

    let script = format!(
        "s() {{ {SOCKET} -o /dev/null -w '%{{http_code}} ' \"$@\"; }}
        s -d '{{\"name\":\"t\",\"expire\":\"1h\"}}' http://sprite/v1/tasks
        s -d '{{\"name\":\"t\",\"expire\":\"1h\"}}' http://sprite/v1/tasks
        s -d '{{\"name\":\"u\",\"expire\":\"2h\"}}' http://sprite/v1/tasks
        s -X PUT -d '{{\"expire\":\"1m\"}}' http://sprite/v1/tasks/t
        s -X PUT -d '{{\"expire\":\"1h\"}}' http://sprite/v1/tasks/new
        s -X DELETE http://sprite/v1/tasks/new
        s -X DELETE http://sprite/v1/tasks/new
        s http://sprite/v1/nothing"
    );
    assert_eq!(host.run("tasks", &script).await.stdout, "201 409 400 200 201 204 404 404 ");
    let listed = host.run("tasks", &format!("{SOCKET} http://sprite/v1/tasks")).await.stdout;
    assert!(listed.contains(r#""name":"t""#) && listed.contains("expires_at"), "{listed}");
    // Awake while the task lasts; asleep soon after it expired.
    let set = Instant::now();
    host.run("tasks", &format!("{SOCKET} -X PUT -d '{{\"expire\":\"2s\"}}' http://sprite/v1/tasks/t")).await;
    loop {
        let status = host.status("tasks").await;
        if set.elapsed() >= Duration::from_secs(2) {
            break;
        }
        assert_eq!(status, "running");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    host.until("tasks", "warm").await;

    // Dropped by the guest itself.
    let hold = format!("{SOCKET} -X PUT -d '{{\"expire\":\"1h\"}}' http://sprite/v1/tasks/hold");
    host.run("tasks", &hold).await;
    let drop_later = json!({ "cmd": "bash", "args": ["-c", format!("sleep 1; {SOCKET} -X DELETE http://sprite/v1/tasks/hold; sleep 99")] });
    host.put_service("tasks", "dropper", &drop_later).await;
    host.until("tasks", "warm").await;
}

#[tokio::test]
async fn a_sprite_whose_process_1_dies_is_cold_and_boots_again() {
    let host = Host::start(&[]).await;
    let url = host.run_app("crash").await;
    // Process 1 can't be killed from inside; from outside its user's processes look like any others.
    let record = host.state.path().join("sprites/crash");
    assert!(record.join("sprite.json").exists());
    let pid_file = format!("/run/spritehost/{}/s/crash/pid", host.instance());
    let pid: i32 = std::fs::read_to_string(pid_file).unwrap().trim().parse().unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    host.until("crash", "cold").await;
    assert_eq!(visit(&url, "/").await.status, StatusCode::OK);
}

#[tokio::test]
async fn deleting_a_running_sprite_ends_its_processes_and_its_requests() {
    let host = Host::start(&[]).await;
    let url = host.run_app("gone").await;
    let mut slow = tokio::net::TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap();
    let head = format!("GET /slow HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n\r\n");
    slow.write_all(head.as_bytes()).await.unwrap();
    let mut answered = String::new();
    while !answered.contains("slow") {
        let mut buffer = [0; 1024];
        let length = slow.read(&mut buffer).await.unwrap();
        answered.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
    }
    let pid_file = format!("/run/spritehost/{}/s/gone/pid", host.instance());
    let pid = std::fs::read_to_string(pid_file).unwrap();
    assert_eq!(host.call(Method::DELETE, "/v1/sprites/gone", "").await.status, StatusCode::NO_CONTENT);
    assert!(!std::path::Path::new(&format!("/proc/{}/ns/net", pid.trim())).exists(), "its process 1 is gone");
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(DEADLINE, slow.read_to_end(&mut rest)).await.unwrap();
    assert!(!rest.ends_with(b"0\r\n\r\n"), "its connection was cut");
}
