//! Cases of the stream; its model is beside them.

mod model;

use super::*;
use snapvm_protocol::terminal::{Follow, OUTPUT_MAX, Ready, WINDOW_BYTES, split_client};

fn stream() -> Stream {
    Stream::new(TerminalId::new(1, [1; 10]), 77, 80, 24)
}

fn attach(epoch: Option<u64>, offset: Option<u64>) -> Frame<'static> {
    Frame::Attach(Attach {
        columns: 80,
        rows: 24,
        key: "k".into(),
        epoch,
        offset,
        follow: Follow::Bytes,
        foreground: false,
    })
}

fn drain(stream: &mut Stream) -> Vec<(u32, Vec<u8>)> {
    let mut messages = vec![];
    loop {
        let mut out = vec![];
        if !stream.next(&mut out) {
            return messages;
        }
        let (id, frame) = split_client(&out).unwrap();
        Frame::decode(frame).unwrap();
        messages.push((id, frame.to_vec()));
    }
}

fn push(stream: &mut Stream, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let room = stream.room(bytes.len().min(OUTPUT_MAX));
        let length = room.len();
        room.copy_from_slice(&bytes[..length]);
        stream.commit(length);
        bytes = &bytes[length..];
    }
}

fn write(stream: &mut Stream, bytes: &[u8]) {
    push(stream, bytes);
    stream.publish();
}

fn frames(messages: &[(u32, Vec<u8>)], of: u32) -> Vec<Frame<'_>> {
    messages.iter().filter(|(id, _)| *id == of).map(|(_, bytes)| Frame::decode(bytes).unwrap()).collect()
}

#[test]
fn a_reader_changes_nothing() {
    let mut stream = stream();
    stream.receive(1, Frame::Joined(ClientMode::Read));
    stream.receive(
        1,
        Frame::Attach(Attach {
            columns: 10,
            rows: 10,
            key: "k".into(),
            epoch: None,
            offset: None,
            follow: Follow::Bytes,
            foreground: false,
        }),
    );
    assert_eq!(stream.receive(1, Frame::Input(1, b"x")), Applied::Nothing);
    stream.receive(1, Frame::Resize(20, 20));
    assert_eq!(stream.size(), (80, 24));
    let messages = drain(&mut stream);
    assert!(matches!(frames(&messages, 1).as_slice(), [Frame::Ready(Ready { columns: 80, input: 0, .. })]));
}

#[test]
fn input_before_attaching_is_not_taken() {
    let mut stream = stream();
    assert_eq!(stream.receive(1, Frame::Input(1, b"x")), Applied::Nothing);
    stream.receive(1, Frame::Joined(ClientMode::Write));
    assert_eq!(stream.receive(1, Frame::Input(1, b"x")), Applied::Nothing);
    stream.receive(1, attach(None, None));
    assert!(matches!(stream.receive(1, Frame::Input(1, b"x")), Applied::Input { number: 1, .. }));
}

#[test]
fn the_last_writer_to_act_owns_the_size() {
    let mut stream = stream();
    for (id, columns) in [(1, 100), (2, 60)] {
        stream.receive(id, Frame::Joined(ClientMode::Write));
        let attach = Attach {
            columns,
            rows: 30,
            key: format!("k{id}"),
            epoch: None,
            offset: None,
            follow: Follow::Bytes,
            foreground: false,
        };
        stream.receive(id, Frame::Attach(attach));
    }
    drain(&mut stream);
    assert_eq!(stream.size(), (60, 30));
    stream.receive(1, Frame::Input(1, b"x"));
    assert_eq!(stream.size(), (100, 30));
    let messages = drain(&mut stream);
    assert_eq!(frames(&messages, 1), [Frame::Size(100, 30, true)]);
    assert_eq!(frames(&messages, 2), [Frame::Size(100, 30, false)]);
}

