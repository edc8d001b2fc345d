//! What the agent adds to a terminal: echo latency and bulk output, over a plain socket on loopback.
//!
//! `cargo bench -p snapvm-agent` measures the binary it builds; `AGENT_BINARY` names another one, such as the static
//! build that is shipped.

#![expect(dead_code, unreachable_pub, reason = "shares the tests' harness and needs a part of it")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a measurement that goes wrong may end like a test"
)]

#[path = "../tests/agent/support/mod.rs"]
mod support;

use std::time::Instant;

use snapvm_protocol::agent::ToAgent;
use snapvm_protocol::terminal::{ClientMode, Frame};
use support::origin::fresh;
use support::terminal::{Got, Screen, Session, attach};
use support::{World, terminal};

const ECHOES: u32 = 2000;
const BULK: usize = 200_000_000;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut world = World::new().await;
    let pid = world.agent.id().unwrap();
    println!("idle before a wake: {} kB", resident(pid));
    let mut control = world.control().await;
    println!("idle with a control socket: {} kB", resident(pid));
    control.send(&ToAgent::OpenTerminal(fresh(terminal(1)))).await;
    let mut session = Session::new(world.origin.terminal().await);
    let mut screen = Screen::default();
    session.join(1, ClientMode::Write, attach("tab", None)).await;
    session.until(1, &mut screen, |screen| screen.text().contains('$')).await;
    println!("idle with a shell: {} kB", resident(pid));

    session.input(1, 1, "stty raw -echo; echo on; exec cat\n").await;
    session.until(1, &mut screen, |screen| screen.text().contains("on\n")).await;
    let mut times = Vec::new();
    for number in 2..ECHOES + 2 {
        let start = Instant::now();
        session.input(1, number, "x").await;
        while !matches!(session.next().await.1, Got::Output(..)) {}
        times.push(start.elapsed());
        tokio::time::sleep(std::time::Duration::from_millis(3)).await;
    }
    times.sort();
    println!("echo through cat: p50 {:?}, p99 {:?}", times[times.len() / 2], times[times.len() * 99 / 100]);

    control.send(&ToAgent::OpenTerminal(fresh(terminal(2)))).await;
    let mut session = Session::new(world.origin.terminal().await);
    session.join(1, ClientMode::Write, attach("tab", None)).await;
    session.input(1, 1, &format!("stty -opost; head -c {BULK} /dev/zero | tr '\\0' x; exit\n")).await;
    let (mut start, mut bytes) = (None, 0);
    loop {
        match session.next().await.1 {
            Got::Output(offset, output) => {
                start.get_or_insert_with(Instant::now);
                bytes += output.len();
                session.send(1, &Frame::Acknowledge(offset + output.len() as u64)).await;
            }
            Got::End(_) => break,
            _ => {}
        }
    }
    let seconds = start.unwrap().elapsed().as_secs_f64();
    println!("bulk: {:.1} MB/s over {bytes} bytes", f64::from(u32::try_from(bytes).unwrap()) / 1e6 / seconds);
    println!("afterwards: {} kB", resident(pid));
}

fn resident(pid: u32) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().to_owned()
}
