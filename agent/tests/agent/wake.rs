//! Wake tickets, the control socket, its drops and refusals, the task, activity.

use std::time::Duration;

use serde_json::json;
use snapvm_protocol::agent::{PROTOCOL_VERSION, ToAgent, ToObject, WakeReply, WokeBy};
use snapvm_protocol::ids::MachineId;
use snapvm_protocol::tickets::{Purpose, Signer};

use crate::support::http::{app, send, wake};
use crate::support::origin::welcome;
use crate::support::{World, apps, machine, now_ms, platform, soon, ticket, ticket_of};

#[tokio::test]
async fn bad_tickets_wake_nothing() {
    let mut world = World::new().await;
    let now = now_ms();
    let other = MachineId::new(2, [9; 10]);
    let forger = Signer::from_seed(&[43; 32]).unwrap();
    for (bad, why) in [
        (String::new(), "malformed"),
        ("not.a.token".to_owned(), "malformed"),
        ("a".repeat(3000), "malformed"),
        (ticket_of(&forger, machine(), 3, Purpose::Wake, now), "signature"),
        (ticket_of(&platform(), other, 3, Purpose::Wake, now), "another machine"),
        (ticket_of(&platform(), machine(), 2, Purpose::Wake, now), "older generation"),
        (ticket_of(&platform(), machine(), 3, Purpose::Control, now), "something else"),
        (ticket_of(&platform(), machine(), 3, Purpose::Ingress { epoch: 1 }, now), "something else"),
    ] {
        let answer = wake(world.address, &bad).await;
        assert_eq!((answer.status, answer.mark()), (403, Some("agent")), "{why}");
        assert!(answer.text().contains(why), "{}", answer.text());
    }
    let missing = send(world.address, hyper::Method::POST, "/.snapvm/agent/wake", &[], b"").await;
    assert_eq!((missing.status, missing.mark()), (403, Some("agent")));
    let good = ticket(Purpose::Wake);
    assert_eq!(wake(world.address, &good).await.status, 202);
    assert_eq!(wake(world.address, &good).await.status, 403, "a ticket is good once");
    let old = ticket_of(&platform(), machine(), 3, Purpose::Wake, now - 61_000);
    assert!(wake(world.address, &old).await.text().contains("expired"));
    let (one, other) = (ticket(Purpose::Wake), ticket(Purpose::Wake));
    let two = [("x-snap-ticket", one.as_str()), ("x-snap-ticket", other.as_str())];
    let twice = send(world.address, hyper::Method::POST, "/.snapvm/agent/wake", &two, b"");
    assert_eq!(twice.await.status, 403);
    // Nothing was dialed for any but the good one.
    let control = world.origin.control().await;
    assert_eq!(control.header("x-snap-ticket"), Some(good.as_str()));
    assert!(world.origin.nothing_dialed());
}

#[tokio::test]
async fn our_paths_are_no_apps() {
    let world = World::new().await;
    let ticket = ticket(Purpose::Ingress { epoch: 1 });
    for (method, path) in [
        (hyper::Method::GET, "/.snapvm/agent/wake"),
        (hyper::Method::GET, "/.snapvm/"),
        (hyper::Method::PUT, "/.snapvm/x"),
    ] {
        let answer =
            send(world.address, method, path, &[("x-snap-ticket", &ticket), ("x-snap-port", "3000")], b"").await;
        assert_eq!((answer.status, answer.mark()), (404, Some("agent")), "{path}");
    }
}

#[tokio::test]
async fn a_wake_dials_with_its_ticket_and_later_dials_use_the_own_key() {
    let mut world = World::new().await;
    let first = ticket(Purpose::Wake);
    let answer = wake(world.address, &first).await;
    assert_eq!((answer.status, answer.mark()), (202, Some("1")));
    let reply: WakeReply = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((reply.protocol, reply.digest.len()), (PROTOCOL_VERSION, 64));
    let mut control = world.origin.control().await;
    assert_eq!(control.header("x-snap-ticket"), Some(first.as_str()));
    assert_eq!(control.header("x-snap-boot"), Some(reply.boot.as_str()));
    assert_eq!(control.header("x-snap-agent-key").map(str::len), Some(43));
    let hello = control.hello().await;
    assert!(matches!(&hello, ToObject::Hello { generation: 3, woke: WokeBy::Boot, boot, .. } if *boot == reply.boot));
    control.welcome(welcome()).await;
    // Malformed messages of all kinds cost a socket, not the agent.
    for text in ["{}", "nonsense", r#"{"type":"sleep"}"#, "[1]"] {
        control.text(text).await;
        assert_eq!(control.closed().await, 4400);
        control = world.origin.control().await;
        control.check_own_key(Purpose::Control);
        assert!(matches!(control.hello().await, ToObject::Hello { woke: WokeBy::Redial, .. }));
        control.welcome(welcome()).await;
    }
    // Another wake while connected is answered, and the object gets a second socket.
    let second = ticket(Purpose::Wake);
    assert_eq!(wake(world.address, &second).await.status, 202);
    let mut newer = world.origin.control().await;
    assert_eq!(newer.header("x-snap-ticket"), Some(second.as_str()));
    assert!(matches!(newer.hello().await, ToObject::Hello { woke: WokeBy::Redial, .. }));
    assert_eq!(control.closed().await, 1006);
}

