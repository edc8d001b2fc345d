//! Every decoder of outside bytes as a plain function over bytes, for fuzzers: `protocol/tests/fuzz.rs` runs them over
//! the corpus in `fuzz/corpus` and mutations of it in every test run, cargo-fuzz for as long as one likes.
//!
//! Each fails by panicking: when the decoder panics, when it takes what it must refuse, or when what it read does not
//! write back to the same.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::agent::{Message, ToAgent, ToObject, decode, version_of};
use crate::hosts::{AppHost, Hosts, Target as Host, parse_port};
use crate::ids::{AccountId, MachineId, TerminalId};
use crate::logs::{Cursor, LINES_MAX, SEARCH_MAX};
use crate::names::{MachineName, OrgSlug};
use crate::queries::Muter;
use crate::terminal::follower::Follower;
use crate::terminal::{FRAME_MAX, Follow, Frame, KEPT_MAX, PART_MAX, SNAPSHOT_MAX, split_client};
use crate::tickets::Signer;

/// A name, and the function that takes the bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: &[Target] = &[
    ("terminal_frame", terminal_frame),
    ("terminal_follower", terminal_follower),
    ("control_to_agent", control_to_agent),
    ("control_to_object", control_to_object),
    ("ticket", ticket),
    ("host", host),
    ("name", name),
    ("exec_request", exec_request),
    ("log_cursor", log_cursor),
    ("log_request", log_request),
    ("feed_line", feed_line),
    ("sprites_types", sprites_types),
    ("query_filter", query_filter),
];

/// A terminal's frame, with a client's id in front or without.
pub fn terminal_frame(bytes: &[u8]) {
    if let Ok((client, rest)) = split_client(bytes)
        && let Ok(frame) = Frame::decode(rest)
    {
        assert_eq!(split_client(&frame.encode_for(client)).map(|(client, _)| client), Ok(client));
    }
    let Ok(frame) = Frame::decode(bytes) else { return };
    assert!(bytes.len() <= FRAME_MAX);
    match &frame {
        Frame::SnapshotPart(position, part) => assert!(*position as usize + part.len() <= SNAPSHOT_MAX),
        Frame::KeptPart(position, part) => {
            assert!(part.len() <= PART_MAX && *position as usize + part.len() <= KEPT_MAX);
        }
        Frame::Attach(attach) => assert!((1..=32).contains(&attach.key.len())),
        _ => {}
    }
    assert_eq!(Frame::decode(&frame.encode()), Ok(frame.clone()), "it writes back to the same");
}

/// A client that hears any frames at all: each preceded by its length in two bytes.
pub fn terminal_follower(bytes: &[u8]) {
    for follow in [Follow::Bytes, Follow::Screen] {
        let mut bytes = bytes;
        let mut follower = Follower::new(follow, "k", 80, 24);
        let mut replies = vec![];
        while let Some((length, rest)) = bytes.split_first_chunk::<2>() {
            let (frame, rest) = rest.split_at(rest.len().min(usize::from(u16::from_be_bytes(*length))));
            bytes = rest;
            if let Ok(frame) = Frame::decode(frame) {
                let before = (follower.epoch(), follower.offset());
                let heard = follower.hear(frame, &mut replies);
                if heard.is_err() {
                    break;
                }
                let after = (follower.epoch(), follower.offset());
                assert!(follow == Follow::Screen || before.0 != after.0 || before.1 <= after.1, "{before:?} {after:?}");
            }
            follower.input(b"x", &mut replies);
        }
        for reply in &replies {
            assert!(Frame::decode(reply).is_ok(), "what it says can be read");
        }
    }
}

/// A control message for the agent.
pub fn control_to_agent(bytes: &[u8]) {
    control::<ToAgent>(bytes);
}

/// A control message of the agent's.
pub fn control_to_object(bytes: &[u8]) {
    control::<ToObject>(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = version_of(text);
    }
}

fn control<T: for<'a> Message<'a> + Serialize + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(message) = decode::<T>(text) else { return };
    assert!(text.len() <= T::MAX);
    same(&message);
}

