//! The calls there are, by name, and how often each was made. What isn't here answers 404, and is remembered: tests ask
//! whether somebody came to depend on more than `docs/sprites-protocol.md` lists.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::guest::lock;

/// Unlisted calls that are remembered.
const UNLISTED_MAX: usize = 100;
/// Longest part of an unlisted call's path that is remembered.
const PATH_MAX: usize = 200;

/// Method, path under `/v1/sprites`, and name. A star stands for one segment.
const OPERATIONS: &[(&str, &str, &str)] = &[
    ("POST", "", "create_sprite"),
    ("GET", "", "list_sprites"),
    ("GET", "*", "get_sprite"),
    ("PUT", "*", "update_sprite"),
    ("DELETE", "*", "delete_sprite"),
    ("POST", "*/upgrade", "upgrade_sprite"),
    ("GET", "*/exec", "exec"),
    ("POST", "*/exec", "exec"),
    ("GET", "*/exec/*", "attach_session"),
    ("POST", "*/exec/*/kill", "kill_session"),
    ("GET", "*/proxy", "proxy"),
    ("GET", "*/policy/network", "get_network_policy"),
    ("POST", "*/policy/network", "set_network_policy"),
    ("GET", "*/ports/watch", "watch_ports"),
    ("GET", "*/fs/read", "fs_read"),
    ("PUT", "*/fs/write", "fs_write"),
    ("GET", "*/fs/list", "fs_list"),
    ("DELETE", "*/fs/delete", "fs_delete"),
    ("POST", "*/fs/rename", "fs_rename"),
    ("POST", "*/fs/copy", "fs_copy"),
    ("POST", "*/fs/chmod", "fs_chmod"),
    ("POST", "*/fs/chown", "fs_chown"),
    ("GET", "*/fs/watch", "fs_watch"),
    ("POST", "*/checkpoint", "create_checkpoint"),
    ("GET", "*/checkpoints", "list_checkpoints"),
    ("GET", "*/checkpoints/*", "get_checkpoint"),
    ("DELETE", "*/checkpoints/*", "delete_checkpoint"),
    ("POST", "*/checkpoints/*/restore", "restore_checkpoint"),
    ("POST", "*/services/signal", "signal_service"),
    ("GET", "*/services", "list_services"),
    ("GET", "*/services/*", "get_service"),
    ("PUT", "*/services/*", "put_service"),
    ("DELETE", "*/services/*", "delete_service"),
    ("POST", "*/services/*/start", "start_service"),
    ("POST", "*/services/*/stop", "stop_service"),
    ("POST", "*/services/*/restart", "restart_service"),
    ("GET", "*/services/*/logs", "service_logs"),
];
/// A request to a sprite's URL.
pub(crate) const URL: &str = "url";

/// The operation that a request to the API asks for.
pub(crate) fn operation(method: &str, path: &str) -> Option<&'static str> {
    let rest = path.strip_prefix("/v1/sprites")?;
    let rest = match rest.strip_prefix('/') {
        Some("") => return None,
        Some(rest) => rest,
        None if rest.is_empty() => "",
        None => return None,
    };
    // Clients ask with HEAD what they may ask with GET.
    let method = if method == "HEAD" { "GET" } else { method };
    let matches = |pattern: &str| {
        let (mut wanted, mut given) = (pattern.split('/'), rest.split('/'));
        loop {
            match (wanted.next(), given.next()) {
                (None, None) => return true,
                (Some("*"), Some(segment)) if !segment.is_empty() => {}
                (Some(word), Some(segment)) if word == segment => {}
                _ => return false,
            }
        }
    };
    OPERATIONS.iter().find(|(wanted, pattern, _)| *wanted == method && matches(pattern)).map(|(_, _, name)| *name)
}

/// Whether there is an operation of this name.
pub(crate) fn is_known(name: &str) -> bool {
    name == URL || OPERATIONS.iter().any(|(_, _, known)| *known == name)
}

/// How often each call was made.
#[derive(Default)]
pub(crate) struct Calls {
    counted: Mutex<BTreeMap<(&'static str, u16), u64>>,
    unlisted: Mutex<Unlisted>,
}

#[derive(Default)]
struct Unlisted {
    count: u64,
    first: Vec<String>,
}

impl Calls {
    /// Counts a call and how it was answered.
    pub(crate) fn count(&self, operation: &'static str, status: u16) {
        *lock(&self.counted).entry((operation, status)).or_default() += 1;
    }

    /// Remembers a call that isn't listed.
    pub(crate) fn unlisted(&self, method: &str, path: &str) {
        let mut unlisted = lock(&self.unlisted);
        unlisted.count += 1;
        if unlisted.first.len() < UNLISTED_MAX {
            let path: String = path.chars().take(PATH_MAX).collect();
            tracing::warn!(method, path, "a call that isn't listed");
            unlisted.first.push(format!("{method} {path}"));
        }
    }

    /// How often each operation was answered with which status.
    pub(crate) fn counted(&self) -> BTreeMap<(&'static str, u16), u64> {
        lock(&self.counted).clone()
    }

    /// How many calls were not listed, and the first of them.
    pub(crate) fn all_unlisted(&self) -> (u64, Vec<String>) {
        let unlisted = lock(&self.unlisted);
        (unlisted.count, unlisted.first.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_have_names() {
        for (method, path, name) in [
            ("POST", "/v1/sprites", Some("create_sprite")),
            ("HEAD", "/v1/sprites/a/exec", Some("exec")),
            ("POST", "/v1/sprites/a/services/b/stop", Some("stop_service")),
            ("POST", "/v1/sprites/a/services/signal", Some("signal_service")),
            ("PATCH", "/v1/sprites/a", None),
            ("GET", "/v1/sprites/", None),
            ("GET", "/v1/spritesa", None),
            ("GET", "/v1/sprites/a/", None),
            ("GET", "/v1/sprites/a/fs/read/x", None),
            ("GET", "/", None),
        ] {
            assert_eq!(operation(method, path), name, "{method} {path}");
        }
    }

    #[test]
    fn the_reference_lists_every_operation() {
        let reference = include_str!("../../docs/sprites-protocol.md");
        for (_, _, name) in OPERATIONS {
            assert!(reference.contains(&format!("`{name}`")), "docs/sprites-protocol.md doesn't list {name}");
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let calls = Calls::default();
        for _ in 0..200 {
            calls.unlisted("GET", &"x".repeat(1000));
        }
        let (count, first) = calls.all_unlisted();
        assert_eq!((count, first.len(), first[0].len()), (200, UNLISTED_MAX, PATH_MAX + 4));
    }
}
