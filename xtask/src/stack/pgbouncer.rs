//! `PgBouncer` in transaction mode: what stands between the Worker and Postgres in development and tests, as
//! Hyperdrive does in production.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;

use super::component::{Component, ComponentSpec, Ready};
use super::postgres::DATABASE;
use crate::process::ProcessSpec;

/// What `PgBouncer` needs to know.
#[derive(Debug)]
pub(crate) struct PgBouncerOptions<'a> {
    /// Where its settings go.
    pub(crate) folder: &'a Path,
    pub(crate) port: u16,
    pub(crate) postgres_port: u16,
    /// Login roles and their passwords. They are used on both sides: MD5 towards clients, because the Worker connects
    /// for every request and SCRAM in wasm costs more than the query; SCRAM towards Postgres, where connections last.
    pub(crate) users: &'a [(&'a str, &'a str)],
}

/// Writes its settings, and says what to run.
pub(crate) fn prepare(options: &PgBouncerOptions<'_>) -> Result<Component> {
    let users = options.folder.join("pgbouncer-users.txt");
    let settings = options.folder.join("pgbouncer.ini");
    write_private(&users, &user_list(options.users))?;
    write_private(&settings, &render(options, &users))?;
    Ok(Component::new(ComponentSpec {
        process: ProcessSpec {
            name: "PgBouncer".into(),
            program: PathBuf::from("pgbouncer"),
            arguments: vec![settings.display().to_string()],
            environment: vec![("PATH".into(), super::path_with_sbin())],
            log: options.folder.join("pgbouncer.log"),
            signal_at_parent_death: Signal::SIGKILL,
            refuses_root: true,
        },
        ready: Ready::Accepts(options.port),
        start_patience: Duration::from_secs(20),
        stop_signal: Signal::SIGTERM,
        stop_patience: Duration::from_secs(5),
        stop_on_drop: false,
        transient_failure: None,
    }))
}

fn user_list(users: &[(&str, &str)]) -> String {
    let quote = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let lines: Vec<String> =
        users.iter().map(|(name, password)| format!("{} {}\n", quote(name), quote(password))).collect();
    lines.concat()
}

fn render(options: &PgBouncerOptions<'_>, users: &Path) -> String {
    format!(
        "; Written by xtask at every start.\n\
         [databases]\n\
         {DATABASE} = host=127.0.0.1 port={postgres_port} dbname={DATABASE}\n\
         \n\
         [pgbouncer]\n\
         listen_addr = 127.0.0.1\n\
         listen_port = {port}\n\
         unix_socket_dir =\n\
         auth_type = md5\n\
         auth_file = {users}\n\
         pool_mode = transaction\n\
         max_client_conn = 2000\n\
         default_pool_size = 20\n\
         ignore_startup_parameters = extra_float_digits\n\
         server_login_retry = 1\n\
         log_connections = 0\n\
         log_disconnections = 0\n\
         stats_period = 3600\n",
        postgres_port = options.postgres_port,
        port = options.port,
        users = users.display(),
    )
}

/// Writes a file that only we can read.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<()> {
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    file.write_all(text.as_bytes())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transactions_are_pooled_and_quotes_are_doubled() {
        let options =
            PgBouncerOptions { folder: Path::new("/x"), port: 6, postgres_port: 5, users: &[("app", "a\"b")] };
        let text = render(&options, Path::new("/x/users.txt"));
        assert!(text.contains("pool_mode = transaction\n"));
        assert!(text.contains("snapvm = host=127.0.0.1 port=5 dbname=snapvm\n"));
        assert_eq!(user_list(options.users), "\"app\" \"a\"\"b\"\n");
    }
}
