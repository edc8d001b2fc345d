//! What nobody takes is kept by nobody: a program that never stops writing, and a window that has stopped reading.

use snapvm_protocol::terminal::{Attach, Follow, Frame, Notice, WINDOW_BYTES};
use snapvm_tests::machines::Machine;
use snapvm_tests::sockets::{self, Socket};
use snapvm_tests::terminal::{Terminal, stream};
use tokio_tungstenite::tungstenite::protocol::Message;

use crate::apps::resident;
use crate::world;

/// How much is written while a window does not read: many times of what the agent keeps.
const FLOOD: usize = 160 << 20;
/// How much the agent may grow by.
const AGENT_GROWTH: u64 = 16 << 20;
/// How much the Worker may grow by: what passes through it is garbage for a while, with no more than a window for who
/// does not read. It was 240 MiB when the agent sent another window after each 2 MiB that were gone.
const WORKER_GROWTH: u64 = 144 << 20;

/// The next frame of a window's socket.
async fn heard(socket: &mut Socket, bytes: &mut Vec<u8>) {
    loop {
        match sockets::next(socket).await.expect("an open socket") {
            Message::Binary(message) => {
                *bytes = message.to_vec();
                return;
            }
            Message::Text(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Resident memory of the machine's agent, in bytes, as a shell of it sees it.
async fn agent_memory(shell: &mut Terminal) -> u64 {
    let kib = shell.run("grep VmRSS /proc/$PPID/status | tr -dc 0-9").await;
    kib.parse::<u64>().unwrap_or_else(|_| panic!("{kib:?}")) * 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_that_has_stopped_reading_costs_no_memory_and_slows_nobody() {
    let (org, machine) = Machine::running(world()).await;
    let viewer = org.member(world(), "viewer").await;
    let (mut typing, mut shell) = (Terminal::start(world(), &machine).await, Terminal::start(world(), &machine).await);
    let mut stalled = stream(world(), &viewer.client, &machine, &typing.id, false).await.unwrap();
    let mut bytes = Vec::new();
    loop {
        heard(&mut stalled, &mut bytes).await;
        match Frame::decode(&bytes).unwrap() {
            Frame::Notice(Notice::Connected) => {
                let key = "stalled".to_owned();
                let attach = Attach {
                    columns: 80,
                    rows: 24,
                    key,
                    epoch: None,
                    offset: None,
                    follow: Follow::Bytes,
                    foreground: false,
                };
                sockets::send(&mut stalled, Message::Binary(Frame::Attach(attach).encode().into())).await;
            }
            Frame::Ready(_) => break,
            _ => {}
        }
    }
    // What a session costs anyhow is there before: its ring is full once.
    typing.type_text("yes 0123456789012345678901234567890123456789012345678901234567890123456789\r").await;
    typing.until("the ring is full", |typing| typing.output.len() > 6 << 20).await;
    let before = (agent_memory(&mut shell).await, resident().await);
    let mut most = before;
    for part in 1..=8 {
        typing.until("output", |typing| typing.output.len() > (6 << 20) + FLOOD / 8 * part).await;
        let now = (agent_memory(&mut shell).await, resident().await);
        most = (most.0.max(now.0), most.1.max(now.1));
    }
    println!("{FLOOD} bytes past a window that does not read: agent and Worker had {before:?}, and at most {most:?}");
    assert!(most.0 < before.0 + AGENT_GROWTH, "the agent: {before:?}, then {most:?}");
    assert!(most.1 < before.1 + WORKER_GROWTH, "the Worker: {before:?}, then {most:?}");
    typing.type_text("\u{3}").await;
    typing.until("the shell's prompt", |typing| typing.output.ends_with(b"$ ") || typing.output.ends_with(b"# ")).await;
    assert_eq!(typing.run("echo on-$((1+1))").await, "on-2");

    // It was sent what it may have unacknowledged, and no more; then it is told what is gone.
    let mut next = 0;
    while next < WINDOW_BYTES {
        heard(&mut stalled, &mut bytes).await;
        if let Frame::Output(offset, output) = Frame::decode(&bytes).unwrap() {
            assert_eq!(offset, next);
            next += u64::try_from(output.len()).unwrap();
        }
    }
    assert_eq!(next, WINDOW_BYTES);
    sockets::send(&mut stalled, Message::Binary(Frame::Acknowledge(next).encode().into())).await;
    let gone = loop {
        heard(&mut stalled, &mut bytes).await;
        match Frame::decode(&bytes).unwrap() {
            Frame::Truncated(from, to) => break (from, to),
            Frame::Output(..) => panic!("output, and the ring has gone over it"),
            _ => {}
        }
    };
    assert_eq!(gone.0, next);
    assert!(gone.1 > u64::try_from(FLOOD).unwrap(), "{gone:?}");
}
