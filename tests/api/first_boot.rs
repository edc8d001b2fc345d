//! A machine's first boot: who may give a script, what is refused, what becomes of it, and what the history says of it.

use serde_json::{Value, json};
use snapvm_tests::people::text;
use snapvm_tests::{rows, world};

#[tokio::test]
async fn a_script_is_the_service_that_runs_once() {
    let org = world().org().await;
    let viewer = org.member(world(), "viewer").await;
    let script = "set -e\n\techo \"it's 'quoted' $HOME \\\\\" # \u{e9}\n";
    let create = |name: &str, script: Value| json!({"name": name, "first_boot": script});
    for wrong in ["", " \n\t", "echo \u{0}", "echo \u{1b}[2J", &"a".repeat(30 * 1024 + 1)] {
        org.owner.client.post(org.path("/machines"), create("one", json!(wrong))).await.invalid("first_boot");
    }
    for wrong in [json!(1), json!(["a"]), json!({"script": "a"})] {
        org.owner.client.post(org.path("/machines"), create("one", wrong)).await.problem(400, "malformed_body");
    }
    viewer.client.post(org.path("/machines"), create("one", json!(script))).await.problem(403, "role");
    assert_eq!(org.owner.client.get(org.path("/machines")).await.expect(200)["machines"], json!([]));

    org.owner.client.post(org.path("/machines"), create("one", json!(script))).await.expect(201);
    org.owner.client.post(org.path("/machines"), create("two", Value::Null)).await.expect(201);
    // The name is taken: the machine that has it keeps its own script.
    org.owner.client.post(org.path("/machines"), create("one", json!("true"))).await.problem(409, "name_taken");
    let services = |name: &str| {
        let path = org.path(&format!("/machines/{name}/services"));
        async { viewer.client.get(path).await.expect(200)["services"].as_array().unwrap().clone() }
    };
    assert_eq!(services("two").await.len(), 0);
    let all = services("one").await;
    let [service] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!(
        (&service["name"], &service["once"], &service["desired"]),
        (&json!("first-boot"), &json!(true), &json!("up"))
    );
    assert_eq!((&service["command"], &service["args"]), (&json!("bash"), &json!(["-c", script, "first-boot"])));
    assert_eq!((&service["keep_awake"], &service["status"]), (&json!(true), &Value::Null));
    // Another service may wait for it, and it cannot go then.
    let web = org.path("/machines/one/services/web");
    org.owner.client.put(&web, json!({"command": "a", "needs": ["first-boot"]})).await.expect(200);
    let path = org.path("/machines/one/services/first-boot");
    org.owner.client.delete(&path).await.problem(409, "needed");
    viewer.client.order(format!("{path}/restart")).await.problem(403, "role");
    org.owner.client.order(format!("{path}/restart")).await.expect(200);
}

/// What agents report of it, as its object writes it: each end is one line of history, however often it is told.
#[tokio::test]
async fn each_end_is_one_line_of_history() {
    let org = world().org().await;
    let superuser = world().superuser().await;
    let made = org.owner.client.post(org.path("/machines"), json!({"name": "one", "first_boot": "true"})).await;
    let machine = text(&made.expect(201)["id"]);
    let report = "with before as (select s.status::jsonb as status from app.service s where s.machine_id = $1::text::uuid),
          after as (select $2::text::jsonb || jsonb_build_object('exits', api.service_exits(before.status, $2::text::jsonb))
            as status from before),
          written as (update app.service s set status = after.status::text from after
            where s.machine_id = $1::text::uuid returning 1)
        select coalesce(news.detail, '') from before, after, written,
          lateral api.first_boot_news(before.status, after.status) news";
    let exit =
        |at: u64, code: i64, ordered: bool| json!({"at_ms": at, "code": code, "ran_ms": 34_200, "ordered": ordered});
    let told = |state: &str, exits: Value, error: Value| {
        let status = json!({"name": "first-boot", "state": state, "error": error, "exits": exits}).to_string();
        let (superuser, machine) = (&superuser, &machine);
        async move { rows::value::<String>(superuser, report, &[machine, &status]).await }
    };
    let [failed, ended, stopped] = [exit(5, 3, false), exit(6, 0, false), exit(7, 0, true)];
    let code = json!("exited with code 3");
    let steps = [
        ("starting", json!([]), Value::Null, ""),
        ("failed", json!([failed]), code.clone(), "Setup failed: exited with code 3."),
        ("failed", json!([failed]), code, ""),
        ("running", json!([failed]), Value::Null, ""),
        ("stopped", json!([ended, failed]), Value::Null, "Set up in 34 s."),
        ("stopped", json!([ended, failed]), Value::Null, ""),
        // A new agent knows the last end only, and one on an older disk an older one.
        ("stopped", json!([ended]), Value::Null, ""),
        ("failed", json!([]), json!("interrupted"), "Setup failed: interrupted."),
        ("stopped", json!([stopped]), Value::Null, "Setup was stopped after 34 s."),
    ];
    for (state, exits, error, wanted) in steps {
        assert_eq!(told(state, exits, error).await, wanted, "{state}");
    }
}
