//! Frames: what is written reads back, and what is malformed is refused.

use super::*;
use proptest::prelude::*;

#[test]
fn every_frame_reads_back() {
    let frames = [
        Frame::Attach(Attach {
            columns: 80,
            rows: 24,
            key: "k".into(),
            epoch: Some(1),
            offset: Some(2),
            follow: Follow::Screen,
            foreground: false,
        }),
        Frame::Input(7, b"ls\r"),
        Frame::Acknowledge(u64::MAX),
        Frame::Resize(80, 24),
        Frame::Ready(Ready {
            epoch: 1,
            offset: 2,
            input: 3,
            reset: true,
            live: 9,
            snapshot: Some(SnapshotHead { bytes: 5, dropped_lines: 1 }),
            owner: true,
            columns: 80,
            rows: 24,
            end: Some(TerminalEnd::Signal { signal: 9 }),
        }),
        Frame::Output(9, b"\xff\x00"),
        Frame::InputAcknowledge(7),
        Frame::Truncated(1, 2),
        Frame::End(TerminalEnd::Exit { code: 1 }),
        Frame::Size(1, 1000, true),
        Frame::SnapshotPart(0, b"\x1bc"),
        Frame::Foreground(Foreground { running: true, command: Some("vim".into()) }),
        Frame::Notice(Notice::Failed { reason: "no".into() }),
        Frame::Notice(Notice::People {
            people: vec![Person { name: "Ada".into(), write: true, windows: 2, you: false }],
        }),
        Frame::Kept(KeptHead {
            epoch: 1,
            offset: 2,
            columns: 80,
            rows: 24,
            directory: Some("/root".into()),
            bytes: 3,
            at_ms: None,
        }),
        Frame::KeptPart(0, b"abc"),
        Frame::Joined(ClientMode::Read),
        Frame::Left,
    ];
    for frame in frames {
        let bytes = frame.encode_for(5);
        let (client, rest) = split_client(&bytes).unwrap();
        assert_eq!((client, Frame::decode(rest)), (5, Ok(frame)));
    }
}

#[test]
fn malformed_frames_are_refused() {
    assert_eq!(Frame::decode(&[]), Err(InvalidFrame::Short));
    assert_eq!(Frame::decode(&[0x02, 0, 0]), Err(InvalidFrame::Short));
    assert_eq!(Frame::decode(&[0x03; 10]), Err(InvalidFrame::Payload));
    assert_eq!(Frame::decode(&[0xff]), Err(InvalidFrame::Type));
    assert_eq!(Frame::decode(&vec![0x12; FRAME_MAX + 1]), Err(InvalidFrame::TooLong));
    assert_eq!(Frame::decode(&vec![0x02; INPUT_MAX + 6]), Err(InvalidFrame::TooLong));
    assert_eq!(Frame::decode(b"\x01{}"), Err(InvalidFrame::Payload));
    assert_eq!(Frame::decode(&[0x16, 0, 80, 0, 24, 2]), Err(InvalidFrame::Payload));
    assert_eq!(Frame::decode(&vec![0x17; PART_MAX + 6]), Err(InvalidFrame::TooLong));
    assert_eq!(Frame::decode(&[0x23, 0, 4, 0, 0, 1]), Err(InvalidFrame::TooLong));
    let long = format!("\x22{{\"epoch\":1,\"offset\":1,\"columns\":1,\"rows\":1,\"bytes\":{}}}", KEPT_MAX + 1);
    assert_eq!(Frame::decode(long.as_bytes()), Err(InvalidFrame::TooLong));
    assert_eq!(split_client(&[0, 0, 0, 1]), Err(InvalidFrame::Short));
}

#[test]
fn a_readers_frames_are_told_from_a_writers() {
    assert!(is_write(&Frame::Input(1, b"a").encode()));
    assert!(is_write(&Frame::Resize(1, 1).encode()));
    assert!(!is_write(&Frame::Acknowledge(1).encode()));
    assert!(!is_from_client(&Frame::Output(0, b"").encode()));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        let _ = Frame::decode(&bytes);
        let _ = split_client(&bytes);
    }

    #[test]
    fn what_reads_writes_back_the_same(kind in 0x02_u8..=0x04, payload in proptest::collection::vec(any::<u8>(), 0..40)) {
        let mut bytes = vec![kind];
        bytes.extend(payload);
        if let Ok(frame) = Frame::decode(&bytes) {
            let again = frame.encode();
            prop_assert_eq!(Frame::decode(&again), Ok(frame.clone()));
        }
    }
}
