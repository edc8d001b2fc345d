use super::super::Ready;
use super::*;

fn ready(offset: u64, reset: bool) -> Frame<'static> {
    Frame::Ready(Ready {
        epoch: 7,
        offset,
        input: 0,
        reset,
        live: offset,
        snapshot: None,
        owner: true,
        columns: 80,
        rows: 24,
        end: None,
    })
}

fn attached() -> Follower {
    let mut follower = Follower::new(Follow::Bytes, "k", 80, 24);
    let mut replies = vec![];
    follower.hear(Frame::Notice(Notice::Connected), &mut replies).unwrap();
    assert_eq!(replies, [Frame::Attach(follower.attach()).encode()]);
    follower.hear(ready(0, true), &mut replies).unwrap();
    follower
}

fn connected(follower: &mut Follower) {
    hear(follower, Frame::Notice(Notice::Connected)).unwrap();
}

fn hear(follower: &mut Follower, frame: Frame<'_>) -> Result<(), Broken> {
    follower.hear(frame, &mut vec![]).map(|_| ())
}

#[test]
fn it_comes_back_for_what_it_has_not() {
    let mut follower = attached();
    hear(&mut follower, Frame::Output(0, b"abc")).unwrap();
    follower.disconnected();
    connected(&mut follower);
    assert_eq!((follower.attach().epoch, follower.attach().offset), (Some(7), Some(3)));
    hear(&mut follower, ready(3, false)).unwrap();
    hear(&mut follower, Frame::Output(3, b"d")).unwrap();
    assert_eq!(follower.offset(), 4);
}

/// The agent's socket was replaced twice while the client was slow: both of its attaches reached the second one.
#[test]
fn what_comes_again_is_left_out() {
    let mut follower = attached();
    hear(&mut follower, Frame::Output(0, b"abc")).unwrap();
    connected(&mut follower);
    connected(&mut follower);
    hear(&mut follower, ready(3, false)).unwrap();
    hear(&mut follower, Frame::Output(3, b"de")).unwrap();
    hear(&mut follower, ready(3, false)).unwrap();
    let mut replies = vec![];
    assert_eq!(follower.hear(Frame::Output(3, b"d"), &mut replies), Ok(Heard::Output(5, b"")));
    assert_eq!(follower.hear(Frame::Output(4, b"efg"), &mut replies), Ok(Heard::Output(5, b"fg")));
    assert_eq!(follower.offset(), 7);
    hear(&mut follower, Frame::End(TerminalEnd::Lost)).unwrap();
    hear(&mut follower, ready(3, false)).unwrap();
    hear(&mut follower, Frame::Output(3, b"defg")).unwrap();
    assert_eq!(follower.end(), None);
}

#[test]
fn what_breaks_a_promise_is_an_error() {
    let lost = Broken::Offset { wanted: 0, got: 1 };
    assert_eq!(hear(&mut attached(), Frame::Output(1, b"b")), Err(lost));
    let mut follower = attached();
    hear(&mut follower, Frame::Output(0, b"abc")).unwrap();
    assert_eq!(hear(&mut follower, Frame::Output(2, b"c")), Err(Broken::Offset { wanted: 3, got: 2 }));
    assert_eq!(hear(&mut follower, Frame::Truncated(2, 9)), Err(Broken::Gone { wanted: 3, from: 2, to: 9 }));
    assert_eq!(hear(&mut follower, Frame::InputAcknowledge(1)), Err(Broken::Input { sent: 0, got: 1 }));
    assert_eq!(hear(&mut follower, Frame::SnapshotPart(0, b"x")), Err(Broken::SnapshotPart(0)));
    assert!(hear(&mut follower, Frame::Input(1, b"x")).is_err());
    follower.disconnected();
    connected(&mut follower);
    assert!(hear(&mut follower.clone(), ready(4, false)).is_err());
    assert!(hear(&mut follower.clone(), ready(2, false)).is_err());
    // A gap has to be said.
    hear(&mut follower, ready(9, true)).unwrap();
    assert!(hear(&mut follower.clone(), Frame::Output(9, b"x")).is_err());
    hear(&mut follower, Frame::Truncated(3, 9)).unwrap();
    hear(&mut follower, Frame::Output(9, b"x")).unwrap();
    hear(&mut follower, Frame::End(TerminalEnd::Lost)).unwrap();
    assert!(hear(&mut follower, Frame::Output(10, b"x")).is_err());
}

#[test]
fn input_is_sent_again_over_a_new_socket_and_when_the_agent_repeats_itself() {
    let mut follower = attached();
    let mut replies = vec![];
    for key in [b"a", b"b"] {
        follower.input(key, &mut replies);
    }
    let both = [Frame::Input(1, b"a").encode(), Frame::Input(2, b"b").encode()];
    assert_eq!(replies, both);
    follower.disconnected();
    connected(&mut follower);
    replies.clear();
    follower.hear(ready(0, false), &mut replies).unwrap();
    assert_eq!(replies, both);
    replies.clear();
    follower.hear(Frame::InputAcknowledge(1), &mut replies).unwrap();
    assert_eq!(replies, Vec::<Vec<u8>>::new());
    follower.hear(Frame::InputAcknowledge(1), &mut replies).unwrap();
    assert_eq!(replies, both[1..]);
    follower.hear(Frame::InputAcknowledge(2), &mut replies).unwrap();
    assert_eq!((follower.waiting(), follower.applied()), (0, 2));
}

#[test]
fn no_more_input_is_on_its_way_than_the_agent_takes() {
    let mut follower = attached();
    let mut replies = vec![];
    let piece = vec![b'x'; super::super::INPUT_MAX];
    for _ in 0..64 {
        follower.input(&piece, &mut replies);
    }
    assert_eq!(replies.len(), IN_FLIGHT_MAX / piece.len());
    replies.clear();
    follower.hear(Frame::InputAcknowledge(3), &mut replies).unwrap();
    assert_eq!(replies.len(), 3);
}

#[test]
fn a_snapshot_comes_whole_and_before_output() {
    let mut follower = Follower::new(Follow::Screen, "k", 80, 24);
    let Frame::Ready(mut head) = ready(100, true) else { unreachable!() };
    head.snapshot = Some(SnapshotHead { bytes: 4, dropped_lines: 0 });
    hear(&mut follower, Frame::Ready(head)).unwrap();
    assert!(hear(&mut follower.clone(), Frame::Output(100, b"x")).is_err());
    hear(&mut follower, Frame::SnapshotPart(0, b"ab")).unwrap();
    assert_eq!(hear(&mut follower.clone(), Frame::SnapshotPart(1, b"b")), Err(Broken::SnapshotPart(1)));
    assert_eq!(hear(&mut follower.clone(), Frame::SnapshotPart(2, b"cde")), Err(Broken::SnapshotPart(2)));
    let mut replies = vec![];
    let whole = follower.hear(Frame::SnapshotPart(2, b"cd"), &mut replies);
    assert_eq!(whole, Ok(Heard::Snapshot(100, b"abcd".to_vec())));
    hear(&mut follower, Frame::Output(100, b"x")).unwrap();
}

#[test]
fn what_only_a_newer_object_says_is_left_out() {
    let mut follower = attached();
    let word = Frame::decode(b"\x21{\"is\":\"of_tomorrow\",\"with\":[1]}").unwrap();
    assert_eq!(word, Frame::Notice(Notice::Unknown));
    hear(&mut follower, word).unwrap();
    hear(&mut follower, Frame::Notice(Notice::IdleSoon { in_ms: 5 })).unwrap();
    assert!(follower.is_attached());
}
