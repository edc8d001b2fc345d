//! Shells through their sockets: exact bytes, input once, ends, sizes, readers, drops.

use serde_json::json;
use snapvm_protocol::agent::{OpenTerminal, TerminalEnd, ToAgent, ToObject};
use snapvm_protocol::terminal::{ClientMode, Frame, RING_BYTES};
use snapvm_protocol::tickets::Purpose;
use tokio_tungstenite::tungstenite::Message;

use crate::support::origin::{Control, check_own_key, closed, fresh, welcome};
use crate::support::terminal::{Got, Screen, Session, attach};
use crate::support::{World, becomes, soon, terminal};

/// What is sent before anything is acknowledged.
const WINDOW: usize = 512 * 1024;

pub async fn open(world: &mut World) -> (Control, Session) {
    let mut control = world.control().await;
    control.send(&ToAgent::OpenTerminal(fresh(terminal(1)))).await;
    let dialed = world.origin.terminal().await;
    assert!(dialed.path.ends_with(&format!("/terminals/{}", terminal(1))), "{}", dialed.path);
    check_own_key(&dialed, Purpose::Terminal { session: terminal(1) });
    (control, Session::new(dialed))
}

async fn ended(control: &mut Control) -> TerminalEnd {
    control
        .until(|message| match message {
            ToObject::TerminalEnded { session, end } if *session == terminal(1) => Some(*end),
            _ => None,
        })
        .await
}

#[tokio::test]
async fn a_shell_is_a_login_shell_on_a_terminal_of_its_own() {
    let mut world = World::new().await;
    let (mut control, mut session) = open(&mut world).await;
    let started = control.until(|message| match message {
        ToObject::TerminalStarted(status) => Some(status.clone()),
        _ => None,
    });
    let started = started.await;
    assert!(started.epoch < 1 << 53);
    session.join(1, ClientMode::Write, attach("tab", None)).await;
    let mut screen = Screen::default();
    let script = "echo $TERM $COLORTERM $TERM_PROGRAM $LANG; shopt -q login_shell && tty; pwd; stty size; echo en''d\n";
    session.input(1, 1, script).await;
    session.until(1, &mut screen, |screen| screen.text().contains("end")).await;
    assert_eq!((screen.epoch, screen.acknowledged), (started.epoch, 1));
    let text = screen.text();
    for wanted in
        ["xterm-256color truecolor snapvm C.UTF-8", "/dev/pts/", "24 80", &world.home.path().display().to_string()]
    {
        assert!(text.contains(wanted), "{wanted} is not in {text}");
    }
}

#[tokio::test]
async fn a_shell_starts_in_the_directory_it_is_told_and_at_home_when_that_is_gone() {
    let mut world = World::new().await;
    let mut control = world.control().await;
    let home = world.home.path().display().to_string();
    let work = world.home.path().join("work");
    std::fs::create_dir(&work).unwrap();
    let work = work.display().to_string();
    for (number, directory, wanted) in
        [(1, Some(work.clone()), &work), (2, Some("/is/gone".into()), &home), (3, Some("work".into()), &home)]
    {
        control.send(&ToAgent::OpenTerminal(OpenTerminal { directory, ..fresh(terminal(number)) })).await;
        let mut session = Session::new(world.origin.terminal_of(terminal(number)).await);
        session.join(1, ClientMode::Write, attach("tab", None)).await;
        session.input(1, 1, "echo \"[$PWD]\"\n").await;
        let mut screen = Screen::default();
        session.until(1, &mut screen, |screen| screen.text().contains(&format!("[{wanted}]"))).await;
    }
}

