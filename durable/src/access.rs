//! Another look at somebody's access, while they have a socket open.

/// What it finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access<T> {
    /// They may stay, and do this.
    Granted(T),
    /// Their credential is dead.
    Unauthenticated,
    /// The credential lives, but they may not (any more).
    Forbidden,
    /// It could not be found out.
    Unknown,
}

impl<T> Access<T> {
    /// Reads what was granted; what cannot be read is not known.
    pub fn read<U>(self, read: impl FnOnce(T) -> Option<U>) -> Access<U> {
        match self {
            Self::Granted(granted) => read(granted).map_or(Access::Unknown, Access::Granted),
            Self::Unauthenticated => Access::Unauthenticated,
            Self::Forbidden => Access::Forbidden,
            Self::Unknown => Access::Unknown,
        }
    }
}

/// Whether a look is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// None is.
    No,
    /// One is; what depends on it waits.
    UnderWay,
    /// One is, and access may have changed since it began.
    Outdated,
}
