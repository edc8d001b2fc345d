//! Sign-up, and who am I.

use serde_json::{Value, json};
use snapvm_tests::chance::word;
use snapvm_tests::people::PASSWORD;
use snapvm_tests::{rows, world};

fn sign_up(email: &str, name: &str, password: &str) -> Value {
    json!({"email": email, "name": name, "password": password})
}

#[tokio::test]
async fn a_field_that_cannot_be_accepted_is_named() {
    let browser = world().anonymous().browser();
    for email in ["", "ada", "ada@", "@example.com", "ada@example", "a b@example.com", "a@b@example.com", "a\u{0}@b.c"]
    {
        browser.post("/v1/accounts", sign_up(email, "Ada", PASSWORD)).await.invalid("email");
    }
    let long = format!("{}@example.com", "a".repeat(250));
    browser.post("/v1/accounts", sign_up(&long, "Ada", PASSWORD)).await.invalid("email");
    for name in ["", "  ", "a\nb", "a\u{0}b", &"a".repeat(101)] {
        browser.post("/v1/accounts", sign_up("ada@example.com", name, PASSWORD)).await.invalid("name");
    }
    for password in ["", "ninechars", &"a".repeat(201)] {
        browser.post("/v1/accounts", sign_up("ada@example.com", "Ada", password)).await.invalid("password");
    }
    assert_eq!(browser.session(), None);
}

#[tokio::test]
async fn an_address_has_one_account() {
    let person = world().sign_up().await;
    let browser = world().anonymous().browser();
    for email in [person.email.clone(), person.email.to_uppercase(), format!("  {} ", person.email)] {
        let refused = browser.post("/v1/accounts", sign_up(&email, "Other", PASSWORD)).await;
        assert_eq!(refused.problem(409, "email_taken")["field"], "email");
    }
    assert_eq!(browser.session(), None, "a refused sign-up signs nobody in");
}

#[tokio::test]
async fn of_many_sign_ups_at_once_one_succeeds() {
    let email = format!("{}@example.com", word());
    let tries = (0..6).map(|_| async {
        let browser = world().anonymous().browser();
        browser.post("/v1/accounts", sign_up(&email, "Ada", PASSWORD)).await.status
    });
    let mut statuses = futures::future::join_all(tries).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409, 409, 409]);
}

#[tokio::test]
async fn nobody_is_nobody() {
    world().anonymous().get("/v1/account").await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_sign_up_is_signed_in_and_has_an_organization() {
    let person = world().sign_up().await;
    let account = person.client.get("/v1/account").await.expect(200);
    assert_eq!(account["email"], person.email.as_str());
    assert_eq!(account["orgs"], json!([{"slug": person.first_org, "name": account["name"], "role": "owner"}]));
}

#[tokio::test]
async fn people_with_the_same_name_get_different_organizations() {
    let local = word();
    let mut slugs = Vec::new();
    for domain in ["example.com", "example.org", "example.net"] {
        let browser = world().anonymous().browser();
        let body = sign_up(&format!("{local}@{domain}"), "Ada", PASSWORD);
        let account = browser.post("/v1/accounts", body).await.expect(201);
        slugs.push(account["orgs"][0]["slug"].as_str().unwrap().to_owned());
    }
    slugs.sort();
    slugs.dedup();
    assert_eq!(slugs.len(), 3, "{slugs:?}");
}

#[tokio::test]
async fn passwords_and_secrets_are_stored_as_hashes() {
    let person = world().sign_up().await;
    let superuser = world().superuser().await;
    let phc: String = rows::value(
        &superuser,
        "select p.phc from app.password p where p.account_id = $1::text::uuid",
        &[&person.account],
    )
    .await;
    assert!(phc.starts_with("$argon2id$v=19$m=12288,t=3,p=1$"), "{phc}");
    let session = person.client.session().unwrap();
    let hash = snapvm::secrets::hash(session.as_bytes()).to_string();
    let stored: i64 =
        rows::value(&superuser, "select count(*) from app.session s where encode(s.hash, 'hex') = $1", &[&hash]).await;
    assert_eq!(stored, 1);
}