/// A ticket or pass: nothing that anybody else has signed is taken.
pub fn ticket(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(signer) = Signer::from_seed(&[9; 32]) else { return };
    let verifier = signer.verifier();
    assert!(verifier.ticket(text, 1_900_000_000_000).is_err());
    assert!(verifier.ticket_for_guest(text, 1_900_000_000_000).is_err());
    assert!(verifier.pass(text).is_err());
}

/// A host, and an app's label.
pub fn host(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let hosts = Hosts { console: "console.test".into(), apps: "apps.test".into(), dial: "dial.test".into() };
    if let Some(Host::App(app)) = hosts.parse(text) {
        assert_eq!(format!("{}.apps.test", app.label()), text, "one host for each app");
    }
    if let Some(app) = AppHost::parse(text) {
        assert_eq!(app.label(), text);
    }
    if let Some(port) = parse_port(text) {
        assert_eq!(port.to_string(), text);
    }
}

/// A name or an id.
pub fn name(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(name) = text.parse::<MachineName>() {
        assert!(name.as_str() == text && text.len() <= 30 && !text.contains("--"));
    }
    if let Ok(slug) = text.parse::<OrgSlug>() {
        assert!(slug.as_str() == text && text.len() <= 24 && !text.contains("--"));
    }
    if let Ok(id) = text.parse::<MachineId>() {
        assert_eq!(id.to_string().parse(), Ok(id));
    }
    let _ = (text.parse::<AccountId>(), text.parse::<TerminalId>());
}

/// A one-shot command.
pub fn exec_request(bytes: &[u8]) {
    if let Ok(command) = crate::exec::decode(bytes) {
        assert!(!command.audit_name().is_empty());
    }
}

/// A place in a log.
pub fn log_cursor(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(cursor) = text.parse::<Cursor>() else { return };
    assert_eq!(cursor.to_string(), text, "one text for each place");
    same(&cursor);
}

/// A request for a log: the service's name becomes part of a path.
pub fn log_request(bytes: &[u8]) {
    let Ok(request) = crate::logs::decode(bytes) else { return };
    assert!((1..=LINES_MAX).contains(&request.lines) && !request.service.contains('/'));
    assert!(request.search.as_deref().is_none_or(|text| (1..=SEARCH_MAX).contains(&text.len())));
    same(&request);
}

/// A change that the database announces, and what a follower says.
pub fn feed_line(bytes: &[u8]) {
    use crate::feed::{Change, MESSAGE_MAX, heard};
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(number) = heard(text) {
        assert!(text.ends_with(&number.to_string()));
    }
    if let Some(change) = Change::read(text) {
        assert!(change.told(u64::MAX).len() <= MESSAGE_MAX);
        assert_eq!(Change::read(&change.line()), Some(change), "it writes back to the same");
    }
}

/// Output with its queries muted: as long as before, other only by cancelled bytes, the same in pieces, and quiet.
pub fn query_filter(bytes: &[u8]) {
    const CANCEL: u8 = 0x18;
    let muted = crate::queries::muted(bytes);
    assert_eq!(muted.len(), bytes.len());
    assert!(bytes.iter().zip(&muted).all(|(before, after)| before == after || matches!(*after, CANCEL | 0)));
    assert_eq!(crate::queries::muted(&muted), muted, "nothing is left to mute");
    let mut follows = Muter::default();
    let mut pieces = bytes.to_vec();
    for piece in pieces.chunks_mut(3) {
        follows.follow(piece, true);
    }
    assert_eq!(pieces, muted, "it does not matter how it arrives");
}

/// What the runtime answers, and what it is asked.
pub fn sprites_types(bytes: &[u8]) {
    json::<crate::sprites::Sprite>(bytes);
    json::<crate::sprites::SpriteList>(bytes);
    json::<crate::sprites::CreateSprite>(bytes);
    json::<crate::sprites::PutService>(bytes);
    json::<crate::sprites::CheckpointEvent>(bytes);
    json::<crate::sprites::NetworkPolicy>(bytes);
    json::<crate::sprites::ApiError>(bytes);
}

fn json<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    if let Ok(value) = serde_json::from_slice::<T>(bytes) {
        same(&value);
    }
}

fn same<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(value: &T) {
    let again = serde_json::to_vec(value).ok().and_then(|bytes| serde_json::from_slice::<T>(&bytes).ok());
    assert_eq!(again.as_ref(), Some(value), "it writes back to the same");
}
