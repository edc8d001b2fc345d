//! Machines: the record. What a machine's object does is tested with a runtime.

use serde_json::{Value, json};
use snapvm_tests::people::text;
use snapvm_tests::{rows, world};

#[tokio::test]
async fn a_field_that_cannot_be_accepted_is_named() {
    let org = world().org().await;
    let create = |body: Value| org.owner.client.post(org.path("/machines"), body);
    let long = "a".repeat(31);
    for name in ["", "A", "1a", "-a", "a-", "a--b", "a_b", "a.b", "ä", "a b", "www", "api", "a\u{0}", &long] {
        create(json!({"name": name})).await.invalid("name");
    }
    create(json!({"name": "a", "size": "huge"})).await.invalid("size");
    create(json!({"name": "a", "region": "moon"})).await.invalid("region");
    create(json!({"name": "a", "runtime": "sprites"})).await.invalid("runtime");
    create(json!({"name": "a", "runtime": "docker"})).await.problem(400, "malformed_body");
    for seconds in [0, 299, 86_401, -900, i64::MAX] {
        create(json!({"name": "a", "idle_seconds": seconds})).await.invalid("idle_seconds");
    }
    for body in [json!({}), json!({"name": 1}), json!({"name": null}), json!({"name": "a", "generation": 5}), json!([])]
    {
        create(body).await.problem(400, "malformed_body");
    }
    assert_eq!(org.owner.client.get(org.path("/machines")).await.expect(200)["machines"], json!([]));
}

#[tokio::test]
async fn a_name_is_an_organizations_once() {
    let (org, other) = (world().org().await, world().org().await);
    org.machine(&org.owner.client, "api-demo").await;
    let refused = org.owner.client.post(org.path("/machines"), json!({"name": "api-demo"})).await;
    assert_eq!(refused.problem(409, "name_taken")["field"], "name");
    other.machine(&other.owner.client, "api-demo").await;
    let tries =
        (0..5).map(|_| async { org.owner.client.post(org.path("/machines"), json!({"name": "race"})).await.status });
    let mut statuses = futures::future::join_all(tries).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409, 409]);
}

#[tokio::test]
async fn another_organizations_machine_is_not_there() {
    let (org, other) = (world().org().await, world().org().await);
    let superuser = world().superuser().await;
    rows::machine(&superuser, &org.slug, &org.owner.account, "secret").await;
    let client = &other.owner.client;
    for rest in ["", "/events", "/services", "/ports", "/terminals"] {
        let foreign = client.get(org.path(&format!("/machines/secret{rest}"))).await;
        let nowhere = client.get(format!("/v1/orgs/nowhere-at-all/machines/secret{rest}")).await;
        foreign.problem(404, "not_found");
        assert_eq!(foreign.refusal(), nowhere.refusal(), "{rest}");
        // Its name in one's own organization says nothing either.
        let own = client.get(other.path(&format!("/machines/secret{rest}"))).await;
        let none = client.get(other.path(&format!("/machines/none{rest}"))).await;
        own.problem(404, "not_found");
        assert_eq!(own.refusal(), none.refusal(), "{rest}");
    }
    client.patch(org.path("/machines/secret"), json!({"app_port": 4000})).await.problem(404, "not_found");
    client.delete(org.path("/machines/secret")).await.problem(404, "not_found");
    client.order(org.path("/machines/secret/stop")).await.problem(404, "not_found");
}

#[tokio::test]
async fn what_names_nothing_is_not_there() {
    let org = world().org().await;
    for name in ["%00", "%ff", "a%2fb", "..", "%2e%2e", "A", &"a".repeat(4000)] {
        let answer = org.owner.client.get(org.path(&format!("/machines/{name}"))).await;
        assert_eq!(answer.status, 404, "{name}: {}", answer.text());
    }
    org.owner.client.order(org.path("/machines/%00/start")).await.problem(404, "not_found");
    org.owner.client.delete(org.path("/machines/%00")).await.problem(404, "not_found");
}

#[tokio::test]
async fn a_new_machine_has_the_offers_defaults_and_a_url() {
    let org = world().org().await;
    let made = org.machine(&org.owner.client, "api-demo").await;
    let config = world().anonymous().get("/v1/config").await.expect(200);
    assert_eq!(made["runtime"], config["offer"]["runtimes"][0]);
    assert_eq!(made["size"], config["offer"]["sizes"][0]["id"]);
    assert_eq!(made["region"], config["offer"]["regions"][0]["id"]);
    assert_eq!((&made["idle_seconds"], &made["generation"]), (&json!(900), &json!(1)));
    assert_eq!(made["owner"]["account_id"], org.owner.account.as_str());
    let label = format!("api-demo--{}", org.slug);
    assert_eq!(made["url"], config["apps"].as_str().unwrap().replace('*', &label));
    let read = org.owner.client.get(org.path("/machines/api-demo")).await.expect(200);
    assert_eq!((&read["id"], &read["created_at"]), (&made["id"], &made["created_at"]));
    let events = org.owner.client.get(org.path("/machines/api-demo/events")).await.expect(200);
    let first = events["events"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&first["kind"], &first["actor"]), (&json!("created"), &made["owner"]["name"]));
}

