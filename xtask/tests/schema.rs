//! The schema's dump.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use xtask::database::connect::connect;
use xtask::database::schema::dump;
use xtask::stack::Stack;

async fn dump_of_a_new_database(sql: &str) -> String {
    let stack = Stack::builder().database_only().without_migrations().start().await.unwrap();
    let mut client = connect(&stack.database.admin).await.unwrap();
    client.batch_execute(sql).await.unwrap();
    dump(&mut client).await.unwrap()
}

#[tokio::test]
async fn it_says_what_matters_and_says_it_again() {
    let sql = "
        create role snap_reader nologin;
        create schema app;
        create table app.thing (id uuid primary key, name text not null default 'x' check (name <> ''));
        alter table app.thing enable row level security;
        create policy wall on app.thing as restrictive for all to snap_reader using (name = 'x');
        grant select (id), update (name) on app.thing to snap_reader;
        create index thing_by_name on app.thing (name);
        create function app.count() returns bigint language sql stable security definer set search_path = ''
            as 'select count(*) from app.thing';
        revoke execute on function app.count() from public;";
    let text = dump_of_a_new_database(sql).await;
    for line in [
        "snap_reader nologin inherit",
        "schema app owner migrator",
        "table app.thing owner migrator rls",
        "app.thing 002 name text not null default 'x'::text",
        "app.thing wall restrictive for all to snap_reader using ((name = 'x'::text))",
        "grant update on app.thing(name) to snap_reader",
        "CREATE INDEX thing_by_name ON app.thing USING btree (name)",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is missing in:\n{text}");
    }
    assert!(
        text.contains(
            "function app.count() returns bigint sql owner migrator definer stable set search_path=\"\" execute nobody "
        ),
        "{text}"
    );
    assert_eq!(dump_of_a_new_database(sql).await, text);
}
