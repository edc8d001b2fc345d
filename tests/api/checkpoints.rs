//! Checkpoints, as far as the record decides about them: no runtime is behind these machines.

use serde_json::{Value, json};
use snapvm_tests::rows::MachineRows;
use snapvm_tests::{Org, rows, world};
use tokio_postgres::Client;

/// A machine whose files are nowhere, with one checkpoint that is ready.
async fn with_files(superuser: &Client, org: &Org, name: &str) -> MachineRows {
    let machine = rows::machine(superuser, &org.slug, &org.owner.account, name).await;
    let set = "update app.machine set sprite_name = 's-' || $1, sprite_id = 'sprite-' || $1,
        sprite_url = 'http://127.0.0.1:9' where id = $1::text::uuid";
    rows::run(superuser, set, &[&machine.id]).await;
    machine
}

async fn set_state(superuser: &Client, checkpoint: &Value, state: &str) {
    let set = "update app.checkpoint set state = $2, name = 'v2' where id = $1::text::uuid";
    assert_eq!(rows::run(superuser, set, &[checkpoint["id"].as_str().unwrap(), state]).await, 1);
}

#[tokio::test]
async fn a_comment_that_cannot_be_accepted_is_named() {
    let (org, superuser) = (world().org().await, world().superuser().await);
    with_files(&superuser, &org, "one").await;
    let path = org.path("/machines/one/checkpoints");
    for comment in ["a\nb".to_owned(), "a".repeat(201)] {
        org.owner.client.post(&path, json!({"comment": comment})).await.invalid("comment");
    }
    for body in [json!({"comment": 5}), json!({"comment": "a", "wait": true})] {
        org.owner.client.post(&path, body).await.problem(400, "malformed_body");
    }
    let made = org.owner.client.post(&path, json!({"comment": "ä".repeat(200)})).await.expect(202);
    assert_eq!((&made["state"], &made["name"], &made["generation"]), (&json!("making"), &Value::Null, &json!(1)));
    assert_eq!(made["created_by"], json!(org.owner.name));
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let (org, superuser) = (world().org().await, world().superuser().await);
    let machine = with_files(&superuser, &org, "one").await;
    let other = with_files(&superuser, &org, "other").await;
    let client = &org.owner.client;
    client.get(org.path("/machines/none/checkpoints")).await.problem(404, "not_found");
    client.post(org.path("/machines/none/checkpoints"), json!({})).await.problem(404, "not_found");
    // Another machine's checkpoint is none of this one's, and what is no id names nothing.
    for id in [&rows::new_id(), &other.checkpoint, "none"] {
        let path = org.path(&format!("/machines/one/checkpoints/{id}"));
        client.delete(&path).await.problem(404, "not_found");
        client.order(format!("{path}/restore")).await.problem(404, "not_found");
    }
    let list = client.get(org.path("/machines/one/checkpoints")).await.expect(200);
    assert_eq!((&list["checkpoints"][0]["id"], &list["limit"]), (&json!(machine.checkpoint), &json!(10)));
}

