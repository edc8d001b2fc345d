//! Checks of single fields. Each refusal names the field and says what would be accepted.

use std::str::FromStr;

use snapvm_protocol::names::{InvalidName, MachineName, ORG_SLUG_MAX, OrgSlug};
use snapvm_protocol::services::{SCRIPT_MAX, SERVICE_NAME_MAX, ServiceDefinition, is_name};

use crate::authz::policy::Role;
use crate::error::Problem;

/// Fewest characters of a password.
pub const PASSWORD_MIN: usize = 10;
/// Most characters of a password: hashing longer ones costs and protects nothing.
pub const PASSWORD_MAX: usize = 200;

/// Most bytes of a directory's path: what the kernel takes.
pub const DIRECTORY_MAX: usize = 4096;

/// Most bytes of a service's definition as JSON: what the table's check allows.
pub const SERVICE_TEXT_MAX: usize = 64 * 1024;

/// An e-mail address in lower case. Only its shape is checked; whether it exists, only a message to it would show.
///
/// # Errors
/// 422 for `email`.
pub fn email(text: &str) -> Result<String, Problem> {
    let text = text.trim().to_lowercase();
    let refuse = |detail: &str| Err(Problem::invalid("email", detail));
    if text.len() > 254 {
        return refuse("An e-mail address has at most 254 characters.");
    }
    match text.split_once('@') {
        Some((local, domain))
            if !local.is_empty()
                && !domain.contains('@')
                && domain.split('.').count() > 1
                && domain.split('.').all(|label| !label.is_empty())
                && !text.chars().any(|character| character.is_whitespace() || character.is_control()) =>
        {
            Ok(text)
        }
        _ => refuse("This is not an e-mail address, such as ada@example.com."),
    }
}

/// A password.
///
/// # Errors
/// 422 for `password`.
pub fn password(text: &str) -> Result<&str, Problem> {
    let length = text.chars().count();
    if !(PASSWORD_MIN..=PASSWORD_MAX).contains(&length) {
        return Err(Problem::invalid(
            "password",
            format!("A password has {PASSWORD_MIN} to {PASSWORD_MAX} characters; this has {length}."),
        ));
    }
    Ok(text)
}

/// A display text of up to `longest` characters, without control characters.
///
/// # Errors
/// 422 for the field.
pub fn label(field: &str, text: &str, longest: usize) -> Result<String, Problem> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Problem::invalid(field, "This is required."));
    }
    if text.chars().count() > longest {
        return Err(Problem::invalid(field, format!("This has at most {longest} characters.")));
    }
    if text.chars().any(char::is_control) {
        return Err(Problem::invalid(field, "This must not contain control characters."));
    }
    Ok(text.to_owned())
}

/// A directory to start in.
///
/// # Errors
/// 422 for `directory`.
pub fn directory(path: String) -> Result<String, Problem> {
    let refuse = |detail: String| Err(Problem::invalid("directory", detail));
    if !path.starts_with('/') || path.contains('\0') {
        return refuse("A directory is an absolute path, such as /home/sprite.".into());
    }
    if path.len() > DIRECTORY_MAX {
        return refuse(format!("A directory's path has at most {DIRECTORY_MAX} bytes."));
    }
    Ok(path)
}

fn name<T: FromStr<Err = InvalidName>>(field: &str, what: &str, text: &str) -> Result<T, Problem> {
    text.parse().map_err(|error| Problem::invalid(field, format!("{what} {error}.")))
}

/// A new machine's name.
///
/// # Errors
/// 422 for `name`.
pub fn machine_name(text: &str) -> Result<MachineName, Problem> {
    name("name", "A machine's name", text)
}

/// A new organization's slug.
///
/// # Errors
/// 422 for `slug`.
pub fn org_slug(text: &str) -> Result<OrgSlug, Problem> {
    name("slug", "An organization's slug", text)
}