#[test]
fn the_end_comes_after_the_last_byte_even_when_the_window_is_shut() {
    let mut stream = stream();
    stream.receive(1, Frame::Joined(ClientMode::Write));
    stream.receive(1, attach(None, None));
    let length = WINDOW_BYTES + 10;
    write(&mut stream, &vec![b'x'; usize::try_from(length).unwrap()]);
    assert!(stream.is_held_up());
    stream.ended(TerminalEnd::Exit { code: 3 });
    let messages = drain(&mut stream);
    assert!(!frames(&messages, 1).iter().any(|frame| matches!(frame, Frame::End(_))));
    assert!(!stream.is_delivered());
    stream.receive(1, Frame::Acknowledge(WINDOW_BYTES));
    let messages = drain(&mut stream);
    let frames = frames(&messages, 1);
    assert!(matches!(frames.as_slice(), [Frame::Output(WINDOW_BYTES, b"xxxxxxxxxx"), Frame::End(_)]));
    assert!(stream.is_delivered());
}

#[test]
fn a_client_that_falls_out_of_the_ring_is_told_what_is_gone() {
    let mut stream = stream();
    stream.receive(1, Frame::Joined(ClientMode::Read));
    stream.receive(1, attach(None, None));
    drain(&mut stream);
    write(&mut stream, &vec![b'x'; RING_BYTES + 5000]);
    let messages = drain(&mut stream);
    let frames = frames(&messages, 1);
    assert_eq!(frames.first(), Some(&Frame::Truncated(0, 5000)));
    assert!(matches!(frames.get(1), Some(Frame::Output(5000, _))));
    // And one that comes back with an offset that is gone.
    stream.receive(2, Frame::Joined(ClientMode::Write));
    stream.receive(2, attach(Some(77), Some(10)));
    let messages = drain(&mut stream);
    let frames = self::frames(&messages, 2);
    assert!(matches!(frames.first(), Some(Frame::Ready(Ready { offset: 5000, reset: true, .. }))));
    assert_eq!(frames.get(1), Some(&Frame::Truncated(10, 5000)));
}

/// A tab that came back sends what it has once more; the answer made it send that again, and so on.
#[test]
fn input_that_waits_for_the_terminal_is_not_asked_for_again() {
    let mut stream = stream();
    stream.receive(1, Frame::Joined(ClientMode::Write));
    stream.receive(1, attach(None, None));
    assert!(matches!(stream.receive(1, Frame::Input(1, b"x")), Applied::Input { .. }));
    drain(&mut stream);
    assert_eq!(stream.receive(1, Frame::Input(1, b"x")), Applied::Nothing);
    assert_eq!(drain(&mut stream), []);
    stream.written("k", 1);
    let told = drain(&mut stream);
    assert_eq!(frames(&told, 1), [Frame::InputAcknowledge(1)]);
    // Who sends it now has not heard.
    assert_eq!(stream.receive(1, Frame::Input(1, b"x")), Applied::Nothing);
    let told = drain(&mut stream);
    assert_eq!(frames(&told, 1), [Frame::InputAcknowledge(1)]);
}

/// An echo is not to wait for the message before it; a flood is not to keep back that input was applied.
#[test]
fn output_goes_before_word_of_input_but_one_frame_at_most() {
    let mut stream = stream();
    stream.receive(1, Frame::Joined(ClientMode::Write));
    stream.receive(1, attach(None, None));
    drain(&mut stream);
    for number in [1, 2] {
        stream.receive(1, Frame::Input(number, b"x"));
        stream.written("k", number);
        let from = stream.status().offset;
        write(&mut stream, b"x");
        let told = drain(&mut stream);
        assert_eq!(frames(&told, 1), [Frame::Output(from, b"x"), Frame::InputAcknowledge(number)]);
    }
    stream.receive(1, Frame::Input(3, b"x"));
    stream.written("k", 3);
    let flood = vec![b'y'; 3 * OUTPUT_MAX];
    write(&mut stream, &flood);
    let told = drain(&mut stream);
    let told = frames(&told, 1);
    assert!(matches!(told.first(), Some(Frame::Output(2, bytes)) if bytes.len() == OUTPUT_MAX), "{:?}", told.len());
    assert_eq!(told.get(1), Some(&Frame::InputAcknowledge(3)));
    // To say it once more is what asks for input, also while output flows.
    stream.receive(1, Frame::Input(3, b"x"));
    write(&mut stream, &flood);
    let told = drain(&mut stream);
    let asked = frames(&told, 1).iter().filter(|frame| matches!(frame, Frame::InputAcknowledge(3))).count();
    assert_eq!(asked, 1);
}

