//! The runtime is away, or was killed under its machines.

use std::time::Duration;

use serde_json::json;
use snapvm_tests::apps::Visitor;
use snapvm_tests::machines::{Machine, builder};
use snapvm_tests::terminal::Terminal;
use snapvm_tests::{World, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_that_could_not_be_made_says_why_and_can_be_started() {
    let world = World::start(builder()).await;
    let runtime = &world.stack.spritehost.as_ref().unwrap().process;
    runtime.stop().await.unwrap();
    let org = world.org().await;
    let early = Machine::create(&org, "early").await;
    // For as long as it is tried, it says that it is being created.
    assert_eq!(early.record().await["state"], "creating");
    let visitor = Visitor::admitted(&world, &early.host(&world, 3000), &org.owner.client).await;
    let page = visitor.navigate("/").await;
    assert_eq!(page.status, 503, "{}", page.text());
    let given_up = || async {
        let record = early.record().await;
        (record["state"] == "failed").then_some(record)
    };
    let failed = until("it is given up", Duration::from_secs(90), given_up).await;
    let reason = failed["reason"].as_str().unwrap();
    assert!(
        reason.contains("the provider is not answering since") && reason.contains("Start it to try again"),
        "{reason}"
    );
    visitor.get("/").await.problem(503, "failed");

    // One whose creation is still being tried when the runtime comes back needs nobody.
    let late = Machine::create(&org, "late").await;
    runtime.start().await.unwrap();
    late.until("running").await;
    assert_eq!(early.record().await["state"], "failed");
    early.order("start").await;
    let running = || async { (early.record().await["state"] == "running").then_some(()) };
    until("it was started", Duration::from_secs(30), running).await;
    assert_eq!(Terminal::start(&world, &early).await.run("echo fine").await, "fine");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_whose_runtime_was_killed_has_its_files() {
    let world = World::start(builder()).await;
    let runtime = &world.stack.spritehost.as_ref().unwrap().process;
    let (org, machine) = Machine::running(&world).await;
    machine.serve(3000).await;
    let visitor = Visitor::admitted(&world, &machine.host(&world, 3000), &org.owner.client).await;
    let mut terminal = Terminal::start(&world, &machine).await;
    terminal.run("echo kept > file; sync").await;
    runtime.kill().await;
    // A request of that moment is held until the machine is there, or is told to come again.
    let (away, started) = futures::join!(visitor.get("/count"), runtime.start());
    started.unwrap();
    assert!(matches!(away.status, 200 | 502 | 503), "{} {}", away.status, away.text());
    let up = || async { (visitor.get("/count").await.status == 200).then_some(()) };
    until("its service runs again", Duration::from_secs(45), up).await;
    machine.until("running").await;
    let mut fresh = Terminal::start(&world, &machine).await;
    assert_eq!(fresh.run("cat file").await, "kept");
    let ended = || async { Some(machine.listed(&terminal.id).await).filter(|listed| !listed["ended_at"].is_null()) };
    let listed = until("its shell is known to be lost", Duration::from_secs(30), ended).await;
    assert_eq!(listed["end"], json!({"by": "lost"}));
}
