//! Ordered sleep, its order, its cancellation, and waking from it.

use hyper::Method;
use serde_json::json;
use snapvm_protocol::agent::{SleepKind, TerminalEnd, ToAgent, ToObject, WokeBy};
use snapvm_protocol::services::ServiceState;
use snapvm_protocol::terminal::ClientMode;

use crate::services::{shell, state_of, welcome_with};
use crate::support::http::app;
use crate::support::origin::{fresh, welcome};
use crate::support::terminal::{Screen, Session, attach};
use crate::support::{World, apps, terminal};

async fn ready(control: &mut crate::support::origin::Control, sleep: u64) {
    let ready =
        |message: &ToObject| matches!(message, ToObject::SleepReady { sleep: got } if *got == sleep).then_some(());
    control.until(ready).await;
}

#[tokio::test]
async fn a_hibernation_keeps_shells_closes_sockets_and_drops_the_task() {
    let mut world = World::with(json!({"tick": 50}), &[]).await;
    let mut control = world.control().await;
    control.send(&ToAgent::OpenTerminal(fresh(terminal(1)))).await;
    let mut session = Session::new(world.origin.terminal().await);
    let mut screen = Screen::default();
    session.join(1, ClientMode::Write, attach("tab", None)).await;
    session.input(1, 1, "kept=yes; echo be''fore\n").await;
    // The prompt too: nothing is to come behind it.
    session.until(1, &mut screen, |screen| screen.text().ends_with("before\r\n$ ")).await;
    world.guest.called(Method::PUT, "/v1/tasks/snapvm-agent").await;
    world.guest.add("foreign");
    let port = apps::start().await;
    assert_eq!(app(world.address, port, "/", 1).await.status, 200);

    control.send(&ToAgent::Sleep { sleep: 7, kind: SleepKind::Hibernate, clear_tasks: false }).await;
    ready(&mut control, 7).await;
    // The word for another sleep is none.
    control.send(&ToAgent::SleepGo { sleep: 6 }).await;
    assert_eq!(app(world.address, port, "/", 1).await.status, 200);
    control.send(&ToAgent::SleepGo { sleep: 7 }).await;
    assert_eq!(session.closed().await, 4410);
    assert_eq!(control.closed().await, 4410);
    assert_eq!(world.guest.names(), ["foreign"]);
    let refused = app(world.address, port, "/", 1).await;
    assert_eq!((refused.status, refused.mark()), (410, Some("agent")));
    assert!(world.origin.nothing_dialed());

    let wake = crate::support::ticket(snapvm_protocol::tickets::Purpose::Wake);
    assert_eq!(crate::support::http::wake(world.address, &wake).await.status, 202);
    let mut control = world.origin.control().await;
    let hello = control.hello().await;
    let ToObject::Hello { woke: WokeBy::Thaw, terminals, .. } = hello else { panic!("{hello:?}") };
    assert_eq!(
        (terminals[0].session, terminals[0].epoch, terminals[0].offset),
        (terminal(1), screen.epoch, screen.offset())
    );
    let ToAgent::Welcome { .. } = welcome() else { unreachable!() };
    let mut again = welcome();
    if let ToAgent::Welcome { terminals, .. } = &mut again {
        terminals.push(snapvm_protocol::agent::OpenTerminal { fresh: false, ..fresh(terminal(1)) });
        terminals.push(snapvm_protocol::agent::OpenTerminal { fresh: false, ..fresh(terminal(2)) });
    }
    control.welcome(again).await;
    let lost = control.until(|message| match message {
        ToObject::TerminalEnded { session, end } => Some((*session, *end)),
        _ => None,
    });
    assert_eq!(lost.await, (terminal(2), TerminalEnd::Lost));
    assert!(world.guest.names().contains(&"snapvm-agent".to_owned()));
    let mut session = Session::new(world.origin.terminal().await);
    session.join(9, ClientMode::Write, attach("tab", Some(&screen))).await;
    session.input(9, 2, "echo $kept-after\n").await;
    session.until(9, &mut screen, |screen| screen.text().contains("yes-after")).await;
}

