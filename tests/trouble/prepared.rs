//! Machines that are prepared before anybody wants one: taken once each, replaced when they do not work, and never in the
//! way of anybody.

use std::time::Duration;

use serde_json::{Value, json};
use snapvm_protocol::ids::sprite_name;
use snapvm_tests::machines::{Machine, builder};
use snapvm_tests::people::text;
use snapvm_tests::sprites::Sprites;
use snapvm_tests::terminal::Terminal;
use snapvm_tests::{World, rows, until};

/// Long enough for two machines to be made and fall asleep, one after the other.
const LONG: Duration = Duration::from_mins(3);

/// What the operator is told of the one kind that is prepared.
async fn told(world: &World) -> Value {
    let provider = world.operator().get("/v1/operator/provider").await.expect(200);
    provider["prepared"].as_array().expect("a list").first().cloned().unwrap_or(Value::Null)
}

async fn until_told(world: &World, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let look = || async {
        let told = told(world).await;
        is_so(&told).then_some(told)
    };
    until(what, LONG, look).await
}

/// Has the scheduled work fill what is missing, and waits until so many are ready.
async fn until_ready(world: &World, ready: u64) {
    world.stack.run_scheduled().await.expect("the scheduled work");
    until_told(world, &format!("{ready} are ready"), |told| told["ready"] == ready && told["preparing"] == 0).await;
}

async fn calls(sprites: &Sprites, operation: &str) -> u64 {
    sprites.listed_calls().await[operation].as_u64().unwrap_or(0)
}

/// Waits for a machine that must not be seen failed on its way.
async fn until_running(machine: &Machine) -> Value {
    let reached = || async {
        let record = machine.record().await;
        assert_ne!(record["state"], "failed", "{record}");
        (record["state"] == "running").then_some(record)
    };
    until(&format!("{}: running", machine.label), LONG, reached).await
}