#[tokio::test]
async fn one_thing_at_a_time_and_each_refusal_says_what_is_under_way() {
    let (org, superuser) = (world().org().await, world().superuser().await);
    let machine = with_files(&superuser, &org, "one").await;
    let (member, viewer) = (org.member(world(), "member").await, org.member(world(), "viewer").await);
    let path = org.path("/machines/one/checkpoints");
    let ready = format!("{path}/{}", machine.checkpoint);
    let made = member.client.post(&path, json!({"comment": "mine"})).await.expect(202);
    for (state, words) in [("making", "being made"), ("restoring", "being restored"), ("deleting", "being deleted")] {
        set_state(&superuser, &made, state).await;
        for answer in [
            org.owner.client.post(&path, json!({})).await,
            org.owner.client.order(format!("{ready}/restore")).await,
            org.owner.client.delete(&ready).await,
        ] {
            let problem = answer.problem(409, "checkpoint_busy");
            assert!(problem["detail"].as_str().unwrap().contains(words), "{state}: {problem}");
        }
        // It can be looked at by everybody.
        let list = viewer.client.get(&path).await.expect(200);
        assert_eq!((&list["checkpoints"][0]["id"], &list["checkpoints"][0]["state"]), (&made["id"], &json!(state)));
    }

    // Two who ask in the same moment are not both let in.
    set_state(&superuser, &made, "ready").await;
    let restore = format!("{path}/{}/restore", made["id"].as_str().unwrap());
    let all = futures::future::join_all((0..6).map(|_| member.client.order(&restore))).await;
    let mut statuses: Vec<u16> = all.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [202, 409, 409, 409, 409, 409]);
    // The machine is of a new generation from then on, once, and its history says whose doing that was.
    assert_eq!(viewer.client.get(org.path("/machines/one")).await.expect(200)["generation"], 2);
    let events = viewer.client.get(org.path("/machines/one/events")).await.expect(200);
    let ordered: Vec<&Value> =
        events["events"].as_array().unwrap().iter().filter(|event| event["kind"] == "restoring").collect();
    let [event] = ordered.as_slice() else { panic!("{events}") };
    assert_eq!(event["actor"], json!(member.name));
    assert!(event["detail"].as_str().unwrap().contains("checkpoint v2 (mine)"), "{event}");
}

#[tokio::test]
async fn there_are_at_most_ten_and_what_failed_does_not_count() {
    let (org, superuser) = (world().org().await, world().superuser().await);
    let machine = with_files(&superuser, &org, "one").await;
    let (client, path) = (&org.owner.client, org.path("/machines/one/checkpoints"));
    for number in 0..9 {
        let made = client.post(&path, json!({"comment": number.to_string()})).await.expect(202);
        set_state(&superuser, &made, "ready").await;
    }
    let problem = client.post(&path, json!({})).await.problem(409, "limit");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("10 checkpoints") && detail.contains("Delete one"), "{detail}");
    // One that failed: there is nothing behind it, so there is nothing to go back to, and it goes at once.
    let fail = "update app.checkpoint set state = 'failed', name = null, reason = 'It could not be made.'
        where id = $1::text::uuid";
    rows::run(&superuser, fail, &[&machine.checkpoint]).await;
    client.order(format!("{path}/{}/restore", machine.checkpoint)).await.problem(409, "state");
    let made = client.post(&path, json!({})).await.expect(202);
    set_state(&superuser, &made, "ready").await;
    client.delete(format!("{path}/{}", machine.checkpoint)).await.expect(202);
    let list = client.get(&path).await.expect(200);
    let comments: Vec<&str> = list["checkpoints"]
        .as_array()
        .unwrap()
        .iter()
        .map(|checkpoint| checkpoint["comment"].as_str().unwrap())
        .collect();
    assert_eq!(comments, ["", "8", "7", "6", "5", "4", "3", "2", "1", "0"], "newest first");
}

#[tokio::test]
async fn a_machine_without_files_has_no_checkpoints() {
    let (org, superuser) = (world().org().await, world().superuser().await);
    let creating = rows::machine(&superuser, &org.slug, &org.owner.account, "creating").await;
    let path = org.path("/machines/creating/checkpoints");
    org.owner.client.post(&path, json!({})).await.problem(409, "state");
    org.owner.client.order(format!("{path}/{}/restore", creating.checkpoint)).await.problem(409, "state");
    let deleting = with_files(&superuser, &org, "deleting").await;
    let set = "update app.machine set state = 'deleting' where id = $1::text::uuid";
    rows::run(&superuser, set, &[&deleting.id]).await;
    let path = org.path("/machines/deleting/checkpoints");
    org.owner.client.post(&path, json!({})).await.problem(404, "not_found");
    org.owner.client.order(format!("{path}/{}/restore", deleting.checkpoint)).await.problem(404, "not_found");
}
