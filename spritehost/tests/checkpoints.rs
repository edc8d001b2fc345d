//! Checkpoints: what they keep, what going back changes and what it doesn't.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod harness;

use harness::{Host, visit};
use hyper::{Method, StatusCode};
use rustix::process::Signal;
use serde_json::{Value, json};

/// Makes a checkpoint; the last line.
async fn keep(host: &Host, name: &str, comment: &str) -> Value {
    let body = json!({ "comment": comment }).to_string();
    lines(host, &format!("/v1/sprites/{name}/checkpoint"), body).await
}

async fn go_back(host: &Host, name: &str, id: &str) -> Value {
    lines(host, &format!("/v1/sprites/{name}/checkpoints/{id}/restore"), String::new()).await
}

async fn lines(host: &Host, path: &str, body: String) -> Value {
    let reply = host.call(Method::POST, path, body).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    let lines: Vec<Value> = reply.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["type"], "info");
    assert!(lines[0]["time"].is_string());
    lines.last().unwrap().clone()
}

fn folders(host: &Host, name: &str) -> Vec<String> {
    let entries = std::fs::read_dir(host.state.path().join("sprites").join(name)).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name.starts_with("layer-") || name.starts_with("upper"));
    names.sort();
    names
}

/// Everything that a layer has to carry over: changed, deleted, linked and special files, owners, modes, attributes.
const STATE: &str = "cat ~/file; ls /opt; stat -c '%U %a %h' /opt/links/a 2>&1; ls /etc/debian_version 2>&1; \
    readlink /opt/link; test -p /opt/pipe && echo pipe; sudo -n id -un; ls -A /var/emptied; python3 -c 'import os; print(os.getxattr(\"/opt/links/a\", \"user.x\"))'";

