//! The control plane breaks under a terminal in which somebody types: the Worker with all its objects, the database.

use std::time::Duration;

use serde_json::json;
use snapvm_protocol::agent::TerminalEnd;
use snapvm_protocol::terminal::Notice;
use snapvm_tests::machines::{Machine, builder};
use snapvm_tests::sprites::processes;
use snapvm_tests::terminal::Terminal;
use snapvm_tests::{PATIENCE, World, until};
use tokio::time::Instant;

/// From the Worker's return to the same shell: an agent waits up to 10 s when several sockets in a row did not last.
const BACK: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_worker_costs_neither_the_shell_nor_a_key() {
    let world = World::start(builder().faults(true)).await;
    let (_, machine) = Machine::running(&world).await;
    let mut terminal = Terminal::start(&world, &machine).await;
    let (epoch, shell) = (terminal.epoch, terminal.run("echo $$").await);
    let mut ended = Terminal::start(&world, &machine).await;
    ended.type_text("printf 'the %s of it' last; exit 3\r").await;
    ended.until("its end", |ended| ended.end.is_some()).await;
    let listed = || async { (!machine.listed(&ended.id).await["ended_at"].is_null()).then_some(()) };
    until("its end is known", PATIENCE, listed).await;
    // A program that keeps every line that it is given; their echo is output that goes on meanwhile.
    terminal.type_text("echo reads-$((1+1)); cat > typed\r").await;
    terminal.until_text("reads-2").await;
    let worker = world.stack.worker().unwrap();
    // No wake request gets through: the agent has to come back by itself.
    world.sprites().fail("url", "before", 10_000, json!({"status": 500})).await;
    let mut lines = 0;
    for round in 1..=3 {
        for _ in 0..40 {
            lines += 1;
            terminal.type_text(&format!("line {lines}\r")).await;
            if lines % 40 == 20 {
                worker.kill().await;
            }
        }
        terminal.until("the socket is gone", |terminal| !terminal.is_open()).await;
        worker.start().await.unwrap();
        let up = Instant::now();
        terminal.reconnect(&world, &machine, BACK).await;
        terminal.until_within("the same shell", BACK, |terminal| terminal.attached == round + 1).await;
        println!("round {round}: the same shell {:?} after the Worker is up", up.elapsed());
        assert!(up.elapsed() < BACK);
        assert_eq!(terminal.epoch, epoch);
        terminal.until("every key is taken", Terminal::is_acknowledged).await;
    }
    terminal.type_text("\u{4}").await;
    assert_eq!(terminal.run("echo $$").await, shell);
    let wanted: String = (1..=lines).map(|number| format!("line {number}\r\n")).collect::<Vec<_>>().concat();
    assert_eq!(terminal.run("cat typed").await + "\r\n", wanted);
    assert_eq!(machine.record().await["state"], "running");

    // How the other shell ended, and its last output, are known: by the agent, which came back for that, too …
    ended.reconnect(&world, &machine, PATIENCE).await;
    ended.until("its end again", |ended| ended.attached == 2 && ended.end.is_some()).await;
    assert!(ended.output.windows(14).any(|window| window == b"the last of it"));
    // … and without it.
    world.sprites().stop_failing().await;
    terminal.type_text("kill -9 $PPID\r").await;
    ended.until("the agent is gone", |ended| ended.notices.last() == Some(&Notice::Waking)).await;
    let mut late = Terminal::closed(&ended.id);
    late.connect(&world, &machine, false).await;
    late.until("its end", |late| late.end.is_some()).await;
    assert_eq!(late.end.unwrap().0, TerminalEnd::Exit { code: 3 });
    let (_, screen, _) = late.kept.expect("its last screen");
    assert!(String::from_utf8_lossy(&screen).contains("the last of it"));
}

/// Found by the soak: the object was told of no lost socket, believed in its agent, and woke nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_died_with_the_worker_is_woken() {
    let world = World::start(builder().warm_after(Duration::from_mins(5))).await;
    let (_, machine) = Machine::running(&world).await;
    let mut terminal = Terminal::start(&world, &machine).await;
    let mark = snapvm_tests::chance::word();
    // It dies when the Worker is dead already.
    terminal.run(&format!("setsid sh -c 'sleep 5; kill -9 $0' $PPID {mark} > /dev/null 2>&1 & sleep 0")).await;
    world.stack.worker().unwrap().kill().await;
    assert!(!processes(&mark).is_empty(), "the agent lives longer than the Worker");
    let dead = || async { processes(&mark).is_empty().then_some(()) };
    until("the agent is dead", Duration::from_secs(30), dead).await;
    world.stack.worker().unwrap().start().await.unwrap();
    assert_eq!(Terminal::start(&world, &machine).await.run("echo on-$((1+1))").await, "on-2");
    terminal.reconnect(&world, &machine, Duration::from_secs(30)).await;
    terminal.until("its shell is known to be lost", |terminal| terminal.end.is_some()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_database_terminals_go_on_and_nothing_is_forgotten() {
    let world = World::start(builder()).await;
    let (org, machine) = Machine::running(&world).await;
    let other = Machine::create(&org, "other").await;
    other.until("running").await;
    let mut terminal = Terminal::start(&world, &machine).await;
    let mut ending = Terminal::start(&world, &machine).await;
    // Test databases acknowledge before they write, so a kill may lose the last moment.
    let superuser = world.superuser().await;
    superuser.batch_execute("checkpoint").await.unwrap();
    drop(superuser);
    // A machine goes to sleep while the database is away: its new state cannot be written yet.
    other.order("hibernate").await;
    world.stack.postgres.kill().await;
    let away = || async {
        let answer = machine.client.get(&machine.path).await;
        (answer.status == 503).then_some(answer)
    };
    let refused = until("the API says so", Duration::from_secs(21), away).await;
    refused.problem(503, "database_unavailable");
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    assert_eq!(terminal.run("echo on-$((1+1))").await, "on-2");
    let asleep = || async { (world.sprites().status(&other.sprite()).await.as_deref() == Some("warm")).then_some(()) };
    until("the other machine sleeps", Duration::from_secs(15), asleep).await;
    ending.type_text("exit 7\r").await;
    ending.until("its end", |ending| ending.end.is_some()).await;

    world.stack.postgres.start().await.unwrap();
    let back = || async { (machine.client.get(&machine.path).await.status == 200).then_some(()) };
    until("the API is back", Duration::from_secs(30), back).await;
    other.until("hibernated").await;
    assert_eq!(terminal.run("echo still-$((1+1))").await, "still-2");
    assert_eq!(terminal.attached, 1, "nobody had to connect again");
    let ended = || async { Some(machine.listed(&ending.id).await).filter(|listed| !listed["ended_at"].is_null()) };
    let listed = until("the shell's end is written", Duration::from_secs(30), ended).await;
    assert_eq!(listed["end"], json!({"by": "exit", "code": 7}));
}