#[tokio::test]
async fn exit_codes_and_signals_come_after_the_last_output() {
    for (typed, wanted, last) in [
        ("echo la''st; exit 0\n", TerminalEnd::Exit { code: 0 }, "last"),
        ("echo la''st; exit 130\n", TerminalEnd::Exit { code: 130 }, "last"),
        ("exec sh -c 'seq 1 20000; kill -9 $$'\n", TerminalEnd::Signal { signal: 9 }, "20000\r\n"),
        ("sleep 1000 & exec sh -c 'printf la; printf st; exit 3'\n", TerminalEnd::Exit { code: 3 }, "last"),
    ] {
        let mut world = World::new().await;
        let (mut control, mut session) = open(&mut world).await;
        session.join(1, ClientMode::Write, attach("tab", None)).await;
        session.input(1, 1, typed).await;
        let mut screen = Screen::default();
        session.until(1, &mut screen, |screen| screen.end.is_some()).await;
        assert_eq!(screen.end, Some(wanted));
        assert!(screen.text().contains(last), "{typed:?}: {}", screen.text());
        assert_eq!(ended(&mut control).await, wanted);
        // Who comes later still gets everything, and how it ended.
        session.join(2, ClientMode::Read, attach("other", None)).await;
        let mut late = Screen::default();
        session.until(2, &mut late, |screen| screen.end.is_some()).await;
        assert_eq!((late.end, late.bytes), (screen.end, screen.bytes));
    }
}

#[tokio::test]
async fn output_under_dropping_sockets_is_exact_and_input_is_applied_once() {
    let mut world = World::new().await;
    let (_control, mut session) = open(&mut world).await;
    let mut screen = Screen::default();
    let copy = world.home.path().join("copy");
    session.join(1, ClientMode::Write, attach("tab", None)).await;
    // `stty -opost` leaves the bytes as they are; tee keeps what was written.
    let typed = format!("stty -opost -echo; cat | tee {}\n", copy.display());
    session.input(1, 1, &typed).await;
    session.until(1, &mut screen, |screen| screen.acknowledged == 1 && screen.text().contains("tee")).await;
    let mut number = 1;
    let lines: Vec<String> = (0..120).map(|line| format!("line {line} {}\n", "x".repeat(line * 7 % 300))).collect();
    for (index, line) in lines.iter().enumerate() {
        number += 1;
        session.input(1, number, line).await;
        if index % 3 == 0 {
            // Sent twice, as after a drop that lost only the acknowledgement.
            session.input(1, number, line).await;
        }
        if index % 10 == 9 {
            // The socket goes with input and output on their way; the tab comes back under another id.
            drop(session);
            session = Session::new(world.origin.terminal().await);
            session.join(1, ClientMode::Write, attach("tab", Some(&screen))).await;
            let (_, got) = session.next().await;
            screen.take(&got);
            assert!(matches!(&got, Got::Ready(ready) if !ready.reset), "{got:?}");
            for again in screen.acknowledged + 1..=number {
                session.input(1, again, &lines[again as usize - 2]).await;
            }
        }
    }
    session.until(1, &mut screen, |screen| screen.text().contains("line 119")).await;
    session.until(1, &mut screen, |screen| screen.acknowledged == number && screen.text().ends_with('\n')).await;
    let wanted: String = lines.concat();
    // It is shown before it is written down.
    soon("input was applied once", becomes(&copy, wanted.as_bytes())).await;
    assert!(screen.text().ends_with(&wanted), "output is not what was written");
}

#[tokio::test]
async fn bulk_output_over_drops_equals_the_file() {
    let mut world = World::new().await;
    let (_control, mut session) = open(&mut world).await;
    let mut screen = Screen::default();
    session.join(1, ClientMode::Write, attach("tab", None)).await;
    session.input(1, 1, "stty -opost -echo; PS1=; printf 'be''gin'\n").await;
    session.until(1, &mut screen, |screen| screen.bytes.ends_with(b"begin")).await;
    let mut wanted = vec![];
    for part in 0..5_u32 {
        // Less than what can be sent again, so that nothing may be gone at the return.
        let data: Vec<u8> = (0..u32::MAX).flat_map(|n| format!("{part} {n}\n").into_bytes()).take(1_500_000).collect();
        let file = world.home.path().join(format!("part{part}"));
        std::fs::write(&file, &data).unwrap();
        let start = screen.bytes.len();
        session.input(1, part + 2, &format!("cat {}\n", file.display())).await;
        session.until(1, &mut screen, |screen| screen.bytes.len() > start + 100_000).await;
        drop(session);
        session = Session::new(world.origin.terminal().await);
        session.join(1, ClientMode::Write, attach("tab", Some(&screen))).await;
        session.until(1, &mut screen, |screen| screen.bytes.len() >= start + data.len()).await;
        wanted.extend(data);
    }
    assert!(screen.gone.is_empty());
    let begin = screen.bytes.windows(5).rposition(|five| five == b"begin").unwrap();
    assert!(screen.bytes[begin + 5..] == wanted, "output is not what was written");
}

