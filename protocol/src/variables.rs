//! Variables of a machine: what is in the environment of every program that is started in it.
//!
//! Invariant: `Debug` never shows a value. Values of secrets pass through every part between the client and the agent,
//! and none of them may end in a log.
//!
//! Absent on purpose: expansion. A value is taken as it is; nothing in it refers to another variable.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Most variables of one machine.
pub const VARIABLES_MAX: usize = 100;
/// Longest name, in characters.
pub const NAME_MAX: usize = 128;
/// Longest value, in bytes.
pub const VALUE_MAX: usize = 32 * 1024;
/// Most bytes of all names and values of one machine.
pub const TOTAL_MAX: usize = 128 * 1024;

/// Beginning of names that are SnapVM's own.
const RESERVED_PREFIX: &str = "SNAPVM_";
/// Names that belong to the user, the shell or the terminal. A login shell sets most of them anew, so that a value of
/// the machine's would hold in some programs and not in others.
const RESERVED: [&str; 13] = [
    "COLORTERM",
    "HOME",
    "LOGNAME",
    "OLDPWD",
    "PATH",
    "PWD",
    "SHELL",
    "SHLVL",
    "TERM",
    "TERM_PROGRAM",
    "USER",
    "XDG_RUNTIME_DIR",
    "_",
];

/// The variables, by name.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Variables(BTreeMap<String, String>);

impl std::fmt::Debug for Variables {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

impl Variables {
    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a process can be given of them: a name or a value that no environment can hold would fail its start.
    #[must_use]
    pub fn sound(mut self) -> Self {
        self.0.retain(|name, value| {
            !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0') && value.len() <= VALUE_MAX
        });
        self
    }
}

impl FromIterator<(String, String)> for Variables {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

/// Why a variable is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidVariable {
    /// Not a name.
    #[error(
        "A variable's name starts with a letter or _, has letters, digits and _ in it, and at most {NAME_MAX} characters."
    )]
    Name,
    /// [`RESERVED_PREFIX`].
    #[error("Names that start with SNAPVM_ are SnapVM's own. Choose another one.")]
    Ours,
    /// [`RESERVED`].
    #[error(
        "This name belongs to the user, the shell or the terminal, which set it themselves. Set it in the shell's own \
         files, or in the environment of one service."
    )]
    Reserved,
    /// [`VALUE_MAX`].
    #[error("A value has at most {VALUE_MAX} bytes.")]
    TooLong,
    /// No environment holds one.
    #[error("A value must not contain NUL characters.")]
    Nul,
}

/// Checks a name.
///
/// # Errors
/// Why it is refused.
pub fn check_name(name: &str) -> Result<(), InvalidVariable> {
    let mut bytes = name.bytes();
    let begins = bytes.next().is_some_and(|byte| byte == b'_' || byte.is_ascii_alphabetic());
    if !begins || name.len() > NAME_MAX || !bytes.all(|byte| byte == b'_' || byte.is_ascii_alphanumeric()) {
        return Err(InvalidVariable::Name);
    }
    if name.starts_with(RESERVED_PREFIX) {
        return Err(InvalidVariable::Ours);
    }
    if RESERVED.contains(&name) { Err(InvalidVariable::Reserved) } else { Ok(()) }
}

/// Checks a value.
///
/// # Errors
/// Why it is refused.
pub fn check_value(value: &str) -> Result<(), InvalidVariable> {
    if value.len() > VALUE_MAX {
        return Err(InvalidVariable::TooLong);
    }
    if value.contains('\0') { Err(InvalidVariable::Nul) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Variables {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn names() {
        for name in ["A", "_a", "DATABASE_URL", "a1", "LD_PRELOAD", "SNAPVM", "Path", &"A".repeat(NAME_MAX)] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for name in ["", "1A", "A-B", "A B", "Ä", "A=B", "A\0", &"A".repeat(NAME_MAX + 1)] {
            assert_eq!(check_name(name), Err(InvalidVariable::Name), "{name}");
        }
        assert_eq!(check_name("SNAPVM_X"), Err(InvalidVariable::Ours));
        for name in RESERVED {
            assert_eq!(check_name(name), Err(InvalidVariable::Reserved), "{name}");
        }
    }

    #[test]
    fn values() {
        assert_eq!(check_value(""), Ok(()));
        assert_eq!(check_value(&"a".repeat(VALUE_MAX)), Ok(()));
        assert_eq!(check_value(&"a".repeat(VALUE_MAX + 1)), Err(InvalidVariable::TooLong));
        assert_eq!(check_value("a\0"), Err(InvalidVariable::Nul));
    }

    #[test]
    fn what_is_printed_has_no_value() {
        assert_eq!(format!("{:?}", of(&[("A", "hunter2"), ("B", "")])), r#"{"A", "B"}"#);
    }

    #[test]
    fn what_no_process_can_be_given_is_left_out() {
        let odd =
            of(&[("", "a"), ("A=B", "a"), ("A\0", "a"), ("N", "\0"), ("L", &"a".repeat(VALUE_MAX + 1)), ("B", "b")]);
        assert_eq!(odd.sound(), of(&[("B", "b")]));
    }
}
