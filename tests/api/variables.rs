//! Variables of a machine: what is accepted, who sees what, and what the database has of it.

use serde_json::{Value, json};
use snapvm_tests::client::Answer;
use snapvm_tests::people::Org;
use snapvm_tests::{Client, rows, world};

const SECRET: &str = "correct-horse-battery-staple";

async fn put(client: &Client, org: &Org, name: &str, body: Value) -> Answer {
    client.put(org.path(&format!("/machines/one/variables/{name}")), body).await
}

async fn patch(client: &Client, org: &Org, variables: Value) -> Answer {
    client.patch(org.path("/machines/one/variables"), json!({"variables": variables})).await
}

async fn list(client: &Client, org: &Org) -> Value {
    client.get(org.path("/machines/one/variables")).await.expect(200)["variables"].take()
}

fn plain(name: &str, value: &str) -> Value {
    json!({"name": name, "value": value, "secret": false})
}

/// Everything that the database has of an organization, the audit log and the machines' histories included.
async fn dump(org: &Org) -> String {
    let superuser = world().superuser().await;
    let mut text = String::new();
    for table in ["variable", "audit", "machine_event", "machine", "service"] {
        let query = format!(
            "select coalesce(string_agg(t::text, E'\\n'), '') from app.{table} t
             where org_id = (select id from app.org where slug = $1)"
        );
        text.push_str(&rows::value::<String>(&superuser, &query, &[&org.slug]).await);
    }
    text
}

#[tokio::test]
async fn a_field_that_cannot_be_accepted_is_named() {
    let org = world().org().await;
    org.machine(&org.owner.client, "one").await;
    let client = &org.owner.client;
    let long = "A".repeat(129);
    for name in ["1A", "A-B", "A%20B", "%C3%84", "A=B", "SNAPVM_X", "PATH", "HOME", "TERM", &long] {
        put(client, &org, name, json!({"value": "x"})).await.invalid("name");
    }
    put(client, &org, "%00", json!({"value": "x"})).await.problem(404, "not_found");
    put(client, &org, "A", json!({"value": "a\u{0}"})).await.invalid("value");
    for (secret, bytes) in [(true, 32 * 1024 + 1), (false, 32 * 1024 + 1)] {
        put(client, &org, "A", json!({"value": "a".repeat(bytes), "secret": secret})).await.invalid("value");
    }
    for body in [json!({}), json!({"value": 1}), json!({"value": "x", "name": "A"}), json!({"secret": true})] {
        put(client, &org, "A", body).await.problem(400, "malformed_body");
    }
    patch(client, &org, json!([])).await.invalid("variables");
    patch(client, &org, json!(vec![plain("A", ""); 101])).await.invalid("variables");
    patch(client, &org, json!([plain("A", "1"), plain("A", "2")])).await.invalid("name");
    // All or none.
    let refused = patch(client, &org, json!([plain("GOOD", "1"), plain("PATH", "2")])).await.problem(422, "invalid");
    assert!(refused["detail"].as_str().unwrap().starts_with("PATH: "), "{refused}");
    assert_eq!(list(client, &org).await, json!([]));
    for path in ["/machines/none/variables", "/machines/none/variables/A"] {
        client.request("DELETE", org.path(path)).send().await.problem(
            if path.ends_with('A') { 404 } else { 405 },
            if path.ends_with('A') { "not_found" } else { "method" },
        );
    }
    client.put(org.path("/machines/none/variables/A"), json!({"value": "x"})).await.problem(404, "not_found");
    client.delete(org.path("/machines/one/variables/A")).await.problem(404, "not_found");
}

