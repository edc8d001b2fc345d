//! Prepared machines are nobody's: no credential of a person sees one or takes one, but by creating a machine, which takes
//! one and makes it that organization's alone.

use serde_json::Value;
use snapvm_tests::{Client, Org, rows, world};
use tokio_postgres::types::{ToSql, Type};
use xtask::database::connect::connect;

/// Of a size that nothing else in this database has.
const SIZE: &str = "prepared";

async fn ready(superuser: &tokio_postgres::Client) -> String {
    let id = rows::new_id();
    let insert = "insert into app.prepared (id, runtime, size, region, state, agent_digest, sprite_name, sprite_id, sprite_url)
        values ($1::text::uuid, 'spritehost', $2, 'local', 'hibernated', 'digest', 's-prepared', 'sprite-' || $1, 'http://x')";
    assert_eq!(rows::run(superuser, insert, &[&id, SIZE]).await, 1);
    id
}

async fn left(superuser: &tokio_postgres::Client) -> i64 {
    rows::value(superuser, "select count(*) from app.prepared where size = $1", &[SIZE]).await
}

fn credential(client: &Client) -> String {
    match client.token() {
        Some(token) => format!("t:{}", snapvm::secrets::hash(token.as_bytes())),
        None => format!("s:{}", snapvm::secrets::hash(client.session().expect("a session").as_bytes())),
    }
}

/// One statement, as the Worker sends it: through the pooler, nothing may be prepared there.
async fn ask(app: &tokio_postgres::Client, call: &str, parameters: &[&str]) -> (i32, String) {
    let typed: Vec<(&(dyn ToSql + Sync), Type)> =
        parameters.iter().map(|text| (text as &(dyn ToSql + Sync), Type::TEXT)).collect();
    let rows = app.query_typed(call, &typed).await.unwrap_or_else(|error| panic!("{call}: {error:?}"));
    (rows[0].get(0), rows[0].get(1))
}

/// Creates a machine as the Worker would; gives the status and the machine's id.
async fn create(app: &tokio_postgres::Client, who: &Client, org: &Org, name: &str) -> (i32, Option<String>) {
    let call = "select status, body from api.machines_create($1, '{}', $2, $3, $4, $5, 'spritehost', $6, 'local', null, 50, 50)";
    let (machine, event) = (rows::new_id(), rows::new_id());
    let (status, body) = ask(app, call, &[&credential(who), &org.slug, &machine, &event, name, SIZE]).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    (status, body["id"].as_str().map(str::to_owned))
}

#[tokio::test]
async fn only_a_machine_takes_a_prepared_one_and_only_one() {
    let (superuser, app) = (world().superuser().await, connect(&world().stack.database.app).await.unwrap());
    let (org, other) = (world().org().await, world().org().await);
    let (viewer, member) = (org.member(world(), "viewer").await, org.member(world(), "member").await);
    let (reader, _) = org.owner.token("read").await;
    let ids = [ready(&superuser).await, ready(&superuser).await];

    // Straight in the table, in any role: nothing is there.
    for who in [&viewer.client, &member.client, &org.owner.client, &other.owner.client, &reader] {
        app.batch_execute("begin").await.unwrap();
        let context = format!(
            "select set_config('app.credential', '{}', true), set_config('app.org', '{}', true)",
            credential(who),
            rows::org_id(&superuser, &org.slug).await
        );
        app.batch_execute(&context).await.unwrap();
        let seen: i64 = app.query_one("select count(*) from app.prepared", &[]).await.unwrap().get(0);
        let changed = app.execute("update app.prepared set state = 'deleting'", &[]).await.unwrap();
        let deleted = app.execute("delete from app.prepared", &[]).await.unwrap();
        let told: Option<String> =
            app.query_one("select api.prepared_record($1::text::uuid)", &[&ids[0]]).await.unwrap().get(0);
        assert_eq!((seen, changed, deleted, told), (0, 0, 0, None));
        app.batch_execute("rollback").await.unwrap();
        // There is no other way to take one.
        assert!(app.batch_execute("select authz.take_prepared()").await.is_err());
    }

    // Who may not create takes none, and neither does a name that is taken.
    assert_eq!(create(&app, &viewer.client, &org, "viewers").await.0, 403);
    assert_eq!(create(&app, &reader, &org, "readers").await.0, 403);
    assert_eq!(create(&app, &other.owner.client, &org, "strangers").await.0, 404);
    assert_eq!(left(&superuser).await, 2);
    let (status, first) = create(&app, &member.client, &org, "demo").await;
    assert_eq!((status, first.as_deref()), (201, Some(ids[0].as_str())), "the oldest one");
    assert_eq!(create(&app, &member.client, &org, "demo").await.0, 409);
    assert_eq!(left(&superuser).await, 1);

    // What was taken is nobody else's, and the object that has not heard of it writes nothing to it.
    let gateway = format!("j:{}", snapvm::secrets::hash(world().stack.secrets.service_credential.as_bytes()));
    let late = "select status, body from api.gateway_prepared($1, '{}', $2, 'failed', 'late', '99999999999999', null, null, null)";
    assert_eq!(ask(&app, late, &[&gateway, &ids[0]]).await.0, 404);
    let state: String =
        rows::value(&superuser, "select state from app.machine where id = $1::text::uuid", &[&ids[0]]).await;
    assert_eq!(state, "creating");

    // Two at once: a transaction that has one does not hold the other up.
    let third = ready(&superuser).await;
    app.batch_execute("begin").await.unwrap();
    let (status, second) = create(&app, &member.client, &org, "second").await;
    let beside = connect(&world().stack.database.app).await.unwrap();
    let (beside_status, taken) = create(&beside, &other.owner.client, &other, "beside").await;
    app.batch_execute("commit").await.unwrap();
    assert_eq!((status, second), (201, Some(ids[1].clone())));
    assert_eq!((beside_status, taken), (201, Some(third)));
    assert_eq!(left(&superuser).await, 0);
    let (status, own) = create(&app, &member.client, &org, "own").await;
    assert!(status == 201 && own.is_some(), "without one it is made as ever");

    // What hangs on it is deleted with it; the rest of the database is the other tests'.
    let gone = "delete from app.machine where size = $1";
    assert_eq!(rows::run(&superuser, gone, &[SIZE]).await, 4);
}
