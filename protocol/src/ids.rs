//! Identifiers: `UUIDv7`s with a type for each thing they name, and the sprite name made from one.
//!
//! They are made here, not by the database, so that any Postgres from 15 on will do and an id is known before its
//! row is written.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The text is not a UUID in the hyphenated lower- or upper-case form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id")]
pub struct InvalidId;

/// 16 bytes in UUID layout.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uuid([u8; 16]);

impl Uuid {
    /// A `UUIDv7` (RFC 9562 §5.7) from a Unix time in milliseconds and 10 random bytes.
    #[must_use]
    pub fn v7(unix_ms: u64, random: [u8; 10]) -> Self {
        let [_, _, t0, t1, t2, t3, t4, t5] = unix_ms.to_be_bytes();
        let [r0, r1, r2, r3, r4, r5, r6, r7, r8, r9] = random;
        Self([t0, t1, t2, t3, t4, t5, 0x70 | (r0 & 0x0f), r1, 0x80 | (r2 & 0x3f), r3, r4, r5, r6, r7, r8, r9])
    }

    /// The bytes, most significant first.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, byte) in self.0.iter().enumerate() {
            if matches!(position, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Uuid {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let mut bytes = [0_u8; 16];
        let mut slots = bytes.iter_mut();
        let mut high = None;
        for (position, character) in text.bytes().enumerate() {
            if matches!(position, 8 | 13 | 18 | 23) {
                if character != b'-' {
                    return Err(InvalidId);
                }
                continue;
            }
            let digit = match character {
                b'0'..=b'9' => character - b'0',
                b'a'..=b'f' => character - b'a' + 10,
                b'A'..=b'F' => character - b'A' + 10,
                _ => return Err(InvalidId),
            };
            match high.take() {
                None => high = Some(digit),
                Some(first) => *slots.next().ok_or(InvalidId)? = (first << 4) | digit,
            }
        }
        if text.len() != 36 || slots.next().is_some() {
            return Err(InvalidId);
        }
        Ok(Self(bytes))
    }
}

macro_rules! id {
    ($(#[$doc:meta] $name:ident;)+) => {$(
        #[$doc]
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new id from a Unix time in milliseconds and 10 random bytes.
            #[must_use]
            pub fn new(unix_ms: u64, random: [u8; 10]) -> Self {
                Self(Uuid::v7(unix_ms, random))
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                text.parse().map(Self)
            }
        }
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn inline_schema() -> bool {
                true
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"type": "string", "format": "uuid"})
            }
        }
    )+};
}

id! {
    /// A person who signs in.
    AccountId;
    /// An organization.
    OrgId;
    /// A machine.
    MachineId;
    /// A terminal session.
    TerminalId;
    /// A hold on a machine.
    HoldId;
    /// A checkpoint of a machine's files.
    CheckpointId;
    /// A browser session.
    SessionId;
    /// An API token (the record, not the secret).
    TokenId;
}

const BASE32: [u8; 32] = *b"abcdefghijklmnopqrstuvwxyz234567";

/// The name of a machine's sprite: `s-{machine id in base32}-g{generation}`, at most 41 characters, so that
/// `{name}-{provider's organization}` still fits a DNS label.
#[must_use]
pub fn sprite_name(machine: MachineId, generation: u32) -> String {
    let mut name = String::from("s-");
    let (mut accumulator, mut bits) = (0_u32, 0_u32);
    for byte in machine.0.as_bytes() {
        accumulator = (accumulator << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            push_base32(&mut name, accumulator >> bits);
        }
    }
    if bits > 0 {
        push_base32(&mut name, accumulator << (5 - bits));
    }
    name.push_str("-g");
    name.push_str(&generation.to_string());
    name
}

fn push_base32(name: &mut String, value: u32) {
    if let Some(character) = BASE32.get((value & 31) as usize) {
        name.push(char::from(*character));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sprite_names_fit_the_label_and_tell_machines_apart() {
        let machine = MachineId::new(1_790_000_000_000, [0xff; 10]);
        let name = sprite_name(machine, u32::MAX);
        assert!(name.len() <= 48, "{name}");
        assert_eq!(sprite_name(machine, 1).len(), 2 + 26 + 3);
        assert_ne!(sprite_name(machine, 1), sprite_name(MachineId::new(1_790_000_000_000, [0xfe; 10]), 1));
    }

    #[test]
    fn version_and_variant_are_those_of_uuid_v7() {
        let text = Uuid::v7(0x0123_4567_89ab, [0xff; 10]).to_string();
        assert_eq!(text, "01234567-89ab-7fff-bfff-ffffffffffff");
    }

    proptest! {
        #[test]
        fn text_and_back(ms in 0_u64..(1 << 48), random: [u8; 10]) {
            let id = MachineId::new(ms, random);
            prop_assert_eq!(id.to_string().parse::<MachineId>(), Ok(id));
        }

        #[test]
        fn any_text_is_parsed_or_refused(text in ".{0,40}") {
            let _ = text.parse::<Uuid>();
        }
    }
}