#[tokio::test]
async fn what_nobody_read_in_time_is_reported_gone() {
    let mut world = World::new().await;
    let (_control, mut session) = open(&mut world).await;
    let mut screen = Screen::default();
    session.join(1, ClientMode::Write, attach("tab", None)).await;
    session.input(1, 1, "stty -opost -echo; PS1=; echo rea''dy\n").await;
    session.until(1, &mut screen, |screen| screen.text().contains("ready")).await;
    session.input(1, 2, &format!("seq 1 1000000 | head -c {}; printf do''ne\n", RING_BYTES + 500_000)).await;
    session.send(1, &Frame::Left).await;
    // A second, reading client follows to the end.
    session.join(2, ClientMode::Read, attach("reader", None)).await;
    let mut reader = Screen::default();
    session.until(2, &mut reader, |screen| screen.bytes.ends_with(b"done")).await;
    let from = screen.offset();
    session.join(1, ClientMode::Write, attach("tab", Some(&screen))).await;
    let (_, ready) = session.next().await;
    assert!(matches!(&ready, Got::Ready(ready) if ready.reset && ready.offset > from), "{ready:?}");
    screen.take(&ready);
    let (_, gone) = session.next().await;
    assert_eq!(gone, Got::Truncated(from, screen.offset()));
    session.until(1, &mut screen, |screen| screen.bytes.ends_with(b"done")).await;
    assert!(reader.bytes.ends_with(&screen.bytes) && screen.bytes.len() > RING_BYTES - 5000);
}

#[tokio::test]
async fn a_writer_that_stops_reading_holds_the_shell_up_and_loses_nothing() {
    let mut world = World::new().await;
    let (_control, mut session) = open(&mut world).await;
    let mut screen = Screen::default();
    let mark = world.home.path().join("mark");
    session.join(1, ClientMode::Write, attach("tab", None)).await;
    session.input(1, 1, &format!("stty -opost -echo; PS1=; seq 1 1000000; echo 1 > {}\n", mark.display())).await;
    // Frames are taken but never acknowledged: exactly a window comes.
    soon("a window of output", async {
        while screen.bytes.len() < WINDOW {
            let (_, got) = session.next().await;
            screen.take(&got);
        }
    })
    .await;
    assert_eq!(screen.bytes.len(), WINDOW);
    assert!(!mark.exists());
    // An interrupt gets through all the same.
    session.input(1, 2, "\u{3}").await;
    soon("the interrupt is taken", async {
        while screen.acknowledged < 2 {
            let (_, got) = session.next().await;
            screen.take(&got);
        }
    })
    .await;
    session.send(1, &Frame::Acknowledge(screen.offset())).await;
    session.input(1, 3, "echo af''ter\n").await;
    session.until(1, &mut screen, |screen| screen.text().contains("after")).await;
    assert_eq!((mark.exists(), &screen.gone), (false, &vec![]));
}

