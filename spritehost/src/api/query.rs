//! Query strings: pairs in their order, since some names may repeat.

use axum::extract::Query;

/// The pairs of a query string.
pub(crate) type Pairs = Query<Vec<(String, String)>>;

/// The first value of a name.
pub(crate) fn first<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// All values of a name.
pub(crate) fn all<'a>(pairs: &'a [(String, String)], name: &'a str) -> impl Iterator<Item = &'a str> {
    pairs.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// Whether a name is set to something that means yes.
pub(crate) fn is_set(pairs: &[(String, String)], name: &str) -> bool {
    first(pairs, name).is_some_and(|value| matches!(value, "true" | "1"))
}