/// Nothing can be sent to who takes no output, but that input was applied.
#[test]
fn word_of_input_reaches_a_client_that_takes_no_output() {
    let mut stream = stream();
    stream.receive(1, Frame::Joined(ClientMode::Write));
    stream.receive(1, attach(None, None));
    write(&mut stream, &vec![b'y'; usize::try_from(2 * WINDOW_BYTES).unwrap()]);
    drain(&mut stream);
    stream.receive(1, Frame::Input(1, b"\x03"));
    stream.written("k", 1);
    let told = drain(&mut stream);
    assert_eq!(frames(&told, 1), [Frame::InputAcknowledge(1)]);
}

/// Nobody asked for it again, when nothing was typed after it.
#[test]
fn input_that_was_refused_is_asked_for_when_there_is_room() {
    let mut stream = stream();
    stream.receive(1, Frame::Joined(ClientMode::Write));
    stream.receive(1, attach(None, None));
    for number in [1, 2] {
        assert!(matches!(stream.receive(1, Frame::Input(number, b"x")), Applied::Input { .. }));
    }
    stream.refused("k", 2);
    assert_eq!(stream.receive(1, Frame::Input(3, b"x")), Applied::Nothing);
    drain(&mut stream);
    assert_eq!(drain(&mut stream), [], "not before there is room");
    stream.written("k", 1);
    stream.has_room();
    let told = drain(&mut stream);
    // The same number twice is what asks for input.
    assert_eq!(frames(&told, 1), [Frame::InputAcknowledge(1), Frame::InputAcknowledge(1)]);
    assert!(matches!(stream.receive(1, Frame::Input(2, b"x")), Applied::Input { number: 2, .. }));
}

/// A writer that follows as a screen, with everything it gets until it has to acknowledge.
fn screen_client(stream: &mut Stream, id: u32) {
    stream.receive(id, Frame::Joined(ClientMode::Write));
    let key = format!("k{id}");
    let attach =
        Attach { columns: 80, rows: 24, key, epoch: None, offset: None, follow: Follow::Screen, foreground: false };
    stream.receive(id, Frame::Attach(attach));
}

/// It was sent another window each time that it fell out of the ring, and all of them lay in the object's memory.
#[test]
fn a_stalled_client_of_bytes_gets_nothing_until_it_parsed_some() {
    let mut stream = stream();
    stream.receive(1, Frame::Joined(ClientMode::Read));
    stream.receive(1, attach(None, None));
    write(&mut stream, &vec![b'x'; 600_000]);
    let sent = |messages: &[(u32, Vec<u8>)]| {
        let frames = frames(messages, 1).into_iter();
        let lengths = frames.map(|frame| if let Frame::Output(_, bytes) = frame { bytes.len() as u64 } else { 0 });
        lengths.sum::<u64>()
    };
    assert_eq!(sent(&drain(&mut stream)), WINDOW_BYTES);
    for _ in 0..8 {
        write(&mut stream, &vec![b'x'; RING_BYTES]);
        assert_eq!(drain(&mut stream), []);
    }
    // It goes on behind the gap, with as much as it has parsed before it …
    stream.receive(1, Frame::Acknowledge(100_000));
    let messages = drain(&mut stream);
    let end = stream.ring.end();
    assert_eq!(frames(&messages, 1).first(), Some(&Frame::Truncated(WINDOW_BYTES, end - RING_BYTES as u64)));
    assert_eq!(sent(&messages), 100_000);
    stream.receive(1, Frame::Acknowledge(WINDOW_BYTES));
    assert_eq!(drain(&mut stream), []);
    // … and with all of the window once it has parsed something behind it.
    stream.receive(1, Frame::Acknowledge(end - RING_BYTES as u64 + 100_000));
    assert_eq!(sent(&drain(&mut stream)), WINDOW_BYTES);
}

