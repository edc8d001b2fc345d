//! The upgrade in place: what runs goes on, byte for byte; what cannot be, changes nothing.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use futures_util::StreamExt as _;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use snapvm_protocol::agent::{OpenTerminal, SleepKind, TerminalEnd, ToAgent, ToObject, WokeBy};
use snapvm_protocol::services::{ServiceDefinition, ServiceState};
use snapvm_protocol::terminal::{ClientMode, Frame, split_client};
use snapvm_protocol::tickets::Purpose;
use tokio_tungstenite::tungstenite::Message;

use crate::services::{shell, state_of, welcome_with};
use crate::support::exec::Caller;
use crate::support::http::{app, send};
use crate::support::origin::{Control, fresh};
use crate::support::terminal::{Got, Screen, Session, attach};
use crate::support::{World, apps, becomes, binary, said, soon, terminal, ticket};

/// The digest of a file, hex.
fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Delivers bytes as the next agent.
fn deliver(world: &World, bytes: &[u8], mode: u32) -> String {
    let path = world.home.path().join("agent.next");
    // As the file API does it: beside its name, then in place. What runs is never written.
    let partial = path.with_extension("partial");
    std::fs::write(&partial, bytes).unwrap();
    std::fs::set_permissions(&partial, std::fs::Permissions::from_mode(mode)).unwrap();
    std::fs::rename(partial, path).unwrap();
    digest(bytes)
}

/// Delivers an agent that is another one only by its digest.
pub fn deliver_another(world: &World, tail: &str) -> String {
    let mut bytes = std::fs::read(binary()).unwrap();
    bytes.extend_from_slice(tail.as_bytes());
    deliver(world, &bytes, 0o755)
}

fn known(numbers: &[u8]) -> Vec<OpenTerminal> {
    numbers.iter().map(|number| OpenTerminal { fresh: false, ..fresh(terminal(*number)) }).collect()
}

fn welcome_knowing(services: Vec<ServiceDefinition>, numbers: &[u8]) -> ToAgent {
    let mut welcome = welcome_with(services);
    if let ToAgent::Welcome { terminals, .. } = &mut welcome {
        *terminals = known(numbers);
    }
    welcome
}

/// Takes what still comes over a socket whose agent is about to go, to its end.
async fn drain(session: &mut Session, client: u32, screen: &mut Screen) {
    soon("the old socket ends", async {
        while let Some(Ok(message)) = session.0.next().await {
            let Message::Binary(bytes) = message else { continue };
            let (of, frame) = split_client(&bytes).unwrap();
            if of != client {
                continue;
            }
            match Frame::decode(frame).unwrap() {
                Frame::Output(offset, bytes) => screen.take(&Got::Output(offset, bytes.to_vec())),
                Frame::InputAcknowledge(number) => screen.take(&Got::InputAcknowledge(number)),
                _ => {}
            }
            let offset = screen.offset();
            let acknowledge = Message::binary(Frame::Acknowledge(offset).encode_for(client));
            let _ = futures_util::SinkExt::send(&mut session.0, acknowledge).await;
        }
    })
    .await;
}

/// The session's socket of the agent that goes on, with the client where it was.
async fn rejoin(world: &mut World, screens: &mut [(u8, &str, &mut Screen)]) -> Vec<Session> {
    let mut sessions = vec![];
    for _ in 0..screens.len() {
        let dialed = world.origin.terminal().await;
        let found = screens.iter_mut().find(|(number, ..)| dialed.path.ends_with(&terminal(*number).to_string()));
        let (number, key, screen) = found.unwrap();
        let number = *number;
        let mut session = Session::new(dialed);
        session.join(1, ClientMode::Write, attach(key, Some(screen))).await;
        let (_, ready) = session.next().await;
        assert!(matches!(&ready, Got::Ready(ready) if !ready.reset && ready.epoch == screen.epoch), "{ready:?}");
        screen.take(&ready);
        sessions.push((number, session));
    }
    sessions.sort_by_key(|(number, _)| *number);
    sessions.into_iter().map(|(_, session)| session).collect()
}

async fn refused(control: &mut Control) -> (String, bool) {
    control
        .until(|message| match message {
            ToObject::UpgradeRefused { reason, again, .. } => Some((reason.clone(), *again)),
            _ => None,
        })
        .await
}

