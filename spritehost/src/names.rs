//! Names of sprites, services and tasks, and how long a task may last. Pure.

use std::time::Duration;

use crate::arguments::parse_duration;

/// Longest name of a sprite: with the organization's it has to fit one DNS label.
pub(crate) const SPRITE_NAME_MAX: usize = 48;
/// Longest name of a service or a task.
pub(crate) const INNER_NAME_MAX: usize = 64;
/// Longest life of a task before it has to be renewed.
pub(crate) const TASK_MAX: Duration = Duration::from_hours(1);

/// Whether a sprite may be called so: a lower-case DNS label of at most 48 characters.
pub(crate) fn is_sprite_name(name: &str) -> bool {
    let tidy = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=SPRITE_NAME_MAX).contains(&name.len())
        && name.bytes().all(tidy)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// Whether a service or a task may be called so. It becomes a file name, so no dot in front and no slash.
pub(crate) fn is_inner_name(name: &str) -> bool {
    let tidy = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=INNER_NAME_MAX).contains(&name.len()) && name.bytes().all(tidy) && !name.starts_with('.')
}

/// How long a task asks to last; `None` when that is unreadable, nothing, or too long.
pub(crate) fn task_life(text: &str) -> Option<Duration> {
    parse_duration(text).ok().filter(|life| !life.is_zero() && *life <= TASK_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_and_lives() {
        for good in ["a", "s-01h-g1", "9", &"a".repeat(48)] {
            assert!(is_sprite_name(good), "{good}");
        }
        for bad in ["", "A", "a_b", "-a", "a-", "a.b", "a/b", "é", &"a".repeat(49)] {
            assert!(!is_sprite_name(bad), "{bad}");
        }
        assert!(is_inner_name("web.1_x-Y") && !is_inner_name("..") && !is_inner_name("a/b") && !is_inner_name(""));
        assert_eq!(task_life("1h"), Some(TASK_MAX));
        assert_eq!(task_life("61m"), None);
        assert_eq!(task_life("0s"), None);
    }

    proptest! {
        #[test]
        fn accepted_names_are_single_path_components(name in "\\PC{0,60}") {
            if is_sprite_name(&name) || is_inner_name(&name) {
                let components: Vec<_> = std::path::Path::new(&name).components().collect();
                prop_assert!(matches!(components.as_slice(), [std::path::Component::Normal(_)]));
            }
        }
    }
}
