//! `cargo xtask db schema`: writes or checks `tests/output/schema.txt`.

use anyhow::Result;

use crate::database::connect::connect;
use crate::database::schema::dump;
use crate::locked;
use crate::stack::Stack;

/// Migrates an empty database and writes its schema, or with `check` fails when the file says otherwise.
///
/// # Errors
/// When the database can't be made, or the file differs.
pub async fn write_or_check(check: bool) -> Result<()> {
    let stack = Stack::builder().database_only().start().await?;
    let mut client = connect(&stack.database.admin).await?;
    let text = dump(&mut client).await?;
    locked::write_or_check("tests/output/schema.txt", &text, check, "cargo xtask db schema")
}