/// A role.
///
/// # Errors
/// 422 for `role`.
pub fn role(text: &str) -> Result<Role, Problem> {
    Role::ALL
        .into_iter()
        .find(|role| role.as_str() == text)
        .ok_or_else(|| Problem::invalid("role", "A role is viewer, member, admin or owner."))
}

/// A number within a range.
///
/// # Errors
/// 422 for the field.
pub fn within(field: &str, number: i64, range: std::ops::RangeInclusive<i32>) -> Result<i32, Problem> {
    i32::try_from(number).ok().filter(|number| range.contains(number)).ok_or_else(|| {
        Problem::invalid(field, format!("This must be a number from {} to {}.", range.start(), range.end()))
    })
}

/// Seconds of nothing after which a machine hibernates.
///
/// # Errors
/// 422 for the field.
pub fn idle_seconds(field: &str, seconds: i64) -> Result<i32, Problem> {
    within(field, seconds, 300..=86_400)
}

/// That a default is not above its maximum.
///
/// # Errors
/// 422 for `idle_seconds`.
pub fn idle_order(default: Option<i32>, most: Option<i32>) -> Result<(), Problem> {
    match (default, most) {
        (Some(default), Some(most)) if default > most => {
            Err(Problem::invalid("idle_seconds", "The default cannot be longer than the maximum."))
        }
        _ => Ok(()),
    }
}

/// A port that an app may have.
///
/// # Errors
/// 422 for the field.
pub fn app_port(field: &str, number: i64) -> Result<u16, Problem> {
    u16::try_from(number).ok().filter(|port| snapvm_protocol::hosts::is_app_port(*port)).ok_or_else(|| {
        Problem::invalid(field, "A port is a number from 1024 to 65535, other than 8080, which is the agent's.")
    })
}

/// A service's definition.
///
/// # Errors
/// 422 for the field that is wrong.
pub fn service(definition: &ServiceDefinition) -> Result<(), Problem> {
    service_name(&definition.name)?;
    if definition.command.trim().is_empty() {
        return Err(Problem::invalid("command", "This is required: a path, or the name of a program."));
    }
    if let Some(port) = definition.http_port {
        app_port("http_port", i64::from(port))?;
    }
    let text_size = definition.command.len()
        + definition.directory.as_deref().map_or(0, str::len)
        + definition.args.iter().map(String::len).sum::<usize>()
        + definition.environment.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
    if text_size > 32 * 1024 || definition.args.len() > 200 || definition.environment.len() > 200 {
        return Err(Problem::invalid("command", "A definition has at most 32 KiB, 200 arguments and 200 variables."));
    }
    let has_nul = |text: &str| text.contains('\0');
    if has_nul(&definition.command)
        || definition.args.iter().any(|argument| has_nul(argument))
        || definition.directory.as_deref().is_some_and(has_nul)
    {
        return Err(Problem::invalid("command", "A definition must not contain NUL characters."));
    }
    for (key, value) in &definition.environment {
        if key.is_empty() || key.contains('=') || has_nul(key) || has_nul(value) {
            return Err(Problem::invalid("environment", "A variable's name is not empty and contains no equals sign."));
        }
    }
    Ok(())
}

/// A service's definition as it is stored: JSON writes a control character as six, so this can be too long where the
/// definition itself is not.
///
/// # Errors
/// 422 for `command`.
pub fn service_text(text: &str) -> Result<(), Problem> {
    if text.len() > SERVICE_TEXT_MAX {
        return Err(Problem::invalid("command", "A definition has at most 64 KiB, written as JSON."));
    }
    Ok(())
}

/// A script that sets a machine up: its service's definition, as it is stored.
///
/// # Errors
/// 422 for `first_boot`.
pub fn first_boot(script: String) -> Result<String, Problem> {
    let refuse = |detail: String| Err(Problem::invalid("first_boot", detail));
    if script.trim().is_empty() {
        return refuse("A script has something in it; leave it out where there is nothing to do.".into());
    }
    if script.len() > SCRIPT_MAX {
        return refuse(format!("A script has at most {SCRIPT_MAX} bytes; this has {}.", script.len()));
    }
    if script.chars().any(|character| character.is_control() && !matches!(character, '\n' | '\t' | '\r')) {
        return refuse("A script must not contain control characters other than line ends and tabs.".into());
    }
    serde_json::to_string(&ServiceDefinition::first_boot(script)).or_else(|_| refuse("It cannot be stored.".into()))
}

