//! Services: definitions, and what people want of them.

use serde_json::{Value, json};
use snapvm_tests::{rows, world};

#[tokio::test]
async fn a_field_that_cannot_be_accepted_is_named() {
    let org = world().org().await;
    org.machine(&org.owner.client, "one").await;
    let put = |name: &str, body: Value| org.owner.client.put(org.path(&format!("/machines/one/services/{name}")), body);
    let long = "a".repeat(64);
    for name in ["-a", "A", "a%20b", "a%2fb", "%C3%A4", ".a", &long] {
        put(name, json!({"command": "true"})).await.invalid("name");
    }
    put("%00", json!({"command": "true"})).await.problem(404, "not_found");
    put("web", json!({"command": " "})).await.invalid("command");
    put("web", json!({"command": "a\u{0}b"})).await.invalid("command");
    put("web", json!({"command": "a", "args": ["\u{0}"]})).await.invalid("command");
    put("web", json!({"command": "a", "args": vec!["a"; 201]})).await.invalid("command");
    put("web", json!({"command": "a".repeat(33 * 1024)})).await.invalid("command");
    for port in [0, 80, 8080] {
        put("web", json!({"command": "a", "http_port": port})).await.invalid("http_port");
    }
    for key in ["", "A=B", "A\u{0}"] {
        put("web", json!({"command": "a", "environment": {key: "x"}})).await.invalid("environment");
    }
    put("web", json!({"command": "a", "environment": {"A": "\u{0}"}})).await.invalid("environment");
    for body in [json!({}), json!({"command": "a", "http_port": 70_000}), json!({"command": "a", "name": "web"})] {
        put("web", body).await.problem(400, "malformed_body");
    }
    for (field, value) in [
        ("needs", json!(["web"])),
        ("needs", json!(["A"])),
        ("needs", json!(["none"])),
        ("needs", json!(vec!["a"; 21])),
        ("ready", json!({"by": "http", "path": "/"})),
        ("ready", json!({"by": "tcp", "port": 0})),
        ("ready", json!({"by": "delay", "seconds": 3601})),
        ("ready_limit_seconds", json!(0)),
        ("stop_grace_seconds", json!(0)),
        ("stop_grace_seconds", json!(301)),
    ] {
        put("web", json!({"command": "a", field: value})).await.invalid(field);
    }
    for (field, value) in [("restart", json!("sometimes")), ("ready", json!({"by": "magic"})), ("keep_awake", json!(1))]
    {
        put("web", json!({"command": "a", field: value})).await.problem(400, "malformed_body");
    }
    put("web", json!({"command": "a", "directory": format!("/{}", "a".repeat(70_000))})).await.invalid("command");
    // Short enough by itself, too long in JSON.
    put("web", json!({"command": "\u{1}".repeat(20_000)})).await.invalid("command");
    assert_eq!(org.owner.client.get(org.path("/machines/one/services")).await.expect(200)["services"], json!([]));
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let org = world().org().await;
    org.machine(&org.owner.client, "one").await;
    let client = &org.owner.client;
    client.put(org.path("/machines/none/services/web"), json!({"command": "a"})).await.problem(404, "not_found");
    client.get(org.path("/machines/none/services")).await.problem(404, "not_found");
    for name in ["web", "%00", "A", "a%2fb"] {
        let path = org.path(&format!("/machines/one/services/{name}"));
        client.delete(&path).await.problem(404, "not_found");
        for action in ["start", "stop", "restart"] {
            client.order(format!("{path}/{action}")).await.problem(404, "not_found");
        }
        client.order(format!("{path}/explode")).await.problem(404, "not_found");
    }
}

#[tokio::test]
async fn a_definition_is_kept_as_it_was_given() {
    let org = world().org().await;
    let viewer = org.member(world(), "viewer").await;
    org.machine(&org.owner.client, "one").await;
    let path = org.path("/machines/one/services/web");
    let definition = json!({
        "command": "python3", "args": ["-m", "http.server", "'\"\\ ünï\n"], "directory": "/srv",
        "environment": {"GREETING": "hello, wörld"}, "http_port": 3000, "at_sleep": "stop",
        "needs": ["db"], "ready": {"by": "http", "path": "/health"}, "ready_limit_seconds": 30, "restart": "on_failure",
        "stop_grace_seconds": 300, "keep_awake": true,
    });
    org.owner.client.put(org.path("/machines/one/services/db"), json!({"command": "a"})).await.expect(200);
    viewer.client.put(&path, definition.clone()).await.problem(403, "role");
    let put = org.owner.client.put(&path, definition.clone()).await.expect(200);
    for (key, value) in definition.as_object().unwrap() {
        assert_eq!(&put[key], value, "{key}");
    }
    assert_eq!((&put["name"], &put["desired"]), (&json!("web"), &json!("up")));
    let listed = viewer.client.get(org.path("/machines/one/services")).await.expect(200);
    assert_eq!((listed["services"].as_array().unwrap().len(), &listed["services"][1]), (2, &put));
    let replaced = org.owner.client.put(&path, json!({"command": "sleep", "desired": "down"})).await.expect(200);
    assert_eq!((&replaced["args"], &replaced["desired"]), (&json!([]), &json!("down")));
    org.owner.client.delete(&path).await.expect(204);
    org.owner.client.delete(&path).await.problem(404, "not_found");
}

