//! The schema as text, from the catalogs: what `tests/output/schema.txt` locks.
//!
//! `pg_dump` would need the server's own version beside us, and writes differently in each; these queries give the
//! same text on every supported version. What only some versions know is left out: constraints that stand for
//! `not null` (18), the privilege `MAINTAIN` (17), and the memberships that creating a role makes (16).

mod queries;

use std::fmt::Write;

use anyhow::{Context, Result};
use tokio_postgres::Client;

/// The whole schema, but for the migrations' own ledger. Call it as the role that ran the migrations: whatever that
/// role is called, the text says `migrator`.
///
/// # Errors
/// When a catalog can't be read.
pub async fn dump(client: &mut Client) -> Result<String> {
    let transaction = client.transaction().await?;
    // Names are written with their schema, whatever the path of the caller.
    transaction.batch_execute("set local search_path = ''").await?;
    let mut text = String::from("-- Written by `cargo xtask db schema`.\n");
    for (title, query) in queries::SECTIONS {
        let rows = transaction.query(query, &[]).await.with_context(|| format!("cannot read {title}"))?;
        let mut lines = Vec::with_capacity(rows.len());
        for row in rows {
            // The server breaks long expressions over lines.
            let line: String = row.try_get(0)?;
            lines.push(line.split_whitespace().collect::<Vec<_>>().join(" "));
        }
        lines.sort();
        write!(text, "\n-- {title}\n")?;
        for line in lines {
            writeln!(text, "{line}")?;
        }
    }
    Ok(text)
}
