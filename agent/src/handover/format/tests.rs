//! What was written is read; anything else is refused; no bytes make the decoder do more than that.

use super::super::state::{Input, Service, Stream, Terminal};
use super::*;
use crate::activity::Meter;
use crate::services::lifecycle::{Intervals, Lifecycle};
use proptest::prelude::*;
use snapvm_protocol::agent::TerminalEnd;
use snapvm_protocol::ids::TerminalId;
use snapvm_protocol::services::{Containment, ServiceAction, ServiceDefinition};

fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..most)
}

fn end() -> impl Strategy<Value = Option<TerminalEnd>> {
    prop_oneof![
        Just(None),
        Just(Some(TerminalEnd::Lost)),
        any::<i32>().prop_map(|code| Some(TerminalEnd::Exit { code })),
        any::<i32>().prop_map(|signal| Some(TerminalEnd::Signal { signal })),
    ]
}

fn terminal() -> impl Strategy<Value = Terminal> {
    let screen = (any::<bool>(), bytes(300));
    let stream = (any::<[u8; 10]>(), 0..=OFFSET_MAX, 1_u16..500, end(), 0..=OFFSET_MAX, bytes(3000), screen).prop_map(
        |(id, epoch, columns, end, start, bytes, (has_screen, screen))| {
            let mut keys = crate::terminal::input::Keys::default();
            keys.accept("tab", 1);
            keys.written("tab", 1);
            keys.accept("tab", 2);
            let screen_at = has_screen.then_some(start + bytes.len() as u64);
            let screen = if has_screen { screen } else { vec![] };
            let session = TerminalId::new(1, id);
            Stream { session, epoch, columns, rows: 24, keys, end, start, bytes, screen_at, screen }
        },
    );
    let input = ("[a-z]{0,8}", any::<u32>(), bytes(300)).prop_map(|(key, number, bytes)| Input { key, number, bytes });
    (stream, any::<i32>(), any::<u32>(), end(), proptest::collection::vec(input, 0..4))
        .prop_map(|(stream, master, leader, exit, pending)| Terminal { stream, master, leader, exit, pending })
}

fn service() -> impl Strategy<Value = Service> {
    (any::<u64>(), any::<u32>(), proptest::collection::vec(any::<i32>(), 0..3)).prop_map(|(now, pid, pipes)| {
        let definition = ServiceDefinition {
            args: vec!["\0\u{7f}\"".into()],
            environment: [("SECRET".to_owned(), "é\n".to_owned())].into(),
            http_port: Some(3000),
            ..ServiceDefinition::new("web", "sh")
        };
        let mut life = Lifecycle::new(definition, Intervals { grace: 1, backoff: 2 });
        life.command(ServiceAction::Start, now);
        life.spawned(pid, Containment::Cgroup, now);
        Service { life, pipes }
    })
}

fn state() -> impl Strategy<Value = State> {
    (
        proptest::collection::vec(terminal(), 0..4),
        proptest::collection::vec(service(), 0..3),
        any::<[u8; 32]>(),
        any::<u64>(),
        proptest::option::of("\\PC{0,40}"),
    )
        .prop_map(|(terminals, services, seed, now, pass)| State {
            boot: "boot".into(),
            seed: seed.into(),
            digest: "digest".into(),
            learned: crate::admission::Learned::default(),
            pass,
            meter: Meter::new(now),
            woken_at: Some(now),
            tasks: vec!["build".into()],
            listener: 3,
            terminals,
            services,
            variables: [("TOKEN".to_owned(), "é\n\"".to_owned())].into_iter().collect(),
        })
}

fn sealed(mut content: Vec<u8>) -> Vec<u8> {
    let digest = Sha256::digest(&content);
    content.extend_from_slice(&digest);
    content
}

proptest! {
    #[test]
    fn what_was_written_is_read(state in state()) {
        let written = encode(state.clone()).unwrap();
        prop_assert_eq!(decode(&written), Ok(state));
    }

    #[test]
    fn a_changed_bit_and_a_missing_byte_are_noticed(state in state(), at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let mut written = encode(state).unwrap();
        let at = at.index(written.len());
        prop_assert!(decode(&written[..at]).is_err());
        written[at] ^= 1 << bit;
        prop_assert!(decode(&written).is_err());
    }

    /// Damage that the digest cannot show, since it was made with it: lengths that lie, heads that are none.
    #[test]
    fn any_bytes_are_answered(
        state in state(), garbage in bytes(400), at in any::<prop::sample::Index>(), keep_prefix in any::<bool>(),
    ) {
        let _ = decode(&garbage);
        let _ = decode(&sealed(garbage.clone()));
        let written = encode(state).unwrap();
        let mut content = written[..written.len() - DIGEST].to_vec();
        let from = if keep_prefix { PREFIX } else { 0 };
        let at = from + at.index(content.len() - from);
        let end = content.len().min(at + garbage.len());
        content[at..end].copy_from_slice(&garbage[..end - at]);
        let _ = decode(&sealed(content));
    }
}

#[test]
fn another_version_is_named() {
    let mut content = MAGIC.to_vec();
    content.extend_from_slice(&7_u32.to_be_bytes());
    content.extend_from_slice(b"whatever it means by this");
    assert_eq!(decode(&sealed(content)), Err(Unusable::Version(7)));
    assert_eq!(decode(b""), Err(Unusable::Damaged));
}

#[test]
fn lengths_that_lie_are_refused() {
    let head = |lengths: &str| {
        let state = r#"{"boot":"","seed":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0],"digest":"",
            "learned":{"generation":1,"clock":null,"used":{},"epoch":0},"pass":null,
            "meter":{"last":0,"reported":null,"idle_seconds":0,"idle_reports":0},"woken_at":null,"tasks":[],"listener":3,
            "terminals":[],"services":[]}"#;
        let head = format!("{{\"state\":{state},\"lengths\":{lengths}}}");
        let mut content = MAGIC.to_vec();
        content.extend_from_slice(&VERSION.to_be_bytes());
        content.extend_from_slice(&u32::try_from(head.len()).unwrap().to_be_bytes());
        content.extend_from_slice(head.as_bytes());
        decode(&sealed(content)).map(|_| ())
    };
    assert_eq!(head("[]"), Ok(()));
    assert_eq!(head("[0]"), Err(Unusable::Damaged));
    assert_eq!(head("[18446744073709551615]"), Err(Unusable::Damaged));
}
