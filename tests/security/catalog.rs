//! The guard finds nothing in the migrated database, and finds whatever is built otherwise.

use snapvm_tests::world;
use xtask::database::connect::connect;
use xtask::database::migrate::migrate;

use crate::guard::violations;

#[tokio::test]
async fn the_migrated_database_is_built_by_the_rules() {
    let found = violations(&world().superuser().await).await;
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// A tenant table as it has to be.
const GOOD: &str = "
    create table app.thing (org_id uuid not null references app.org (id), id uuid not null, primary key (org_id, id));
    alter table app.thing enable row level security;
    alter table app.thing force row level security;
    create policy wall on app.thing as restrictive for all to snap_app
      using (org_id = (select authz.org_id())) with check (org_id = (select authz.org_id()));
    create policy read on app.thing for select to snap_app using ((select authz.rank()) >= 1);
    grant select on app.thing to snap_app;";

/// What somebody might do wrong, and words of the rule that has to notice.
const MISTAKES: &[(&str, &str)] = &[
    ("alter table app.thing no force row level security", "enabled and forced: thing"),
    ("alter table app.thing disable row level security", "enabled and forced: thing"),
    ("create table app.other (org_id uuid)", "enabled and forced: other"),
    ("drop policy wall on app.thing", "exactly one restrictive policy for snap_app, called wall, for every command"),
    ("alter policy wall on app.thing to snap_app, snap_jobs", "exactly one restrictive policy"),
    (
        "drop policy wall on app.thing; create policy wall on app.thing for all to snap_app using (true) with check (true)",
        "exactly one restrictive policy",
    ),
    (
        "drop policy wall on app.thing; create policy wall on app.thing as restrictive for select to snap_app
        using (org_id = (select authz.org_id()))",
        "exactly one restrictive policy",
    ),
    (
        "drop policy wall on app.thing; create policy wall on app.thing as restrictive for all to snap_app
        using (org_id = (select authz.org_id()))",
        "exactly one restrictive policy",
    ),
    (
        "create policy second on app.thing as restrictive for all to snap_app using (true)",
        "exactly one restrictive policy",
    ),
    ("alter policy wall on app.thing using (org_id is not null)", "is the organization of the context: thing"),
    (
        "alter policy wall on app.thing using (org_id = (select authz.org_id())) with check (true)",
        "lets everything through",
    ),
    ("create policy everybody on app.thing for select using (true)", "never for everybody: thing.everybody"),
    ("create policy slow on app.thing for select to snap_app using (authz.rank() >= 1)", "once for a statement"),
    (
        "create policy claimed on app.thing for select to snap_app
        using (org_id::text = current_setting('app.org', true))",
        "once for a statement",
    ),
    (
        "create policy jobs on app.thing for select to snap_jobs using (true)",
        "only with its own credential: thing.jobs",
    ),
    (
        "create function authz.loose() returns int language sql security definer set search_path = '' as 'select 1'",
        "belongs to snap_authz and lives in authz: authz.loose()",
    ),
    (
        "create function api.definer() returns int language sql security definer set search_path = '' as 'select 1';
      alter function api.definer() owner to snap_authz",
        "belongs to snap_authz and lives in authz: api.definer()",
    ),
    (
        "create function api.pathless() returns int language sql as 'select 1'",
        "looks nothing up by path: api.pathless()",
    ),
    (
        "create function public.anywhere() returns int language sql set search_path = public as 'select 1'",
        "looks nothing up by path: anywhere()",
    ),
    ("grant execute on function authz.rank() to public", "nobody but named roles may call a function: authz.rank()"),
    (
        "create function api.fresh() returns int language sql set search_path = '' as 'select 1'",
        "nobody but named roles may call a function: api.fresh()",
    ),
    ("alter function authz.org_id() leakproof", "keep secrets from operators: authz.org_id()"),
    (
        "create function api.things_list(p_credential text, out status int, out body text) language sql
        set search_path = '' as $$ select 200, 'x' $$",
        "sets the context of its transaction first: api.things_list(text)",
    ),
    (
        "create function api.sticky() returns text language sql set search_path = '' as
        $$ select set_config('app.org', 'x', false) $$",
        "the context ends with the transaction: api.sticky()",
    ),
    (
        "grant create on schema app to snap_app; alter table app.thing owner to snap_app",
        "owns nothing: table app.thing",
    ),
    ("grant snap_owner to snap_app", "member of nothing: snap_app is a snap_owner"),
    ("alter role snap_authz bypassrls", "nobody bypasses row-level security: snap_authz"),
    ("create role stranger bypassrls", "nobody bypasses row-level security: stranger"),
    ("alter role snap_app createdb", "more than ordinary"),
    ("alter role snap_owner login", "nobody logs in as an owner: snap_owner"),
    ("grant truncate on app.thing to snap_app", "thing: TRUNCATE to snap_app"),
    ("grant references (id) on app.thing to snap_jobs", "thing: REFERENCES to snap_jobs"),
    ("grant trigger on app.machine to snap_app", "machine: TRIGGER to snap_app"),
    ("grant select on app.thing to public", "thing: SELECT to public"),
    ("grant select on app.thing to snap_app with grant option", "thing: SELECT to snap_app"),
    ("grant create on schema public to public", "snap_app: create in public"),
    (
        "do $$ begin execute format('grant temporary on database %I to public', current_database()); end $$",
        "snap_app: temporary tables",
    ),
    (
        "grant usage on schema snapvm_migrations to snap_app; grant select on snapvm_migrations.applied to snap_app",
        "snap_app: snapvm_migrations.applied",
    ),
    (
        "create table app.part (org_id uuid not null, machine_id uuid references app.machine (id))",
        "goes by the organization too: part_machine_id_fkey",
    ),
    (
        "create table app.part (org_id uuid not null, machine_id uuid, foreign key (machine_id, org_id) references
        app.machine (org_id, id))",
        "goes by the organization too: part_machine_id_org_id_fkey",
    ),
    ("create index thing_by_id on app.thing (id, org_id)", "leads with the organization: thing_by_id"),
    ("create index thing_by_word on app.thing ((id::text))", "leads with the organization: thing_by_word"),
    ("create type app.color as enum ('red')", "no type of our own, which the driver would have to ask for: color"),
    ("create domain api.word as text", "no type of our own, which the driver would have to ask for: word"),
    (
        "create view app.peek as select * from app.thing",
        "a view asks as its reader, and nothing is materialized: app.peek",
    ),
    ("create materialized view app.copy as select * from app.thing", "nothing is materialized: app.copy"),
    ("create table public.notes (id int)", "tables are in app: notes"),
];

