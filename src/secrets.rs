//! Secrets that people and programs hold: session and API tokens.
//!
//! A token is `{prefix}{32 characters of base64url}{6 of a checksum}`: scanners recognise the prefix, and a mistyped
//! one is refused without asking the database. [`Token`] exists only where one is made or presented; everything else
//! knows its [`Hash`].

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// Prefix of API tokens.
pub const TOKEN_PREFIX: &str = "snap_pat_";
/// Prefix of the operator's credential.
pub const OPERATOR_PREFIX: &str = "snap_op_";
const SESSION_PREFIX: &str = "snap_ses_";
const RANDOM_CHARACTERS: usize = 32;
const CHECKSUM_CHARACTERS: usize = 6;

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prefix {
    /// A browser session.
    Session,
    /// An API token of a person.
    Personal,
}

impl Prefix {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Session => SESSION_PREFIX,
            Self::Personal => TOKEN_PREFIX,
        }
    }
}

/// A secret in plain text. Its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// SHA-256 of a token: what the database sees. Random input needs no slow hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hash(String);

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Token {
    /// A new token from 192 random bits.
    #[must_use]
    pub fn from_random(prefix: Prefix, random: &[u8; 24]) -> Self {
        let body = format!("{}{}", prefix.as_str(), URL_SAFE_NO_PAD.encode(random));
        let sum = checksum(&body);
        Self(body + &sum)
    }

    /// A presented token, if it can be one of ours.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let body_length = SESSION_PREFIX.len() + RANDOM_CHARACTERS;
        let (body, sum) = text.split_at_checked(body_length)?;
        let known = body.starts_with(SESSION_PREFIX) || body.starts_with(TOKEN_PREFIX);
        (known && sum.len() == CHECKSUM_CHARACTERS && checksum(body) == sum).then(|| Self(text.to_owned()))
    }

    /// What the database stores.
    #[must_use]
    pub fn hash(&self) -> Hash {
        hash(self.0.as_bytes())
    }

    /// The secret itself, for the one answer that shows it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The last four characters, for lists.
    #[must_use]
    pub fn last_four(&self) -> &str {
        self.0.len().checked_sub(4).and_then(|at| self.0.get(at..)).unwrap_or_default()
    }
}

/// SHA-256, in hex.
#[must_use]
pub fn hash(bytes: &[u8]) -> Hash {
    Hash(Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        text.push_str(&format!("{byte:02x}"));
        text
    }))
}

fn checksum(body: &str) -> String {
    let mut text = URL_SAFE_NO_PAD.encode(Sha256::digest(body.as_bytes()));
    text.truncate(CHECKSUM_CHARACTERS);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_and_a_changed_one_does_not() {
        let token = Token::from_random(Prefix::Personal, &[1; 24]);
        assert_eq!(Token::parse(token.reveal()), Some(token.clone()));
        let mut changed = token.reveal().to_owned();
        changed.replace_range(12..13, if changed.get(12..13) == Some("x") { "y" } else { "x" });
        assert_eq!(Token::parse(&changed), None);
        assert_eq!(Token::parse(""), None);
        assert_eq!(Token::parse(&"é".repeat(40)), None);
        assert_eq!(format!("{token:?}"), "Token(..)");
    }
}
