//! Applies `migrations/` to a database: the command that operators run, and that every test database is made by.
//!
//! - `NNNN_*.sql` once, in order, each in a transaction of its own together with its line in the ledger.
//! - `api/*.sql` all together, in one transaction, whenever one of them changed. They say `create or replace`.
//! - A file that was applied and has changed since, or is gone, stops everything: the database and the files no
//!   longer say the same, and guessing would be worse. An advisory lock keeps two runs apart.
//! - Passwords of the login roles are no part of the files; see [`RolePassword`].
//!
//! The role in the URL owns the database and may create roles; it need not be a superuser.

use std::path::Path;

use anyhow::{Context, Result, bail};
use tokio_postgres::Client;

use super::migration_files::{self, SqlFile};

/// Two runs at a time on one database take turns by this advisory lock ("snapvm" in ASCII).
const LOCK: i64 = 0x736e_6170_766d;

/// Our own table, in a schema of its own: nothing that the application's roles can see.
const LEDGER: &str = "
    create schema if not exists snapvm_migrations;
    create table if not exists snapvm_migrations.applied (
        name text primary key,
        checksum text not null,
        repeatable boolean not null,
        applied_at timestamptz not null default now()
    );";

/// A login role and the password it is to have.
#[derive(Clone)]
pub struct RolePassword {
    /// The role's name.
    pub role: String,
    /// Its new password.
    pub password: String,
}

impl std::fmt::Debug for RolePassword {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("RolePassword").field("role", &self.role).finish_non_exhaustive()
    }
}

/// What a run did: the names of the files it applied.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Numbered files.
    pub numbered: Vec<String>,
    /// Files of `api/`: all of them, or none.
    pub repeatable: Vec<String>,
}

struct Applied {
    name: String,
    checksum: String,
    repeatable: bool,
}

/// Brings a database up to the files of `folder`, then sets the given passwords.
///
/// # Errors
/// When a file fails (its transaction is rolled back), or when an applied file changed or vanished.
pub async fn migrate(client: &mut Client, folder: &Path, passwords: &[RolePassword]) -> Result<Report> {
    let files = migration_files::read(folder)?;
    client.execute("select pg_advisory_lock($1)", &[&LOCK]).await?;
    let report = run(client, &files).await;
    let report = match report {
        Ok(report) => set_passwords(client, passwords).await.map(|()| report),
        failed => failed,
    };
    // If this fails the connection is gone, and the lock with it.
    let _ = client.execute("select pg_advisory_unlock($1)", &[&LOCK]).await;
    report
}

async fn run(client: &mut Client, files: &migration_files::MigrationFiles) -> Result<Report> {
    let made = client.query_opt("select 1 from pg_namespace where nspname = 'snapvm_migrations'", &[]).await?;
    if made.is_none() {
        client.batch_execute(LEDGER).await.context("cannot create the schema snapvm_migrations")?;
    }
    let applied = ledger(client).await?;
    check_history(&files.numbered, &applied)?;

    let mut report = Report::default();
    for file in files.numbered.iter().skip(applied.iter().filter(|line| !line.repeatable).count()) {
        apply(client, std::slice::from_ref(file), false).await?;
        report.numbered.push(file.name.clone());
    }
    if repeatable_changed(&files.repeatable, &applied) || !report.numbered.is_empty() {
        apply(client, &files.repeatable, true).await?;
        report.repeatable = files.repeatable.iter().map(|file| file.name.clone()).collect();
    }
    Ok(report)
}

async fn ledger(client: &Client) -> Result<Vec<Applied>> {
    let rows = client
        .query("select name, checksum, repeatable from snapvm_migrations.applied order by name", &[])
        .await
        .context("cannot read snapvm_migrations.applied")?;
    rows.iter()
        .map(|row| Ok(Applied { name: row.try_get(0)?, checksum: row.try_get(1)?, repeatable: row.try_get(2)? }))
        .collect()
}

/// Every numbered line of the ledger must be a file, with the same bytes, and no file may have slipped in before one.
fn check_history(files: &[SqlFile], applied: &[Applied]) -> Result<()> {
    for (index, line) in applied.iter().filter(|line| !line.repeatable).enumerate() {
        let Some(file) = files.iter().find(|file| file.name == line.name) else {
            bail!("migrations/{} was applied to this database and is gone: put it back", line.name);
        };
        if file.checksum != line.checksum {
            bail!(
                "migrations/{} was changed after it was applied to this database: put it back as it was, and write a \
                 new migration for the change",
                line.name
            );
        }
        if files.get(index).is_none_or(|expected| expected.name != line.name) {
            bail!("migrations/{} was applied out of order: a file before it is new", line.name);
        }
    }
    Ok(())
}

