//! An organization's live updates: a numbered sequence of changes. `docs/feed-protocol.md` says it for clients.
//!
//! ```text
//! client ─?feed=…&after=SEQ─▶ object      object ─State, then every Told after SEQ, in order─▶ client
//!                                         client ─SEQ─▶ object, at least once in HEARD_EVERY of them
//! ```
//!
//! What a change says is written once, by the database, and passed on as it is: nothing on its way reads it.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::roles::Role;

/// The sub-protocol of a feed's WebSocket.
pub const SUBPROTOCOL: &str = "snapvm.feed.v1";
/// Longest message to a client, in bytes. What a change says beyond that is left out: the client reads it by itself.
pub const MESSAGE_MAX: usize = 8 * 1024;
/// Longest text of a change, in bytes: its number comes in front.
pub const CHANGE_MAX: usize = MESSAGE_MAX - 40;
/// A client says what it has heard at least once in so many changes.
pub const HEARD_EVERY: u32 = 100;
/// One that is so many behind with it is cut off, and comes back where it stopped.
pub const BEHIND_MAX: u32 = 500;

/// Something that has changed, as the database announces it (`migrations/api/feed.sql`): a line of four words,
/// `{kind} {thing} {version} {text}`, of which the last one may have spaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What kind of thing: `machine`, `event`, `services`, …
    pub kind: String,
    /// Which one of its kind; of members and credentials, the account's id. `-` for none.
    pub thing: String,
    /// Where the record counts its changes: of two, the one with the higher number is the newer one. 0 where it does not.
    pub version: u64,
    /// What clients are told of it, a JSON object: at most [`CHANGE_MAX`] bytes.
    pub text: String,
}

impl Change {
    /// Reads a line; `None` for anything else.
    #[must_use]
    pub fn read(line: &str) -> Option<Self> {
        let mut words = line.splitn(4, ' ');
        let (kind, thing) = (words.next()?, words.next()?);
        let (version, text) = (words.next()?.parse().ok()?, words.next()?);
        let is_object = text.len() > 2 && text.starts_with('{') && text.ends_with('}');
        if kind.is_empty() || thing.is_empty() || text.len() > CHANGE_MAX || !is_object || text.contains('\n') {
            return None;
        }
        Some(Self { kind: kind.into(), thing: thing.into(), version, text: text.into() })
    }

    /// The line.
    #[must_use]
    pub fn line(&self) -> String {
        format!("{} {} {} {}", self.kind, self.thing, self.version, self.text)
    }

    /// Whether both are about the same thing, so that the newer one says all.
    #[must_use]
    pub fn is_of_the_same(&self, other: &Self) -> bool {
        self.kind == other.kind && self.thing == other.thing
    }

    /// The message that tells of it under a number: see [`Told`].
    #[must_use]
    pub fn told(&self, seq: u64) -> String {
        format!("{{\"seq\":{seq},{}", self.text.strip_prefix('{').unwrap_or_default())
    }
}

/// The least role that is told of a kind of change; `None` for what nobody is told. A kind that is not known here is
/// for owners, who may see everything.
#[must_use]
pub fn least(kind: &str) -> Option<Role> {
    match kind {
        "machine" | "event" | "services" | "terminals" | "holds" | "ports" | "checkpoints" | "variables"
        | "members" | "quotas" => Some(Role::Viewer),
        "audit" => Some(Role::Admin),
        "credential" => None,
        _ => Some(Role::Owner),
    }
}

/// The first message to a client, and whenever it has to begin anew.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct State {
    /// Names this sequence; random, of letters, digits and hyphens, and another one if it is ever lost.
    pub feed: String,
    /// The number of the last change so far.
    pub seq: u64,
    /// What was before `seq` is not told: read again what you show. Otherwise everything follows that came after the
    /// number that the client gave.
    pub reset: bool,
    /// What the client may see: changes for higher roles are not told.
    pub role: Role,
}

