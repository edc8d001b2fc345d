//! A quota of awake machines against real ones: what sleeps stays asleep, and says why; whoever has a place wakes.

use serde_json::json;
use snapvm_tests::machines::Machine;
use snapvm_tests::terminal::Terminal;
use snapvm_tests::{PATIENCE, until};

use crate::world;

#[tokio::test]
async fn a_machine_without_a_place_stays_asleep_and_wakes_once_there_is_one() {
    let (org, sleeper) = Machine::running(world()).await;
    let mut terminal = Terminal::start(world(), &sleeper).await;
    terminal.run("echo before").await;
    sleeper.order("hibernate").await;
    sleeper.until("hibernated").await;
    org.owner.client.put(org.path("/quotas"), json!({"awake": 1})).await.expect(200);
    let other = Machine::create(&org, "other").await;
    other.until("running").await;

    // By a command, by a terminal, by hand.
    let command = || sleeper.client.post(format!("{}/exec", sleeper.path), json!({"command": "true"}));
    let problem = command().await.problem(409, "awake_limit");
    let detail = problem["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("its limit is 1") && detail.contains("Hibernate or stop one"), "{detail}");
    let mut looking = Terminal::closed(&terminal.id);
    looking.connect(world(), &sleeper, true).await;
    looking.until("its last screen", |looking| looking.kept.is_some()).await;
    sleeper.client.order(format!("{}/start", sleeper.path)).await.problem(409, "awake_limit");
    let record = sleeper.record().await;
    assert_eq!(
        (&record["state"], record["reason"].as_str()),
        (&json!("hibernated"), Some(detail.as_str())),
        "{record}"
    );
    assert_ne!(world().sprites().status(&sleeper.sprite()).await.as_deref(), Some("running"));
    let events = sleeper.client.get(format!("{}/events", sleeper.path)).await.expect(200);
    let refused = events["events"].as_array().unwrap().iter().find(|event| event["kind"] == "refused");
    assert_eq!(refused.unwrap_or_else(|| panic!("{events}"))["detail"], detail);

    // A place is free as soon as the other one sleeps.
    other.order("stop").await;
    other.until("stopped").await;
    command().await.expect(200);
    sleeper.until("running").await;
    // One that was stopped is stopped again.
    other.client.order(format!("{}/start", other.path)).await.problem(409, "awake_limit");
    assert_eq!(other.record().await["state"], "stopped");

    let counted = || async {
        let usage = org.owner.client.get(org.path("/usage")).await.expect(200);
        let machines = usage["machines"].as_array().unwrap().clone();
        let of = |name: &str| machines.iter().find(|machine| machine["name"] == name).cloned();
        let (demo, other) = (of("demo")?, of("other")?);
        (demo["wakes"] == 2 && other["wakes"] == 1 && demo["awake_seconds"].as_u64()? > 0).then_some(())
    };
    until("both are counted", PATIENCE, counted).await;
}

/// Only load keeps it awake, and only where its settings say so.
#[tokio::test]
async fn load_is_a_reason_to_stay_awake_where_the_machine_says_so() {
    let (_, machine) = Machine::running(world()).await;
    let changed = machine.client.patch(&machine.path, json!({"cpu_counts": true})).await.expect(200);
    assert_eq!(changed["cpu_counts"], true);
    let definition = json!({"command": "sh", "args": ["-c", "while :; do :; done"]});
    machine.client.put(format!("{}/services/busy", machine.path), definition).await.expect(200);
    machine.until_service("busy", "running").await;
    let seen = || async {
        let why = machine.client.get(format!("{}/why", machine.path)).await.expect(200);
        (why["last_activity"]["kind"] == "cpu").then_some(())
    };
    // The agent compares two looks, twenty seconds apart.
    until("the load is seen", PATIENCE * 3, seen).await;
    machine.client.delete(format!("{}/services/busy", machine.path)).await.expect(204);
}
