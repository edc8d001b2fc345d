//! The provider in its moods: limits, sign-in pages, silence, slowness, another sprite under the same name. Each is met
//! where a machine is made and where one is woken. `docs/sprites-protocol.md` says which trap is tested where.

use std::time::Duration;

use serde_json::{Value, json};
use snapvm_tests::machines::{Machine, builder};
use snapvm_tests::terminal::Terminal;
use snapvm_tests::{World, until};

/// Long enough for all of a wake's patience, twice.
const LONG: Duration = Duration::from_secs(90);

async fn until_reason(machine: &Machine, words: &str) -> String {
    let says = || async {
        let reason = machine.record().await["reason"].as_str().unwrap_or_default().to_owned();
        reason.contains(words).then_some(reason)
    };
    until(&format!("{}: {words}", machine.label), LONG, says).await
}

async fn until_state(machine: &Machine, state: &str) -> Value {
    let reached = || async {
        let record = machine.record().await;
        (record["state"] == state).then_some(record)
    };
    until(&format!("{}: {state}", machine.label), LONG, reached).await
}

async fn provider(world: &World) -> Value {
    world.operator().get("/v1/operator/provider").await.expect(200)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_is_waited_for_and_says_which_it_is() {
    let world = World::start(builder().faults(true)).await;
    let (org, sprites) = (world.org().await, world.sprites());
    let limited = json!({"limited": "concurrent_sprite_limit_exceeded"});

    // Making a machine, at a call that would wake its sprite; and the limit of creations. They last until they are seen: what
    // comes of a try that another one has overtaken is told to nobody.
    sprites.fail("fs_write", "before", 1000, limited.clone()).await;
    sprites.fail("fs_read", "before", 1000, limited.clone()).await;
    let machine = Machine::create(&org, "limited").await;
    let reason = until_reason(&machine, "the provider's limit of 3 running machines is reached (3 in use)").await;
    assert!(reason.starts_with("Waiting to be created") && reason.contains("Stop a machine, or raise"), "{reason}");
    assert!(reason.contains("It is retried at "), "{reason}");
    sprites.stop_failing().await;
    until_state(&machine, "running").await;
    let history = machine.history().await;
    assert_eq!(history.iter().filter(|event| event["kind"] == "limited").count(), 1, "{history:?}");
    sprites.fail("create_sprite", "before", 1000, json!({"limited": "sprite_creation_rate_limited"})).await;
    let rated = Machine::create(&org, "rated").await;
    until_reason(&rated, "the provider's limit of 10 new machines in 60 s is reached").await;
    sprites.stop_failing().await;
    until_state(&rated, "running").await;

    // Waking one: the URL says 429 in plain text, and the API says which limit that is.
    machine.order("hibernate").await;
    machine.until("hibernated").await;
    sprites.fail("url", "before", 1000, json!({"status": 429})).await;
    sprites.fail("start_service", "before", 1000, limited).await;
    machine.order("start").await;
    let reason = until_reason(&machine, "limit of 3 running machines").await;
    assert!(reason.starts_with("Waiting to be woken"), "{reason}");
    assert_eq!(machine.record().await["state"], "waking");
    sprites.stop_failing().await;
    until_state(&machine, "running").await;
    assert_eq!(Terminal::start(&world, &machine).await.run("echo fine").await, "fine");

    // The operator sees what the account uses.
    let seen = provider(&world).await;
    assert_eq!((&seen["answering"], &seen["away_since"], &seen["detail"]), (&json!(true), &Value::Null, &Value::Null));
    assert!(seen["account"]["running"].as_u64() >= Some(1), "{seen}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_fails_again_and_again_is_left_alone_for_a_while() {
    let world = World::start(builder().faults(true)).await;
    let (org, sprites) = (world.org().await, world.sprites());
    let machine = Machine::create(&org, "one").await;
    machine.until("running").await;
    machine.order("hibernate").await;
    machine.until("hibernated").await;
    let before = sprites.listed_calls().await["get_sprite"].as_u64().unwrap();
    for operation in ["get_sprite", "list_sprites"] {
        sprites.fail(operation, "before", 1000, json!({"status": 503})).await;
    }
    machine.order("start").await;
    let away = || async { Some(provider(&world).await).filter(|seen| !seen["away_since"].is_null()) };
    let seen = until("the breaker opens", LONG, away).await;
    assert_eq!(seen["answering"], false);
    let words = || async { provider(&world).await["detail"].as_str().map(str::to_owned) };
    let since = || async { words().await.filter(|words| words.contains("the provider is not answering since ")) };
    until("it says since when", LONG, since).await;
    let failed = until_state(&machine, "failed").await;
    assert!(failed["reason"].as_str().unwrap().contains("the provider is not answering since "), "{failed}");
    let asked = sprites.listed_calls().await["get_sprite"].as_u64().unwrap() - before;
    assert!(asked < 18, "{asked} calls: six tries of three are what it would have been");
    sprites.stop_failing().await;
    let back = || async { (provider(&world).await["answering"] == true).then_some(()) };
    until("one call finds it answering", LONG, back).await;
    assert!(provider(&world).await["away_since"].is_null());
    machine.order("start").await;
    until_state(&machine, "running").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_answers_a_wake_instead_of_the_agent_the_machine_wakes() {
    let world = World::start(builder().faults(true).variable(
        "NETWORK_POLICY",
        r#"{"rules": [{"domain": "*", "action": "allow"}, {"domain": "blocked.example", "action": "deny"}]}"#,
    ))
    .await;
    let (org, sprites) = (world.org().await, world.sprites());
    let machine = Machine::create(&org, "moods").await;
    machine.until("running").await;
    // What the deployment wants of every machine, and agents reach us under it.
    let rules = sprites.network_policy(&machine.sprite()).await;
    let dial = json!({"domain": "dial.snapvm.internal", "action": "allow"});
    assert_eq!(rules[1], json!({"domain": "blocked.example", "action": "deny"}));
    assert_eq!(rules[2], dial, "{rules}");

    for (what, times, answer) in [
        ("a sign-in page", 2, json!("redirect")),
        ("nothing listens on port 8080", 2, json!("hang")),
        ("the edge knows no such sprite", 2, json!({"status": 404})),
        ("an error in plain text", 2, json!({"status": 502})),
        ("a closed connection", 2, json!("drop")),
        ("a cold wake of eleven seconds", 4, json!({"delay_ms": 11_000})),
    ] {
        machine.order("hibernate").await;
        machine.until("hibernated").await;
        sprites.fail("url", "before", times, answer).await;
        machine.order("start").await;
        until_state(&machine, "running").await;
        sprites.stop_failing().await;
        println!("{what}: it woke");
    }
    // Also where the answer is lost after the agent has heard of it.
    machine.order("hibernate").await;
    machine.until("hibernated").await;
    sprites.fail("url", "after", 1, json!("drop")).await;
    machine.order("start").await;
    until_state(&machine, "running").await;
    let calls = sprites.listed_calls().await;
    for unused in ["restart_service", "exec", "update_sprite", "list_services"] {
        assert!(calls[unused].is_null(), "{unused}: {calls}");
    }

    // Another sprite under the same name gets neither our token nor a ticket.
    machine.order("hibernate").await;
    machine.until("hibernated").await;
    let (name, old) = (machine.sprite(), sprites.get(&machine.sprite()).await);
    sprites.delete(&name).await;
    let new = sprites.create(&name, &old["labels"]).await;
    assert_ne!(old["id"], new["id"]);
    machine.order("start").await;
    let failed = until_state(&machine, "failed").await;
    assert!(failed["reason"].as_str().unwrap().contains("Its runtime is gone"), "{failed}");
    assert_eq!(sprites.get(&name).await["status"], "cold", "nothing woke it");
    // And can be deleted all the same.
    machine.client.delete(&machine.path).await.expect(202);
    machine.until_gone().await;
}