#[tokio::test]
async fn going_back_brings_files_back_and_ends_processes() {
    let host = Host::start(&[]).await;
    let url = host.run_app("kept").await;
    let made = "set -e; echo one > ~/file; cd /opt; sudo mkdir -p links /var/emptied; sudo touch links/a; sudo ln links/a links/b; \
        sudo python3 -c 'import os; os.setxattr(\"/opt/links/a\", \"user.x\", b\"y\")'; sudo chmod 4711 links/a; \
        sudo ln -s nowhere link; sudo mkfifo pipe; sudo rm /etc/debian_version";
    assert_eq!(host.run("kept", made).await.code, 0);
    let first = host.run("kept", STATE).await.stdout;
    let (sprite, app) = (host.get("/v1/sprites/kept").await, visit(&url, "/").await.json());

    let kept = keep(&host, "kept", "before the trouble").await;
    assert_eq!((&kept["type"], &kept["data"]), (&json!("complete"), &json!("Checkpoint v1 created")));
    assert_eq!(visit(&url, "/").await.json()["start"], app["start"], "processes go on");
    host.run(
        "kept",
        "echo two > ~/file; cd /opt; sudo rm -r links link pipe; sudo touch /etc/debian_version new /var/emptied/x",
    )
    .await;
    let second = host.run("kept", STATE).await.stdout;
    assert_ne!(first, second);
    keep(&host, "kept", "").await;

    let listed = host.get("/v1/sprites/kept/checkpoints").await;
    assert_eq!(
        (&listed[0]["id"], &listed[1]["id"], &listed[0]["source_id"]),
        (&json!("v2"), &json!("v1"), &json!("v1"))
    );
    assert_eq!(host.get("/v1/sprites/kept/checkpoints/v1").await["comment"], "before the trouble");

    let (session, info) = host.terminal("kept", "echo here; read x", "").await;
    let went = go_back(&host, "kept", "v1").await;
    assert_eq!(went["type"], "complete", "{went}");
    let mut session = session;
    assert_eq!(session.closed().await, None, "sessions end");
    let old = format!("/v1/sprites/kept/exec/{}", info["session_id"].as_str().unwrap());
    assert_eq!(host.try_open(&old).await.err(), Some(StatusCode::NOT_FOUND));
    assert_eq!(host.run("kept", STATE).await.stdout, first);
    let now = host.get("/v1/sprites/kept").await;
    assert_eq!((&now["id"], &now["url"], &now["created_at"]), (&sprite["id"], &sprite["url"], &sprite["created_at"]));
    let new_app = visit(&url, "/").await.json();
    assert_ne!(new_app["start"], app["start"], "services are started again");

    go_back(&host, "kept", "v2").await;
    assert_eq!(host.run("kept", STATE).await.stdout, second, "forward again");
    host.run("kept", "echo three > ~/file").await;
    go_back(&host, "kept", "v2").await;
    assert_eq!(host.run("kept", STATE).await.stdout, second, "what was written since is gone");

    for id in ["v9", "..", "upper"] {
        let path = format!("/v1/sprites/kept/checkpoints/{id}");
        assert_eq!(host.call(Method::GET, &path, "").await.status, StatusCode::NOT_FOUND, "{id}");
        assert_eq!(host.call(Method::POST, &format!("{path}/restore"), "").await.status, StatusCode::NOT_FOUND);
        assert_eq!(host.call(Method::DELETE, &path, "").await.status, StatusCode::NOT_FOUND);
    }
    let path = "/v1/sprites/kept/checkpoints/v1";
    assert_eq!(host.call(Method::DELETE, path, "").await.status, StatusCode::NO_CONTENT);
    assert_eq!(host.run("kept", STATE).await.stdout, second);
    assert_eq!(host.call(Method::POST, "/v1/sprites/kept/checkpoint", "{").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_sleeping_sprite_is_kept_without_waking_it() {
    let mut host = Host::start(&["--warm-after", "200ms", "--cold-after", "2s"]).await;
    host.create("asleep").await;
    // One that never ran is empty, and that can be gone back to.
    assert_eq!(keep(&host, "asleep", "empty").await["type"], "complete");
    host.run("asleep", "echo one > ~/file; sudo rm /etc/hostname").await;
    host.until("asleep", "cold").await;
    assert_eq!(keep(&host, "asleep", "one").await["type"], "complete");
    assert_eq!(host.status("asleep").await, "cold");
    let mut names = folders(&host, "asleep");
    names.retain(|name| host.state.path().join(format!("sprites/asleep/{name}/home/sprite/file")).exists());
    assert_eq!(names.len(), 1, "nothing was copied: the folder itself is kept");
    assert_eq!(host.run("asleep", "cat ~/file; echo two > ~/file; cat ~/file").await.stdout, "one\ntwo\n");
    host.until("asleep", "warm").await;
    assert_eq!(keep(&host, "asleep", "two").await["type"], "complete");

    // A part that nobody knows of is left of a crash; the next start throws it away, and everything else is there.
    host.stop(Signal::KILL);
    let stray = host.state.path().join("sprites/asleep/layer-99");
    std::fs::create_dir(&stray).unwrap();
    host.run_again();
    assert!(!stray.exists());
    go_back(&host, "asleep", "v2").await;
    assert_eq!(host.run("asleep", "cat ~/file").await.stdout, "one\n");
    go_back(&host, "asleep", "v3").await;
    assert_eq!(host.run("asleep", "cat ~/file; test -e /etc/hostname || echo none").await.stdout, "two\n");
    go_back(&host, "asleep", "v1").await;
    assert_eq!(host.run("asleep", "cat ~/file || test -e /etc/hostname && echo fresh").await.stdout, "fresh\n");
    for id in ["v1", "v2", "v3"] {
        host.call(Method::DELETE, &format!("/v1/sprites/asleep/checkpoints/{id}"), "").await;
    }
    assert_eq!(folders(&host, "asleep").len(), 3, "what nothing needs is thrown away: {:?}", folders(&host, "asleep"));
}
