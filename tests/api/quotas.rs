//! Quotas: limits of an organization, what they refuse, and who may set them.

use serde_json::{Value, json};
use snapvm_tests::{rows, world};

#[tokio::test]
async fn a_field_that_cannot_be_accepted_is_named() {
    let org = world().org().await;
    let put = |body: Value| org.owner.client.put(org.path("/quotas"), body);
    for field in ["machines", "awake"] {
        for wrong in [-1, 1_000_001, i64::MAX] {
            put(json!({field: wrong})).await.invalid(field);
        }
    }
    for field in ["idle_seconds", "idle_seconds_max"] {
        for wrong in [-1, 0, 299, 86_401] {
            put(json!({field: wrong})).await.invalid(field);
        }
    }
    put(json!({"idle_seconds": 900, "idle_seconds_max": 600})).await.invalid("idle_seconds");
    for body in [json!({"machines": "5"}), json!({"forever": true}), json!("all")] {
        put(body).await.problem(400, "malformed_body");
    }
    rows::ceilings(&world().superuser().await, &org.slug, 5, 3).await;
    for (field, above, says) in [("machines", 6, "at most 5 machines"), ("awake", 4, "at most 3 machines awake")] {
        let problem = put(json!({field: above})).await.problem(422, "invalid");
        assert!(problem["detail"].as_str().unwrap().contains(says), "{problem}");
    }
    let quotas = org.owner.client.get(org.path("/quotas")).await.expect(200);
    assert_eq!((&quotas["machines"]["own"], &quotas["awake"]["own"]), (&Value::Null, &Value::Null), "{quotas}");
}

#[tokio::test]
async fn what_the_deployment_allows_counts_until_an_admin_says_less() {
    let org = world().org().await;
    let (viewer, member) = (org.member(world(), "viewer").await, org.member(world(), "member").await);
    let before = viewer.client.get(org.path("/quotas")).await.expect(200);
    let offered = world().anonymous().get("/v1/config").await.expect(200)["offer"]["quota"].clone();
    assert_eq!((&before["machines"]["limit"], &before["awake"]["limit"]), (&offered["machines"], &offered["awake"]));
    assert_eq!(
        before["idle"],
        json!({"seconds": 900, "max_seconds": 86400, "own_seconds": null, "own_max_seconds": null})
    );
    for client in [&viewer.client, &member.client] {
        client.put(org.path("/quotas"), json!({"machines": 1})).await.problem(403, "role");
    }
    let set = json!({"machines": 2, "awake": 1, "idle_seconds": 600, "idle_seconds_max": 1200});
    let after = org.owner.client.put(org.path("/quotas"), set).await.expect(200);
    let ceiling = &before["machines"]["ceiling"];
    assert_eq!(after["machines"], json!({"used": 0, "limit": 2, "ceiling": ceiling, "own": 2}));
    assert_eq!(
        after["idle"],
        json!({"seconds": 600, "max_seconds": 1200, "own_seconds": 600, "own_max_seconds": 1200})
    );
    assert_eq!(viewer.client.get(org.path("/quotas")).await.expect(200), after);
    // All that is absent is the deployment's again.
    let cleared = org.owner.client.put(org.path("/quotas"), json!({})).await.expect(200);
    assert_eq!(cleared, before);
}

#[tokio::test]
async fn one_machine_too_many_is_refused_with_the_limit_and_a_way_out() {
    let org = world().org().await;
    let superuser = world().superuser().await;
    let client = &org.owner.client;
    client.put(org.path("/quotas"), json!({"machines": 2})).await.expect(200);
    rows::machine(&superuser, &org.slug, &org.owner.account, "one").await;
    rows::machine(&superuser, &org.slug, &org.owner.account, "two").await;
    let create = |name: &str| client.post(org.path("/machines"), json!({"name": name}));
    let problem = create("three").await.problem(409, "machine_limit");
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains("has 2 machines") && detail.contains("limit is 2") && detail.contains("an admin"),
        "{detail}"
    );
    // One that is being deleted makes room.
    rows::run(
        &superuser,
        "update app.machine set state = 'deleting' where name = 'two' and org_id = $1::text::uuid",
        &[&rows::org_id(&superuser, &org.slug).await],
    )
    .await;
    client.put(org.path("/quotas"), json!({"machines": 2, "awake": 1})).await.expect(200);
    let problem = create("three").await.problem(409, "awake_limit");
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains("1 machine of the organization is awake") && detail.contains("Hibernate or stop"),
        "{detail}"
    );
    rows::ceilings(&superuser, &org.slug, 2, 1).await;
    let problem = create("three").await.problem(409, "awake_limit");
    assert!(problem["detail"].as_str().unwrap().contains("the operator"), "{problem}");
    let asleep = "update app.machine set state = 'hibernated' where name = 'one' and org_id = $1::text::uuid";
    let id = rows::org_id(&superuser, &org.slug).await;
    rows::run(&superuser, asleep, &[&id]).await;
    create("three").await.expect(201);
    let quotas = client.get(org.path("/quotas")).await.expect(200);
    assert_eq!((&quotas["machines"]["used"], &quotas["awake"]["used"]), (&json!(2), &json!(1)));
    // Starting by hand says the same, and changes nothing.
    client.order(org.path("/machines/one/start")).await.problem(409, "awake_limit");
    let state: String =
        rows::value(&superuser, "select state from app.machine where name = 'one' and org_id = $1::text::uuid", &[&id])
            .await;
    assert_eq!(state, "hibernated");
}

/// Two who ask at the same moment do not both get the last place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_place_is_given_once() {
    let org = world().org().await;
    org.owner.client.put(org.path("/quotas"), json!({"machines": 3})).await.expect(200);
    let path = org.path("/machines");
    let creates = (0..12).map(|number| {
        let (client, path) = (org.owner.client.clone(), path.clone());
        tokio::spawn(async move { client.post(path, json!({"name": format!("m{number}")})).await })
    });
    let mut made = 0;
    for create in creates.collect::<Vec<_>>() {
        let answer = create.await.unwrap();
        match answer.status {
            201 => made += 1,
            _ => {
                answer.problem(409, "machine_limit");
            }
        }
    }
    assert_eq!(made, 3);
}

#[tokio::test]
async fn machines_idle_for_no_longer_than_the_organization_says() {
    let org = world().org().await;
    let client = &org.owner.client;
    let create = |body: Value| client.post(org.path("/machines"), body);
    assert_eq!(create(json!({"name": "long", "idle_seconds": 7200})).await.expect(201)["idle_seconds"], 7200);
    client.put(org.path("/quotas"), json!({"idle_seconds_max": 600})).await.expect(200);
    assert_eq!(client.get(org.path("/machines/long")).await.expect(200)["idle_seconds"], 600);
    assert_eq!(create(json!({"name": "short"})).await.expect(201)["idle_seconds"], 600);
    let problem = create(json!({"name": "longer", "idle_seconds": 601})).await.problem(422, "invalid");
    assert!(problem["detail"].as_str().unwrap().contains("10 minutes"), "{problem}");
    client.patch(org.path("/machines/short"), json!({"idle_seconds": 900})).await.invalid("idle_seconds");
    let changed = client.patch(org.path("/machines/short"), json!({"app_port": 4000})).await.expect(200);
    assert_eq!((&changed["idle_seconds"], &changed["app_port"]), (&json!(600), &json!(4000)));
    client.put(org.path("/quotas"), json!({"idle_seconds": 300})).await.expect(200);
    assert_eq!(create(json!({"name": "shorter"})).await.expect(201)["idle_seconds"], 300);
}
