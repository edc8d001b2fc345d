//! A pause that nobody ordered: what is typed into it wakes the machine, and is applied once or said not to have been.

use std::time::Duration;

use snapvm_protocol::agent::TerminalEnd;
use snapvm_tests::machines::Machine;
use snapvm_tests::terminal::Terminal;
use snapvm_tests::{PATIENCE, until};

use crate::world;

/// Until typed input is taken after a pause: two seconds of no acknowledgement, a look, a wake, on a busy computer.
const WOKEN: Duration = Duration::from_secs(30);

/// Takes the runtime's keep-awake mark from under the agent: the runtime pauses the machine and tells nobody.
async fn pause(machine: &Machine, terminal: &mut Terminal, until_it_is: &str) {
    let drop_task = "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/.sprite/api.sock'); \
        s.send(b'DELETE /v1/tasks/snapvm-agent HTTP/1.1\\r\\nhost: x\\r\\ncontent-length: 0\\r\\n\\r\\n'); \
        print(s.recv(12).decode()[9:])";
    let dropped = terminal.run(&format!("python3 -c \"{drop_task}\"")).await;
    assert!(dropped.starts_with('2'), "{dropped}");
    let paused =
        || async { (world().sprites().status(&machine.sprite()).await.as_deref() == Some(until_it_is)).then_some(()) };
    until("the runtime has paused it", PATIENCE, paused).await;
}

#[tokio::test]
async fn what_is_typed_into_a_pause_wakes_the_machine_and_is_applied_once() {
    let (_, machine) = Machine::running(world()).await;
    let mut terminal = Terminal::start(world(), &machine).await;
    let epoch = terminal.epoch;
    terminal.run("cd /var/tmp").await;
    for round in 1..=2 {
        pause(&machine, &mut terminal, "warm").await;
        for part in ["echo x >> ", "typed; echo ", &format!("woken-{round}-$((1+1))\r")] {
            terminal.type_text(part).await;
        }
        let text = format!("woken-{round}-2");
        let output = terminal.output.len();
        terminal
            .until_within(&text, WOKEN, |terminal| {
                String::from_utf8_lossy(&terminal.output[output..]).contains(&text) && terminal.is_acknowledged()
            })
            .await;
        assert_eq!(terminal.run("wc -l < typed").await, round.to_string());
        assert_eq!((terminal.epoch, terminal.end), (epoch, None));
    }
    machine.until("running").await;
}

#[tokio::test]
async fn what_is_typed_into_a_lost_shell_is_said_not_to_have_been_applied() {
    let (_, machine) = Machine::running(world()).await;
    let mut terminal = Terminal::start(world(), &machine).await;
    terminal.run("cd /var/tmp").await;
    pause(&machine, &mut terminal, "cold").await;
    terminal.type_text("touch typed\r").await;
    terminal.until_within("the shell is known to be lost", WOKEN, |terminal| terminal.end.is_some()).await;
    assert_eq!(terminal.end.unwrap().0, TerminalEnd::Lost);
    assert!(!terminal.is_acknowledged());

    // A new shell in the same directory.
    let body = serde_json::json!({"directory": "/var/tmp"});
    let made = machine.client.post(format!("{}/terminals", machine.path), body).await.expect(201);
    let mut fresh = Terminal::open(world(), &machine, made["id"].as_str().unwrap()).await;
    fresh.until_prompt().await;
    assert_eq!(fresh.run("pwd; ls typed 2>/dev/null | wc -l").await, "/var/tmp\r\n0");
    assert_ne!(fresh.epoch, terminal.epoch);
}
