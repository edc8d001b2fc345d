//! Names of ports.

use serde_json::json;
use snapvm_tests::{rows, world};

#[tokio::test]
async fn what_cannot_be_a_port_is_refused() {
    let org = world().org().await;
    org.machine(&org.owner.client, "one").await;
    for port in ["0", "80", "1023", "8080", "65536", "-1", "3000a", "03000", "+3000", "%01", "a"] {
        let path = org.path(&format!("/machines/one/ports/{port}"));
        org.owner.client.put(&path, json!({"label": "Web"})).await.invalid("port");
        org.owner.client.delete(&path).await.invalid("port");
    }
    let path = org.path("/machines/one/ports/3000");
    for label in ["", "  ", "a\nb", &"a".repeat(61)] {
        org.owner.client.put(&path, json!({"label": label})).await.invalid("label");
    }
    org.owner.client.put(&path, json!({"label": "Web", "port": 1})).await.problem(400, "malformed_body");
    org.owner
        .client
        .put(org.path("/machines/none/ports/3000"), json!({"label": "Web"}))
        .await
        .problem(404, "not_found");
    org.owner.client.delete(&path).await.problem(404, "not_found");
}

#[tokio::test]
async fn a_port_has_one_name_and_a_url() {
    let org = world().org().await;
    let viewer = org.member(world(), "viewer").await;
    let machine = org.machine(&org.owner.client, "one").await;
    let path = org.path("/machines/one/ports/3000");
    viewer.client.put(&path, json!({"label": "Web"})).await.problem(403, "role");
    let named = org.owner.client.put(&path, json!({"label": "Web"})).await.expect(200);
    assert_eq!(named["url"], machine["url"].as_str().unwrap().replacen("one--", "3000--one--", 1));
    let renamed = org.owner.client.put(&path, json!({"label": "API"})).await.expect(200);
    let listed = viewer.client.get(org.path("/machines/one/ports")).await.expect(200);
    assert_eq!(listed["ports"], json!([renamed]));
    viewer.client.delete(&path).await.problem(403, "role");
    org.owner.client.delete(&path).await.expect(204);
    org.owner.client.delete(&path).await.problem(404, "not_found");
}

#[tokio::test]
async fn a_machine_has_at_most_fifty() {
    let org = world().org().await;
    let superuser = world().superuser().await;
    let machine = rows::machine(&superuser, &org.slug, &org.owner.account, "one").await;
    rows::run(
        &superuser,
        "insert into app.port (org_id, machine_id, port, label)
         select org_id, id, 4000 + n, 'Many' from app.machine, generate_series(1, 49) n where id = $1::text::uuid",
        &[&machine.id],
    )
    .await;
    let put = |port: u16| org.owner.client.put(org.path(&format!("/machines/one/ports/{port}")), json!({"label": "a"}));
    put(5000).await.problem(409, "limit");
    put(3000).await.expect(200);
}
