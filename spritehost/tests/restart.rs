//! Spritehost itself stops and starts again.

mod harness;

use harness::{Host, visit};
use hyper::StatusCode;
use rustix::process::Signal;

/// What an instance has left on this machine.
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
fn left_behind(instance: &str) -> Vec<String> {
    let mut left = Vec::new();
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    left.extend(
        mounts.lines().filter(|line| line.contains(&format!("/run/spritehost/{instance}/"))).map(str::to_owned),
    );
    for entry in std::fs::read_dir("/sys/class/net").unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        left.extend(name.starts_with(&format!("sh{instance}-")).then_some(name));
    }
    for entry in std::fs::read_dir("/sys/fs/cgroup").unwrap() {
        let own = entry.unwrap().path().join("spritehost").join(instance);
        left.extend(own.exists().then(|| own.display().to_string()));
    }
    let tables = std::process::Command::new("nft").args(["list", "tables"]).output().unwrap();
    let tables = String::from_utf8(tables.stdout).unwrap();
    left.extend(tables.lines().filter(|line| line.ends_with(&format!("spritehost_{instance}"))).map(str::to_owned));
    left
}

#[tokio::test]
async fn a_stop_in_order_leaves_nothing_but_the_state() {
    let mut host = Host::start(&[]).await;
    let url = host.run_app("stays").await;
    let trap = "trap 'echo terminated > /home/sprite/end; exit' TERM; while :; do sleep 0.05; done";
    let events = host.put_service("stays", "tidy", &serde_json::json!({ "cmd": "bash", "args": ["-c", trap] })).await;
    assert_eq!(events[0]["type"], "started");
    // The trap is set once the loop runs.
    host.run("stays", "until pgrep -x sleep; do sleep 0.01; done").await;
    let (id, instance) = (host.get("/v1/sprites/stays").await["id"].clone(), host.instance().to_owned());
    host.stop(Signal::TERM);
    assert_eq!(left_behind(&instance), [""; 0]);

    host.run_again();
    let found = host.get("/v1/sprites/stays").await;
    assert_eq!(
        (&found["id"], found["status"].as_str(), found["url"].as_str()),
        (&id, Some("cold"), Some(url.as_str()))
    );
    assert_eq!(host.run("stays", "cat ~/end").await.stdout, "terminated\n", "services were told");
    assert_eq!(visit(&url, "/").await.status, StatusCode::OK, "and are started again");
}

#[tokio::test]
async fn a_sprite_that_is_ready_to_boot_goes_with_the_host() {
    let mut host = Host::start(&["--warm-after", "100ms", "--cold-after", "100ms"]).await;
    host.create("ready").await;
    for signal in [Signal::TERM, Signal::KILL] {
        host.until_ready("ready").await;
        let instance = host.instance().to_owned();
        host.stop(signal);
        if signal == Signal::KILL {
            host.run_again();
            assert_eq!(host.status("ready").await, "cold");
        }
        assert_eq!(left_behind(&instance), [""; 0], "{signal:?}");
        if signal == Signal::TERM {
            host.run_again();
        }
    }
    assert_eq!(host.run("ready", "echo awake").await.stdout, "awake\n");
}

#[tokio::test]
async fn after_a_crash_the_next_start_clears_up() {
    let mut host = Host::start(&[]).await;
    let url = host.run_app("stays").await;
    host.run("stays", "echo kept > ~/file; sync").await;
    let instance = host.instance().to_owned();
    // One that crashed so early that it had hardly anything. No API has this port.
    let early = std::path::Path::new("/run/spritehost/1");
    std::fs::create_dir_all(early).unwrap();
    std::fs::write(early.join("lock"), "").unwrap();
    let pid = std::fs::read_to_string(format!("/run/spritehost/{instance}/s/stays/pid")).unwrap();
    host.stop(Signal::KILL);
    host.run_again();
    assert_eq!(left_behind(&instance), [""; 0]);
    assert!(!early.exists());
    assert!(!std::path::Path::new(&format!("/proc/{}/ns/net", pid.trim())).exists(), "processes of before are gone");
    assert_eq!(host.status("stays").await, "cold");
    assert_eq!(visit(&url, "/").await.status, StatusCode::OK);
    assert_eq!(host.run("stays", "cat ~/file").await.stdout, "kept\n");
}
