//! No byte of a terminal is lost, repeated or garbled, and no input is applied twice, whatever breaks.

use std::time::Duration;

use xtask::soak::{Options, terminal};

/// Sessions in every run.
const SESSIONS: u64 = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_has_every_byte_and_every_key_was_read_once() {
    let options = Options {
        sessions: 6,
        time: Duration::from_secs(20),
        patience: Duration::from_secs(30),
        at_most: Some(SESSIONS),
        bytes: 3 << 20,
        inputs: 40,
        worker_dies: Some(Duration::from_secs(5)),
        worker_deaths_max: 2,
        agent_dies: None,
        sleeps: None,
        releases: None,
        rests: false,
        ..Options::everything(snapvm_tests::chance::seed("soak"))
    };
    let tally = terminal(&options).await.expect("a stack");
    println!("{tally}");
    assert_eq!(tally.violations(), Vec::<String>::new());
    assert_eq!(tally.count(|counts| &counts.sessions), SESSIONS);
    assert!(tally.count(|counts| &counts.inputs) >= SESSIONS * options.inputs, "{tally}");
}
