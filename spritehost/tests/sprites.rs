//! Sprites as records: create, get, list, update, delete, and orders to fail.

mod harness;

use harness::{Host, TOKEN, order_fault, request, try_request};
use hyper::{Method, StatusCode};
use serde_json::json;

#[tokio::test]
async fn a_sprite_is_created_found_changed_and_deleted() {
    let host = Host::start(&[]).await;
    let body = json!({ "name": "one", "labels": ["a"], "environment": { "X": "1" }, "config": { "ram_mb": 512 } });
    let created = host.call(Method::POST, "/v1/sprites", body.to_string()).await;
    assert_eq!(created.status, StatusCode::CREATED);
    let sprite = created.json();
    assert!(sprite["id"].as_str().unwrap().starts_with("sprite-"));
    assert_eq!((&sprite["status"], &sprite["labels"]), (&json!("cold"), &json!(["a"])));
    assert_eq!((&sprite["organization"], &sprite["url_settings"]), (&json!("local"), &json!({ "auth": "sprite" })));
    assert_eq!(host.get("/v1/sprites/one").await["id"], sprite["id"]);

    let changed = json!({ "url_settings": { "auth": "public" }, "labels": [] }).to_string();
    let changed = host.call(Method::PUT, "/v1/sprites/one", changed).await.json();
    assert_eq!((&changed["url_settings"]["auth"], &changed["labels"]), (&json!("public"), &json!([])));

    let url = sprite["url"].as_str().unwrap();
    assert_eq!(host.call(Method::DELETE, "/v1/sprites/one", "").await.status, StatusCode::NO_CONTENT);
    assert_eq!(host.call(Method::DELETE, "/v1/sprites/one", "").await.status, StatusCode::NOT_FOUND);
    assert_eq!(host.call(Method::GET, "/v1/sprites/one", "").await.json()["error"], "not_found");
    assert_eq!(
        request(Method::GET, url, &[], "").await.status,
        StatusCode::NOT_FOUND,
        "the edge doesn't know it any more"
    );
    let again = host.create("one").await;
    assert_ne!(again["id"], sprite["id"], "a new sprite under an old name has a new id");
}

#[tokio::test]
async fn lists_have_pages_and_prefixes() {
    let host = Host::start(&[]).await;
    for name in ["b-1", "a-2", "a-1", "a-3"] {
        host.create(name).await;
    }
    let page = host.get("/v1/sprites?prefix=a-&max_results=2").await;
    assert_eq!(page["sprites"][1]["name"], "a-2");
    assert_eq!((page["sprites"][0].get("id"), &page["has_more"]), (None, &json!(true)));
    let token = page["next_continuation_token"].as_str().unwrap();
    let rest = host.get(&format!("/v1/sprites?prefix=a-&continuation_token={token}&bulk_load=true")).await;
    assert_eq!((&rest["sprites"][0]["name"], &rest["has_more"]), (&json!("a-3"), &json!(false)));
    assert_eq!(rest["sprites"][0]["status"], "cold");
    assert_eq!(rest["cold"], 4);
}

#[tokio::test]
async fn what_is_wrong_is_refused() {
    let host = Host::start(&[]).await;
    host.create("taken").await;
    for name in ["taken", "Upper", "", "-a", "a_b", &"a".repeat(49)] {
        let reply = host.call(Method::POST, "/v1/sprites", json!({ "name": name }).to_string()).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{name:?}");
        assert!(reply.json()["message"].is_string());
    }
    assert_eq!(host.call(Method::POST, "/v1/sprites", "{").await.status, StatusCode::BAD_REQUEST);
    let huge = json!({ "name": "huge", "labels": ["x".repeat(1024 * 1024)] }).to_string();
    assert_eq!(host.call(Method::POST, "/v1/sprites", huge).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(host.call(Method::GET, "/v1/sprites?max_results=51", "").await.status, StatusCode::BAD_REQUEST);

    let unlisted = [
        (Method::GET, "/"),
        (Method::PATCH, "/v1/sprites/taken"),
        (Method::POST, "/v1/sprites/taken/restart"),
        (Method::GET, "/v1/sprites/taken/policy/privileges"),
        (Method::GET, "/v1/oauth/connections"),
        (Method::GET, "/v1/sprites/taken/control"),
    ];
    for (method, path) in unlisted {
        let reply = host.call(method.clone(), path, "").await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND, "{method} {path}");
        assert_eq!(reply.json()["error"], "not_found", "{method} {path}");
    }

    for header in ["", "Bearer", "Bearer wrong", "Basic b3Jn", &format!("Bearer {TOKEN}x")] {
        let url = format!("{}/v1/sprites", host.base);
        let reply = request(Method::GET, &url, &[("authorization", header)], "").await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{header:?}");
    }
    assert_eq!(host.status("taken").await, "cold", "none of these calls woke it");
}

#[tokio::test]
async fn it_fails_when_ordered_before_or_after_the_work() {
    let host = Host::start(&["--faults"]).await;
    let body = |name: &str| json!({ "name": name }).to_string();
    let order = |when: &str| json!({ "operation": "create_sprite", "when": when, "answer": { "status": 503 } });

    order_fault(&host, &order("before")).await;
    let reply = host.call(Method::POST, "/v1/sprites", body("before")).await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(host.call(Method::GET, "/v1/sprites/before", "").await.status, StatusCode::NOT_FOUND);

    order_fault(&host, &order("after")).await;
    let reply = host.call(Method::POST, "/v1/sprites", body("after")).await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(host.status("after").await, "cold", "it was created all the same");

    order_fault(&host, &json!({ "operation": "get_sprite", "when": "before", "answer": "drop" })).await;
    let url = format!("{}/v1/sprites/after", host.base);
    let token = format!("Bearer {TOKEN}");
    assert!(try_request(Method::GET, &url, &[("authorization", &token)], "").await.is_err());

    order_fault(&host, &json!({ "operation": "get_sprite", "when": "after", "answer": "hang" })).await;
    let headers = [("authorization", token.as_str())];
    let hung = try_request(Method::GET, &url, &headers, "");
    assert!(tokio::time::timeout(std::time::Duration::from_millis(200), hung).await.is_err());
    assert_eq!(host.status("after").await, "cold", "each order was for one call");
}
