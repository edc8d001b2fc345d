//! What an open terminal costs its object: nothing while nobody does anything, and no write for each key.
//!
//! Counted are the transactions in the write-ahead log of the object's own database; alarms are written there, too.

use std::time::Duration;

use snapvm_tests::machines::Machine;
use snapvm_tests::terminal::Terminal;
use snapvm_tests::{PATIENCE, until};
use tokio::time::Instant;

use crate::eviction::files;
use crate::world;

/// Longer than anybody waits between two pings.
const QUIET: Duration = Duration::from_secs(21);
/// Keys to type.
const KEYS: u64 = 60;

/// The transactions in a log: a header of 32 bytes and frames, each a page with 24 bytes before it. The last frame of a
/// transaction says how long the database is then; frames from before the log was begun anew have other salts.
fn transactions(log: &[u8]) -> u64 {
    let number = |at: usize| log.get(at..at + 4).map_or(0, |bytes| u32::from_be_bytes(bytes.try_into().unwrap()));
    let (page, salts) = (usize::try_from(number(8)).unwrap(), (number(16), number(20)));
    let places = (32..).step_by(24 + page).take_while(|at| at + 24 + page <= log.len());
    let frames = places.take_while(|at| (number(at + 8), number(at + 12)) == salts);
    frames.filter(|at| number(at + 4) != 0).map(|_| 1).sum()
}

#[tokio::test]
async fn an_idle_terminal_writes_nothing_and_typing_writes_no_more_than_an_alarm_now_and_then() {
    let (_, machine) = Machine::running(world()).await;
    let mut terminal = Terminal::start(world(), &machine).await;
    let id = terminal.id.clone();
    // After a quiet while the screen is kept, once.
    let is_kept = || async {
        let (database, log) = files("TerminalSession", &id);
        let kept = |bytes: &[u8]| bytes.windows(12).any(|window| window == b"\"columns\":80");
        (kept(&database) || kept(&log)).then_some(())
    };
    until("the screen is kept", PATIENCE, is_kept).await;
    // The log goes with the object from memory.
    let is_out = || async { files("TerminalSession", &id).1.is_empty().then_some(()) };
    until("the object is not in memory", PATIENCE, is_out).await;
    let before = files("TerminalSession", &id);
    terminal.ping().await;
    terminal.drain(QUIET).await;
    assert!(terminal.is_open());
    assert!(files("TerminalSession", &id) == before, "nothing is written while nobody does anything");

    let (began, from) = (Instant::now(), terminal.offset);
    for key in 1..=KEYS {
        terminal.type_text("k").await;
        terminal.until("its echo", |terminal| terminal.is_acknowledged() && terminal.offset >= from + key).await;
    }
    let elapsed = began.elapsed();
    let written = transactions(&files("TerminalSession", &id).1);
    println!("{KEYS} keys in {elapsed:?}: {written} transactions");
    assert!(written > 0, "an alarm watches over what is typed");
    // One alarm in two seconds; one that comes back to memory says so, and may keep a screen.
    assert!(written <= elapsed.as_secs() / 2 + 4, "{written} writes for {KEYS} keys in {elapsed:?}");
}