#[tokio::test]
async fn needs_that_make_a_cycle_are_refused_and_named() {
    let org = world().org().await;
    org.machine(&org.owner.client, "one").await;
    let put = |name: &str, needs: &[&str]| {
        let body = json!({"command": "a", "needs": needs});
        org.owner.client.put(org.path(&format!("/machines/one/services/{name}")), body)
    };
    let unknown = put("web", &["db", "api"]).await;
    unknown.invalid("needs");
    assert!(unknown.text().contains("There is no such service on this machine: db, api."), "{}", unknown.text());
    put("db", &[]).await.expect(200);
    put("cache", &["db"]).await.expect(200);
    put("api", &["db", "cache"]).await.expect(200);
    put("web", &["api", "cache", "db"]).await.expect(200);
    let cyclic = put("db", &["web"]).await;
    cyclic.invalid("needs");
    let detail = "This makes a cycle: db needs web, which needs db. None of them could start.";
    assert!(cyclic.text().contains(detail), "{}", cyclic.text());
    let cyclic = put("cache", &["web"]).await;
    assert!(cyclic.text().contains("cache needs web, which needs cache"), "{}", cyclic.text());

    // What others need stays, and who they are is said.
    let delete = |name: &str| org.owner.client.delete(org.path(&format!("/machines/one/services/{name}")));
    let needed = delete("db").await;
    needed.problem(409, "needed");
    assert!(needed.text().contains("Other services need it: api, cache, web."), "{}", needed.text());
    for name in ["web", "api", "cache", "db"] {
        delete(name).await.expect(204);
    }
}

/// Each of two changes is right by itself, and only one may be made.
#[tokio::test]
async fn two_changes_at_once_make_no_cycle() {
    let org = world().org().await;
    org.machine(&org.owner.client, "one").await;
    let put = |name: &str, needs: Value| {
        let body = json!({"command": "a", "needs": needs});
        org.owner.client.put(org.path(&format!("/machines/one/services/{name}")), body)
    };
    for round in 0..10 {
        let (one, two) = (format!("one-{round}"), format!("two-{round}"));
        put(&one, json!([])).await.expect(200);
        put(&two, json!([])).await.expect(200);
        let (first, second) = futures::future::join(put(&one, json!([two])), put(&two, json!([one]))).await;
        let mut statuses = [first.status, second.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 422], "round {round}");
    }
}

/// What agents report is kept with its last ten exits, whatever a newer agent knows of them.
#[tokio::test]
async fn the_last_ten_exits_outlive_the_agent_that_saw_them() {
    let org = world().org().await;
    let superuser = world().superuser().await;
    let machine = rows::machine(&superuser, &org.slug, &org.owner.account, "one").await;
    let exit = |at: u64| json!({"at_ms": 1_790_000_000_000_u64 + at, "code": at, "ran_ms": 5, "ordered": false});
    let status = |exits: Vec<Value>| json!({"name": "web", "state": "running", "exits": exits}).to_string();
    let merge = "update app.service s set status = (($2::text)::jsonb || jsonb_build_object('exits',
        api.service_exits(s.status::jsonb, ($2::text)::jsonb)))::text where s.machine_id = ($1::text)::uuid";
    for exits in [(0..6).rev().map(exit).collect(), vec![], (3..12).rev().map(exit).collect()] {
        superuser.execute(merge, &[&machine.id, &status(exits)]).await.unwrap();
    }
    let listed = org.owner.client.get(org.path("/machines/one/services")).await.expect(200);
    let exits = listed["services"][0]["status"]["exits"].as_array().unwrap();
    let codes: Vec<u64> = exits.iter().map(|exit| exit["code"].as_u64().unwrap()).collect();
    assert_eq!(codes, (2..12).rev().collect::<Vec<u64>>());
    assert_eq!(exits[0]["at"], "2026-09-21T14:13:20.011Z");
    assert_eq!((exits[0].get("at_ms"), &exits[0]["ran_ms"]), (None, &json!(5)));
}

#[tokio::test]
async fn what_people_want_of_a_service_is_kept() {
    let org = world().org().await;
    let viewer = org.member(world(), "viewer").await;
    org.machine(&org.owner.client, "one").await;
    let path = org.path("/machines/one/services/web");
    org.owner.client.put(&path, json!({"command": "a"})).await.expect(200);
    for (action, desired) in [("stop", "down"), ("restart", "up"), ("stop", "down"), ("start", "up")] {
        viewer.client.order(format!("{path}/{action}")).await.problem(403, "role");
        assert_eq!(org.owner.client.order(format!("{path}/{action}")).await.expect(200)["desired"], desired);
        let listed = org.owner.client.get(org.path("/machines/one/services")).await.expect(200);
        assert_eq!(listed["services"][0]["desired"], desired);
    }
}

#[tokio::test]
async fn a_machine_has_at_most_a_hundred() {
    let org = world().org().await;
    let superuser = world().superuser().await;
    let machine = rows::machine(&superuser, &org.slug, &org.owner.account, "one").await;
    rows::run(
        &superuser,
        r#"insert into app.service (org_id, machine_id, name, definition, desired)
           select org_id, id, 's' || n, '{"name":"s","command":"a"}', 'up'
           from app.machine, generate_series(1, 99) n where id = $1::text::uuid"#,
        &[&machine.id],
    )
    .await;
    let put =
        |name: &str| org.owner.client.put(org.path(&format!("/machines/one/services/{name}")), json!({"command": "a"}));
    put("one-more").await.problem(409, "limit");
    put("web").await.expect(200);
}
