//! Hibernation: the machine stands still, anybody's need wakes it, and what was promised to survive has survived.

use serde_json::json;
use snapvm_protocol::agent::{TerminalEnd, close};
use snapvm_protocol::terminal::Notice;
use snapvm_tests::apps::Visitor;
use snapvm_tests::machines::Machine;
use snapvm_tests::sprites::{is_frozen, processes};
use snapvm_tests::terminal::{Terminal, stream};
use snapvm_tests::{PATIENCE, until};

use crate::world;

/// Starts a process that can be told from every other one on the host, and gives its distinguishing argument.
async fn sleeper(terminal: &mut Terminal) -> String {
    let seconds = format!("86400.{}", getrandom::u32().unwrap());
    terminal.run(&format!("sleep {seconds} & sleep 0")).await;
    seconds
}

/// Hibernates a machine, and waits until its terminals know.
async fn hibernate(machine: &Machine, terminal: &mut Terminal) {
    terminal.notices.clear();
    machine.order("hibernate").await;
    machine.until("hibernated").await;
    terminal.until("the terminal knows", |terminal| terminal.notices.contains(&Notice::Asleep)).await;
}

#[tokio::test]
async fn a_hibernated_machine_stands_still_until_somebody_needs_it() {
    let (org, machine) = Machine::running(world()).await;
    machine.serve(3000).await;
    let visitor = Visitor::admitted(world(), &machine.host(world(), 3000), &org.owner.client).await;
    let start = visitor.get("/count").await.expect(200)["start"].clone();
    let mut terminal = Terminal::start(world(), &machine).await;
    terminal.run("cd /var/tmp; echo kept > file").await;
    let epoch = terminal.epoch;
    let word = sleeper(&mut terminal).await;
    let running = processes(&word);
    assert!(!running.is_empty() && !running.iter().any(|pid| is_frozen(*pid)), "{running:?}");

    // Typing wakes it.
    hibernate(&machine, &mut terminal).await;
    assert_eq!(world().sprites().status(&machine.sprite()).await.as_deref(), Some("warm"));
    let frozen = processes(&word);
    assert!(frozen == running && frozen.iter().all(|pid| is_frozen(*pid)), "{frozen:?}");
    assert_eq!(terminal.run("cat file").await, "kept");
    assert_eq!(terminal.epoch, epoch, "the same shell");
    machine.until("running").await;

    // So does a request, and nobody is kept from it by another one.
    hibernate(&machine, &mut terminal).await;
    let answers = futures::future::join_all((0..8).map(|_| visitor.get("/count"))).await;
    for answer in answers {
        assert_eq!(answer.expect(200)["start"], start, "the same process");
    }
    machine.until("running").await;
    assert_eq!(terminal.run("cat file; pwd").await, "kept\r\n/var/tmp");
    assert_eq!((terminal.epoch, terminal.is_open()), (epoch, true));
    assert!(!processes(&word).iter().any(|pid| is_frozen(*pid)));

    // And so does a browser, which sees what is happening.
    hibernate(&machine, &mut terminal).await;
    let page = until("the page", PATIENCE, || async {
        let answer = visitor.navigate("/here").await;
        assert!(answer.status == 200 || answer.status == 503 && answer.text().contains("Waking up"), "{answer:?}");
        (answer.status == 200).then_some(answer)
    });
    assert_eq!(page.await.text(), "/here");

    // Its history says all of it.
    let events = machine.client.get(format!("{}/events", machine.path)).await.expect(200);
    let kinds: Vec<&str> =
        events["events"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap()).collect();
    for kind in ["hibernating", "hibernated", "waking", "running"] {
        assert!(kinds.iter().filter(|other| **other == kind).count() >= 3, "{kind}: {kinds:?}");
    }
    // And for whom it woke, and who put it to sleep.
    let owner = &machine.record().await["owner"]["name"];
    let of = |kind: &str| -> Vec<_> {
        let events = events["events"].as_array().unwrap().iter().filter(|event| event["kind"] == kind);
        events
            .map(|event| (event["cause"].as_str().unwrap(), &event["actor"], event["detail"].as_str().unwrap()))
            .collect()
    };
    let request = ("request", owner, "A request to its port 3000 came.");
    let terminal = ("terminal", owner, "Somebody opened a terminal or typed in one.");
    assert_eq!(of("waking"), [request, request, terminal], "newest first");
    assert!(of("hibernating").iter().all(|(cause, actor, _)| (*cause, *actor) == ("hand", owner)));
}

