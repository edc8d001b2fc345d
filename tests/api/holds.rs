//! Holds, and why a machine is awake or asleep, as far as the record knows.

use serde_json::{Value, json};
use snapvm_tests::{rows, world};

const IN_AN_HOUR: &str =
    "select to_char((now() + interval '1 hour') at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')";

#[tokio::test]
async fn a_field_that_cannot_be_accepted_is_named() {
    let org = world().org().await;
    org.machine(&org.owner.client, "one").await;
    let path = org.path("/machines/one/holds");
    let post = |body: Value| org.owner.client.post(&path, body);
    for reason in ["", "  ", "a\nb", &"a".repeat(201)] {
        post(json!({"reason": reason, "minutes": 5})).await.invalid("reason");
    }
    for minutes in [0, -1, 1441, i64::MAX] {
        post(json!({"reason": "a", "minutes": minutes})).await.invalid("minutes");
    }
    let times = ["", "tomorrow", "infinity", "2026-03-01", "2026-03-01T17:00:00", "2000-01-01T00:00:00Z"];
    for until in times.into_iter().chain(["2999-01-01T00:00:00Z"]) {
        post(json!({"reason": "a", "until": until})).await.invalid("until");
    }
    post(json!({"reason": "a"})).await.invalid("until");
    post(json!({"reason": "a", "minutes": 5, "until": "2999-01-01T00:00:00Z"})).await.invalid("until");
    for body in [json!({"minutes": 5}), json!({"reason": "a", "minutes": "5"}), json!({"reason": "a", "forever": true})]
    {
        post(body).await.problem(400, "malformed_body");
    }
    assert_eq!(org.owner.client.get(&path).await.expect(200), json!({"holds": []}));
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let org = world().org().await;
    org.machine(&org.owner.client, "one").await;
    let client = &org.owner.client;
    for machine in ["none", "%00"] {
        let path = org.path(&format!("/machines/{machine}"));
        client.get(format!("{path}/holds")).await.problem(404, "not_found");
        client.get(format!("{path}/why")).await.problem(404, "not_found");
        client.post(format!("{path}/holds"), json!({"reason": "a", "minutes": 5})).await.problem(404, "not_found");
    }
    for hold in ["a", "%00", &rows::new_id()] {
        client.delete(org.path(&format!("/machines/one/holds/{hold}"))).await.problem(404, "not_found");
    }
}

#[tokio::test]
async fn a_hold_is_listed_until_it_ends_and_history_says_who() {
    let org = world().org().await;
    let (viewer, member) = (org.member(world(), "viewer").await, org.member(world(), "member").await);
    let (reader, _) = org.owner.token("read").await;
    org.machine(&org.owner.client, "one").await;
    let path = org.path("/machines/one/holds");
    let body = json!({"reason": " A migration ", "minutes": 90});
    viewer.client.post(&path, body.clone()).await.problem(403, "role");
    reader.post(&path, body.clone()).await.problem(403, "scope");
    let first = member.client.post(&path, body).await.expect(201);
    assert_eq!((&first["reason"], &first["created_by"]), (&json!("A migration"), &json!(member.name)));

    let superuser = world().superuser().await;
    let until: String = rows::value(&superuser, IN_AN_HOUR, &[]).await;
    let second = org.owner.client.post(&path, json!({"reason": "A demo", "until": until})).await.expect(201);
    assert_eq!(second["until"], until.replace('Z', ".000Z"));
    // The first to end comes first.
    assert_eq!(viewer.client.get(&path).await.expect(200)["holds"], json!([second, first]));

    // Anybody who might stop the machine may end it; once.
    let one = format!("{path}/{}", first["id"].as_str().unwrap());
    viewer.client.delete(&one).await.problem(403, "role");
    org.owner.client.delete(&one).await.expect(204);
    org.owner.client.delete(&one).await.problem(404, "not_found");

    // One whose time has come is not there.
    let end = "update app.hold set created_at = now() - interval '2 hours', until = now() - interval '1 second'
        where id = $1::text::uuid";
    assert_eq!(rows::run(&superuser, end, &[second["id"].as_str().unwrap()]).await, 1);
    assert_eq!(viewer.client.get(&path).await.expect(200)["holds"], json!([]));
    org.owner.client.delete(format!("{path}/{}", second["id"].as_str().unwrap())).await.problem(404, "not_found");

    let events = viewer.client.get(org.path("/machines/one/events")).await.expect(200);
    let about: Vec<(&Value, &Value, &Value)> = events["events"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["kind"].as_str().unwrap().starts_with("hold_"))
        .map(|event| (&event["kind"], &event["detail"], &event["actor"]))
        .collect();
    let [ended, demo, migration] = about.as_slice() else { panic!("{about:?}") };
    assert_eq!((ended.0, ended.1), (&json!("hold_ended"), &json!("Hold ended early: A migration")));
    assert_eq!((ended.2, demo.2, migration.2), (&json!(org.owner.name), &json!(org.owner.name), &json!(member.name)));
    assert!(demo.1.as_str().unwrap().ends_with(": A demo"), "{demo:?}");
}