#[tokio::test]
async fn a_secret_is_never_shown_again_and_never_in_the_database() {
    let org = world().org().await;
    let (member, viewer) = (org.member(world(), "member").await, org.member(world(), "viewer").await);
    org.machine(&org.owner.client, "one").await;
    let set = put(&member.client, &org, "TOKEN", json!({"value": SECRET})).await.expect(200);
    assert_eq!((&set["name"], &set["secret"], &set["value"]), (&json!("TOKEN"), &json!(true), &Value::Null));
    assert_eq!(set["updated_by"], member.name);
    let readable = put(&member.client, &org, "REGION", json!({"value": "wörld\n", "secret": false})).await.expect(200);
    assert_eq!((&readable["secret"], &readable["value"]), (&json!(false), &json!("wörld\n")));

    assert_eq!(list(&org.owner.client, &org).await, json!([readable, set]));
    // Viewers see names; a token that may only read belongs to somebody who may set them.
    let seen = list(&viewer.client, &org).await;
    assert_eq!(
        (&seen[0]["name"], &seen[0]["value"], &seen[1]["value"]),
        (&json!("REGION"), &Value::Null, &Value::Null)
    );
    put(&viewer.client, &org, "TOKEN", json!({"value": "x"})).await.problem(403, "role");
    put(&viewer.client, &org, "REGION", json!({"value": "x", "secret": false})).await.problem(403, "role");
    viewer.client.delete(org.path("/machines/one/variables/TOKEN")).await.problem(403, "role");

    let dump = dump(&org).await;
    assert!(dump.contains("TOKEN") && dump.contains("variables_put"), "{dump}");
    assert!(!dump.contains(SECRET) && !dump.contains("horse"), "{dump}");
    let superuser = world().superuser().await;
    let sealed = "select sealed from app.variable v join app.org o on o.id = v.org_id
        where o.slug = $1 and v.name = 'TOKEN'";
    let first: String = rows::value(&superuser, sealed, &[&org.slug]).await;
    // The same value again is another ciphertext.
    put(&member.client, &org, "TOKEN", json!({"value": SECRET})).await.expect(200);
    let second: String = rows::value(&superuser, sealed, &[&org.slug]).await;
    assert!(first.starts_with("v1.1.") && second.starts_with("v1.1.") && first != second, "{first} {second}");
    // What was a secret may become plain with a new value, and the other way round.
    put(&member.client, &org, "TOKEN", json!({"value": "open", "secret": false})).await.expect(200);
    put(&member.client, &org, "REGION", json!({"value": "hidden"})).await.expect(200);
    let listed = list(&member.client, &org).await;
    assert_eq!((&listed[0]["value"], &listed[1]["value"]), (&Value::Null, &json!("open")));

    member.client.delete(org.path("/machines/one/variables/TOKEN")).await.expect(204);
    member.client.delete(org.path("/machines/one/variables/TOKEN")).await.problem(404, "not_found");
    assert_eq!(list(&viewer.client, &org).await.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn several_are_set_at_once_and_limits_name_what_there_is() {
    let org = world().org().await;
    org.machine(&org.owner.client, "one").await;
    let client = &org.owner.client;
    let many: Vec<Value> = (0..100).map(|number| plain(&format!("V{number:03}"), "x")).collect();
    let answer = patch(client, &org, json!(many)).await.expect(200);
    assert_eq!(answer["variables"].as_array().unwrap().len(), 100);
    let problem = put(client, &org, "ONE_MORE", json!({"value": "x"})).await.problem(409, "limit");
    assert!(problem["detail"].as_str().unwrap().contains("101"), "{problem}");
    // One that is there may change.
    put(client, &org, "V000", json!({"value": "y"})).await.expect(200);
    let long = "a".repeat(32 * 1024);
    let big = json!([plain("V001", &long), plain("V002", &long), plain("V003", &long), plain("V004", &long)]);
    let problem = patch(client, &org, big).await.problem(409, "limit");
    assert!(problem["detail"].as_str().unwrap().contains("131072"), "{problem}");
    let three = json!([plain("V001", &long), plain("V002", &long), {"name": "V003", "value": long}]);
    patch(client, &org, three).await.expect(200);
    // What is replaced does not count.
    patch(client, &org, json!([{"name": "V001", "value": long}, plain("V002", &long)])).await.expect(200);
    // A secret in between: sealed alone, the others as they are.
    let mixed = json!([{"name": "V005", "value": SECRET}, plain("V006", "seen")]);
    let answer = patch(client, &org, mixed).await.expect(200);
    assert_eq!((&answer["variables"][5]["secret"], &answer["variables"][6]["value"]), (&json!(true), &json!("seen")));
    assert!(!dump(&org).await.contains(SECRET));
}
