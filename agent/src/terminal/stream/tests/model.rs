//! A model of a stream with clients that take bytes and clients that take a screen, side by side.

use std::sync::LazyLock;

use proptest::prelude::*;
use snapvm_protocol::terminal::{OUTPUT_MAX, SNAPSHOT_MAX};

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Write(usize),
    Attach(u32, bool),
    Leave(u32),
    Disconnect,
    Read(usize),
    Acknowledge(u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_usize..900_000).prop_map(Step::Write),
        2 => (1_u32..4, any::<bool>()).prop_map(|(id, write)| Step::Attach(id, write)),
        1 => (1_u32..4).prop_map(Step::Leave),
        1 => Just(Step::Disconnect),
        4 => (1_usize..60).prop_map(Step::Read),
        3 => (1_u32..4).prop_map(Step::Acknowledge),
    ]
}

/// What one client has put together.
#[derive(Debug, Default)]
struct Assembled {
    /// The next offset it expects, once it has anything.
    next: Option<u64>,
    /// Of the snapshot that is coming: bytes to come.
    parts: u64,
    received: u64,
    /// Bytes since it last acknowledged, snapshots included.
    outstanding: u64,
    /// It was told that it misses something from here on, and not yet until where.
    missing: Option<u64>,
}

/// Clients with this id and those above follow as a screen.
const FIRST_SCREEN: u32 = 3;

fn follow(id: u32) -> Follow {
    if id >= FIRST_SCREEN { Follow::Screen } else { Follow::Bytes }
}

/// What shells write, over and over: as many bytes as nothing in the stream has to do with.
static PATTERN: LazyLock<Vec<u8>> = LazyLock::new(|| {
    // Lines with sequences and queries, so that snapshots have something to show; and any bytes.
    let text = b"\x1b[6n\x1b[31mseveral words \xe2\x9c\x93\r\n\x1b]11;?\x07\x1b[?1049h\x1b[?1049l";
    let byte = |offset: usize| match offset / 5000 % 2 {
        0 => text[offset % text.len()],
        _ => (offset.wrapping_mul(0x9E37_79B9) >> 13).to_le_bytes()[0],
    };
    (0..999_983).map(byte).collect()
});

fn written(from: u64, length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length);
    let mut at = usize::try_from(from).unwrap() % PATTERN.len();
    while bytes.len() < length {
        let end = PATTERN.len().min(at + length - bytes.len());
        bytes.extend_from_slice(&PATTERN[at..end]);
        at = 0;
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    /// Clients keep what they got over any number of sockets, and come back with their offset; some take bytes, some a
    /// screen.
    #[test]
    fn clients_put_together_what_the_shell_wrote(steps in proptest::collection::vec(step(), 1..60)) {
        let mut stream = stream();
        let mut clients = BTreeMap::<u32, Assembled>::new();
        for step in steps {
            match step {
                Step::Write(length) => {
                    let from = stream.ring.end();
                    write(&mut stream, &written(from, length));
                }
                Step::Attach(id, write) => {
                    let mode = if write { ClientMode::Write } else { ClientMode::Read };
                    stream.receive(id, Frame::Joined(mode));
                    let client = clients.entry(id).or_default();
                    // A snapshot that did not come whole is worth nothing.
                    let offset = client.next.filter(|_| client.parts == 0);
                    *client = Assembled { next: offset, ..Assembled::default() };
                    stream.receive(id, Frame::Attach(Attach {
                        columns: 80, rows: 24, key: format!("k{id}"), epoch: offset.map(|_| 77), offset, follow: follow(id),
                        foreground: false,
                    }));
                }
                Step::Leave(id) => { stream.receive(id, Frame::Left); }
                Step::Disconnect => stream.disconnected(),
                Step::Acknowledge(id) => {
                    let client = clients.entry(id).or_default();
                    if client.parts == 0 && let Some(next) = client.next {
                        client.outstanding = 0;
                        stream.receive(id, Frame::Acknowledge(next));
                    }
                }
                Step::Read(most) => for _ in 0..most {
                    let mut out = vec![];
                    if !stream.next(&mut out) { break; }
                    let (id, frame) = split_client(&out).unwrap();
                    let client = clients.get_mut(&id).unwrap();
                    match Frame::decode(frame).unwrap() {
                        Frame::Ready(ready) => {
                            prop_assert_eq!(client.parts, 0, "one opening within another");
                            if !ready.reset { prop_assert_eq!(client.next, Some(ready.offset)); }
                            client.missing = client.next.filter(|next| *next < ready.offset);
                            client.next = Some(ready.offset);
                            client.parts = ready.snapshot.map_or(0, |head| head.bytes.into());
                            client.received = 0;
                            prop_assert_eq!(ready.snapshot.is_some(), ready.reset && follow(id) == Follow::Screen);
                        }
                        Frame::SnapshotPart(position, bytes) => {
                            prop_assert_eq!(u64::from(position), client.received);
                            client.received += bytes.len() as u64;
                            client.parts -= bytes.len() as u64;
                            client.outstanding += bytes.len() as u64;
                        }
                        Frame::Truncated(from, to) => {
                            prop_assert!(from < to);
                            if let Some(missing) = client.missing.take() {
                                prop_assert_eq!((Some(from), Some(to)), (Some(missing), client.next));
                            } else {
                                prop_assert_eq!((Some(from), follow(id)), (client.next, Follow::Bytes));
                            }
                            client.next = Some(to);
                        }
                        Frame::Output(offset, bytes) => {
                            prop_assert_eq!((client.next, client.parts, client.missing), (Some(offset), 0, None));
                            prop_assert!(bytes.len() <= OUTPUT_MAX);
                            let wanted = written(offset, bytes.len());
                            let is_muted = |(got, wanted): (&u8, &u8)| got == wanted || matches!(got, 0 | 0x18);
                            let muted = follow(id) == Follow::Screen && bytes.iter().zip(&wanted).all(is_muted);
                            prop_assert!(wanted == bytes || muted, "at {}", offset);
                            client.next = Some(offset + bytes.len() as u64);
                            client.outstanding += bytes.len() as u64;
                        }
                        other => prop_assert!(matches!(other, Frame::Size(..)), "{:?}", other),
                    }
                    let most = if follow(id) == Follow::Screen { WINDOW_BYTES + SNAPSHOT_MAX as u64 } else { WINDOW_BYTES };
                    prop_assert!(client.outstanding <= most, "{} bytes are on their way", client.outstanding);
                },
            }
        }
    }
}
