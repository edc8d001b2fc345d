//! The audit trail.

use serde_json::{Value, json};
use snapvm_tests::{Answer, Org, rows, world};

async fn rows_of(answer: &Answer) -> Vec<(String, i32, Option<String>)> {
    let superuser = world().superuser().await;
    let found = superuser
        .query(
            "select operation, status, account_id::text from app.audit where request_id = $1",
            &[&answer.request_id()],
        )
        .await
        .unwrap();
    found.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
}

async fn entries(org: &Org) -> Vec<Value> {
    org.owner.client.get(org.path("/audit")).await.expect(200)["entries"].as_array().unwrap().clone()
}

#[tokio::test]
async fn only_admins_read_it_and_only_their_own() {
    let (org, other) = (world().org().await, world().org().await);
    for role in ["viewer", "member"] {
        let person = org.member(world(), role).await;
        person.client.get(org.path("/audit")).await.problem(403, "role");
    }
    let admin = org.member(world(), "admin").await;
    admin.client.get(org.path("/audit")).await.expect(200);
    other.owner.client.get(org.path("/audit")).await.problem(404, "not_found");
    other.owner.client.post(other.path("/machines"), json!({"name": "other-machine"})).await.expect(201);
    assert!(entries(&org).await.iter().all(|entry| entry["operation"] != "machines_create"));
    for limit in ["0", "501", "-1", "a", "", "%00"] {
        org.owner.client.get(org.path(&format!("/audit?limit={limit}"))).await.invalid("limit");
    }
}

#[tokio::test]
async fn a_refusal_of_somebody_known_is_written_down() {
    let org = world().org().await;
    let viewer = org.member(world(), "viewer").await;
    let refused = viewer.client.post(org.path("/machines"), json!({"name": "a"})).await;
    refused.problem(403, "role");
    assert_eq!(rows_of(&refused).await, [("machines_create".into(), 403, Some(viewer.account.clone()))]);
    let entry = &entries(&org).await[0];
    assert_eq!((&entry["operation"], &entry["status"]), (&json!("machines_create"), &json!(403)));
    assert_eq!(entry["address"], viewer.client.address());
    assert_eq!(entry["request_id"], refused.request_id());
}

#[tokio::test]
async fn what_is_written_is_what_was_answered() {
    let org = world().org().await;
    let member = org.member(world(), "member").await;
    let client = &org.owner.client;
    let (_, token) = org.owner.token("read").await;
    let machine = client.post(org.path("/machines"), json!({"name": "one"})).await;
    let answers = [
        machine,
        client.post(org.path("/machines"), json!({"name": "one"})).await,
        client.patch(org.path("/machines/none"), json!({"app_port": 4000})).await,
        client.patch(org.path(&format!("/members/{}", org.owner.account)), json!({"role": "viewer"})).await,
        client.delete(org.path(&format!("/members/{}", org.owner.account))).await,
        client.delete(org.path(&format!("/members/{}", member.account))).await,
        client.delete(org.path(&format!("/members/{}", rows::new_id()))).await,
        client.put(org.path("/machines/one/ports/3000"), json!({"label": "Web"})).await,
        client.delete(org.path("/machines/one/ports/3001")).await,
        client.delete(org.path("/machines/one/ports/3000")).await,
        client.delete(format!("/v1/tokens/{}", rows::new_id())).await,
        client.delete(format!("/v1/tokens/{token}")).await,
        client.delete(format!("/v1/sessions/{}", rows::new_id())).await,
        client.delete("/v1/sessions/current").await,
    ];
    for answer in &answers {
        let written = rows_of(answer).await;
        assert_eq!(written.len(), 1, "{}: {written:?}", answer.asked);
        assert_eq!(written[0].1, i32::from(answer.status), "{}: {written:?}", answer.asked);
        assert_eq!(written[0].2.as_deref(), Some(org.owner.account.as_str()), "{}", answer.asked);
    }
}

#[tokio::test]
async fn reading_writes_nothing() {
    let org = world().org().await;
    for path in ["", "/members", "/machines", "/audit"] {
        let answer = org.owner.client.get(org.path(path)).await;
        answer.expect(200);
        assert_eq!(rows_of(&answer).await, []);
    }
}

#[tokio::test]
async fn a_list_is_newest_first_and_has_a_limit() {
    let org = world().org().await;
    for number in 0..4 {
        org.owner.client.post(org.path("/machines"), json!({"name": format!("m{number}")})).await.expect(201);
    }
    let all = entries(&org).await;
    let times: Vec<&str> = all.iter().map(|entry| entry["at"].as_str().unwrap()).collect();
    assert!(times.is_sorted_by(|a, b| a >= b), "{times:?}");
    let some = org.owner.client.get(org.path("/audit?limit=2")).await.expect(200);
    assert_eq!(some["entries"].as_array().unwrap(), &all[..2]);
}