/// A guard that can't fail proves nothing: every mistake is made once, in a database of its own, and taken back.
#[tokio::test]
async fn every_mistake_is_noticed() {
    let superuser = world().superuser().await;
    superuser.batch_execute("create database scratch owner snap_admin").await.expect("a scratch database");
    let at = |url: &str| format!("{}/scratch", url.rsplit_once('/').expect("a database URL").0);
    let mut admin = connect(&at(&world().stack.database.admin)).await.expect("the admin connects");
    migrate(&mut admin, &xtask::paths::root().join("migrations"), &[]).await.expect("migrations");
    let mut scratch = connect(&at(&world().stack.database.superuser)).await.expect("the superuser connects");
    assert_eq!(violations(&scratch).await, Vec::<String>::new());
    for (mistake, words) in MISTAKES {
        let transaction = scratch.transaction().await.unwrap();
        transaction.batch_execute(GOOD).await.unwrap();
        assert_eq!(violations(&transaction).await, Vec::<String>::new());
        transaction.batch_execute(mistake).await.unwrap_or_else(|error| panic!("{mistake}: {error:?}"));
        let found = violations(&transaction).await;
        assert!(found.iter().any(|line| line.contains(words)), "{mistake}: {found:#?}");
        transaction.rollback().await.unwrap();
    }
}
