//! Usage: intervals follow the states of machines, and are added up between two times.

use serde_json::{Value, json};
use snapvm_tests::{rows, world};

#[tokio::test]
async fn a_span_that_cannot_be_asked_for_is_refused() {
    let org = world().org().await;
    let get = |query: &str| org.owner.client.get(org.path(&format!("/usage{query}")));
    for field in ["from", "to"] {
        for wrong in ["", "yesterday", "2026-03-01", "infinity"] {
            get(&format!("?{field}={wrong}")).await.invalid(field);
        }
    }
    get("?from=2026-03-02T00:00:00Z&to=2026-03-01T00:00:00Z").await.invalid("from");
    get("?from=2025-03-01T00:00:00Z&to=2026-03-01T00:00:00Z").await.invalid("from");
    let nothing = get("").await.expect(200);
    assert_eq!(
        (&nothing["awake_seconds"], &nothing["machines"], &nothing["sizes"]),
        (&json!(0), &json!([]), &json!([]))
    );
    assert!(nothing["from"].as_str().unwrap().ends_with("-01T00:00:00.000Z"), "{nothing}");
}

#[tokio::test]
async fn intervals_are_cut_to_the_span_and_added_up() {
    let org = world().org().await;
    let superuser = world().superuser().await;
    let id = rows::org_id(&superuser, &org.slug).await;
    let (one, two) = (rows::new_id(), rows::new_id());
    let insert = "insert into app.usage_interval
        (org_id, machine_id, machine_name, runtime, size, region, started_at, ended_at)
        values ($1::text::uuid, $2::text::uuid, $3, 'spritehost', $4, 'local', $5::text::timestamptz, $6::text::timestamptz)";
    for (machine, name, size, from, to) in [
        // Began before the span.
        (&one, "one", "small", "2026-03-01T23:00:00Z", "2026-03-02T01:00:00Z"),
        // Over midnight.
        (&one, "one", "small", "2026-03-02T23:30:00Z", "2026-03-03T00:30:00Z"),
        // Ends after it.
        (&two, "two", "large", "2026-03-03T22:30:00Z", "2026-03-04T05:00:00Z"),
        // Before and after.
        (&two, "two", "large", "2026-02-03T00:00:00Z", "2026-03-02T00:00:00Z"),
        (&two, "two", "large", "2026-03-04T06:00:00Z", "2026-03-04T07:00:00Z"),
    ] {
        assert_eq!(rows::run(&superuser, insert, &[&id, machine, name, size, from, to]).await, 1);
    }
    let viewer = org.member(world(), "viewer").await;
    let path = org.path("/usage?from=2026-03-02T00:00:00Z&to=2026-03-04T00:00:00Z");
    let usage = viewer.client.get(&path).await.expect(200);
    assert_eq!(
        usage,
        json!({
            "from": "2026-03-02T00:00:00.000Z", "to": "2026-03-04T00:00:00.000Z", "awake_seconds": 12_600,
            "machines": [
                {"id": one, "name": "one", "size": "small", "awake_seconds": 7200, "wakes": 1, "exists": false},
                {"id": two, "name": "two", "size": "large", "awake_seconds": 5400, "wakes": 1, "exists": false},
            ],
            "sizes": [{"size": "large", "awake_seconds": 5400}, {"size": "small", "awake_seconds": 7200}],
            "days": [{"day": "2026-03-02", "awake_seconds": 5400}, {"day": "2026-03-03", "awake_seconds": 7200}],
        })
    );
    // A day on which nothing was awake is one of nothing.
    let path = org.path("/usage?from=2026-03-04T06:00:00Z&to=2026-03-06T00:00:00Z");
    let usage = viewer.client.get(&path).await.expect(200);
    let days = json!([{"day": "2026-03-04", "awake_seconds": 3600}, {"day": "2026-03-05", "awake_seconds": 0}]);
    assert_eq!((&usage["awake_seconds"], &usage["days"]), (&json!(3600), &days));
    let elsewhere = world().org().await;
    let path = elsewhere.path("/usage?from=2026-03-02T00:00:00Z&to=2026-03-04T00:00:00Z");
    assert_eq!(elsewhere.owner.client.get(&path).await.expect(200)["machines"], json!([]));
}

/// Whoever changes a state, the intervals follow: awake from the wake until the runtime has paused.
#[tokio::test]
async fn an_interval_lasts_from_the_wake_to_the_pause() {
    let org = world().org().await;
    let superuser = world().superuser().await;
    let machine = rows::machine(&superuser, &org.slug, &org.owner.account, "one").await;
    let enter = async |state: &str| {
        let statement = "update app.machine set state = $2, state_at = now() where id = $1::text::uuid";
        assert_eq!(rows::run(&superuser, statement, &[&machine.id, state]).await, 1);
        let open: i64 = rows::value(
            &superuser,
            "select count(*) from app.usage_interval where machine_id = $1::text::uuid and ended_at is null",
            &[&machine.id],
        )
        .await;
        open
    };
    // It runs since a moment ago.
    assert_eq!(enter("hibernated").await, 0);
    for (state, open) in [
        ("waking", 1),
        ("running", 1),
        ("running", 1),
        ("hibernating", 1),
        ("hibernated", 0),
        ("waking", 1),
        ("failed", 0),
        ("running", 1),
        ("stopping", 1),
        ("stopped", 0),
        ("running", 1),
        ("deleting", 1),
    ] {
        assert_eq!(enter(state).await, open, "{state}");
    }
    let usage = org.owner.client.get(org.path("/usage")).await.expect(200);
    let [only] = usage["machines"].as_array().unwrap().as_slice() else { panic!("{usage}") };
    assert_eq!((&only["name"], &only["wakes"], &only["exists"]), (&json!("one"), &json!(5), &json!(true)));
    assert_eq!(rows::run(&superuser, "delete from app.machine where id = $1::text::uuid", &[&machine.id]).await, 1);
    let usage = org.owner.client.get(org.path("/usage")).await.expect(200);
    assert_eq!((&usage["machines"][0]["name"], &usage["machines"][0]["exists"]), (&json!("one"), &Value::Bool(false)));
    let open: i64 = rows::value(
        &superuser,
        "select count(*) from app.usage_interval where machine_id = $1::text::uuid and ended_at is null",
        &[&machine.id],
    )
    .await;
    assert_eq!(open, 0);
}