#[tokio::test]
async fn a_reader_cannot_type_or_size_and_sizes_are_told() {
    let mut world = World::new().await;
    let (_control, mut session) = open(&mut world).await;
    let (mut writer, mut reader) = (Screen::default(), Screen::default());
    session.join(1, ClientMode::Write, attach("tab", None)).await;
    session.until(1, &mut writer, |screen| screen.text().contains('$')).await;
    session.join(2, ClientMode::Read, attach("other", None)).await;
    session.until(2, &mut reader, |screen| screen.text().contains('$')).await;
    session.input(2, 1, "echo fo''rged\n").await;
    session.send(2, &Frame::Resize(10, 10)).await;
    session.send(1, &Frame::Resize(120, 40)).await;
    session.input(1, 1, "stty size; echo re''al\n").await;
    let mut sizes = vec![];
    soon("both see it", async {
        while !(writer.text().contains("real") && reader.text().contains("real")) {
            match session.next().await {
                (1, got) => writer.take(&got),
                (2, Got::Size(columns, rows, owner)) => sizes.push((columns, rows, owner)),
                (_, got) => reader.take(&got),
            }
        }
    })
    .await;
    assert!(writer.text().contains("40 120") && !writer.text().contains("forged"));
    assert_eq!(sizes, [(120, 40, false)]);
    assert_eq!(reader.acknowledged, 0);
}

#[tokio::test]
async fn malformed_messages_cost_the_socket_and_a_clients_rubbish_nothing() {
    let mut world = World::new().await;
    let (_control, mut session) = open(&mut world).await;
    let mut screen = Screen::default();
    session.join(1, ClientMode::Write, attach("tab", None)).await;
    session.input(1, 1, "echo o''ne\n").await;
    session.until(1, &mut screen, |screen| screen.text().contains("one")).await;
    // A client's broken Attach, attributed to it.
    futures_util::SinkExt::send(&mut session.0, Message::binary(b"\0\0\0\x02\x01{}".to_vec())).await.unwrap();
    session.input(1, 2, "echo t''wo\n").await;
    session.until(1, &mut screen, |screen| screen.text().contains("two")).await;
    for bad in [Message::binary(vec![1, 2]), Message::binary(b"\0\0\0\0\x31x".to_vec()), Message::text("hello")] {
        futures_util::SinkExt::send(&mut session.0, bad).await.unwrap();
        assert_eq!(session.closed().await, 4400);
        session = Session::new(world.origin.terminal().await);
    }
    session.join(1, ClientMode::Write, attach("tab", Some(&screen))).await;
    session.input(1, 3, "echo th''ree\n").await;
    session.until(1, &mut screen, |screen| screen.text().contains("three")).await;
}

#[tokio::test]
async fn closing_ends_the_shell_and_what_runs_in_it() {
    let mut world = World::new().await;
    let (mut control, mut session) = open(&mut world).await;
    let mut screen = Screen::default();
    session.join(1, ClientMode::Write, attach("tab", None)).await;
    session.input(1, 1, "trap '' HUP; sh -c 'trap \"\" HUP; echo up; while :; do sleep 1; done'\n").await;
    session.until(1, &mut screen, |screen| screen.text().contains("\nup")).await;
    control.send(&ToAgent::CloseTerminal { session: terminal(1) }).await;
    session.until(1, &mut screen, |screen| screen.end.is_some()).await;
    assert_eq!(screen.end, Some(TerminalEnd::Signal { signal: 9 }));
    assert_eq!(ended(&mut control).await, TerminalEnd::Signal { signal: 9 });
    assert_eq!(closed(&mut session.0).await, 1000);
    // It is no more: the same id, not fresh, is lost.
    control.send(&ToAgent::OpenTerminal(OpenTerminal { fresh: false, ..fresh(terminal(1)) })).await;
    assert_eq!(ended(&mut control).await, TerminalEnd::Lost);
}

