//! Clocks that are wrong: a machine that is thawed hours later with the time of then, and one whose wall clock jumps.
//! Tickets, the own key, terminals, idleness and services go on.

use serde_json::json;
use snapvm_protocol::agent::{SleepKind, ToAgent, ToObject, WokeBy};
use snapvm_protocol::services::{AtSleep, ServiceState};
use snapvm_protocol::terminal::ClientMode;
use snapvm_protocol::tickets::Purpose;

use crate::services::{shell, state_of, welcome_with};
use crate::support::http::{lease, send, wake};
use crate::support::origin::{Control, check_own_key_at, fresh};
use crate::support::terminal::{Screen, Session, attach};
use crate::support::{World, apps, machine, now_ms, platform, soon, terminal, ticket_of};

/// Three hours.
const LATER: i64 = 3 * 60 * 60 * 1000;

fn ticket_at(purpose: Purpose, at: i64) -> String {
    ticket_of(&platform(), machine(), 3, purpose, at)
}

/// The status of an app's answer with a lease of this time.
async fn app_at(world: &World, port: u16, at: i64) -> u16 {
    let ticket = ticket_at(Purpose::Ingress { epoch: 1 }, at);
    send(world.address, hyper::Method::GET, "/", &lease(&ticket, &port.to_string()), b"").await.status
}

/// Idleness of a second is told after a second, and not after the hours that a clock may have made of it.
async fn idles_after_a_second(control: &mut Control) {
    control.send(&ToAgent::IdleTimeout { seconds: 1, cpu_counts: false }).await;
    let seconds = control.until(|message| match message {
        ToObject::Idle { seconds } => Some(*seconds),
        _ => None,
    });
    assert!((1..60).contains(&seconds.await));
}

#[tokio::test]
async fn a_machine_that_is_thawed_hours_later_goes_on() {
    let mut world = World::with(json!({"tick": 50}), &[]).await;
    let mut stops = shell("stops", "sleep 1000");
    stops.at_sleep = AtSleep::Stop;
    let services = vec![shell("keeps", "sleep 1000"), stops];
    let mut control = world.control_with(welcome_with(services.clone())).await;
    let kept = state_of(&mut control, "keeps", ServiceState::Running).await.pid;
    control.send(&ToAgent::OpenTerminal(fresh(terminal(1)))).await;
    let mut session = Session::new(world.origin.terminal().await);
    let mut screen = Screen::default();
    session.join(1, ClientMode::Write, attach("tab", None)).await;
    session.input(1, 1, "kept=yes; echo be''fore\n").await;
    session.until(1, &mut screen, |screen| screen.text().contains("before")).await;
    control.send(&ToAgent::Sleep { sleep: 1, kind: SleepKind::Hibernate, clear_tasks: false }).await;
    control.until(|message| matches!(message, ToObject::SleepReady { .. }).then_some(())).await;
    control.send(&ToAgent::SleepGo { sleep: 1 }).await;
    assert_eq!(control.closed().await, 4410);
    let stale = ticket_at(Purpose::Wake, now_ms());

    // Hours pass, and the guest's clocks have not moved: to it, every ticket is from the future.
    let later = || now_ms() + LATER;
    assert_eq!(wake(world.address, &ticket_at(Purpose::Wake, later())).await.status, 202);
    let mut control = world.origin.control().await;
    assert!(matches!(control.hello().await, ToObject::Hello { woke: WokeBy::Thaw, .. }));
    let mut again = welcome_with(services.clone());
    if let ToAgent::Welcome { now_ms, terminals, .. } = &mut again {
        *now_ms = later();
        terminals.push(snapvm_protocol::agent::OpenTerminal { fresh: false, ..fresh(terminal(1)) });
    }
    control.welcome(again.clone()).await;
    state_of(&mut control, "stops", ServiceState::Running).await;
    let dialed = world.origin.terminal().await;
    check_own_key_at(&dialed, Purpose::Terminal { session: terminal(1) }, later());
    let mut session = Session::new(dialed);
    session.join(2, ClientMode::Write, attach("tab", Some(&screen))).await;
    session.input(2, 2, "echo $kept-after\n").await;
    session.until(2, &mut screen, |screen| screen.text().contains("yes-after")).await;

    // What was good before the pause is not any more; what is good now is.
    assert_eq!(wake(world.address, &stale).await.status, 403);
    let port = apps::start().await;
    assert_eq!(app_at(&world, port, now_ms()).await, 403, "a lease of hours ago");
    assert_eq!(app_at(&world, port, later()).await, 200);
    idles_after_a_second(&mut control).await;

    // A drop: the own key signs with the platform's time.
    drop(control);
    let mut control = world.origin.control().await;
    check_own_key_at(&control.0, Purpose::Control, later());
    let ToObject::Hello { services, .. } = control.hello().await else { panic!() };
    assert_eq!(services[0].pid, kept, "a service that was kept was not started again");
}

#[tokio::test]
async fn a_wall_clock_that_jumps_ahead_costs_a_dial_and_nothing_else() {
    let clock = tempfile::NamedTempFile::new().unwrap();
    let path = clock.path().to_str().unwrap().to_owned();
    let mut world = World::with(json!({"tick": 100, "late": 2000}), &[("SNAPVM_TEST_WALL", &path)]).await;
    let mut control = world.control_with(welcome_with(vec![shell("keeps", "sleep 1000")])).await;
    let kept = state_of(&mut control, "keeps", ServiceState::Running).await.pid;
    let port = apps::start().await;
    assert_eq!(app_at(&world, port, now_ms()).await, 200);

    // It looks like a pause: the agent dials again, and signs for the time that it may be now.
    std::fs::write(&path, LATER.to_string()).unwrap();
    assert_eq!(control.closed().await, 1006);
    let control = world.origin.control().await;
    check_own_key_at(&control.0, Purpose::Control, now_ms() + LATER);
    // The platform refuses that, and is shown the other guess before the agent gives up its key.
    world.origin.refuse(Some(401));
    drop(control);
    soon("two guesses", async {
        let mut refused = 0;
        while refused < 2 {
            refused += u32::from(world.origin.dials.recv().await.unwrap().1 == 401);
        }
    })
    .await;
    world.origin.refuse(None);
    // Tickets of the right time are good, whatever the wall says.
    assert_eq!(wake(world.address, &ticket_at(Purpose::Wake, now_ms())).await.status, 202);
    let mut control = world.origin.control().await;
    let ToObject::Hello { services, .. } = control.hello().await else { panic!() };
    assert_eq!(services[0].pid, kept);
    control.welcome(welcome_with(vec![shell("keeps", "sleep 1000")])).await;
    assert_eq!(app_at(&world, port, now_ms()).await, 200);
    assert_eq!(app_at(&world, port, now_ms() + LATER).await, 200, "a later ticket of ours moves the clock on");
    idles_after_a_second(&mut control).await;
}
