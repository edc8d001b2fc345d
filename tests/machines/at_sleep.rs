//! Services that are stopped before a sleep: one that does not listen is ended by force, and a sleep that is called off
//! starts again what it stopped.

use std::time::Duration;

use serde_json::json;
use snapvm_tests::machines::Machine;
use snapvm_tests::sprites::processes;
use snapvm_tests::{PATIENCE, until};

use crate::world;

/// A service that ignores TERM, and the argument that tells its process from every other one.
async fn deaf(machine: &Machine) -> String {
    let word = format!("deaf-{}", getrandom::u32().unwrap());
    let program =
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nopen('up', 'w')\ntime.sleep(86400)";
    let definition =
        json!({"command": "python3", "args": ["-c", program, word], "directory": "/var/tmp", "at_sleep": "stop"});
    machine.client.put(format!("{}/services/deaf", machine.path), definition).await.expect(200);
    machine.until_service("deaf", "running").await;
    // Before Python has read its program, TERM would end it.
    let up = json!({"command": "sh", "args": ["-c", "until [ -e up ]; do sleep 0.05; done; rm up"], "cwd": "/var/tmp"});
    machine.client.post(format!("{}/exec", machine.path), up).await.expect(200);
    word
}

#[tokio::test]
async fn a_service_that_ignores_its_end_delays_a_sleep_and_does_not_prevent_it() {
    let (_, machine) = Machine::running(world()).await;
    let word = deaf(&machine).await;
    let before = processes(&word);
    assert_eq!(before.len(), 1, "{before:?}");

    // Called off while the service is being asked: it is there again, whatever became of its process.
    machine.order("hibernate").await;
    machine.until_service("deaf", "stopping").await;
    assert_eq!(machine.record().await["state"], "hibernating");
    machine.order("start").await;
    machine.until("running").await;
    let again = || async {
        let now = processes(&word);
        (!now.is_empty() && now != before).then_some(now)
    };
    until("it was started again", PATIENCE, again).await;
    machine.until_service("deaf", "running").await;

    // Ten seconds after TERM it is killed, and the machine sleeps.
    machine.order("hibernate").await;
    let asleep = || async { (machine.record().await["state"] == "hibernated").then_some(()) };
    until("it sleeps all the same", Duration::from_mins(1), asleep).await;
    assert_eq!(processes(&word), [] as [u32; 0]);
    machine.order("start").await;
    machine.until("running").await;
    machine.until_service("deaf", "running").await;
}
