//! Migrations against a real Postgres.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use xtask::database::connect::connect;
use xtask::database::migrate::migrate;
use xtask::stack::Stack;

struct Folder(std::path::PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("snapvm-migrations-{name}-{}", std::process::id()));
        std::fs::create_dir_all(path.join("api")).unwrap();
        Self(path)
    }

    fn path(&self) -> &Path {
        &self.0
    }

    fn write(&self, name: &str, sql: &str) {
        std::fs::write(self.0.join(name), sql).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn each_file_once_in_order_and_a_changed_one_is_refused() {
    let stack = Stack::builder().database_only().without_migrations().start().await.unwrap();
    let mut client = connect(&stack.database.admin).await.unwrap();
    let folder = Folder::new("once");
    folder.write("0001_table.sql", "create table thing (name text not null);");
    folder.write(
        "api/things.sql",
        "create or replace function things() returns bigint language sql as 'select 1::bigint';",
    );

    let report = migrate(&mut client, folder.path(), &[]).await.unwrap();
    assert_eq!(report.numbered, ["0001_table.sql"]);
    assert_eq!(report.repeatable, ["things.sql"]);

    let report = migrate(&mut client, folder.path(), &[]).await.unwrap();
    assert_eq!(report, xtask::database::migrate::Report::default(), "a second run does nothing");

    folder.write("0002_row.sql", "insert into thing values ('one');");
    let report = migrate(&mut client, folder.path(), &[]).await.unwrap();
    assert_eq!(report.numbered, ["0002_row.sql"]);

    folder.write(
        "api/things.sql",
        "create or replace function things() returns bigint language sql as 'select count(*) from thing';",
    );
    let report = migrate(&mut client, folder.path(), &[]).await.unwrap();
    assert_eq!((report.numbered.len(), report.repeatable.len()), (0, 1));
    let count: i64 = client.query_one("select things()", &[]).await.unwrap().get(0);
    assert_eq!(count, 1);

    folder.write("0001_table.sql", "create table thing (name text);");
    let error = migrate(&mut client, folder.path(), &[]).await.unwrap_err().to_string();
    assert!(error.contains("0001_table.sql was changed"), "{error}");

    std::fs::remove_file(folder.path().join("0001_table.sql")).unwrap();
    folder.write("0001_other.sql", "select 1;");
    let error = migrate(&mut client, folder.path(), &[]).await.unwrap_err().to_string();
    assert!(error.contains("0001_table.sql was applied to this database and is gone"), "{error}");
}

#[tokio::test]
async fn a_failing_file_leaves_nothing_behind_and_says_where() {
    let stack = Stack::builder().database_only().without_migrations().start().await.unwrap();
    let mut client = connect(&stack.database.admin).await.unwrap();
    let folder = Folder::new("failing");
    folder.write("0001_half.sql", "create table half (name text);\n\nselect wrong_column from half;\n");
    let error = migrate(&mut client, folder.path(), &[]).await.unwrap_err().to_string();
    assert!(error.contains("0001_half.sql: line 3: ") && error.contains("wrong_column"), "{error}");
    let half: Option<String> = client.query_one("select to_regclass('half')::text", &[]).await.unwrap().get(0);
    assert_eq!(half, None);

    folder.write("0001_half.sql", "create table half (name text);");
    let report = migrate(&mut client, folder.path(), &[]).await.unwrap();
    assert_eq!(report.numbered, ["0001_half.sql"]);
}