#[test]
fn a_stalled_screen_gets_no_second_snapshot_until_it_parsed_the_first() {
    let mut stream = stream();
    screen_client(&mut stream, 1);
    drain(&mut stream);
    stream.receive(1, Frame::Acknowledge(0));
    write(&mut stream, &b"some line of text\r\n".repeat(30_000));
    // It never says that it parsed any: one window comes, however much is written.
    let sent = |messages: &[(u32, Vec<u8>)]| messages.iter().map(|(_, frame)| frame.len()).sum::<usize>();
    assert!(sent(&drain(&mut stream)) < 600_000);
    for _ in 0..8 {
        write(&mut stream, &b"some line of text\r\n".repeat(100_000));
        assert_eq!(drain(&mut stream), []);
    }
    stream.receive(1, Frame::Acknowledge(400_000));
    let messages = drain(&mut stream);
    let frames = frames(&messages, 1);
    let Some(Frame::Ready(Ready { snapshot: Some(head), offset, reset: true, .. })) = frames.first() else {
        panic!("{:?}", frames.first())
    };
    assert!(matches!(frames.get(1), Some(Frame::Truncated(_, to)) if to == offset));
    assert!(head.bytes > 10_000 && sent(&messages) < 700_000);
}

#[test]
fn screens_share_a_snapshot() {
    let mut stream = stream();
    write(&mut stream, &b"some line of text\r\n".repeat(3000));
    for id in 1..=20 {
        screen_client(&mut stream, id);
    }
    // Only Ready and the first part of each.
    let mut out = vec![];
    for _ in 0..40 {
        out.clear();
        assert!(stream.next(&mut out));
    }
    let held: Vec<_> = (1..=20).filter_map(|id| stream.attached(id).unwrap().snapshot.clone()).collect();
    assert_eq!(held.len(), 20);
    assert!(held.iter().all(|(snapshot, _)| Rc::ptr_eq(snapshot, &held[0].0)));
}

#[test]
fn each_query_is_left_to_one_screen_at_most() {
    let mut stream = stream();
    for id in 1..=2 {
        screen_client(&mut stream, id);
    }
    drain(&mut stream);
    for id in 1..=2 {
        stream.receive(id, Frame::Acknowledge(0));
    }
    // The second owns the size; the first takes it over while a query is half written and nothing was sent.
    write(&mut stream, b"\x1b[5n \x1b[");
    stream.receive(1, Frame::Input(1, b"x"));
    write(&mut stream, b"6n \x1b[c");
    let messages = drain(&mut stream);
    let output = |id| {
        let frames = frames(&messages, id);
        let bytes =
            frames.iter().filter_map(|frame| if let Frame::Output(_, bytes) = frame { Some(*bytes) } else { None });
        bytes.collect::<Vec<_>>().concat()
    };
    assert_eq!(output(2).escape_ascii().to_string(), r"\x1b[5n \x1b[6n \x1b[\x18");
    assert_eq!(output(1).escape_ascii().to_string(), r"\x1b[5\x18 \x1b[6\x18 \x1b[c");
}

#[test]
fn the_size_stays_with_its_owner_when_others_come_back_and_goes_on_when_it_leaves() {
    let mut stream = stream();
    let attach = |stream: &mut Stream, id: u32, columns: u16, offset: Option<u64>| {
        stream.receive(id, Frame::Joined(ClientMode::Write));
        let key = format!("k{id}");
        let epoch = offset.map(|_| 77);
        stream.receive(
            id,
            Frame::Attach(Attach { columns, rows: 24, key, epoch, offset, follow: Follow::Screen, foreground: false }),
        );
        stream.size().0
    };
    assert_eq!(attach(&mut stream, 1, 100, None), 100);
    assert_eq!(attach(&mut stream, 2, 60, None), 60);
    assert_eq!(attach(&mut stream, 1, 100, Some(0)), 60, "who comes back does not take it");
    stream.disconnected();
    assert_eq!(attach(&mut stream, 1, 100, Some(0)), 100, "nobody has it");
    assert_eq!(attach(&mut stream, 2, 60, Some(0)), 60, "it was its");
    stream.receive(2, Frame::Left);
    assert_eq!(stream.size().0, 100);
    let messages = drain(&mut stream);
    assert!(matches!(frames(&messages, 1).first(), Some(Frame::Ready(Ready { owner: true, columns: 100, .. }))));
}
