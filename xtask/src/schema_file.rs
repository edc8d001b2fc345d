//! `cargo xtask db schema`: writes or checks `tests/output/schema.txt`.

use anyhow::Result;

use crate::database::connect::connect;
use crate::database::schema::dump;
use crate::locked;
use crate::stack::Stack;

const FILE: &str = "tests/output/schema.txt";

/// Migrates an empty database and writes its schema, or with `check` fails when the file says otherwise. With a URL,
/// that database is read as it is, and only compared: to see whether a deployment or another version differs.
///
/// # Errors
/// When the database can't be made or read, or the file differs.
pub async fn write_or_check(check: bool, url: Option<&str>) -> Result<()> {
    let command = "cargo xtask db schema";
    if let Some(url) = url {
        let text = dump(&mut connect(url).await?).await?;
        return locked::write_or_check(FILE, &text, true, command);
    }
    let stack = Stack::builder().database_only().start().await?;
    let text = dump(&mut connect(&stack.database.admin).await?).await?;
    locked::write_or_check(FILE, &text, check, command)
}
