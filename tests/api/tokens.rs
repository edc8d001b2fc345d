//! API tokens.

use serde_json::json;
use snapvm_tests::people::text;
use snapvm_tests::{rows, world};

#[tokio::test]
async fn a_field_that_cannot_be_accepted_is_named() {
    let person = world().sign_up().await;
    let create = |body| person.client.post("/v1/tokens", body);
    create(json!({"name": "", "scope": "read"})).await.invalid("name");
    create(json!({"name": "a".repeat(101), "scope": "read"})).await.invalid("name");
    for days in [0, -1, 366, i64::MAX] {
        create(json!({"name": "t", "scope": "read", "expires_in_days": days})).await.invalid("expires_in_days");
    }
    create(json!({"name": "t", "scope": "admin"})).await.problem(400, "malformed_body");
    create(json!({"name": "t"})).await.problem(400, "malformed_body");
}

#[tokio::test]
async fn what_cannot_be_a_token_is_nobody() {
    let person = world().sign_up().await;
    let (token, _) = person.token("read").await;
    token.get("/v1/account").await.expect(200);
    let session = person.client.session().unwrap();
    let good = token.request("GET", "/v1/account");
    drop(good);
    for wrong in [
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        "Bearer snap_pat_".to_owned(),
        format!("Bearer snap_pat_{}", "A".repeat(38)),
        format!("Bearer {session}"),
        "Basic YTpi".to_owned(),
        "Bearer ÿ".to_owned(),
    ] {
        // With a good cookie beside it: whoever sends a token is asked for a good one.
        let request = person.client.request("GET", "/v1/account").header("authorization", &wrong);
        request.send().await.problem(401, "unauthenticated");
    }
}

#[tokio::test]
async fn a_token_counts_alone() {
    let (person, other) = (world().sign_up().await, world().sign_up().await);
    let (token, _) = person.token("write").await;
    let cookie = format!("__Host-snap_session={}", other.client.session().unwrap());
    let request = token.request("GET", "/v1/account").header("cookie", &cookie);
    assert_eq!(request.send().await.expect(200)["email"], person.email.as_str());
    // No browser sends it by itself, so the page it comes from does not matter.
    let org = format!("o{}", snapvm_tests::chance::word());
    let request = token.request("POST", "/v1/orgs").header("cookie", &cookie).header("sec-fetch-site", "cross-site");
    request.header("origin", "https://evil.test").json(json!({"slug": org, "name": "Org"})).send().await.expect(201);
}

#[tokio::test]
async fn a_token_may_do_what_its_scope_says_and_makes_no_tokens() {
    let org = world().org().await;
    let (reader, _) = org.owner.token("read").await;
    let (writer, _) = org.owner.token("write").await;
    for token in [&reader, &writer] {
        token.get(org.path("/members")).await.expect(200);
        let refused = token.post("/v1/tokens", json!({"name": "t", "scope": "read"})).await;
        refused.problem(403, "session_required");
    }
    let body = json!({"name": "Renamed", "slug": format!("t{}", snapvm_tests::chance::word())});
    reader.post("/v1/orgs", body.clone()).await.problem(403, "scope");
    reader.post(org.path("/machines"), json!({"name": "a"})).await.problem(403, "scope");
    writer.post("/v1/orgs", body).await.expect(201);
}

#[tokio::test]
async fn the_secret_is_shown_once() {
    let person = world().sign_up().await;
    let body = json!({"name": " deploy ", "scope": "write", "expires_in_days": 7});
    let made = person.client.post("/v1/tokens", body).await.expect(201);
    let secret = text(&made["token"]);
    assert!(secret.starts_with("snap_pat_"), "{secret}");
    assert_eq!(made["last_four"], secret[secret.len() - 4..]);
    assert_eq!(made["name"], "deploy");
    let listed = person.client.get("/v1/tokens").await;
    assert!(!listed.text().contains(&secret));
    assert_eq!(listed.expect(200)["tokens"][0]["id"], made["id"]);
}

#[tokio::test]
async fn a_revoked_token_is_dead_and_gone() {
    let person = world().sign_up().await;
    let (token, id) = person.token("write").await;
    person.client.delete(format!("/v1/tokens/{id}")).await.expect(204);
    token.get("/v1/account").await.problem(401, "unauthenticated");
    token.post("/v1/orgs", json!({"slug": "abc", "name": "Org"})).await.problem(401, "unauthenticated");
    person.client.delete(format!("/v1/tokens/{id}")).await.problem(404, "not_found");
    assert_eq!(person.client.get("/v1/tokens").await.expect(200)["tokens"], json!([]));
}

#[tokio::test]
async fn a_token_may_revoke_itself_and_the_trail_says_who() {
    let person = world().sign_up().await;
    let (token, id) = person.token("write").await;
    let gone = token.delete(format!("/v1/tokens/{id}")).await;
    gone.expect(204);
    let superuser = world().superuser().await;
    let who: Option<String> =
        rows::value(&superuser, "select account_id::text from app.audit where request_id = $1", &[gone.request_id()])
            .await;
    assert_eq!(who, Some(person.account));
    token.get("/v1/account").await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn an_expired_token_is_dead_and_gone() {
    let person = world().sign_up().await;
    let (token, id) = person.token("write").await;
    let superuser = world().superuser().await;
    rows::run(&superuser, "update app.api_token set expires_at = now() where id = $1::text::uuid", &[&id]).await;
    token.get("/v1/account").await.problem(401, "unauthenticated");
    assert_eq!(person.client.get("/v1/tokens").await.expect(200)["tokens"], json!([]));
}

#[tokio::test]
async fn tokens_of_others_are_not_there() {
    let (person, stranger) = (world().sign_up().await, world().sign_up().await);
    let (token, id) = person.token("read").await;
    let foreign = stranger.client.delete(format!("/v1/tokens/{id}")).await;
    foreign.problem(404, "not_found");
    let unknown = stranger.client.delete(format!("/v1/tokens/{}", rows::new_id())).await;
    assert_eq!(foreign.refusal(), unknown.refusal());
    stranger.client.delete("/v1/tokens/%00").await.problem(404, "not_found");
    token.get("/v1/account").await.expect(200);
}

#[tokio::test]
async fn there_are_at_most_fifty() {
    let person = world().sign_up().await;
    let superuser = world().superuser().await;
    rows::run(
        &superuser,
        "insert into app.api_token (id, account_id, name, hash, last_four, scope, expires_at)
         select gen_random_uuid(), $1::text::uuid, 'many', sha256(convert_to($1 || n, 'UTF8')), 'last', 'read',
           now() + interval '1 day' from generate_series(1, 50) n",
        &[&person.account],
    )
    .await;
    person.client.post("/v1/tokens", json!({"name": "t", "scope": "read"})).await.problem(409, "limit");
}