async fn is_prepared(machine: &Machine) -> bool {
    let history = machine.history().await;
    assert!(history.iter().all(|event| event["kind"] != "failed"), "{history:?}");
    history
        .iter()
        .any(|event| event["kind"] == "created" && event["detail"] == "Created. Its sprite was prepared before.")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prepared_machine_is_taken_once_and_a_broken_one_is_nobodys_trouble() {
    let wanted = json!([
        {"runtime": "spritehost", "size": "small", "region": "local", "ready": 2},
        {"runtime": "spritehost", "size": "of-former-times", "region": "local", "ready": 2},
    ]);
    let world =
        World::start(builder().faults(true).variable("PREPARED", wanted.to_string()).variable("ORPHAN_SECONDS", "0"))
            .await;
    let (sprites, superuser) = (world.sprites(), world.superuser().await);
    let (org, other) = (world.org().await, world.org().await);

    // Made, asleep, nobody's; and left alone by the look for orphans, however often it is taken.
    until_ready(&world, 2).await;
    let names = sprites.names("s-").await;
    assert_eq!(names.len(), 2, "{names:?}");
    for name in &names {
        let sprite = sprites.get(name).await;
        assert_ne!(sprite["status"], "running", "{sprite}");
        let labels: Vec<String> = sprite["labels"].as_array().unwrap().iter().map(text).collect();
        assert!(labels.len() == 2 && labels.iter().all(|label| !label.starts_with("org:")), "{labels:?}");
    }
    for _ in 0..3 {
        world.stack.run_scheduled().await.expect("the scheduled work");
    }
    assert_eq!(sprites.names("s-").await, names);

    // Two create at once: each gets one of its own, with nothing left to make or to deliver.
    let before = (calls(&sprites, "create_sprite").await, calls(&sprites, "fs_write").await);
    let (first, second) = tokio::join!(Machine::create(&org, "first"), Machine::create(&other, "second"));
    for (machine, org) in [(&first, &org), (&second, &other)] {
        assert!(names.contains(&machine.sprite()), "{} is none of {names:?}", machine.sprite());
        until_running(machine).await;
        assert!(is_prepared(machine).await);
        assert_eq!(Terminal::start(&world, machine).await.run("echo fine").await, "fine");
        let label = format!("org:{}", rows::org_id(&superuser, &org.slug).await);
        let labelled = || async {
            let sprite = sprites.get(&machine.sprite()).await;
            sprite["labels"].as_array().unwrap().contains(&json!(label)).then_some(())
        };
        until("its labels say whose it is", LONG, labelled).await;
    }
    assert_ne!(first.id, second.id);
    assert_eq!((calls(&sprites, "create_sprite").await, calls(&sprites, "fs_write").await), before);

    // None is left: one is made, as ever.
    let third = Machine::create(&org, "third").await;
    until_running(&third).await;
    assert!(!is_prepared(&third).await && !names.contains(&third.sprite()));

    // A limit of the provider's: what is prepared gives up at once, and nothing else is begun; people are served.
    sprites.fail("create_sprite", "before", 1000, json!({"limited": "sprite_creation_rate_limited"})).await;
    world.stack.run_scheduled().await.expect("the scheduled work");
    let failed = until_told(&world, "the limit is told", |told| told["failed"] == 2).await;
    assert!(text(&failed["failure"]).contains("limit of 10 new machines"), "{failed}");
    sprites.stop_failing().await;
    world.stack.run_scheduled().await.expect("the scheduled work");
    let still = told(&world).await;
    assert_eq!((&still["failed"], &still["preparing"], &still["ready"]), (&json!(2), &json!(0), &json!(0)), "{still}");
    let fourth = Machine::create(&org, "fourth").await;
    until_running(&fourth).await;

    // Those go, and others come; so does one whose preparation was interrupted before anybody began it.
    let later =
        "update app.prepared set state_at = state_at - interval '10 minutes' where state in ('failed', 'deleting')";
    assert_eq!(rows::run(&superuser, later, &[]).await, 2);
    let interrupted = rows::new_id();
    let insert = "insert into app.prepared (id, runtime, size, region, agent_digest, state_at)
        select $1::text::uuid, 'spritehost', 'small', 'local', agent_digest, now() - interval '1 minute'
        from app.prepared limit 1";
    assert_eq!(rows::run(&superuser, insert, &[&interrupted]).await, 1);
    // The first run says that they are to go, the next one tells their objects.
    world.stack.run_scheduled().await.expect("the scheduled work");
    rows::run(&superuser, later, &[]).await;
    until_ready(&world, 2).await;
    assert!(sprites.status(&sprite_name(interrupted.parse().unwrap(), 1)).await.is_some());
    until_told(&world, "the failed ones are gone", |told| told["failed"] == 0 && told["leaving"] == 0).await;

    // Broken ones: one never answers, the other is gone. Whoever takes them gets a machine.
    let ready = "select string_agg(sprite_name, ' ' order by created_at) from app.prepared where state = 'hibernated'";
    let ready: String = rows::value(&superuser, ready, &[]).await;
    let (silent, gone) = ready.split_once(' ').expect("two of them");
    sprites.delete(gone).await;
    // As often as its agent is asked before it is given up.
    sprites.fail("url", "before", 8, json!({"status": 502})).await;
    for (name, broken) in [("one", silent), ("two", gone)] {
        let machine = Machine::create(&org, name).await;
        assert_eq!(machine.sprite(), broken);
        let record = until_running(&machine).await;
        assert_eq!(record["generation"], 2, "{record}");
        assert!(is_prepared(&machine).await);
        assert_eq!(Terminal::start(&world, &machine).await.run("echo fine").await, "fine");
        let cleared = || async { sprites.status(broken).await.is_none().then_some(()) };
        until("the broken one is deleted", LONG, cleared).await;
    }

    // One that has an agent of before goes, and another takes its place.
    until_ready(&world, 2).await;
    let aged = "update app.prepared set agent_digest = 'of another deployment' where id = (
        select id from app.prepared order by created_at limit 1)";
    assert_eq!(rows::run(&superuser, aged, &[]).await, 1);
    let old: String =
        rows::value(&superuser, "select sprite_name from app.prepared where agent_digest like 'of%'", &[]).await;
    world.stack.run_scheduled().await.expect("the scheduled work");
    assert_eq!(rows::run(&superuser, later, &[]).await, 1);
    until_ready(&world, 2).await;
    let cleared = || async { sprites.status(&old).await.is_none().then_some(()) };
    until("the old one is deleted", LONG, cleared).await;
}
