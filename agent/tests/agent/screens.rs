//! What clients with an emulator get: snapshots, muted queries, the size's owner.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use snapvm_protocol::agent::{SleepKind, ToAgent, ToObject};
use snapvm_protocol::terminal::{ClientMode, Frame, KeptHead, RING_BYTES};

use crate::support::origin::{Control, fresh};
use crate::support::terminal::{Got, Screen, Session, attach, attach_screen};
use crate::support::{World, terminal};

async fn open(world: &mut World) -> (Control, Session) {
    let mut control = world.control().await;
    control.send(&ToAgent::OpenTerminal(fresh(terminal(1)))).await;
    let session = Session::new(world.origin.terminal().await);
    (control, session)
}

/// A writer that follows bytes, with a shell that does not echo.
async fn quiet(session: &mut Session) -> Screen {
    let mut writer = Screen::default();
    session.join(1, ClientMode::Write, attach("tab", None)).await;
    session.input(1, 1, "stty -echo; PS1=; echo rea''dy\n").await;
    session.until(1, &mut writer, |screen| screen.text().contains("ready")).await;
    writer
}

#[tokio::test]
async fn a_new_screen_gets_a_snapshot_of_what_the_ring_lost() {
    let mut world = World::new().await;
    let (_control, mut session) = open(&mut world).await;
    let mut writer = quiet(&mut session).await;
    let script = format!(
        "printf '\\033]2;my title\\007\\033[?2004h'; seq 1 10000000 | head -c {}; echo; echo do''ne\n",
        RING_BYTES + 1_000_000
    );
    session.input(1, 2, &script).await;
    session.until(1, &mut writer, |screen| screen.text().ends_with("done\r\n")).await;
    let last = writer.text().lines().rev().nth(1).unwrap().to_owned();
    session.join(2, ClientMode::Read, attach_screen("viewer", None)).await;
    let mut viewer = Screen::default();
    session.until(2, &mut viewer, |screen| screen.fed().contains("done")).await;
    let snapshot = String::from_utf8_lossy(&viewer.snapshot).into_owned();
    assert!(viewer.is_whole() && viewer.gone.is_empty());
    for wanted in ["my title", "\x1b[?2004h", last.as_str()] {
        assert!(snapshot.contains(wanted), "{wanted:?}");
    }
    assert!(snapshot.matches("\r\n").count() >= 2000);
    // And what comes after is exact.
    let from = viewer.offset();
    assert_eq!(from, writer.offset());
    session.input(1, 3, "echo mo''re\n").await;
    session.until(2, &mut viewer, |screen| screen.text().contains("more\r\n")).await;
}

#[tokio::test]
async fn one_that_is_too_far_behind_is_told_what_it_will_not_get() {
    let mut world = World::new().await;
    let (_control, mut session) = open(&mut world).await;
    let mut writer = quiet(&mut session).await;
    session.join(2, ClientMode::Read, attach_screen("viewer", None)).await;
    let mut viewer = Screen::default();
    session.until(2, &mut viewer, |screen| screen.fed().contains("ready")).await;
    for (length, is_far) in [(300_000, false), (600_000, true)] {
        session.send(2, &Frame::Left).await;
        let from = viewer.offset();
        let number = if is_far { 3 } else { 2 };
        session.input(1, number, &format!("seq 1 10000000 | head -c {length}; echo; echo do''ne{number}\n")).await;
        let done = format!("done{number}\r\n");
        session.until(1, &mut writer, |screen| screen.text().ends_with(&done)).await;
        session.join(2, ClientMode::Read, attach_screen("viewer", Some(&viewer))).await;
        session.until(2, &mut viewer, |screen| screen.fed().contains(&done)).await;
        assert_eq!(viewer.head.is_some(), is_far);
        assert_eq!(viewer.gone, if is_far { vec![(from, viewer.from)] } else { vec![] });
    }
}

