//! Organizations.

use serde_json::json;
use snapvm_tests::chance::word;
use snapvm_tests::{rows, world};

#[tokio::test]
async fn a_slug_that_cannot_be_accepted_is_named() {
    let person = world().sign_up().await;
    let long = "a".repeat(25);
    for slug in ["", "A", "1a", "-a", "a-", "a--b", "a_b", "a.b", "ä", "a b", "www", "admin", "a\u{0}", &long] {
        person.client.post("/v1/orgs", json!({"slug": slug, "name": "Org"})).await.invalid("slug");
    }
    for name in ["", " ", "a\u{1b}b", &"ä".repeat(101)] {
        let body = json!({"slug": format!("o{}", word()), "name": name});
        person.client.post("/v1/orgs", body).await.invalid("name");
    }
}

#[tokio::test]
async fn a_slug_is_anybodys_once() {
    let (person, other) = (world().sign_up().await, world().sign_up().await);
    let slug = format!("o{}", word());
    person.client.post("/v1/orgs", json!({"slug": slug, "name": "First"})).await.expect(201);
    for client in [&person.client, &other.client] {
        let refused = client.post("/v1/orgs", json!({"slug": slug, "name": "Second"})).await;
        assert_eq!(refused.problem(409, "slug_taken")["field"], "slug");
    }
    let race = format!("o{}", word());
    let tries = [&person, &other, &person, &other].map(|who| {
        let body = json!({"slug": race, "name": "Race"});
        async move { who.client.post("/v1/orgs", body).await.status }
    });
    let mut statuses = futures::future::join_all(tries).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409]);
}

#[tokio::test]
async fn an_organization_of_others_is_not_there() {
    let (org, stranger) = (world().org().await, world().sign_up().await);
    let foreign = stranger.client.get(org.path("")).await;
    foreign.problem(404, "not_found");
    let unknown = stranger.client.get(format!("/v1/orgs/o{}", word())).await;
    assert_eq!(foreign.refusal(), unknown.refusal());
    for slug in ["%00", "%ff", "..%2f..", "A", "a--b", "%F0%9F%98%80"] {
        let odd = stranger.client.get(format!("/v1/orgs/{slug}")).await;
        assert_eq!((odd.status, odd.json()["code"].as_str()), (404, Some("not_found")), "{slug}");
    }
    let listed = stranger.client.get("/v1/orgs").await;
    assert!(!listed.text().contains(&org.slug), "{}", listed.text());
}

#[tokio::test]
async fn whoever_makes_one_owns_it() {
    let person = world().sign_up().await;
    let slug = format!("o{}", word());
    let made = person.client.post("/v1/orgs", json!({"slug": slug, "name": " Größe & Söhne "})).await.expect(201);
    assert_eq!((&made["role"], &made["name"]), (&json!("owner"), &json!("Größe & Söhne")));
    assert_eq!(person.client.get(format!("/v1/orgs/{slug}")).await.expect(200), made);
    let listed = person.client.get("/v1/orgs").await.expect(200);
    assert_eq!(listed["orgs"].as_array().unwrap().len(), 2);
    assert!(listed["orgs"].as_array().unwrap().contains(&made));
}

#[tokio::test]
async fn an_account_owns_at_most_twenty() {
    let person = world().sign_up().await;
    let superuser = world().superuser().await;
    rows::run(
        &superuser,
        "with made as (
           insert into app.org (id, slug, name)
           select gen_random_uuid(), 'm' || substr(md5($1 || n), 1, 12), 'Many' from generate_series(1, 19) n
           returning id)
         insert into app.membership (org_id, account_id, role) select id, $1::text::uuid, 'owner' from made",
        &[&person.account],
    )
    .await;
    let body = json!({"slug": format!("o{}", word()), "name": "Org"});
    person.client.post("/v1/orgs", body).await.problem(409, "limit");
}
