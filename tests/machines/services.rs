//! Supervision through the front door: order over a cold wake, what is remembered over it, what keeps a machine awake.

use serde_json::{Value, json};
use snapvm_tests::machines::Machine;
use snapvm_tests::sprites::processes;
use snapvm_tests::terminal::Terminal;
use snapvm_tests::{PATIENCE, until};

use crate::world;

async fn put(machine: &Machine, name: &str, definition: Value) {
    machine.client.put(format!("{}/services/{name}", machine.path), definition).await.expect(200);
}

async fn status(machine: &Machine, name: &str) -> Value {
    let list = machine.client.get(format!("{}/services", machine.path)).await.expect(200);
    let found = list["services"].as_array().unwrap().iter().find(|service| service["name"] == name).cloned();
    found.unwrap_or_else(|| panic!("{name} is not in {list}"))["status"].clone()
}

async fn until_status(machine: &Machine, name: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let look = || async { Some(status(machine, name).await).filter(&is_so) };
    until(&format!("{name}: {what}"), PATIENCE, look).await
}

fn noting(name: &str, needs: &[&str]) -> Value {
    let script = format!("echo {name} >> ~/order; exec sleep 86400");
    json!({"command": "sh", "args": ["-c", script], "needs": needs})
}

/// Waits in the machine until so many of them have written.
fn written(lines: u32) -> String {
    format!("timeout 30 sh -c 'until [ \"$(cat ~/order 2>&1 | wc -l)\" -ge {lines} ]; do sleep 0.1; done'")
}

#[tokio::test]
async fn a_cold_wake_starts_in_order_and_leaves_stopped_what_was_stopped() {
    let (_, machine) = Machine::running(world()).await;
    let mut terminal = Terminal::start(world(), &machine).await;
    // The one that is needed is defined first, and by its name it would come last.
    for (name, needs) in [("z-db", &[][..]), ("held", &[]), ("m-api", &["z-db"]), ("a-web", &["m-api", "z-db"])] {
        put(&machine, name, noting(name, needs)).await;
    }
    until_status(&machine, "a-web", "ready", |status| status["ready"] == true).await;
    machine.until_service("held", "running").await;
    machine.client.order(format!("{}/services/held/stop", machine.path)).await.expect(200);
    let stopped = until_status(&machine, "held", "stopped", |status| status["state"] == "stopped").await;
    assert_eq!((&stopped["exits"][0]["signal"], &stopped["exits"][0]["ordered"]), (&json!(15), &json!(true)));
    terminal.run(&written(4)).await;
    assert_eq!(terminal.run("cat order | grep -v held; rm order").await, "z-db\r\nm-api\r\na-web");

    machine.order("hibernate").await;
    machine.until("hibernated").await;
    let cold =
        || async { (world().sprites().status(&machine.sprite()).await.as_deref() == Some("cold")).then_some(()) };
    until("the sprite is cold", PATIENCE, cold).await;
    machine.order("start").await;
    machine.until("running").await;
    // What is known of services may still be what was known before the sleep: the file tells.
    let mut terminal = Terminal::start(world(), &machine).await;
    terminal.run(&written(3)).await;
    assert_eq!(terminal.run("cat order").await, "z-db\r\nm-api\r\na-web");
    // The agent is a new one, and the exit is still known.
    let held = status(&machine, "held").await;
    assert_eq!((&held["state"], &held["exits"]), (&json!("stopped"), &stopped["exits"]));
    machine.client.order(format!("{}/services/held/restart", machine.path)).await.expect(200);
    machine.until_service("held", "running").await;
}

#[tokio::test]
async fn a_service_keeps_its_machine_awake_while_it_runs_and_leaves_nothing_behind() {
    let (_, machine) = Machine::running(world()).await;
    // A daemon as of old: away from its group and its parent. It heeds no TERM.
    let seconds = format!("86401.{}", getrandom::u32().unwrap());
    let script = format!("setsid sh -c \"trap '' TERM; sleep {seconds} & wait; wait\" & exec sleep 86400");
    let definition = json!({
        "command": "sh", "args": ["-c", script], "keep_awake": true, "stop_grace_seconds": 1,
    });
    put(&machine, "worker", definition).await;
    let running = until_status(&machine, "worker", "running", |status| status["state"] == "running").await;
    assert_eq!((&running["keeps_awake"], &running["containment"]), (&json!(true), &json!("cgroup")));
    until("its daemon runs", PATIENCE, || async { (!processes(&seconds).is_empty()).then_some(()) }).await;
    let why = machine.client.get(format!("{}/why", machine.path)).await.expect(200);
    assert_eq!((&why["services"], &why["sleeps_at"]), (&json!(["worker"]), &Value::Null));
    assert!(why["changes"].to_string().contains("while these services run: worker."), "{why}");

    machine.client.order(format!("{}/services/worker/stop", machine.path)).await.expect(200);
    machine.until_service("worker", "stopped").await;
    assert_eq!(processes(&seconds), [0_u32; 0]);
    let why = machine.client.get(format!("{}/why", machine.path)).await.expect(200);
    assert_eq!(why["services"], json!([]));
    assert!(why["sleeps_at"].is_string(), "{why}");
}
