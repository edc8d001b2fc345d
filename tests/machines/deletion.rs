//! Deletion wins over every state, leaves nothing in the runtime, and gives the name back.

use snapvm_protocol::agent::close;
use snapvm_tests::machines::Machine;
use snapvm_tests::terminal::Terminal;
use snapvm_tests::{Org, PATIENCE, until};

use crate::world;

async fn brought_to(org: &Org, state: &str) -> Machine {
    let machine = Machine::create(org, state).await;
    if state == "creating" {
        return machine;
    }
    machine.until("running").await;
    match state {
        "hibernating" => drop(machine.order("hibernate").await),
        "stopping" => drop(machine.order("stop").await),
        "hibernated" | "waking" => {
            machine.order("hibernate").await;
            machine.until("hibernated").await;
        }
        "stopped" => {
            machine.order("stop").await;
            machine.until("stopped").await;
        }
        _ => {}
    }
    if state == "waking" {
        machine.order("start").await;
    }
    machine
}

#[tokio::test]
async fn a_machine_can_be_deleted_in_every_state() {
    let org = world().org().await;
    let states = ["creating", "running", "hibernating", "hibernated", "waking", "stopping", "stopped"];
    let deletions = states.map(|state| {
        let org = &org;
        async move {
            let machine = brought_to(org, state).await;
            let answer = machine.client.delete(&machine.path).await.expect(202);
            assert_eq!(answer["state"], "deleting", "{state}: {answer}");
            machine.until_gone().await;
            let gone = || async { world().sprites().status(&machine.sprite()).await.is_none().then_some(()) };
            until(&format!("{state}: the sprite is gone"), PATIENCE, gone).await;
            machine
        }
    });
    let deleted = futures::future::join_all(deletions).await;
    assert_eq!(org.owner.client.get(org.path("/machines")).await.expect(200)["machines"], serde_json::json!([]));

    // The name is free, and the new machine is another one.
    let again = Machine::create(&org, "running").await;
    assert_ne!(again.id, deleted[1].id);
    again.until("running").await;
    Terminal::start(world(), &again).await;
}

#[tokio::test]
async fn who_is_connected_to_a_deleted_machine_is_told() {
    let (org, machine) = Machine::running(world()).await;
    let mut terminal = Terminal::start(world(), &machine).await;
    machine.client.delete(&machine.path).await.expect(202);
    // Twice is as good as once.
    let again = machine.client.delete(&machine.path).await;
    assert!(matches!(again.status, 202 | 404), "{}", again.text());
    terminal.until("the socket closes", |terminal| !terminal.is_open()).await;
    assert_eq!(terminal.closed, Some(close::NOT_FOUND));
    machine.until_gone().await;
    for verb in ["start", "stop", "hibernate"] {
        org.owner.client.order(format!("{}/{verb}", machine.path)).await.problem(404, "not_found");
    }
}