#[tokio::test]
async fn a_machine_has_at_most_ten_and_ended_ones_make_room() {
    let org = world().org().await;
    let superuser = world().superuser().await;
    let machine = rows::machine(&superuser, &org.slug, &org.owner.account, "one").await;
    let path = org.path("/machines/one/holds");
    let post = || org.owner.client.post(&path, json!({"reason": "a", "minutes": 5}));
    // It has one.
    for _ in 0..9 {
        post().await.expect(201);
    }
    let problem = post().await.problem(409, "limit");
    assert!(problem["detail"].as_str().unwrap().contains("10"), "{problem}");
    let end = "update app.hold set created_at = now() - interval '2 hours', until = now() - interval '1 second'
        where id = $1::text::uuid";
    rows::run(&superuser, end, &[&machine.hold]).await;
    post().await.expect(201);
    let count: i64 =
        rows::value(&superuser, "select count(*) from app.hold where machine_id = $1::text::uuid", &[&machine.id])
            .await;
    assert_eq!(count, 10, "what ended is swept away");
}

#[tokio::test]
async fn a_stopped_machine_is_not_held() {
    let org = world().org().await;
    let superuser = world().superuser().await;
    for state in ["stopping", "stopped"] {
        let machine = rows::machine(&superuser, &org.slug, &org.owner.account, state).await;
        let set = "update app.machine set state = $2 where id = $1::text::uuid";
        rows::run(&superuser, set, &[&machine.id, state]).await;
        let path = org.path(&format!("/machines/{state}/holds"));
        org.owner.client.post(path, json!({"reason": "a", "minutes": 5})).await.problem(409, "state");
    }
}

#[tokio::test]
async fn why_says_who_holds_it_and_what_would_change_that() {
    let org = world().org().await;
    let superuser = world().superuser().await;
    let viewer = org.member(world(), "viewer").await;
    for (state, word) in [("hibernated", "wakes"), ("stopped", "Start"), ("failed", "Start")] {
        let machine = rows::machine(&superuser, &org.slug, &org.owner.account, state).await;
        let set = "update app.machine set state = $2, reason = 'Because.' where id = $1::text::uuid";
        rows::run(&superuser, set, &[&machine.id, state]).await;
        let why = viewer.client.get(org.path(&format!("/machines/{state}/why"))).await.expect(200);
        assert_eq!((&why["state"], &why["sleeps_at"]), (&json!(state), &Value::Null), "{why}");
        assert_eq!(why["holds"][0]["created_by"], json!(org.owner.name), "{why}");
        assert_eq!(why["last_change"]["kind"], "created", "{why}");
        assert!(why["changes"][0].as_str().unwrap().contains(word), "{why}");
    }
}
