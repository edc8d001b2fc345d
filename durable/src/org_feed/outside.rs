//! What a feed's object needs of the world outside. Implemented by the Worker.
//!
//! Who follows is written down as one line of words, the same in the header that brings them and beside their socket.

use snapvm_protocol::roles::Role;

use crate::access::Access;

/// Who a follower is, as the Worker found out before it let them in. Kept with their socket for the next look. None of
/// the words has a space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visitor {
    /// The credential's kind and hash, as the database takes it.
    pub credential: String,
    /// The organization's slug, as in the path.
    pub org: String,
    /// Their account's id.
    pub account: String,
    /// What they may see.
    pub role: Role,
}

impl Visitor {
    /// The line.
    #[must_use]
    pub fn line(&self) -> String {
        format!("{} {} {} {}", self.credential, self.org, self.account, self.role.as_str())
    }

    /// Reads it; `None` for anything else.
    #[must_use]
    pub fn read(line: &str) -> Option<Self> {
        let mut words = line.splitn(4, ' ').map(str::to_owned);
        let (credential, org, account) = (words.next()?, words.next()?, words.next()?);
        Some(Self { credential, org, account, role: Role::read(&words.next()?)? })
    }
}

/// A follower at the door, and where they stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// The feed that they followed, and the last number of it that they have.
    pub resume: Option<(String, u64)>,
    /// Who.
    pub visitor: Visitor,
}

impl Arrival {
    /// The line: printable ASCII, as far as the words are.
    #[must_use]
    pub fn line(&self) -> String {
        let (feed, after) = self.resume.as_ref().map_or(("-", 0), |(feed, after)| (feed.as_str(), *after));
        format!("{feed} {after} {}", self.visitor.line())
    }

    /// Reads it; `None` for anything else.
    #[must_use]
    pub fn read(line: &str) -> Option<Self> {
        let mut words = line.splitn(3, ' ');
        let (feed, after) = (words.next()?, words.next()?.parse().ok()?);
        let resume = (feed != "-").then(|| (feed.to_owned(), after));
        Some(Self { resume, visitor: Visitor::read(words.next()?)? })
    }
}

/// The world outside.
#[expect(async_fn_in_trait, reason = "objects run on one thread; their futures need not be Send")]
pub trait Outside: 'static {
    /// Unix time in milliseconds.
    fn now_ms(&self) -> u64;
    /// A name that nothing else has: letters, digits and hyphens.
    fn random_id(&self) -> String;
    /// One line in the log. Never a token, never what a change says.
    fn log(&self, line: &str);
    /// How long changes are kept for those who come back, while nobody follows, in milliseconds.
    fn alone_ms(&self) -> u64;
    /// Looks at somebody's access again.
    async fn access(&self, visitor: &Visitor) -> Access<Role>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_is_one_line() {
        let visitor =
            Visitor { credential: "s:0a".into(), org: "acme".into(), account: "id".into(), role: Role::Admin };
        for resume in [None, Some(("f00d".to_owned(), 12))] {
            let arrival = Arrival { resume, visitor: visitor.clone() };
            assert_eq!(Arrival::read(&arrival.line()), Some(arrival));
        }
        for wrong in ["", "- 0", "- x s:0a acme id admin", "- 0 s:0a acme id", "- 0 s:0a acme id king"] {
            assert_eq!(Arrival::read(wrong), None, "{wrong}");
        }
    }
}
