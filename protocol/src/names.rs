//! Names that people choose: machines and organizations. Both become part of a host name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Names nobody may take, because a host or a path of ours uses them or could.
pub const RESERVED: &[&str] = &[
    "admin", "agent", "api", "app", "apps", "assets", "auth", "billing", "code", "console", "dial", "docs", "help",
    "internal", "login", "mail", "new", "root", "settings", "signin", "signup", "snapvm", "static", "status",
    "support", "system", "v1", "www",
];

/// Longest machine name, in characters.
pub const MACHINE_NAME_MAX: usize = 30;
/// Longest organization slug, in characters.
pub const ORG_SLUG_MAX: usize = 24;

/// Why a name was refused. The text is meant for the person who typed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Nothing was given.
    #[error("is required")]
    Empty,
    /// More characters than fit a host name.
    #[error("is too long: at most {0} characters")]
    TooLong(usize),
    /// Not a lower-case letter first.
    #[error("must start with a letter from a to z")]
    Start,
    /// Ends with a hyphen.
    #[error("must not end with a hyphen")]
    End,
    /// `--` separates the parts of an app's host.
    #[error("must not contain two hyphens in a row")]
    DoubleHyphen,
    /// Anything but `a`-`z`, `0`-`9` and `-`.
    #[error("may contain only a to z, 0 to 9 and hyphens")]
    Character,
    /// One of [`RESERVED`].
    #[error("is reserved: choose another name")]
    Reserved,
}

fn check(text: &str, longest: usize) -> Result<(), InvalidName> {
    let first = text.bytes().next().ok_or(InvalidName::Empty)?;
    if text.len() > longest {
        return Err(InvalidName::TooLong(longest));
    }
    if !text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-')) {
        return Err(InvalidName::Character);
    }
    if !first.is_ascii_lowercase() {
        return Err(InvalidName::Start);
    }
    if text.ends_with('-') {
        return Err(InvalidName::End);
    }
    if text.contains("--") {
        return Err(InvalidName::DoubleHyphen);
    }
    if RESERVED.contains(&text) {
        return Err(InvalidName::Reserved);
    }
    Ok(())
}

macro_rules! name {
    ($(#[$doc:meta])+ $name:ident, $longest:expr, $pattern:literal) => {
        $(#[$doc])+
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                check(text, $longest)?;
                Ok(Self(text.to_owned()))
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
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
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"type": "string", "pattern": $pattern, "minLength": 1, "maxLength": $longest})
            }
        }
    };
}

name!(
    /// A machine's name: `^[a-z]([a-z0-9-]{0,28}[a-z0-9])?$` without `--`, unique in its organization.
    MachineName,
    MACHINE_NAME_MAX,
    "^[a-z]([a-z0-9-]{0,28}[a-z0-9])?$"
);
name!(
    /// An organization's slug: `^[a-z]([a-z0-9-]{0,22}[a-z0-9])?$` without `--`, unique in the deployment.
    OrgSlug,
    ORG_SLUG_MAX,
    "^[a-z]([a-z0-9-]{0,22}[a-z0-9])?$"
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refusals_say_why() {
        let refused = |text: &str| text.parse::<MachineName>().unwrap_err();
        assert_eq!(refused(""), InvalidName::Empty);
        assert_eq!(refused(&"a".repeat(31)), InvalidName::TooLong(30));
        assert_eq!(refused("1a"), InvalidName::Start);
        assert_eq!(refused("-a"), InvalidName::Start);
        assert_eq!(refused("a-"), InvalidName::End);
        assert_eq!(refused("a--b"), InvalidName::DoubleHyphen);
        assert_eq!(refused("Api"), InvalidName::Character);
        assert_eq!(refused("a_b"), InvalidName::Character);
        assert_eq!(refused("www"), InvalidName::Reserved);
        assert_eq!("a".repeat(25).parse::<OrgSlug>(), Err(InvalidName::TooLong(24)));
        assert!("api-demo".parse::<MachineName>().is_ok());
        assert!("a".parse::<OrgSlug>().is_ok());
    }

    #[test]
    fn the_longest_app_host_label_fits_dns() {
        // "65535--" + machine + "--" + org
        const { assert!(7 + MACHINE_NAME_MAX + 2 + ORG_SLUG_MAX <= 63) }
    }

    proptest! {
        #[test]
        fn an_accepted_name_matches_the_pattern(text in "[a-z0-9-]{0,32}") {
            let by_hand = !text.is_empty() && text.len() <= 30
                && text.starts_with(|c: char| c.is_ascii_lowercase())
                && !text.ends_with('-') && !text.contains("--") && !RESERVED.contains(&text.as_str());
            prop_assert_eq!(text.parse::<MachineName>().is_ok(), by_hand);
        }
    }
}
