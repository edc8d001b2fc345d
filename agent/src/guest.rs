//! The guest around the agent: its user's home and variables, and the runtime's socket.

pub mod tasks;

use std::path::PathBuf;

use snapvm_protocol::agent::environment as variables;

/// The user's home: `HOME`, else what the password file says, else `/`.
#[must_use]
pub fn home() -> PathBuf {
    let named = std::env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    named.or_else(|| password_entry().map(|(_, home)| PathBuf::from(home))).unwrap_or_else(|| PathBuf::from("/"))
}

/// Variables that programs in the guest expect and that the agent's own service may not have.
#[must_use]
pub fn environment() -> Vec<(&'static str, String)> {
    let mut missing = Vec::new();
    let mut add = |name, value: Option<String>| {
        if std::env::var_os(name).is_none_or(|value| value.is_empty()) {
            missing.extend(value.map(|value| (name, value)));
        }
    };
    let entry = password_entry();
    add("HOME", entry.as_ref().map(|(_, home)| home.clone()));
    add("USER", entry.as_ref().map(|(name, _)| name.clone()));
    add("LOGNAME", entry.map(|(name, _)| name));
    add("PATH", Some("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()));
    add("LANG", Some("C.UTF-8".to_owned()));
    missing
}

/// Variables of the agent that are no business of the programs it starts: none is secret, all would confuse.
#[must_use]
pub fn private_variables() -> Vec<std::ffi::OsString> {
    let ours = [variables::MACHINE, variables::GENERATION, variables::DIAL_ORIGIN, variables::PLATFORM_KEY];
    let is_private = |name: &std::ffi::OsString| {
        name.to_str().is_some_and(|name| ours.contains(&name) || name.starts_with("SNAPVM_TEST_"))
            || name == crate::handover::process::VARIABLE
    };
    std::env::vars_os().map(|(name, _)| name).filter(is_private).collect()
}

/// Where the logs of services lie.
#[must_use]
pub fn log_folder() -> PathBuf {
    if let Some(folder) = std::env::var_os("SNAPVM_TEST_LOGS") {
        return folder.into();
    }
    if rustix::process::geteuid().is_root() { "/var/log/snapvm".into() } else { home().join(".snapvm/logs") }
}

/// Where it is written which services that run once have run.
#[must_use]
pub fn once_folder() -> PathBuf {
    if let Some(folder) = std::env::var_os("SNAPVM_TEST_ONCE") {
        return folder.into();
    }
    if rustix::process::geteuid().is_root() { "/var/lib/snapvm/once".into() } else { home().join(".snapvm/once") }
}

/// Name and home of the effective user. Read from the file, since a static binary cannot load name services.
fn password_entry() -> Option<(String, String)> {
    let user = rustix::process::geteuid().as_raw().to_string();
    let file = std::fs::read_to_string("/etc/passwd").ok()?;
    file.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let is_user = fields.nth(1)? == user;
        let home = fields.nth(2)?;
        is_user.then(|| (name.to_owned(), home.to_owned()))
    })
}