/// Found by the soak, on a busy machine: the time that output had after its shell's end passed while the reader was
/// kept from the terminal. Here it has none, and the reader is held up by a client that acknowledges nothing.
#[tokio::test]
async fn a_shells_last_output_is_read_however_late_it_gets() {
    let mut world = World::with(json!({"drain": 0}), &[]).await;
    let (mut control, mut session) = open(&mut world).await;
    let mut screen = Screen::default();
    let (window, last) = (world.home.path().join("window"), world.home.path().join("last"));
    std::fs::write(&window, "x".repeat(WINDOW + 1000)).unwrap();
    // As much as the terminal itself can hold beside it.
    std::fs::write(&last, "y".repeat(2000)).unwrap();
    session.join(1, ClientMode::Write, attach("tab", None)).await;
    let begin = "stty -opost -echo; PS1=; echo \"[$$]\"\n";
    session.input(1, 1, begin).await;
    session.until(1, &mut screen, |screen| screen.text().ends_with("]\n")).await;
    let text = screen.text();
    let shell = text.rsplit_once('[').unwrap().1.trim_end_matches("]\n").to_owned();
    let starts = screen.bytes.len();
    session.input(1, 2, &format!("cat {}; read; cat {}; exit 3\n", window.display(), last.display())).await;
    // Frames are taken but not acknowledged.
    soon("a window of output", async {
        while screen.bytes.len() < starts + WINDOW {
            let (_, got) = session.next().await;
            screen.take(&got);
        }
    })
    .await;
    session.input(1, 3, "\n").await;
    soon("the shell ends", async {
        while std::path::Path::new(&format!("/proc/{shell}")).exists() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    session.send(1, &Frame::Acknowledge(screen.offset())).await;
    session.until(1, &mut screen, |screen| screen.end.is_some()).await;
    assert_eq!(screen.end, Some(TerminalEnd::Exit { code: 3 }));
    let wanted = [std::fs::read(&window).unwrap(), std::fs::read(&last).unwrap(), b"logout\n".to_vec()].concat();
    assert!(screen.bytes[starts..] == wanted, "{} of {} bytes came", screen.bytes.len() - starts, wanted.len());
    assert_eq!(ended(&mut control).await, TerminalEnd::Exit { code: 3 });
}

/// Found by the soak: the Worker dies when a shell has just ended. Its object does not ask for the session any more, and
/// the client that was cut off had not got everything.
#[tokio::test]
async fn a_session_that_just_ended_stays_for_those_who_were_cut_off() {
    let mut world = World::new().await;
    let (mut control, mut session) = open(&mut world).await;
    let mut screen = Screen::default();
    session.join(1, ClientMode::Write, attach("tab", None)).await;
    session.until(1, &mut screen, |screen| screen.text().contains('$')).await;
    session.send(1, &Frame::Left).await;
    session.join(2, ClientMode::Write, attach("other", None)).await;
    session.input(2, 1, "exec sh -c 'seq 1 3000; exit 3'\n").await;
    assert_eq!(ended(&mut control).await, TerminalEnd::Exit { code: 3 });
    drop((control, session));
    let mut control = world.origin.control().await;
    control.hello().await;
    control.welcome(welcome()).await;
    let mut session = Session::new(world.origin.terminal().await);
    session.join(1, ClientMode::Write, attach("tab", Some(&screen))).await;
    session.until(1, &mut screen, |screen| screen.end.is_some()).await;
    assert!(screen.gone.is_empty() && screen.text().ends_with("\n3000\r\n"), "{}", screen.text());
    assert_eq!(screen.end, Some(TerminalEnd::Exit { code: 3 }));
    // Closed by order, it is no more.
    control.send(&ToAgent::CloseTerminal { session: terminal(1) }).await;
    assert_eq!(session.closed().await, 1000);
}

#[tokio::test]
async fn fast_exits_lose_no_output() {
    // Whether others' output is waited for or not.
    for drain in [500, 0] {
        fast_exits(World::with(json!({"drain": drain}), &[]).await).await;
    }
}

async fn fast_exits(mut world: World) {
    let mut control = world.control().await;
    for number in 1..=20 {
        control.send(&ToAgent::OpenTerminal(fresh(terminal(number)))).await;
        let mut session = Session::new(world.origin.terminal_of(terminal(number)).await);
        session.join(1, ClientMode::Write, attach("tab", None)).await;
        session.input(1, 1, "exec sh -c 'seq 1 3000; echo bye'\n").await;
        let mut screen = Screen::default();
        session.until(1, &mut screen, |screen| screen.end.is_some()).await;
        assert!(
            screen.text().ends_with("3000\r\nbye\r\n"),
            "{number} ended {:?} after {:?}",
            screen.end,
            screen.last()
        );
        assert_eq!(screen.end, Some(TerminalEnd::Exit { code: 0 }));
    }
}
