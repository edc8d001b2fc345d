//! An idle terminal keeps no object in memory: objects go after ten quiet seconds and come back with the next frame,
//! and nobody at either end of their sockets notices.

use std::time::Duration;

use snapvm_tests::machines::Machine;
use snapvm_tests::terminal::Terminal;
use tokio::time::Instant;

use crate::world;

/// Longer than the runtime keeps a quiet object.
const QUIET: Duration = Duration::from_secs(12);

/// The database of an object of this class and its write-ahead log: those of the one that knows `id`. They are read while
/// the runtime writes them.
pub(crate) fn files(class: &str, id: &str) -> (Vec<u8>, Vec<u8>) {
    // Its own name is the first thing that it writes down.
    holding(class, &format!("\"{id}\"")).unwrap_or_else(|| panic!("no {class} knows {id}"))
}

/// The same of the one that has written this down; `None` when none has.
pub(crate) fn holding(class: &str, text: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let entries = std::fs::read_dir(world().stack.dir.join("objects").join(class)).ok()?;
    let databases = entries.flatten().map(|entry| entry.path());
    let databases = databases.filter(|path| path.extension().is_some_and(|extension| extension == "sqlite"));
    let mut files = databases.map(|path| {
        let read = |extension| std::fs::read(path.with_extension(extension)).unwrap_or_default();
        (read("sqlite"), read("sqlite-wal"))
    });
    files.find(|(database, log)| contains(database, text.as_bytes()) || contains(log, text.as_bytes()))
}

/// How often an object of this class has been constructed: its count in its files; of all the copies that pages and log
/// hold, the newest has the highest number.
pub(crate) fn constructions(class: &str, id: &str) -> u64 {
    let (database, log) = files(class, id);
    highest_count(&[database, log].concat())
}

/// A row is `[type of the key][type of the value]key value`; the type of a text of n bytes is 13 + 2n.
fn highest_count(bytes: &[u8]) -> u64 {
    const KEY: &[u8] = b"constructions";
    let found = bytes.windows(KEY.len()).enumerate().filter(|(_, window)| *window == KEY);
    let counts = found.filter_map(|(at, _)| {
        let kind = usize::from(*bytes.get(at.checked_sub(1)?)?);
        let length = kind.checked_sub(13)? / 2;
        let value = bytes.get(at + KEY.len()..at + KEY.len() + length)?;
        std::str::from_utf8(value).ok()?.parse().ok()
    });
    counts.max().expect("a count")
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

#[tokio::test]
async fn quiet_objects_go_and_their_sockets_stay() {
    let (org, machine) = Machine::running(world()).await;
    let viewer = org.member(world(), "viewer").await;
    let mut terminal = Terminal::start(world(), &machine).await;
    let (epoch, terminal_id) = (terminal.epoch, terminal.id.clone());
    let counts = || [constructions("TerminalSession", &terminal_id), constructions("MachineGateway", &machine.id)];
    terminal.until_people(&[(&org.owner.name, true, 1, true)]).await;
    let (before, notices) = (counts(), terminal.notices.len());
    assert!(before.iter().all(|count| *count > 0), "{before:?}");
    // Each object has a clock of its own, and something may have happened to one of them meanwhile.
    for round in 1.. {
        let offset = terminal.offset;
        terminal.drain(QUIET).await;
        assert!(terminal.is_open(), "the socket stays: {:?}", terminal.closed);
        assert_eq!(terminal.offset, offset);
        assert_eq!(terminal.run(&format!("echo round-{round}")).await, format!("round-{round}"));
        // The agent tells the gateway of the activity, which brings that object back too.
        let deadline = Instant::now() + Duration::from_secs(3);
        let mut after = counts();
        while after.iter().zip(before).any(|(after, before)| *after <= before) && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
            after = counts();
        }
        println!("constructions of terminal and gateway: {before:?}, after {round} times {QUIET:?} of quiet {after:?}");
        if after.iter().zip(before).all(|(after, before)| *after > before) {
            break;
        }
        assert!(round < 4, "the objects stay in memory");
    }
    assert_eq!((terminal.epoch, terminal.notices.len()), (epoch, notices), "nobody had to connect again");
    // An object that has come back knows who is there.
    let mut watching = Terminal::open(world(), &machine.used_by(&viewer.client), &terminal.id).await;
    let mut people = [(org.owner.name.as_str(), true, 1, false), (viewer.name.as_str(), false, 1, true)];
    people.sort_unstable();
    watching.until_people(&people).await;
}