#[tokio::test]
async fn a_sync_is_answered_and_stops_nothing() {
    let mut world = World::with(json!({}), &[]).await;
    let mut control = world.control_with(welcome_with(vec![shell("keeps", "sleep 1000")])).await;
    let kept = state_of(&mut control, "keeps", ServiceState::Running).await.pid;
    // What a newer platform may say costs nothing.
    control.text(r#"{"type":"of_next_year","with":[1]}"#).await;
    for sync in [4, 5] {
        control.send(&ToAgent::Sync { sync }).await;
        let synced =
            |message: &ToObject| matches!(message, ToObject::Synced { sync: got } if *got == sync).then_some(());
        control.until(synced).await;
    }
    assert!(world.origin.nothing_dialed());
    control.send(&ToAgent::Sleep { sleep: 1, kind: SleepKind::Hibernate, clear_tasks: false }).await;
    ready(&mut control, 1).await;
    drop(control);
    let mut control = world.origin.control().await;
    let ToObject::Hello { services, .. } = control.hello().await else { panic!() };
    assert_eq!(services[0].pid, kept);
}

#[tokio::test]
async fn a_stop_ends_everything_and_clears_tasks() {
    let mut world = World::with(json!({}), &[]).await;
    let keep = shell("keep", "trap 'exit 0' TERM; while :; do sleep 0.05; done");
    let mut control = world.control_with(welcome_with(vec![keep])).await;
    state_of(&mut control, "keep", ServiceState::Running).await;
    control.send(&ToAgent::OpenTerminal(fresh(terminal(1)))).await;
    let mut session = Session::new(world.origin.terminal().await);
    let mut screen = Screen::default();
    session.join(1, ClientMode::Read, attach("tab", None)).await;
    session.until(1, &mut screen, |screen| screen.text().contains('$')).await;
    world.guest.add("foreign");
    control.send(&ToAgent::Sleep { sleep: 1, kind: SleepKind::Stop, clear_tasks: true }).await;
    let (mut stopped, mut ended) = (false, false);
    control
        .until(|message| match message {
            ToObject::Service(status) => {
                stopped |= status.state == ServiceState::Stopped;
                None
            }
            ToObject::TerminalEnded { .. } => {
                ended = true;
                None
            }
            ToObject::SleepReady { sleep: 1 } => Some(()),
            _ => None,
        })
        .await;
    assert!(stopped);
    session.until(1, &mut screen, |screen| screen.end.is_some()).await;
    control.send(&ToAgent::SleepGo { sleep: 1 }).await;
    assert_eq!(control.closed().await, 4410);
    assert_eq!(world.guest.names(), Vec::<String>::new());
    assert!(ended || screen.end.is_some());
}

#[tokio::test]
async fn a_cancelled_sleep_starts_again_what_it_stopped() {
    let mut world = World::with(json!({}), &[]).await;
    let mut writes = shell("writes", "sleep 1000");
    writes.at_sleep = snapvm_protocol::services::AtSleep::Stop;
    let keeps = shell("keeps", "sleep 1000");
    let mut control = world.control_with(welcome_with(vec![writes.clone(), keeps.clone()])).await;
    let kept = state_of(&mut control, "keeps", ServiceState::Running).await.pid;
    control.send(&ToAgent::Sleep { sleep: 1, kind: SleepKind::Hibernate, clear_tasks: false }).await;
    state_of(&mut control, "writes", ServiceState::Stopped).await;
    ready(&mut control, 1).await;
    control.send(&ToAgent::SleepCancel { sleep: 1 }).await;
    state_of(&mut control, "writes", ServiceState::Running).await;
    // A sleep whose socket went is called off by the next Welcome.
    control.send(&ToAgent::Sleep { sleep: 2, kind: SleepKind::Hibernate, clear_tasks: false }).await;
    ready(&mut control, 2).await;
    drop(control);
    let mut control = world.origin.control().await;
    let hello = control.hello().await;
    let ToObject::Hello { services, .. } = hello else { panic!("{hello:?}") };
    assert_eq!(services[0].state, ServiceState::Stopped);
    assert_eq!((services[1].state, services[1].pid), (ServiceState::Running, kept));
    control.welcome(welcome_with(vec![writes, keeps])).await;
    state_of(&mut control, "writes", ServiceState::Running).await;
    control.send(&ToAgent::SleepGo { sleep: 2 }).await;
    control.send(&ToAgent::Sleep { sleep: 3, kind: SleepKind::Hibernate, clear_tasks: false }).await;
    ready(&mut control, 3).await;
}
