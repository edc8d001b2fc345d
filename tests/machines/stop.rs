//! Stop pins a machine asleep: nothing but an explicit start wakes it.

use std::time::Duration;

use snapvm_protocol::terminal::Notice;
use snapvm_tests::apps::Visitor;
use snapvm_tests::machines::Machine;
use snapvm_tests::terminal::Terminal;
use snapvm_tests::{PATIENCE, until};
use tokio::time::Instant;

use crate::world;

/// For how long traffic tries to wake a stopped machine.
const PRESSURE: Duration = Duration::from_secs(8);

#[tokio::test]
async fn traffic_does_not_wake_a_stopped_machine() {
    let (org, machine) = Machine::running(world()).await;
    machine.serve(3000).await;
    let host = machine.host(world(), 3000);
    let visitor = Visitor::admitted(world(), &host, &org.owner.client).await;
    let mut terminal = Terminal::start(world(), &machine).await;
    terminal.run("echo kept > file").await;
    // The lease that this request was given outlives the order to stop.
    visitor.get("/count").await.expect(200);
    machine.order("stop").await;
    let stopped = || async {
        visitor.get("/count").await;
        (machine.record().await["state"] == "stopped").then_some(())
    };
    until("stopped, under traffic", PATIENCE, stopped).await;

    let deadline = Instant::now() + PRESSURE;
    let mut asked = 0;
    while Instant::now() < deadline {
        let answer = visitor.get("/count").await;
        assert!(matches!(answer.status, 401 | 503), "{} {}", answer.status, answer.text());
        let page = visitor.navigate("/").await;
        assert!(matches!(page.status, 302 | 503), "{} {}", page.status, page.text());
        let mut looking = Terminal::closed(&terminal.id);
        looking.connect(world(), &machine, true).await;
        looking.until("a word", |looking| !looking.notices.is_empty() || looking.end.is_some()).await;
        assert!(!looking.notices.contains(&Notice::Waking), "{:?}", looking.notices);
        looking.type_text("date\r").await;
        assert_ne!(world().sprites().status(&machine.sprite()).await.as_deref(), Some("running"));
        assert_eq!(machine.record().await["state"], "stopped");
        asked += 1;
    }
    println!("{asked} rounds of requests in {PRESSURE:?}");
    assert_eq!(machine.order("hibernate").await["state"], "stopped");
    assert_eq!(machine.order("stop").await["state"], "stopped");
    assert!(!machine.listed(&terminal.id).await["ended_at"].is_null(), "a stop ends every shell");

    machine.order("start").await;
    machine.until("running").await;
    machine.until_service("app", "running").await;
    Visitor::admitted(world(), &host, &org.owner.client).await.get("/count").await.expect(200);
    let mut fresh = Terminal::start(world(), &machine).await;
    assert_eq!(fresh.run("cat file").await, "kept");
}

#[tokio::test]
async fn the_last_order_wins_whatever_the_state_it_came_in() {
    let org = world().org().await;
    // It is made first, and then sleeps.
    let machine = Machine::create(&org, "demo").await;
    for verb in ["hibernate", "stop"] {
        machine.order(verb).await;
    }
    machine.until("stopped").await;
    machine.order("start").await;
    machine.until("running").await;
    // Starting what runs changes nothing.
    assert_eq!(machine.order("start").await["state"], "running");
    // A sleep that is called off is as if it had never been.
    let mut terminal = Terminal::start(world(), &machine).await;
    machine.order("hibernate").await;
    machine.order("start").await;
    machine.until("running").await;
    assert_eq!(terminal.run("echo still-$((1+1))").await, "still-2");
    // A stop that follows a hibernation wins.
    machine.order("hibernate").await;
    machine.order("stop").await;
    machine.until("stopped").await;
}
