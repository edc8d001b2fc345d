//! Sign-in, sessions, sign-out.

use serde_json::{Value, json};
use snapvm_tests::chance::word;
use snapvm_tests::people::{PASSWORD, Person, text};
use snapvm_tests::{Client, rows, world};

fn sign_in(email: &str, password: &str) -> Value {
    json!({"email": email, "password": password})
}

/// Moves a person's sessions in time; no operation does.
async fn change_sessions(person: &Person, assignment: &str) {
    let superuser = world().superuser().await;
    let statement = format!("update app.session set {assignment} where account_id = $1::text::uuid");
    rows::run(&superuser, &statement, &[&person.account]).await;
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_address_get_the_same_answer() {
    let person = world().sign_up().await;
    let browser = world().anonymous().browser();
    let wrong = browser.post("/v1/sessions", sign_in(&person.email, "wrong horse battery")).await;
    wrong.problem(401, "wrong_password");
    for (email, password) in [
        (format!("{}@example.com", word()), PASSWORD.to_owned()),
        (person.email.clone(), String::new()),
        (person.email.clone(), "a".repeat(5000)),
    ] {
        let other = browser.post("/v1/sessions", sign_in(&email, &password)).await;
        assert_eq!((other.status, other.refusal()), (401, wrong.refusal()), "{email}");
    }
    browser.post("/v1/sessions", sign_in("nobody", PASSWORD)).await.invalid("email");
    assert_eq!(browser.session(), None);
}

#[tokio::test]
async fn tries_on_one_account_are_limited_wherever_they_come_from() {
    let person = world().sign_up().await;
    for _ in 0..10 {
        let elsewhere = world().anonymous().browser();
        elsewhere.post("/v1/sessions", sign_in(&person.email, "wrong horse")).await.problem(401, "wrong_password");
    }
    let right = world().anonymous().browser().post("/v1/sessions", sign_in(&person.email, PASSWORD)).await;
    let wait = right.problem(429, "too_many_tries")["retry_after_seconds"].as_u64().unwrap();
    assert!((1..=900).contains(&wait), "{wait}");

    // Somebody else at such an address is not kept out, and the window ends.
    let other = world().sign_up().await;
    other.client.browser().post("/v1/sessions", sign_in(&other.email, PASSWORD)).await.expect(201);
    let superuser = world().superuser().await;
    let key = "sha256(convert_to('account:' || $1, 'UTF8'))";
    let statement =
        format!("update app.sign_in_throttle set window_ends_at = now() - interval '1 second' where key = {key}");
    assert_eq!(rows::run(&superuser, &statement, &[&person.email]).await, 1);
    person.client.browser().post("/v1/sessions", sign_in(&person.email, PASSWORD)).await.expect(201);
}

#[tokio::test]
async fn guesses_at_the_same_moment_are_counted_too() {
    let person = world().sign_up().await;
    let tries = (0..24).map(|_| {
        let elsewhere = world().anonymous().browser();
        let body = sign_in(&person.email, "wrong horse");
        async move { elsewhere.post("/v1/sessions", body).await.status }
    });
    let statuses = futures::future::join_all(tries).await;
    let looked_at = statuses.iter().filter(|status| **status == 401).count();
    assert_eq!((looked_at, statuses.len() - looked_at), (10, 14), "{statuses:?}");
}

#[tokio::test]
async fn tries_from_one_address_are_limited_whatever_they_name() {
    let browser = world().anonymous().browser();
    let tries = (0..50).map(|_| async {
        browser.post("/v1/sessions", sign_in(&format!("{}@example.com", word()), "wrong horse")).await.status
    });
    assert!(futures::future::join_all(tries).await.iter().all(|status| *status == 401));
    let person = world().sign_up().await;
    let refused = browser.post("/v1/sessions", sign_in(&person.email, PASSWORD)).await;
    refused.problem(429, "too_many_tries");
    // The account itself is reached from elsewhere.
    person.sign_in().await;
}

#[tokio::test]
async fn signing_in_rightly_uses_no_tries_up() {
    let person = world().sign_up().await;
    for _ in 0..15 {
        person.sign_in().await;
    }
}

#[tokio::test]
async fn a_session_ends_by_age_and_by_idleness() {
    for assignment in ["expires_at = now() - interval '1 second'", "last_seen_at = now() - interval '8 days'"] {
        let person = world().sign_up().await;
        person.client.get("/v1/account").await.expect(200);
        change_sessions(&person, assignment).await;
        person.client.get("/v1/account").await.problem(401, "unauthenticated");
        person.client.get(format!("/v1/orgs/{}", person.first_org)).await.problem(401, "unauthenticated");
        let body = json!({"slug": format!("s{}", word()), "name": "Org"});
        person.client.post("/v1/orgs", body).await.problem(401, "unauthenticated");
    }
}

#[tokio::test]
async fn being_seen_is_written_at_most_every_five_minutes() {
    let person = world().sign_up().await;
    let superuser = world().superuser().await;
    let age =
        "select extract(epoch from now() - last_seen_at)::float8 from app.session where account_id = $1::text::uuid";
    for (minutes, written) in [(4, false), (6, true)] {
        change_sessions(&person, &format!("last_seen_at = now() - interval '{minutes} minutes'")).await;
        person.client.get("/v1/account").await.expect(200);
        let seconds: f64 = rows::value(&superuser, age, &[&person.account]).await;
        assert_eq!(seconds < 60.0, written, "after {minutes} minutes: {seconds} s");
    }
}

async fn sessions(client: &Client) -> Vec<Value> {
    client.get("/v1/sessions").await.expect(200)["sessions"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_list_has_own_sessions_and_says_which_one_asks() {
    let person = world().sign_up().await;
    let second = person.sign_in().await;
    let listed = sessions(&second).await;
    assert_eq!(listed.len(), 2);
    let current: Vec<&Value> = listed.iter().filter(|session| session["current"] == true).collect();
    assert_eq!(current.len(), 1);
    assert_eq!(current[0]["address"], second.address());
    assert_eq!(current[0]["user_agent"], "snapvm-tests");
    change_sessions(&person, "expires_at = now()").await;
    second.get("/v1/sessions").await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn sessions_of_others_are_not_there() {
    let (person, stranger) = (world().sign_up().await, world().sign_up().await);
    let id = text(&sessions(&person.client).await[0]["id"]);
    let foreign = stranger.client.delete(format!("/v1/sessions/{id}")).await;
    foreign.problem(404, "not_found");
    let unknown = stranger.client.delete(format!("/v1/sessions/{}", rows::new_id())).await;
    assert_eq!(foreign.refusal(), unknown.refusal());
    stranger.client.delete("/v1/sessions/no-id").await.problem(404, "not_found");
    person.client.get("/v1/account").await.expect(200);
}

#[tokio::test]
async fn signing_out_ends_this_session_and_no_other() {
    let person = world().sign_up().await;
    let second = person.sign_in().await;
    let secret = second.session().unwrap();
    second.delete("/v1/sessions/current").await.expect(204);
    assert_eq!(second.session(), None, "the browser forgets it");
    let kept = second.request("GET", "/v1/account").header("cookie", &format!("__Host-snap_session={secret}"));
    kept.send().await.problem(401, "unauthenticated");
    person.client.get("/v1/account").await.expect(200);
}

#[tokio::test]
async fn a_session_can_be_ended_from_another_one_or_with_a_token() {
    let person = world().sign_up().await;
    let (writer, _) = person.token("write").await;
    let second = person.sign_in().await;
    let others: Vec<Value> =
        sessions(&second).await.into_iter().filter(|session| session["current"] == false).collect();
    let id = text(&others[0]["id"]);
    second.delete(format!("/v1/sessions/{id}")).await.expect(204);
    person.client.get("/v1/account").await.problem(401, "unauthenticated");
    writer.delete("/v1/sessions/current").await.problem(404, "not_found");
    let id = text(&sessions(&writer).await[0]["id"]);
    writer.delete(format!("/v1/sessions/{id}")).await.expect(204);
    second.get("/v1/account").await.problem(401, "unauthenticated");
}