/// A service's name.
///
/// # Errors
/// 422 for `name`.
pub fn service_name(text: &str) -> Result<&str, Problem> {
    if is_name(text) {
        return Ok(text);
    }
    Err(Problem::invalid(
        "name",
        format!(
            "A service's name starts with a letter or digit, has a to z, 0 to 9, and _ . - in it, and at most {SERVICE_NAME_MAX} characters."
        ),
    ))
}

/// Slugs to try for a person's first organization, in order: made of the address, then with random endings.
#[must_use]
pub fn slug_candidates(email: &str, random: [u8; 8]) -> Vec<String> {
    let local = email.split('@').next().unwrap_or_default();
    let mut base = String::new();
    for character in local.chars() {
        match character {
            'a'..='z' | '0'..='9' if !(base.is_empty() && character.is_ascii_digit()) => base.push(character),
            _ if !base.is_empty() && !base.ends_with('-') => base.push('-'),
            _ => {}
        }
    }
    base.truncate(ORG_SLUG_MAX - 5);
    let base = base.trim_end_matches('-');
    let base = if base.is_empty() { "team" } else { base };
    let mut candidates = vec![base.to_owned()];
    for pair in random.chunks_exact(2) {
        candidates.push(format!("{base}-{}", pair.iter().map(|byte| format!("{byte:02x}")).collect::<String>()));
    }
    candidates.retain(|slug| slug.parse::<OrgSlug>().is_ok());
    candidates
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!(email(" Ada@Example.com "), Ok("ada@example.com".into()));
        for wrong in ["", "a", "a@b", "@b.c", "a@b.", "a@.b", "a@@b.c", "a b@c.d", "a@b.c\n\u{0}d"] {
            assert!(email(wrong).is_err(), "{wrong:?}");
        }
        assert!(email(&format!("{}@b.cd", "a".repeat(250))).is_err());
    }

    #[test]
    fn every_candidate_is_a_slug() {
        for address in [
            "ada@x.y",
            "1@x.y",
            "...@x.y",
            "a.b+c@x.y",
            "ADMIN@x.y",
            "admin@x.y",
            "ä@x.y",
            "very.long.address.of.somebody@x.y",
        ] {
            let candidates = slug_candidates(address, [1, 2, 3, 4, 5, 6, 7, 8]);
            assert!(candidates.len() >= 4, "{address}: {candidates:?}");
        }
        assert_eq!(slug_candidates("ada.l@x.y", [0; 8]).first().map(String::as_str), Some("ada-l"));
    }

    #[test]
    fn scripts() {
        for wrong in ["", " \n", "a\0", "\u{1b}[2J", &"a".repeat(SCRIPT_MAX + 1)] {
            assert_eq!(first_boot(wrong.into()).unwrap_err().field.as_deref(), Some("first_boot"), "{wrong:?}");
        }
        // The longest of what is written longest as JSON is stored, and edited as any other service is.
        let longest = "\"".repeat(SCRIPT_MAX);
        let text = first_boot(longest.clone()).unwrap();
        assert_eq!(service_text(&text), Ok(()));
        let definition: ServiceDefinition = serde_json::from_str(&text).unwrap();
        assert_eq!((service(&definition), definition.args[1] == longest, definition.once), (Ok(()), true, true));
    }

    #[test]
    fn service_names() {
        assert!(service_name("web-1.a_b").is_ok());
        for wrong in ["", "-a", "A", "a b", "a/b", &"a".repeat(64)] {
            assert!(service_name(wrong).is_err(), "{wrong}");
        }
    }
}