#[tokio::test]
async fn queries_of_before_and_of_others_are_muted() {
    let mut world = World::new().await;
    let (_control, mut session) = open(&mut world).await;
    let mut both = BTreeMap::from([(1, quiet(&mut session).await), (2, Screen::default())]);
    session.join(2, ClientMode::Write, attach_screen("second", None)).await;
    session.until_all(&mut both, |both| both[&2].fed().contains("ready")).await;
    // The new window owns the size, so this is its to answer.
    session.input(2, 1, "printf '[\\033[6n]1'\n").await;
    session.until_all(&mut both, |both| both.values().all(|screen| screen.text().contains("]1"))).await;
    assert!(both[&2].text().contains("[\x1b[6n]1"));
    // Now another one does.
    session.input(1, 2, "printf '[\\033[6n]2'\n").await;
    session.until_all(&mut both, |both| both.values().all(|screen| screen.text().contains("]2"))).await;
    assert!(both[&2].text().contains("[\x1b[6\x18]2"));
    assert!(both[&1].text().contains("[\x1b[6n]2"));
    assert_eq!(both[&2].size.map(|(_, owner)| owner), Some(false));
    // What somebody comes back to is history, whoever owned the size.
    let mut second = both.remove(&2).unwrap();
    session.input(2, 2, "printf '[\\033[6n]3'\n").await;
    session.until_all(&mut both, |both| both[&1].text().contains("]3")).await;
    session.send(2, &Frame::Left).await;
    session.join(2, ClientMode::Write, attach_screen("second", Some(&second))).await;
    // What was on its way to it before counts as not received.
    session.until_ready(2, &mut second).await;
    session.until(2, &mut second, |screen| screen.text().contains("]3")).await;
    assert!(second.text().contains("[\x1b[6\x18]3"), "{:?}", second.text());
}

/// Takes the next kept screen, and what stands in it.
async fn kept(session: &mut Session) -> (KeptHead, String) {
    let (mut head, mut bytes): (Option<KeptHead>, Vec<u8>) = (None, vec![]);
    loop {
        match session.next().await {
            (0, Got::Kept(got)) => (head, bytes) = (Some(got), vec![]),
            (0, Got::KeptPart(position, part)) => {
                assert_eq!(position as usize, bytes.len());
                bytes.extend_from_slice(&part);
            }
            (0, got) => panic!("not for the object: {got:?}"),
            _ => {}
        }
        if let Some(head) = head.take_if(|head| head.bytes as usize == bytes.len()) {
            return (head, String::from_utf8_lossy(&bytes).into_owned());
        }
    }
}

#[tokio::test]
async fn a_screen_is_kept_after_a_quiet_while_when_it_changed() {
    let mut world = World::with(json!({"keep_quiet": 100, "keep_apart": 300}), &[]).await;
    let (_control, mut session) = open(&mut world).await;
    let work = world.home.path().join("work");
    std::fs::create_dir(&work).unwrap();
    session.join(1, ClientMode::Write, attach("tab", None)).await;
    session.input(1, 1, &format!("cd {}; echo fi''rst\n", work.display())).await;
    let (head, text) = loop {
        let (head, text) = kept(&mut session).await;
        if text.contains("first") {
            break (head, text);
        }
    };
    assert!(text.starts_with("\x1bc") && !text.contains("second"));
    assert_eq!((head.columns, head.rows, head.at_ms), (80, 24, None));
    assert_eq!(head.directory.as_deref(), work.to_str());
    assert!(head.offset > 0 && head.bytes as usize == text.len());
    // The one in the foreground says where it works; a socket that comes anew gets what the last one missed.
    session.input(1, 2, "sh -c 'cd /; printf \"sec\"; echo ond; exec sleep 1000'\n").await;
    let (again, text) = loop {
        let (again, text) = kept(&mut session).await;
        if text.contains("second") {
            break (again, text);
        }
    };
    assert!(text.contains("first"));
    assert_eq!((again.epoch, again.directory.as_deref()), (head.epoch, Some("/")));
    // Nothing changed: nothing is kept, however long it is quiet.
    let quiet = tokio::time::timeout(Duration::from_secs(1), kept(&mut session)).await;
    assert!(quiet.is_err());
}

#[tokio::test]
async fn a_screen_is_kept_at_an_ordered_sleep_before_the_sockets_close() {
    let mut world = World::new().await;
    let (mut control, mut session) = open(&mut world).await;
    let mut screen = Screen::default();
    session.join(1, ClientMode::Write, attach("tab", None)).await;
    session.input(1, 1, "(until [ -e go ]; do sleep 0.05; done; echo b''ye) & echo la''st\n").await;
    session.until(1, &mut screen, |screen| screen.text().contains("last")).await;
    control.send(&ToAgent::Sleep { sleep: 7, kind: SleepKind::Hibernate, clear_tasks: false }).await;
    let (first, text) = kept(&mut session).await;
    assert!(text.contains("last"));
    control.until(|message| matches!(message, ToObject::SleepReady { sleep: 7 }).then_some(())).await;
    // What came since is in another one.
    std::fs::write(world.home.path().join("go"), "").unwrap();
    session.until(1, &mut screen, |screen| screen.text().contains("bye")).await;
    control.send(&ToAgent::SleepGo { sleep: 7 }).await;
    let (second, text) = kept(&mut session).await;
    assert!(text.contains("bye") && second.offset > first.offset);
    assert_eq!(session.closed().await, 4410);
}