/// Whether a file of `api/` is new, gone or different. One that is gone leaves its functions behind: dropping them is
/// a numbered migration's work, as it is for a function whose arguments change.
fn repeatable_changed(files: &[SqlFile], applied: &[Applied]) -> bool {
    let known: Vec<&Applied> = applied.iter().filter(|line| line.repeatable).collect();
    known.len() != files.len()
        || files.iter().any(|file| !known.iter().any(|line| line.name == file.name && line.checksum == file.checksum))
}

async fn apply(client: &mut Client, files: &[SqlFile], repeatable: bool) -> Result<()> {
    let transaction = client.transaction().await?;
    if repeatable {
        transaction.execute("delete from snapvm_migrations.applied where repeatable", &[]).await?;
    }
    for file in files {
        let folder = if repeatable { "migrations/api" } else { "migrations" };
        transaction
            .batch_execute(&file.sql)
            .await
            .map_err(|error| anyhow::anyhow!("{folder}/{}: {}", file.name, describe(&error, &file.sql)))?;
        // A file may have taken another role on; the ledger is ours.
        transaction.batch_execute("reset role; reset row_security; reset search_path").await?;
        transaction
            .execute(
                "insert into snapvm_migrations.applied (name, checksum, repeatable) values ($1, $2, $3)",
                &[&file.name, &file.checksum, &repeatable],
            )
            .await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// A server's error with its line in the file, its detail and its hint.
fn describe(error: &tokio_postgres::Error, sql: &str) -> String {
    let Some(database) = error.as_db_error() else {
        return error.to_string();
    };
    let mut text = format!("{} ({})", database.message(), database.code().code());
    if let Some(tokio_postgres::error::ErrorPosition::Original(position)) = database.position() {
        let line = sql.chars().take(*position as usize).filter(|character| *character == '\n').count() + 1;
        text = format!("line {line}: {text}");
    }
    for (word, more) in [("detail", database.detail()), ("hint", database.hint()), ("where", database.where_())] {
        if let Some(more) = more {
            text = format!("{text}\n  {word}: {more}");
        }
    }
    text
}

/// Sets passwords by `alter role`, the name and the password quoted by the server.
async fn set_passwords(client: &Client, passwords: &[RolePassword]) -> Result<()> {
    for RolePassword { role, password } in passwords {
        let row = client
            .query_one("select format('alter role %I password %L', $1::text, $2::text)", &[role, password])
            .await?;
        let statement: String = row.try_get(0)?;
        client.batch_execute(&statement).await.with_context(|| format!("cannot set the password of {role}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, sql: &str) -> SqlFile {
        SqlFile::new(name, sql.to_owned())
    }

    fn line(file: &SqlFile, repeatable: bool) -> Applied {
        Applied { name: file.name.clone(), checksum: file.checksum.clone(), repeatable }
    }

    #[test]
    fn history_must_be_a_prefix_of_the_files() {
        let (first, second) = (file("0001_a.sql", "select 1"), file("0002_b.sql", "select 2"));
        let files = [first.clone(), second.clone()];
        assert!(check_history(&files, &[]).is_ok());
        assert!(check_history(&files, &[line(&first, false)]).is_ok());
        assert!(check_history(&files, &[line(&file("0001_a.sql", "select 3"), false)]).is_err(), "changed");
        assert!(check_history(&[first], &[line(&second, false)]).is_err(), "vanished");
        assert!(check_history(&files, &[line(&second, false)]).is_err(), "out of order");
    }

    #[test]
    fn repeatable_files_run_again_when_one_is_new_gone_or_different() {
        let (machines, orgs) = (file("machines.sql", "a"), file("orgs.sql", "b"));
        let applied = [line(&machines, true), line(&orgs, true)];
        assert!(!repeatable_changed(&[machines.clone(), orgs.clone()], &applied));
        assert!(repeatable_changed(&[machines.clone(), file("orgs.sql", "c")], &applied));
        assert!(repeatable_changed(std::slice::from_ref(&machines), &applied));
        assert!(repeatable_changed(&[machines, orgs, file("new.sql", "")], &applied));
    }
}