#[tokio::test]
async fn a_higher_generation_is_adopted() {
    let mut world = World::new().await;
    let higher = ticket_of(&platform(), machine(), 9, Purpose::Wake, now_ms());
    assert_eq!(wake(world.address, &higher).await.status, 202);
    let mut control = world.origin.control().await;
    assert!(matches!(control.hello().await, ToObject::Hello { generation: 9, .. }));
    assert_eq!(wake(world.address, &ticket(Purpose::Wake)).await.status, 403);
}

#[tokio::test]
async fn a_refused_or_ended_binding_waits_for_a_wake() {
    let mut world = World::new().await;
    for code in [4401, 4403, 4406, 4409] {
        let mut control = world.control().await;
        let close = futures_util::SinkExt::send(
            &mut control.0.socket,
            tokio_tungstenite::tungstenite::Message::Close(Some(
                tokio_tungstenite::tungstenite::protocol::CloseFrame { code: code.into(), reason: "".into() },
            )),
        );
        close.await.unwrap();
        soon("the agent's word on it", async { while !world.log.recv().await.unwrap().contains(&code.to_string()) {} })
            .await;
        assert!(world.origin.nothing_dialed());
    }
    let control = world.control().await;
    while world.origin.dials.try_recv().is_ok() {}
    world.origin.refuse(Some(401));
    drop(control);
    let (_, status) = soon("the dial that is refused", world.origin.dials.recv()).await.unwrap();
    assert_eq!(status, 401);
    soon("the agent's word on it", async { while !world.log.recv().await.unwrap().contains("401") {} }).await;
    world.origin.refuse(None);
    world.control().await;
}

#[tokio::test]
async fn a_silent_socket_is_dead_and_a_failing_origin_is_tried_again() {
    let mut world = World::with(json!({"tick": 50, "dead": 1500}), &[]).await;
    let control = world.control().await;
    // Nobody answers the pings.
    let mut again = world.origin.control().await;
    drop(control);
    again.check_own_key(Purpose::Control);
    world.origin.refuse(Some(503));
    drop(again);
    soon("two dials", async {
        let mut refused = 0;
        while refused < 2 {
            refused += u32::from(world.origin.dials.recv().await.unwrap().1 == 503);
        }
    })
    .await;
    world.origin.refuse(None);
    again = world.origin.control().await;
    again.hello().await;
}

#[tokio::test]
async fn a_pause_that_nobody_ordered_is_noticed() {
    let mut world = World::with(json!({"tick": 100, "late": 300}), &[]).await;
    let mut control = world.control().await;
    let pid = rustix::process::Pid::from_raw(world.agent.id().unwrap().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    rustix::process::kill_process(pid, rustix::process::Signal::CONT).unwrap();
    let again = world.origin.control().await;
    again.check_own_key(Purpose::Control);
    assert_eq!(control.closed().await, 1006);
}

#[tokio::test]
async fn the_task_is_held_from_boot_and_foreign_tasks_are_told() {
    let mut world = World::with(json!({"tick": 50, "renew": 150}), &[]).await;
    let path = "/v1/tasks/snapvm-agent";
    world.guest.called(hyper::Method::PUT, path).await;
    let mut control = world.control().await;
    world.guest.called(hyper::Method::PUT, path).await;
    world.guest.add("nightly build");
    let names = control.until(|message| match message {
        ToObject::Tasks { names } => Some(names.clone()),
        _ => None,
    });
    assert_eq!(names.await, ["nightly build"]);
}

#[tokio::test]
async fn an_agent_without_a_runtime_socket_works_and_says_so_once() {
    let mut world = World::with(json!({"tick": 20}), &[("SNAPVM_GUEST_SOCKET", "/nowhere/api.sock")]).await;
    let mut control = world.control().await;
    let ToAgent::Welcome { .. } = welcome() else { unreachable!() };
    control.send(&ToAgent::IdleTimeout { seconds: 1, cpu_counts: false }).await;
    // Long enough for many ticks: idleness is told at one of them.
    control.until(|message| matches!(message, ToObject::Idle { .. }).then_some(())).await;
    let mut complaints = 0;
    while let Ok(line) = world.log.try_recv() {
        complaints += u32::from(line.contains("runtime's socket"));
    }
    assert_eq!(complaints, 1);
}

#[tokio::test]
async fn activity_and_idleness_are_told() {
    let mut world = World::with(json!({"tick": 50}), &[]).await;
    let mut control = world.control().await;
    let port = apps::start().await;
    for _ in 0..3 {
        assert_eq!(app(world.address, port, "/", 1).await.status, 200);
    }
    control.send(&ToAgent::IdleTimeout { seconds: 1, cpu_counts: false }).await;
    let mut activities = 0;
    let seconds = control.until(|message| match message {
        ToObject::Activity { reason } => {
            assert_eq!(reason, "request");
            activities += 1;
            None
        }
        ToObject::Idle { seconds } => Some(*seconds),
        _ => None,
    });
    assert_eq!(seconds.await, 1);
    assert_eq!(activities, 1);
    let again = control.until(|message| match message {
        ToObject::Idle { seconds } => Some(*seconds),
        _ => None,
    });
    assert_eq!(again.await, 2);
}