impl State {
    /// The message.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { feed, seq, reset, role } = self;
        format!(r#"{{"feed":"{feed}","seq":{seq},"reset":{reset},"role":"{}"}}"#, role.as_str())
    }
}

/// A change as clients read it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Told {
    /// Its number. Numbers grow, and not every one comes.
    pub seq: u64,
    /// When, RFC 3339.
    pub at: String,
    /// What kind of thing.
    pub kind: String,
    /// The name of the machine that it belongs to.
    #[serde(default)]
    pub machine: Option<String>,
    /// What the change is, as far as it is said; absent where it would be too long, or there is nothing to say.
    #[serde(default)]
    pub data: Option<Map<String, Value>>,
}

/// All that a client says, beside `ping`: the number up to which it has everything.
#[must_use]
pub fn heard(text: &str) -> Option<u64> {
    if text.len() > 20 || !text.bytes().all(|byte| byte.is_ascii_digit()) { None } else { text.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(kind: &str, thing: &str) -> Change {
        Change { kind: kind.into(), thing: thing.into(), version: 0, text: format!(r#"{{"kind": "{kind}"}}"#) }
    }

    #[test]
    fn what_is_the_same_thing() {
        let service = change("services", "one/web");
        assert!(service.is_of_the_same(&service));
        assert!(!service.is_of_the_same(&change("services", "two/web")));
        assert!(!service.is_of_the_same(&change("ports", "one/web")));
        assert!(change("audit", "-").is_of_the_same(&change("audit", "-")));
    }

    #[test]
    fn a_kind_that_nobody_knows_is_for_owners() {
        assert_eq!(least("machine"), Some(Role::Viewer));
        assert_eq!(least("audit"), Some(Role::Admin));
        assert_eq!(least("credential"), None);
        assert_eq!(least("something-new"), Some(Role::Owner));
    }

    #[test]
    fn a_change_is_told_under_its_number() {
        let line = r#"machine id 7 {"at": "now", "kind": "machine", "data": {"reason": "a b"}}"#;
        let read = Change::read(line).unwrap();
        assert_eq!((read.kind.as_str(), read.thing.as_str(), read.version), ("machine", "id", 7));
        assert_eq!(read.line(), line);
        let told: Told = serde_json::from_str(&read.told(12)).unwrap();
        assert_eq!((told.seq, told.kind.as_str(), told.data.unwrap().len()), (12, "machine", 1));
    }

    #[test]
    fn what_is_no_change_is_not_read() {
        for wrong in
            ["", "a b 1", "a b x {\"a\":1}", "a b -1 {\"a\":1}", " b 1 {\"a\":1}", "a  1 {\"a\":1}", "a b 1 []"]
        {
            assert_eq!(Change::read(wrong), None, "{wrong}");
        }
        let long = |bytes: usize| format!("event id 0 {{\"a\": \"{}\"}}", "x".repeat(bytes - 9));
        assert!(Change::read(&long(CHANGE_MAX)).is_some_and(|longest| longest.told(u64::MAX).len() <= MESSAGE_MAX));
        assert_eq!(Change::read(&long(CHANGE_MAX + 1)), None);
    }

    #[test]
    fn the_first_message_is_what_it_says() {
        for (reset, role) in [(true, Role::Viewer), (false, Role::Owner)] {
            let state = State { feed: "0a1b".into(), seq: u64::MAX, reset, role };
            assert_eq!(serde_json::from_str::<State>(&state.text()).unwrap(), state);
        }
    }

    #[test]
    fn a_client_says_one_thing() {
        assert_eq!(heard("12"), Some(12));
        assert_eq!(heard("18446744073709551615"), Some(u64::MAX));
        for wrong in ["", "hello", "+1", "-1", " 1", "18446744073709551616", "{\"heard\":1}", &"1".repeat(100)] {
            assert_eq!(heard(wrong), None, "{wrong}");
        }
    }
}
