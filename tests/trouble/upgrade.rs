//! The platform comes to carry another agent while machines run and sleep, or one that speaks another language.

use std::time::Duration;

use serde_json::json;
use snapvm_protocol::agent::{BINARY_PATH, NEXT_BINARY_PATH, SERVICE_NAME, TerminalEnd};
use snapvm_tests::apps::Visitor;
use snapvm_tests::machines::Machine;
use snapvm_tests::releases::Releases;
use snapvm_tests::terminal::Terminal;
use snapvm_tests::{PATIENCE, World, until};

/// A delivery, an upgrade, and everybody's return.
const UPGRADE: Duration = Duration::from_mins(1);
/// What the history says of a success.
const UPGRADED: &str = "upgraded in place";

async fn upgrades(machine: &Machine) -> usize {
    let says = |event: &serde_json::Value| event["detail"].as_str().is_some_and(|detail| detail.contains(UPGRADED));
    machine.history().await.iter().filter(|event| says(event)).count()
}

async fn until_upgraded(machine: &Machine, times: usize) {
    let upgraded = || async { (upgrades(machine).await == times).then_some(()) };
    until(&format!("upgrade {times}"), UPGRADE, upgraded).await;
}

/// The digest of the program that a terminal's agent runs.
async fn running(terminal: &mut Terminal) -> String {
    terminal.run("sha256sum < /proc/$PPID/exe | cut -c1-64").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn terminals_and_services_go_on_when_the_platform_carries_another_agent() {
    let releases = Releases::new();
    let world = World::start(releases.builder()).await;
    let (org, machine) = Machine::running(&world).await;
    machine.serve(3000).await;
    let visitor = Visitor::admitted(&world, &machine.host(&world, 3000), &org.owner.client).await;
    let started = visitor.get("/count").await.expect(200)["start"].clone();
    let (mut busy, mut other) = (Terminal::start(&world, &machine).await, Terminal::start(&world, &machine).await);
    let (shell, agent) = (other.run("echo $$").await, other.run("echo $PPID").await);
    assert_eq!(running(&mut other).await, releases.carried());
    let epochs = (busy.epoch, other.epoch);

    // A running machine, right after the deploy.
    busy.type_text(
        "i=0; while [ ! -e stop ]; do i=$((i+1)); echo \"count $i\"; sleep 0.002; done | tee log; echo al''l\r",
    )
    .await;
    busy.until_text("count 50\r\n").await;
    let digest = releases.deploy_another(&world).await;
    for terminal in [&mut busy, &mut other] {
        terminal.reconnect(&world, &machine, PATIENCE).await;
    }
    until_upgraded(&machine, 1).await;
    assert_eq!(running(&mut other).await, digest);
    assert_eq!((other.run("echo $$").await, other.run("echo $PPID").await), (shell.clone(), agent));
    other.run("sleep 0.2; touch stop").await;
    busy.until_text("\r\nall\r\n").await;
    let log = busy.run("cat log").await;
    let seen = String::from_utf8_lossy(&busy.output).into_owned();
    let from = seen.find("count 1\r\n").unwrap();
    let shown = &seen[from..seen.find("\r\nall\r\n").unwrap()];
    assert!(shown == log, "every line once and in order");
    assert_eq!((busy.epoch, other.epoch), epochs);
    assert_eq!(visitor.get("/count").await.expect(200)["start"], started, "the service was not started again");
    // Once it has said Hello it is what boots start, and nothing is left beside it.
    let settled = format!("sha256sum < {BINARY_PATH} | cut -c1-64; ls {NEXT_BINARY_PATH} 2>&1 | grep -c 'No such'");
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while other.run(&settled).await != format!("{digest}\r\n1") {
        assert!(tokio::time::Instant::now() < deadline, "it is settled");
    }

    // One that sleeps, at its wake.
    machine.order("hibernate").await;
    machine.until("hibernated").await;
    let digest = releases.deploy_another(&world).await;
    other.reconnect(&world, &machine, PATIENCE).await;
    let attached = other.attached;
    assert_eq!(upgrades(&machine).await, 1, "it is not woken for it");
    machine.order("start").await;
    until_upgraded(&machine, 2).await;
    other.until("the shell that was kept", |terminal| terminal.attached > attached).await;
    assert_eq!((running(&mut other).await, other.run("echo $$").await), (digest.clone(), shell));

    // An agent that dies comes back as the new one.
    other.type_text("kill -9 $PPID\r").await;
    other.until("the shell is known to be lost", |terminal| terminal.end.is_some()).await;
    let mut fresh = Terminal::start(&world, &machine).await;
    assert_eq!(running(&mut fresh).await, digest);
    assert_eq!(upgrades(&machine).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_nobody_can_talk_to_is_replaced() {
    let releases = Releases::new();
    let world = World::start(releases.builder()).await;
    let (org, machine) = Machine::running(&world).await;
    machine.serve(3000).await;
    let visitor = Visitor::admitted(&world, &machine.host(&world, 3000), &org.owner.client).await;
    let mut terminal = Terminal::start(&world, &machine).await;
    terminal.run("echo kept > file").await;
    // The agent of long ago: it says so itself, and takes with it what it held.
    let (sprites, sprite) = (world.sprites(), machine.sprite());
    let mut definition = sprites.service(&sprite, SERVICE_NAME).await;
    definition["needs"] = json!([]);
    definition["env"]["SNAPVM_TEST_PROTOCOL"] = json!("1");
    sprites.put_service(&sprite, SERVICE_NAME, definition).await;
    // It is the very one that would be delivered: that helps nobody, and is not tried for ever.
    let record = machine.until("failed").await;
    assert!(record["reason"].as_str().unwrap().contains("speaks protocol version 1"), "{record}");
    // With the next release there is one that can be talked to.
    releases.deploy_another(&world).await;
    terminal.reconnect(&world, &machine, PATIENCE).await;
    machine.order("start").await;
    machine.until_told("protocol version 1, which SnapVM no longer speaks", UPGRADE).await;
    terminal.until_within("its shell is lost", UPGRADE, |terminal| terminal.end.is_some()).await;
    assert_eq!(terminal.end.unwrap().0, TerminalEnd::Lost);
    machine.until("running").await;
    let env = sprites.service(&sprite, SERVICE_NAME).await["env"].clone();
    assert!(env.get("SNAPVM_TEST_PROTOCOL").is_none(), "{env}");
    let mut fresh = Terminal::start(&world, &machine).await;
    assert_eq!(fresh.run("cat file").await, "kept");
    let up = || async { (visitor.get("/count").await.status == 200).then_some(()) };
    until("its service runs again", UPGRADE, up).await;
}