#[tokio::test]
async fn a_list_comes_in_pages() {
    let org = world().org().await;
    let superuser = world().superuser().await;
    let names: Vec<String> = (0..7).map(|number| format!("m{number}")).collect();
    for name in &names {
        rows::machine(&superuser, &org.slug, &org.owner.account, name).await;
    }
    let mut seen = Vec::new();
    let mut path = org.path("/machines?limit=3");
    for page_size in [3, 3, 1] {
        let page = org.owner.client.get(&path).await.expect(200);
        let machines = page["machines"].as_array().unwrap();
        assert_eq!(machines.len(), page_size);
        seen.extend(machines.iter().map(|machine| text(&machine["name"])));
        path = org.path(&format!("/machines?limit=3&after={}", page["next"].as_str().unwrap_or_default()));
        assert_eq!(page["next"].is_null(), page_size == 1, "{page}");
    }
    assert_eq!(seen, names);
    for limit in ["0", "101", "x", "1.5", "99999999999999999999"] {
        org.owner.client.get(org.path(&format!("/machines?limit={limit}"))).await.invalid("limit");
    }
    let beyond = org.owner.client.get(org.path("/machines?after=zzz%F0%9F%98%80")).await.expect(200);
    assert_eq!((&beyond["machines"], &beyond["next"]), (&json!([]), &Value::Null));
    org.owner.client.get(org.path("/machines?after=%00")).await.invalid("after");
}

#[tokio::test]
async fn history_comes_in_pages_newest_first() {
    let org = world().org().await;
    let superuser = world().superuser().await;
    let machine = rows::machine(&superuser, &org.slug, &org.owner.account, "one").await;
    for number in 0..4 {
        rows::run(
            &superuser,
            "insert into app.machine_event (org_id, machine_id, id, kind, detail)
             select org_id, id, $2::text::uuid, 'woken', $3 from app.machine where id = $1::text::uuid",
            &[&machine.id, &rows::new_id(), &number.to_string()],
        )
        .await;
    }
    let first = org.owner.client.get(org.path("/machines/one/events?limit=3")).await.expect(200);
    let next = text(&first["next"]);
    let second =
        org.owner.client.get(org.path(&format!("/machines/one/events?limit=3&before={next}"))).await.expect(200);
    let ids: Vec<String> = [&first, &second]
        .iter()
        .flat_map(|page| page["events"].as_array().unwrap())
        .map(|event| text(&event["id"]))
        .collect();
    assert_eq!(ids.len(), 5);
    assert!(ids.is_sorted_by(|a, b| a > b), "{ids:?}");
    assert_eq!(second["next"], Value::Null);
    for before in ["x", "%00", "1"] {
        org.owner.client.get(org.path(&format!("/machines/one/events?before={before}"))).await.invalid("before");
    }
}

#[tokio::test]
async fn settings_stay_unless_they_are_named() {
    let org = world().org().await;
    let viewer = org.member(world(), "viewer").await;
    let superuser = world().superuser().await;
    rows::machine(&superuser, &org.slug, &org.owner.account, "one").await;
    let path = org.path("/machines/one");
    for port in [0, 1023, 8080, 65_536, -1] {
        org.owner.client.patch(&path, json!({"app_port": port})).await.invalid("app_port");
    }
    org.owner.client.patch(&path, json!({"idle_seconds": 1})).await.invalid("idle_seconds");
    org.owner.client.patch(&path, json!({"name": "other"})).await.problem(400, "malformed_body");
    viewer.client.patch(&path, json!({"app_port": 4000})).await.problem(403, "role");
    let changed = org.owner.client.patch(&path, json!({"app_port": 4000})).await.expect(200);
    assert_eq!((&changed["app_port"], &changed["idle_seconds"]), (&json!(4000), &json!(900)));
    let same = org.owner.client.patch(&path, json!({})).await.expect(200);
    assert_eq!(same, changed);
}

#[tokio::test]
async fn only_its_maker_or_an_admin_deletes_a_machine() {
    let org = world().org().await;
    let (maker, other, viewer) =
        (org.member(world(), "member").await, org.member(world(), "member").await, org.member(world(), "viewer").await);
    let superuser = world().superuser().await;
    rows::machine(&superuser, &org.slug, &maker.account, "one").await;
    let path = org.path("/machines/one");
    other.client.delete(&path).await.problem(403, "role");
    viewer.client.delete(&path).await.problem(403, "role");
    assert_eq!(other.client.get(&path).await.expect(200)["state"], "running");
    org.owner.client.delete(org.path("/machines/none")).await.problem(404, "not_found");
}

#[tokio::test]
async fn a_deletion_is_accepted_in_every_state_and_wins() {
    let org = world().org().await;
    let maker = org.member(world(), "member").await;
    let superuser = world().superuser().await;
    for (state, client) in [("running", &maker.client), ("failed", &org.owner.client), ("deleting", &org.owner.client)]
    {
        let machine = rows::machine(&superuser, &org.slug, &maker.account, state).await;
        let change = "update app.machine set state = $2 where id = $1::text::uuid";
        rows::run(&superuser, change, &[&machine.id, state]).await;
        assert_eq!(client.delete(org.path(&format!("/machines/{state}"))).await.expect(202)["state"], "deleting");
        // It is being deleted, or gone already; nothing brings it back.
        let path = org.path(&format!("/machines/{state}"));
        let started = client.order(format!("{path}/start")).await;
        assert!(matches!(started.status, 404 | 409), "{}: {}", started.status, started.text());
        let ended = client.delete(&path).await;
        assert!(matches!(ended.status, 202 | 404), "{}: {}", ended.status, ended.text());
        let read = client.get(&path).await;
        assert!(read.status == 404 || read.expect(200)["state"] == "deleting", "{}", read.text());
    }
}