#[tokio::test]
async fn a_terminal_deleted_in_its_machines_sleep_does_not_come_back() {
    let (_, machine) = Machine::running(world()).await;
    let (mut deleted, mut kept) = (Terminal::start(world(), &machine).await, Terminal::start(world(), &machine).await);
    let word = sleeper(&mut deleted).await;
    hibernate(&machine, &mut deleted).await;
    let path = format!("{}/terminals/{}", machine.path, deleted.id);
    machine.client.delete(&path).await.expect(204);
    assert_eq!(deleted.until_closed(PATIENCE).await, close::NOT_FOUND);
    for wake in [false, true] {
        let refused = stream(world(), &machine.client, &machine, &deleted.id, wake).await.unwrap_err();
        assert_eq!(refused.status, 404, "{refused:?}");
    }
    assert_eq!(machine.record().await["state"], "hibernated");
    // The machine wakes for the other one, and hears then that this one is over.
    assert_eq!(kept.run("echo awake").await, "awake");
    until("its processes are gone", PATIENCE, || async { processes(&word).is_empty().then_some(()) }).await;
    let ended = || async { Some(machine.listed(&deleted.id).await).filter(|listed| !listed["end"].is_null()) };
    assert_eq!(until("the record says how", PATIENCE, ended).await["state"], "ended");
    assert_eq!(machine.listed(&kept.id).await["state"], "open");
}

#[tokio::test]
async fn a_machine_without_its_memory_has_its_files_and_services() {
    let (org, machine) = Machine::running(world()).await;
    machine.serve(3000).await;
    let visitor = Visitor::admitted(world(), &machine.host(world(), 3000), &org.owner.client).await;
    let start = visitor.get("/count").await.expect(200)["start"].clone();
    let mut terminal = Terminal::start(world(), &machine).await;
    terminal.run("echo kept > file").await;
    let word = sleeper(&mut terminal).await;
    hibernate(&machine, &mut terminal).await;
    let cold =
        || async { (world().sprites().status(&machine.sprite()).await.as_deref() == Some("cold")).then_some(()) };
    until("the sprite is cold", PATIENCE, cold).await;
    assert_eq!(processes(&word), [0_u32; 0]);

    // Looking at it does not wake it.
    let mut looking = Terminal::closed(&terminal.id);
    looking.connect(world(), &machine, false).await;
    looking.until("it sleeps", |looking| looking.notices.contains(&Notice::Asleep)).await;
    assert_eq!(machine.record().await["state"], "hibernated");
    assert_eq!(world().sprites().status(&machine.sprite()).await.as_deref(), Some("cold"));

    // The first request waits for the machine; its service needs a moment more.
    let first = visitor.get("/count").await;
    assert!(matches!(first.status, 200 | 502), "{} {}", first.status, first.text());
    machine.until("running").await;
    let up = || async {
        let answer = visitor.get("/count").await;
        (answer.status == 200).then(|| answer.json())
    };
    assert_ne!(until("the service runs again", PATIENCE, up).await["start"], start);
    machine.until_service("app", "running").await;

    // The shell went with the memory, and everybody is told so.
    for tab in [&mut terminal, &mut looking] {
        tab.until("its shell is lost", |tab| tab.end.is_some()).await;
        assert_eq!(tab.end.unwrap().0, TerminalEnd::Lost);
    }
    let ended = || async { Some(machine.listed(&terminal.id).await).filter(|listed| !listed["ended_at"].is_null()) };
    assert_eq!(until("the record says so", PATIENCE, ended).await["end"], json!({"by": "lost"}));
    let mut fresh = Terminal::start(world(), &machine).await;
    assert_eq!(fresh.run("cat file").await, "kept");
    assert_eq!(machine.listed(&fresh.id).await["ended_at"], serde_json::Value::Null);
}
