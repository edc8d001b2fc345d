//! Checkpoints of real machines: files go back, services are those of now, and nothing of the older generation is let
//! in any more.

use serde_json::{Value, json};
use snapvm_protocol::agent::{TerminalEnd, close};
use snapvm_tests::agent::Agent;
use snapvm_tests::apps::Visitor;
use snapvm_tests::checkpoints::ORDER;
use snapvm_tests::machines::Machine;
use snapvm_tests::terminal::Terminal;
use snapvm_tests::{PATIENCE, sockets, until};

use crate::world;

fn kinds(history: &[Value]) -> Vec<&str> {
    history.iter().map(|event| event["kind"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn files_go_back_and_services_are_those_of_now() {
    let (org, machine) = Machine::running(world()).await;
    machine.serve(3000).await;
    let visitor = Visitor::admitted(world(), &machine.host(world(), 3000), &org.owner.client).await;
    let start = visitor.get("/count").await.expect(200)["start"].clone();
    let mut terminal = Terminal::start(world(), &machine).await;
    let shell = terminal.run("echo one > file; echo $$").await;

    // The machine goes on while it is made, and nothing has changed for anybody.
    let id = machine.checkpoint("before").await;
    assert_eq!(terminal.run("echo $$").await, shell);
    assert_eq!(visitor.get("/count").await.expect(200)["start"], start);
    let [made] = machine.checkpoints().await.try_into().unwrap();
    assert_eq!((&made["comment"], &made["reason"], &made["generation"]), (&json!("before"), &json!(""), &json!(1)));
    assert!(made["name"].is_string() && made["made_at"].is_string(), "{made}");

    // What came after it: another text, a service more, and one that is defined anew.
    terminal.run("echo two > file; touch later").await;
    let sleeper = json!({"command": "sleep", "args": ["86400"]});
    machine.client.put(format!("{}/services/late", machine.path), sleeper).await.expect(200);
    machine.until_service("late", "running").await;
    let busy = json!({"command": "sleep", "args": ["600"], "timeout_seconds": 900});
    let (client, exec) = (machine.client.clone(), format!("{}/exec", machine.path));
    let command = tokio::spawn(async move { client.post(exec, busy).await.status });

    machine.order_restore(&id).await;
    machine.client.order(format!("{}/checkpoints/{id}/restore", machine.path)).await.problem(409, "checkpoint_busy");
    terminal.until_within("its shell has ended", ORDER, |terminal| terminal.end.is_some()).await;
    assert_eq!(terminal.end.unwrap().0, TerminalEnd::Restored);
    machine.until_restored(&id).await;
    // The command went with its machine: its caller gets an error, or a body that breaks off.
    let ended = tokio::time::timeout(ORDER, command).await.expect("the command's caller is told");
    assert_ne!(ended.ok(), Some(200));
    assert_eq!(machine.record().await["generation"], 2);
    assert_eq!(machine.listed(&terminal.id).await["end"], json!({"by": "restored"}));

    let mut fresh = Terminal::start(world(), &machine).await;
    assert_eq!(fresh.run("cat file; ls later 2>&1 | grep -c 'No such'").await, "one\r\n1");
    for service in ["app", "late"] {
        machine.until_service(service, "running").await;
    }
    let up = || async {
        let answer = visitor.get("/count").await;
        (answer.status == 200).then(|| answer.json())
    };
    assert_ne!(until("the app runs again", PATIENCE, up).await["start"], start);

    // It still has its sprite, and sleeps and wakes like before.
    assert_eq!(world().sprites().names(&machine.sprite()).await, [machine.sprite()]);
    machine.order("hibernate").await;
    machine.until("hibernated").await;
    assert_eq!(fresh.run("cat file").await, "one");
    let history = machine.history().await;
    let (ordered, restored) = (
        history.iter().find(|event| event["kind"] == "restoring").expect("the order is in its history"),
        history.iter().find(|event| event["kind"] == "restored").expect("so is its end"),
    );
    for event in [ordered, restored] {
        assert_eq!(event["actor"], json!(org.owner.name), "{event}");
        assert!(event["detail"].as_str().unwrap().contains("(before)"), "{event}");
    }

    // A checkpoint that is deleted is gone from the runtime too.
    machine.client.delete(format!("{}/checkpoints/{id}", machine.path)).await.expect(202);
    until("it is gone", ORDER, || async { machine.checkpoints().await.is_empty().then_some(()) }).await;
    assert_eq!(world().sprites().checkpoints(&machine.sprite()).await, [] as [Value; 0]);
    assert!(kinds(&machine.history().await).contains(&"checkpoint_deleted"));
    machine.order_deletion().await;
    machine.until_gone().await;
    assert_eq!(world().sprites().names(&machine.sprite()).await, [] as [String; 0]);
}

#[tokio::test]
async fn nobody_of_the_older_generation_is_let_in() {
    let (_, machine) = Machine::running(world()).await;
    let id = machine.checkpoint("").await;
    // An agent that is bound, with a pass of ours.
    let mut old = Agent::take_over(world(), &machine).await;
    machine.order_restore(&id).await;
    let closed = tokio::time::timeout(PATIENCE, sockets::closed(&mut old.control)).await.expect("it is closed");
    assert_eq!(closed, close::FORBIDDEN);
    for attempt in 0..2 {
        assert_eq!(old.dial_again(world(), 1).await.expect_err("an older pass").status, 403, "{attempt}");
        // Whatever it claims in its own ticket, its pass says which generation it is of.
        assert_eq!(old.dial_again(world(), 2).await.expect_err("an older pass").status, 403, "{attempt}");
        let wake = Agent::dial_with_wake_ticket(world(), &machine, 1).await;
        assert_eq!(wake.expect_err("an older ticket").status, 403, "{attempt}");
        machine.until_restored(&id).await;
    }
    assert_eq!(Terminal::start(world(), &machine).await.run("echo fine").await, "fine");
}

#[tokio::test]
async fn a_machine_that_sleeps_has_one_made_asleep_and_wakes_to_be_restored() {
    let (_, machine) = Machine::running(world()).await;
    for (order, asleep) in [("hibernate", "hibernated"), ("stop", "stopped")] {
        let write =
            async |text: &str| Terminal::start(world(), &machine).await.run(&format!("echo {text} > file")).await;
        write(asleep).await;
        machine.order(order).await;
        machine.until(asleep).await;
        let id = machine.checkpoint(asleep).await;
        assert_eq!(machine.record().await["state"], asleep, "it is not woken for it");
        machine.order("start").await;
        machine.until("running").await;
        write("changed").await;
        machine.order(order).await;
        machine.until(asleep).await;
        machine.restore(&id).await;
        assert_eq!(Terminal::start(world(), &machine).await.run("cat file").await, asleep);
    }
    assert_eq!(machine.record().await["generation"], 3);
}
