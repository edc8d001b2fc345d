//! The agent dies, and the runtime's door stands open.

use std::time::Duration;

use snapvm_protocol::agent::TerminalEnd;
use snapvm_tests::apps::Visitor;
use snapvm_tests::machines::Machine;
use snapvm_tests::terminal::Terminal;
use snapvm_tests::until;

use crate::world;

#[tokio::test]
async fn an_agent_that_was_killed_comes_back() {
    let (org, machine) = Machine::running(world()).await;
    machine.serve(3000).await;
    let visitor = Visitor::admitted(world(), &machine.host(world(), 3000), &org.owner.client).await;
    visitor.get("/count").await.expect(200);
    let mut terminal = Terminal::start(world(), &machine).await;
    terminal.run("echo kept > file").await;
    // The shell's parent is the agent.
    terminal.type_text("kill -9 $PPID\r").await;
    terminal.until("the shell is known to be lost", |terminal| terminal.end.is_some()).await;
    assert_eq!(terminal.end.unwrap().0, TerminalEnd::Lost);
    machine.until("running").await;
    let mut fresh = Terminal::start(world(), &machine).await;
    assert_eq!(fresh.run("cat file").await, "kept");
    let up = || async { (visitor.get("/count").await.status == 200).then_some(()) };
    until("its service runs again", Duration::from_secs(30), up).await;
    assert!(!machine.listed(&terminal.id).await["ended_at"].is_null());
}

/// A URL that anybody may use is one at which anybody may listen: it gets neither our token nor a ticket.
#[tokio::test]
async fn nothing_is_sent_to_a_sprite_that_is_open_to_everybody() {
    let (org, machine) = Machine::running(world()).await;
    machine.serve(3000).await;
    let visitor = Visitor::admitted(world(), &machine.host(world(), 3000), &org.owner.client).await;
    let count = async || visitor.get("/count").await.expect(200)["count"].as_u64().unwrap();
    let sprites = world().sprites();

    // Before there was a lease: not one request.
    sprites.set_auth(&machine.sprite(), "public").await;
    for _ in 0..5 {
        visitor.get("/count").await.problem(502, "unsafe_runtime");
        let posted = visitor.request("POST", "/sum").bytes("x").send().await;
        posted.problem(502, "unsafe_runtime");
    }
    sprites.set_auth(&machine.sprite(), "sprite").await;
    assert_eq!(count().await, 1, "nothing had reached the app");

    // Under a lease: at the latest when it ends, after 10 s.
    sprites.set_auth(&machine.sprite(), "public").await;
    let refused = || async {
        let answer = visitor.get("/x").await;
        (answer.status != 200).then_some(answer)
    };
    until("the lease ends", Duration::from_secs(15), refused).await.problem(502, "unsafe_runtime");
    visitor.get("/x").await.problem(502, "unsafe_runtime");
    sprites.set_auth(&machine.sprite(), "sprite").await;
    count().await;
}
