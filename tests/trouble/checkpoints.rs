//! Checkpoints while something fails: what was ordered is done once, or its machine says what became of it.

use std::time::Duration;

use serde_json::{Value, json};
use snapvm_protocol::agent::BINARY_PATH;
use snapvm_tests::checkpoints::ORDER;
use snapvm_tests::machines::{Machine, builder};
use snapvm_tests::releases::Releases;
use snapvm_tests::terminal::Terminal;
use snapvm_tests::{World, until};

/// A delivery, an upgrade, and everybody's return.
const UPGRADE: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_costs_nothing_and_a_refusal_says_why() {
    let world = World::start(builder().faults(true)).await;
    let (_, machine) = Machine::running(&world).await;
    let (sprites, sprite) = (world.sprites(), machine.sprite());
    let mut terminal = Terminal::start(&world, &machine).await;
    terminal.run("echo 0 > file").await;
    let mut ids = Vec::new();
    // Whatever happens to the call, there is one checkpoint for each order.
    for (when, answer) in [
        ("after", json!("drop")),
        ("after", json!("cut")),
        ("after", json!({"status": 502})),
        ("before", json!("drop")),
    ] {
        sprites.fail("create_checkpoint", when, 1, answer.clone()).await;
        ids.push(machine.checkpoint(&format!("{when} {answer}")).await);
        assert_eq!(sprites.checkpoints(&sprite).await.len(), ids.len(), "{when} {answer}");
    }
    let mut generation = 1;
    for (when, answer) in [
        // Done, and the stream broke off before it said so.
        ("after", json!("drop")),
        ("after", json!("cut")),
        ("after", json!({"status": 502})),
        ("before", json!({"status": 500})),
        ("before", json!("duplicate")),
    ] {
        println!("restore: {when} {answer}");
        terminal.run("echo changed > file").await;
        sprites.fail("restore_checkpoint", when, 1, answer).await;
        machine.restore(&ids[0]).await;
        generation += 1;
        assert_eq!(machine.record().await["generation"], generation);
        terminal = Terminal::start(&world, &machine).await;
        assert_eq!(terminal.run("cat file").await, "0");
    }

    // The runtime has it no more: the machine goes on as it is, and says so.
    let shell = terminal.run("echo changed > file; echo $$").await;
    sprites.delete_checkpoint(&sprite, machine.checkpoints().await.last().unwrap()["name"].as_str().unwrap()).await;
    machine.restore(&ids[0]).await;
    terminal.reconnect(&world, &machine, ORDER).await;
    assert_eq!(terminal.run("cat file; echo $$").await, format!("changed\r\n{shell}"));
    machine.until_told("Files are as they were", ORDER).await;
    let failed: Value = machine.checkpoints().await.pop().unwrap();
    assert!(failed["reason"].as_str().unwrap().contains("no such checkpoint"), "{failed}");

    // A deletion wins over a restore that is under way.
    sprites.fail("restore_checkpoint", "before", 1, json!({"delay_ms": 3_000})).await;
    machine.order_restore(&ids[1]).await;
    machine.order_deletion().await;
    machine.until_gone().await;
    assert_eq!(sprites.names(&sprite).await, [] as [String; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_that_is_gone_in_the_middle_goes_on_where_it_was() {
    let world = World::start(builder().faults(true)).await;
    let (_, machine) = Machine::running(&world).await;
    let sprites = world.sprites();
    let mut terminal = Terminal::start(&world, &machine).await;
    terminal.run("echo one > file").await;
    for when in ["before", "after"] {
        sprites.fail("create_checkpoint", when, 1, json!({"delay_ms": 4_000})).await;
        let id = machine.order_checkpoint(when).await;
        world.stack.worker().unwrap().restart().await.unwrap();
        assert_eq!(machine.until_checkpoint(&id).await["state"], "ready");
    }
    let all = machine.checkpoints().await;
    assert_eq!(all.len(), 2);
    for when in ["before", "after"] {
        sprites.fail("restore_checkpoint", when, 1, json!({"delay_ms": 4_000})).await;
        machine.order_restore(all[1]["id"].as_str().unwrap()).await;
        world.stack.worker().unwrap().restart().await.unwrap();
        machine.until_restored(all[1]["id"].as_str().unwrap()).await;
        let mut fresh = Terminal::start(&world, &machine).await;
        assert_eq!(fresh.run("cat file; echo two > file").await, "one");
    }
    assert_eq!(machine.record().await["generation"], 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_of_the_older_files_becomes_the_carried_one() {
    let releases = Releases::new();
    let world = World::start(releases.builder()).await;
    let (_, machine) = Machine::running(&world).await;
    let mut terminal = Terminal::start(&world, &machine).await;
    let older = machine.checkpoint("an older agent").await;
    // An agent of long ago, whose protocol nobody speaks any more: boots of this disk start it.
    let folder = BINARY_PATH.rsplit_once('/').unwrap().0;
    let script = format!(
        "cd {folder} && cp agent agent.real && echo '#!/bin/sh' > agent.new && chmod 755 agent.new && \
         echo 'SNAPVM_TEST_PROTOCOL=1 exec {folder}/agent.real' >> agent.new && mv agent.new agent"
    );
    let install = json!({"command": "sudo", "args": ["sh", "-c", script]});
    let installed = machine.client.post(format!("{}/exec", machine.path), install).await.expect(200);
    assert_eq!(installed["exit_code"], 0, "{installed}");
    let ancient = machine.checkpoint("an ancient agent").await;
    let digest = releases.deploy_another(&world).await;
    terminal.reconnect(&world, &machine, ORDER).await;
    machine.until_told("upgraded in place", UPGRADE).await;

    let running = async || {
        let mut fresh = Terminal::start(&world, &machine).await;
        fresh.run("sha256sum < /proc/$PPID/exe | cut -c1-64").await
    };
    machine.restore(&older).await;
    let upgraded = || async { (running().await == digest).then_some(()) };
    until("the older agent was upgraded in place", UPGRADE, upgraded).await;
    machine.restore(&ancient).await;
    machine.until_told("protocol version 1, which SnapVM no longer speaks", UPGRADE).await;
    let back = || async { (machine.record().await["state"] == "running").then_some(()) };
    until("the ancient agent was replaced", UPGRADE, back).await;
    assert_eq!(running().await, digest);
    assert_eq!(machine.record().await["generation"], 3);
}
