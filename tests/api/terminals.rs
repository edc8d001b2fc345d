//! Terminal sessions: the record.

use serde_json::{Value, json};
use snapvm_tests::people::text;
use snapvm_tests::{Client, Org, rows, world};

async fn listed(client: &Client, org: &Org) -> Vec<Value> {
    client.get(org.path("/machines/one/terminals")).await.expect(200)["terminals"].as_array().unwrap().clone()
}

#[tokio::test]
async fn what_cannot_be_accepted_or_is_not_there() {
    let (org, other) = (world().org().await, world().org().await);
    let superuser = world().superuser().await;
    rows::machine(&superuser, &org.slug, &org.owner.account, "one").await;
    let foreign = rows::machine(&superuser, &other.slug, &other.owner.account, "one").await;
    let client = &org.owner.client;
    let path = org.path("/machines/one/terminals");
    for name in ["", " ", "a\u{7}b", &"a".repeat(61)] {
        client.post(&path, json!({"name": name})).await.invalid("name");
    }
    for directory in ["", "work", "./work", "/a\0b", &format!("/{}", "a".repeat(4096))] {
        client.post(&path, json!({"directory": directory})).await.invalid("directory");
    }
    client.post(org.path("/machines/none/terminals"), json!({})).await.problem(404, "not_found");
    client.get(org.path("/machines/none/terminals")).await.problem(404, "not_found");
    for id in [foreign.terminal.clone(), rows::new_id(), "no-id".into(), "%00".into()] {
        client.delete(format!("{path}/{id}")).await.problem(404, "not_found");
        client.patch(format!("{path}/{id}"), json!({"name": "Mine"})).await.problem(404, "not_found");
    }
    assert_eq!(listed(&other.owner.client, &other).await[0]["ended_at"], Value::Null);
}

#[tokio::test]
async fn a_viewer_looks_and_a_member_types() {
    let org = world().org().await;
    let (viewer, member) = (org.member(world(), "viewer").await, org.member(world(), "member").await);
    let superuser = world().superuser().await;
    rows::machine(&superuser, &org.slug, &org.owner.account, "one").await;
    let path = org.path("/machines/one/terminals");
    viewer.client.post(&path, json!({})).await.problem(403, "role");
    let made = member.client.post(&path, json!({})).await.expect(201);
    assert_eq!((&made["name"], &made["state"], &made["directory"]), (&json!("Terminal"), &json!("open"), &Value::Null));
    assert!(listed(&viewer.client, &org).await.contains(&made));
    let id = text(&made["id"]);
    viewer.client.delete(format!("{path}/{id}")).await.problem(403, "role");
    member.client.delete(format!("{path}/{id}")).await.expect(204);
    let ended = listed(&viewer.client, &org).await.into_iter().find(|terminal| terminal["id"] == made["id"]).unwrap();
    assert!(ended["ended_at"].is_string() && ended["state"] == "ended", "{ended}");
    member.client.delete(format!("{path}/{id}")).await.problem(404, "not_found");
    rows::run(
        &superuser,
        "update app.terminal_session set ended_at = now() - interval '25 hours' where id = $1::text::uuid",
        &[&id],
    )
    .await;
    assert!(listed(&viewer.client, &org).await.iter().all(|terminal| terminal["id"] != made["id"]));
}

#[tokio::test]
async fn a_terminal_has_a_name_a_directory_and_somebody_who_opened_it() {
    let org = world().org().await;
    let (viewer, member) = (org.member(world(), "viewer").await, org.member(world(), "member").await);
    rows::machine(&world().superuser().await, &org.slug, &org.owner.account, "one").await;
    let path = org.path("/machines/one/terminals");
    let longest = format!("/{}", "ü".repeat(2047));
    let made = member.client.post(&path, json!({"name": "build", "directory": longest})).await.expect(201);
    assert_eq!((&made["name"], &made["directory"]), (&json!("build"), &json!(longest)));
    let creator = member.client.get("/v1/account").await.expect(200)["name"].clone();
    assert_eq!(made["created_by"], creator);

    let one = format!("{path}/{}", text(&made["id"]));
    viewer.client.patch(&one, json!({"name": "theirs"})).await.problem(403, "role");
    for name in ["", " ", "a\u{7}b", &"a".repeat(61)] {
        org.owner.client.patch(&one, json!({"name": name})).await.invalid("name");
    }
    org.owner.client.patch(&one, json!({"name": "x", "directory": "/"})).await.problem(400, "malformed_body");
    let renamed = org.owner.client.patch(&one, json!({"name": " logs \u{1f9be} "})).await.expect(200);
    assert_eq!((&renamed["name"], &renamed["created_by"]), (&json!("logs \u{1f9be}"), &creator));
    assert!(listed(&viewer.client, &org).await.contains(&renamed));
    // Its name outlives its shell.
    member.client.delete(&one).await.expect(204);
    assert_eq!(member.client.patch(&one, json!({"name": "was logs"})).await.expect(200)["state"], "ended");
}

#[tokio::test]
async fn a_machine_has_at_most_fifty_open_ones() {
    let org = world().org().await;
    let superuser = world().superuser().await;
    let machine = rows::machine(&superuser, &org.slug, &org.owner.account, "one").await;
    rows::run(
        &superuser,
        "insert into app.terminal_session (org_id, machine_id, id, name)
         select org_id, id, gen_random_uuid(), 'Many' from app.machine, generate_series(1, 49) n
         where id = $1::text::uuid",
        &[&machine.id],
    )
    .await;
    let path = org.path("/machines/one/terminals");
    org.owner.client.post(&path, json!({})).await.problem(409, "limit");
    org.owner.client.delete(format!("{path}/{}", machine.terminal)).await.expect(204);
    org.owner.client.post(&path, json!({})).await.expect(201);
}

#[tokio::test]
async fn a_machine_that_is_being_deleted_gets_no_terminals() {
    let org = world().org().await;
    let superuser = world().superuser().await;
    let machine = rows::machine(&superuser, &org.slug, &org.owner.account, "one").await;
    rows::run(&superuser, "update app.machine set state = 'deleting' where id = $1::text::uuid", &[&machine.id]).await;
    org.owner.client.post(org.path("/machines/one/terminals"), json!({})).await.problem(404, "not_found");
}