/// Children of the agent by state: `Z` for those that nobody took.
fn children(pid: u32) -> Vec<(u32, char)> {
    let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    let state = |pid: &str| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let state = stat.rsplit(')').next()?.trim_start().chars().next()?;
        Some((pid.parse().unwrap(), state))
    };
    list.split_whitespace().filter_map(state).collect()
}

#[tokio::test]
async fn shells_and_services_go_on_byte_for_byte() {
    let mut world = World::with(json!({"service_backoff": 5}), &[]).await;
    let pid = world.agent.id().unwrap();
    let services = vec![shell("web", "while :; do echo beat; sleep 0.02; done")];
    let mut control = world.control_with(welcome_with(services.clone())).await;
    let service = state_of(&mut control, "web", ServiceState::Running).await.pid.unwrap();
    let (log, typed) = (world.home.path().join("log"), world.home.path().join("typed"));

    // One terminal pours out what is also written down inside, another one keeps every line it is given.
    let (mut output, mut input) = (Screen::default(), Screen::default());
    let mut sessions = vec![];
    for number in [1, 2] {
        control.send(&ToAgent::OpenTerminal(fresh(terminal(number)))).await;
        sessions.push(Session::new(world.origin.terminal().await));
    }
    let [first, second] = &mut sessions[..] else { unreachable!() };
    first.join(1, ClientMode::Write, attach("tab", None)).await;
    let script = format!(
        "stty -opost -echo; PS1=; printf be''gin; \
         (i=0; while [ ! -e stop ]; do i=$((i+1)); echo \"count $i {0}\"; done; echo over) | tee {1}\n",
        "x".repeat(60),
        log.display()
    );
    first.input(1, 1, &script).await;
    first.until(1, &mut output, |screen| screen.text().contains("count 100 ")).await;
    second.join(1, ClientMode::Write, attach("keys", None)).await;
    second.input(1, 1, &format!("stty -echo; printf rea''dy; cat > {}\n", typed.display())).await;
    second.until(1, &mut input, |screen| screen.text().contains("ready")).await;

    let mut lines = 0;
    let mut boots = BTreeSet::new();
    for round in 0..3 {
        let wanted = deliver_another(&world, &format!("another {round}"));
        control.send(&ToAgent::Upgrade { digest: wanted.clone() }).await;
        // Typed while the agent is changing; what it did not acknowledge is typed again.
        for _ in 0..50 {
            lines += 1;
            let frame = Frame::Input(lines + 1, format!("line {lines}\n").as_bytes()).encode_for(1);
            let _ = futures_util::SinkExt::send(&mut sessions[1].0, Message::binary(frame)).await;
        }
        let [first, second] = &mut sessions[..] else { unreachable!() };
        tokio::join!(drain(first, 1, &mut output), drain(second, 1, &mut input));

        control = world.origin.control().await;
        control.check_own_key(Purpose::Control);
        let hello = control.hello().await;
        let ToObject::Hello { boot, digest, woke, terminals, services: statuses, .. } = &hello else {
            panic!("{hello:?}")
        };
        boots.insert(boot.clone());
        assert_eq!((digest, *woke), (&wanted, WokeBy::Redial));
        assert_eq!(terminals.iter().map(|terminal| terminal.epoch).collect::<Vec<_>>(), [output.epoch, input.epoch]);
        assert!(terminals[0].offset >= output.offset());
        assert_eq!(
            (statuses[0].pid, statuses[0].state, statuses[0].restarts),
            (Some(service), ServiceState::Running, 0)
        );
        sessions = rejoin(&mut world, &mut [(1, "tab", &mut output), (2, "keys", &mut input)]).await;
        for again in input.acknowledged..=lines {
            sessions[1].input(1, again + 1, &format!("line {again}\n")).await;
        }
        control.welcome(welcome_knowing(services.clone(), &[1, 2])).await;
        let [first, second] = &mut sessions[..] else { unreachable!() };
        second.until(1, &mut input, |screen| screen.acknowledged == lines + 1).await;
        let before = output.offset();
        first.until(1, &mut output, |screen| screen.offset() > before + 200_000).await;
    }
    assert_eq!((boots.len(), world.agent.id()), (1, Some(pid)));

    std::fs::write(world.home.path().join("stop"), "").unwrap();
    let [first, second] = &mut sessions[..] else { unreachable!() };
    first.until(1, &mut output, |screen| screen.bytes.ends_with(b"over\n")).await;
    let at = output.bytes.windows(5).position(|window| window == b"begin").unwrap();
    assert!(output.gone.is_empty());
    // What writes the files may do so after it has shown the same.
    soon("output is what was written inside", becomes(&log, &output.bytes[at + 5..])).await;
    let wanted: String = (1..=lines).map(|line| format!("line {line}\n")).collect();
    soon("input was applied once", becomes(&typed, wanted.as_bytes())).await;

    // What began before is still awaited: codes, signals, no zombies.
    first.input(1, 2, "exit 7\n").await;
    first.until(1, &mut output, |screen| screen.end.is_some()).await;
    assert_eq!(output.end, Some(TerminalEnd::Exit { code: 7 }));
    second.input(1, lines + 2, "\u{4}").await;
    second.input(1, lines + 3, "kill -9 $$\n").await;
    second.until(1, &mut input, |screen| screen.end.is_some()).await;
    assert_eq!(input.end, Some(TerminalEnd::Signal { signal: 9 }));
    let service = rustix::process::Pid::from_raw(service.cast_signed()).unwrap();
    rustix::process::kill_process(service, rustix::process::Signal::KILL).unwrap();
    let again = control.until(|message| match message {
        ToObject::Service(status) if status.state == ServiceState::Running && status.restarts == 1 => {
            Some(status.clone())
        }
        _ => None,
    });
    let status = again.await;
    assert_eq!(status.error.as_deref(), Some("killed by signal 9"));
    let beats = std::fs::read_to_string(world.home.path().join("logs/web.log")).unwrap();
    assert!(beats.lines().count() > 10 && beats.lines().all(|line| line.ends_with("Z beat")));
    soon("nobody is left over", async {
        while children(pid) != [(status.pid.unwrap(), 'S')] {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn no_request_is_refused_in_between() {
    let mut world = World::new().await;
    let mut control = world.control().await;
    let port = apps::start().await;
    let (address, digest) = (world.address, deliver_another(&world, "another"));
    let (stop, mut stopped) = tokio::sync::watch::channel(false);
    let asking = tokio::spawn(async move {
        let mut answers = 0;
        while !*stopped.borrow_and_update() {
            let answer = app(address, port, "/status/200", 1).await;
            assert_eq!((answer.status, answer.mark()), (200, Some("app")), "{}", answer.text());
            let own = send(address, hyper::Method::GET, "/.snapvm/nothing", &[], b"").await;
            assert_eq!((own.status, own.mark()), (404, Some("agent")));
            answers += 1;
        }
        answers
    });
    control.send(&ToAgent::Upgrade { digest: digest.clone() }).await;
    let mut control = world.origin.control().await;
    assert!(matches!(control.hello().await, ToObject::Hello { digest: got, .. } if got == digest));
    assert_eq!(app(address, port, "/status/200", 1).await.status, 200);
    stop.send(true).unwrap();
    assert!(asking.await.unwrap() > 0);
    // A ticket that was used before the upgrade is still used.
    control.welcome(welcome_knowing(vec![], &[])).await;
}

#[tokio::test]
async fn a_wake_ticket_that_was_used_before_is_still_used() {
    let mut world = World::new().await;
    let (address, wake) = (world.address, ticket(Purpose::Wake));
    let reply =
        tokio::spawn(async move { crate::support::http::wake(address, &wake).await.status == 202 && !wake.is_empty() });
    let mut control = world.origin.control().await;
    let shown = control.header("x-snap-ticket").unwrap().to_owned();
    control.hello().await;
    control.welcome(crate::support::origin::welcome()).await;
    assert!(reply.await.unwrap());
    control.send(&ToAgent::Upgrade { digest: deliver_another(&world, "another") }).await;
    let mut control = world.origin.control().await;
    control.hello().await;
    let again = crate::support::http::wake(address, &shown).await;
    assert_eq!((again.status, again.text().trim()), (403, "the ticket was used before"));
}

/// A file's bytes and mode.
type File = (&'static [u8], u32);

#[tokio::test]
async fn what_cannot_be_run_changes_nothing() {
    let mut world = World::new().await;
    let mut control = world.control().await;
    control.send(&ToAgent::OpenTerminal(fresh(terminal(1)))).await;
    let mut session = Session::new(world.origin.terminal().await);
    let mut screen = Screen::default();
    session.join(1, ClientMode::Write, attach("tab", None)).await;
    session.input(1, 1, "echo $PPID-be''fore\n").await;
    session.until(1, &mut screen, |screen| screen.text().contains("before")).await;
    let cases: [(Option<File>, &str); 4] = [
        (None, "the delivered file cannot be read"),
        (Some((b"\x7fELF and nothing else", 0o755)), "the delivered file cannot be run"),
        (Some((b"#!/nowhere/at/all\n", 0o755)), "the delivered file cannot be run"),
        (Some((b"#!/bin/sh\nexit 1\n", 0o644)), "the delivered file cannot be run"),
    ];
    let mut number = 1;
    for (file, wanted) in cases {
        let digest = file.map_or_else(String::new, |(bytes, mode)| deliver(&world, bytes, mode));
        control.send(&ToAgent::Upgrade { digest }).await;
        let (reason, again) = refused(&mut control).await;
        assert!(reason.starts_with(wanted) && !again, "{reason}");
        // Same socket, same shell, same door.
        number += 1;
        session.input(1, number, &format!("echo $PPID-af''ter-{number}\n")).await;
        session.until(1, &mut screen, |screen| screen.text().contains(&format!("after-{number}"))).await;
        let own = send(world.address, hyper::Method::GET, "/.snapvm/nothing", &[], b"").await;
        assert_eq!(own.status, 404);
    }
    // The right bytes under a wrong name.
    deliver_another(&world, "another");
    control.send(&ToAgent::Upgrade { digest: "0".repeat(64) }).await;
    assert_eq!(refused(&mut control).await, ("the delivered file is not the one that was announced".into(), false));
    // A shell that ends now is still reported, and one that is started inherits nothing of the tries.
    session.input(1, number + 1, "ls -l /proc/self/fd | grep -e ptmx -e memfd | grep -vc memfd:state; exit 3\n").await;
    session.until(1, &mut screen, |screen| screen.end.is_some()).await;
    assert_eq!(screen.end, Some(TerminalEnd::Exit { code: 3 }));
    assert!(screen.text().contains("\n0\r\n"), "{}", screen.text());
    // And the one that can be run still can.
    let digest = deliver_another(&world, "another");
    control.send(&ToAgent::Upgrade { digest: digest.clone() }).await;
    let mut control = world.origin.control().await;
    assert!(matches!(control.hello().await, ToObject::Hello { digest: got, .. } if got == digest));
}

#[tokio::test]
async fn a_shell_inherits_no_other_terminal_after_an_upgrade() {
    let mut world = World::new().await;
    let mut control = world.control().await;
    control.send(&ToAgent::OpenTerminal(fresh(terminal(1)))).await;
    drop(world.origin.terminal().await);
    control.send(&ToAgent::Upgrade { digest: deliver_another(&world, "another") }).await;
    let mut control = world.origin.control().await;
    control.hello().await;
    control.welcome(welcome_knowing(vec![], &[1])).await;
    control.send(&ToAgent::OpenTerminal(fresh(terminal(2)))).await;
    let mut session = Session::new(world.origin.terminal_of(terminal(2)).await);
    let mut screen = Screen::default();
    session.join(1, ClientMode::Write, attach("tab", None)).await;
    session
        .input(
            1,
            1,
            "echo \"<$(ls -l /proc/self/fd | grep -e ptmx -e memfd | grep -vc memfd:state)>$SNAPVM_HANDOVER<\"; echo en''d\n",
        )
        .await;
    session.until(1, &mut screen, |screen| screen.text().contains("\nend")).await;
    assert!(screen.text().contains("\n<0><"), "{}", screen.text());
}

#[tokio::test]
async fn an_ordered_sleep_comes_first() {
    let mut world = World::new().await;
    let mut control = world.control().await;
    let digest = deliver_another(&world, "another");
    control.send(&ToAgent::Sleep { sleep: 1, kind: SleepKind::Hibernate, clear_tasks: false }).await;
    control.send(&ToAgent::Upgrade { digest: digest.clone() }).await;
    assert_eq!(refused(&mut control).await, ("the machine is about to sleep".into(), true));
    control.send(&ToAgent::SleepCancel { sleep: 1 }).await;
    control.send(&ToAgent::Upgrade { digest: digest.clone() }).await;
    let mut control = world.origin.control().await;
    assert!(matches!(control.hello().await, ToObject::Hello { digest: got, .. } if got == digest));
}

#[tokio::test]
async fn a_command_and_its_caller_come_first() {
    let mut world = World::new().await;
    let mut control = world.control().await;
    let digest = deliver_another(&world, "another");
    let mut caller = Caller::events(world.address, "echo begun; exec sleep 1000").await;
    assert_eq!(caller.line().await, "begun");
    control.send(&ToAgent::Upgrade { digest: digest.clone() }).await;
    assert_eq!(refused(&mut control).await, ("one-shot commands are running".into(), true));
    caller.leave();
    // Until it is gone, and nothing is left of it: then the socket ends with the old agent.
    soon("an upgrade", async {
        control.send(&ToAgent::Upgrade { digest: digest.clone() }).await;
        while let Some(Ok(message)) = control.0.socket.next().await {
            if message.to_text().unwrap().contains("upgrade_refused") {
                control.send(&ToAgent::Upgrade { digest: digest.clone() }).await;
            }
        }
    })
    .await;
    let mut control = world.origin.control().await;
    assert!(matches!(control.hello().await, ToObject::Hello { digest: got, .. } if got == digest));
}

/// A sealed memory file that stays open over every exec, with a state that no agent can read.
fn unreadable_state() -> OwnedFd {
    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
    let mut content = b"SNAPHAND".to_vec();
    content.extend_from_slice(&7_u32.to_be_bytes());
    let sum = Sha256::digest(&content);
    content.extend_from_slice(&sum);
    let memory = memfd_create("state", MemfdFlags::ALLOW_SEALING).unwrap();
    std::fs::File::from(memory.try_clone().unwrap()).write_all(&content).unwrap();
    fcntl_add_seals(&memory, SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE).unwrap();
    memory
}

#[tokio::test]
async fn a_state_of_another_version_costs_the_shells_and_not_the_agent() {
    let state = unreadable_state();
    let mut world = World::new().await;
    let mut control = world.control_with(welcome_with(vec![shell("web", "exec sleep 1000")])).await;
    let service = state_of(&mut control, "web", ServiceState::Running).await.pid.unwrap();
    control.send(&ToAgent::OpenTerminal(fresh(terminal(1)))).await;
    let mut session = Session::new(world.origin.terminal().await);
    let mut screen = Screen::default();
    session.join(1, ClientMode::Write, attach("tab", None)).await;
    session.input(1, 1, "echo $$-be''fore\n").await;
    session.until(1, &mut screen, |screen| screen.text().contains("before")).await;
    let shell = children(world.agent.id().unwrap()).into_iter().find(|(pid, _)| *pid != service).unwrap().0;

    // The successor is shown another state than the one that was made for it.
    let next = format!("#!/bin/sh\nSNAPVM_HANDOVER={} exec {} \"$@\"\n", state.as_raw_fd(), binary().display());
    control.send(&ToAgent::Upgrade { digest: deliver(&world, next.as_bytes(), 0o755) }).await;
    let why = said(&mut world.log, "agent: the state of the agent before this one cannot be used: ").await;
    assert_eq!(why, "it is of version 7");
    world.address = said(&mut world.log, "agent: listens on ").await.parse().unwrap();
    for pid in [shell, service] {
        soon("it is ended and reaped", async {
            while Path::new(&format!("/proc/{pid}")).exists() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
    let mut control = world.control_with(welcome_knowing(vec![], &[1])).await;
    let end = control.until(|message| match message {
        ToObject::TerminalEnded { end, .. } => Some(*end),
        _ => None,
    });
    assert_eq!(end.await, TerminalEnd::Lost);
}
