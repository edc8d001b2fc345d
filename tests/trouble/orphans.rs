//! Sprites that no machine has are found and deleted, and nobody else's ever are.

use serde_json::{Value, json};
use snapvm_protocol::ids::sprite_name;
use snapvm_tests::machines::{Machine, builder};
use snapvm_tests::{World, rows};

async fn look(world: &World) -> Vec<Value> {
    world.stack.run_scheduled().await.expect("the scheduled work");
    let seen = world.operator().get("/v1/operator/provider").await.expect(200);
    assert!(!seen["looked_at"].is_null(), "{seen}");
    assert_eq!(seen["prepared"], json!([]), "nothing is prepared unless the deployment says so");
    seen["orphans"].as_array().expect("a list").clone()
}

fn named<'a>(orphans: &'a [Value], name: &str) -> Option<&'a Value> {
    orphans.iter().find(|orphan| orphan["sprite"] == name)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_is_ours_and_nobodys_is_deleted_at_the_second_look() {
    let world = World::start(builder().variable("ORPHAN_SECONDS", "0")).await;
    let (org, sprites) = (world.org().await, world.sprites());
    let (kept, lost) = (Machine::create(&org, "kept").await, Machine::create(&org, "lost").await);
    kept.until("running").await;
    lost.until("running").await;
    let labels = sprites.get(&kept.sprite()).await["labels"].clone();
    let deployment = labels.as_array().unwrap().iter().find(|label| label.as_str().unwrap().starts_with("deployment:"));
    let deployment = deployment.expect("the deployment's label").clone();

    // A record that is gone, as after a restored backup or a lost deletion.
    let superuser = world.superuser().await;
    let gone = "delete from app.machine where id = $1::text::uuid";
    assert_eq!(rows::run(&superuser, gone, &[&lost.id]).await, 1);
    // A generation that was replaced.
    let stale = sprite_name(kept.id.parse().unwrap(), 1);
    let current = sprite_name(kept.id.parse().unwrap(), 2);
    let replace = "update app.machine set generation = 2, sprite_name = $2 where id = $1::text::uuid";
    assert_eq!(rows::run(&superuser, replace, &[&kept.id, &current]).await, 1);
    sprites.create(&current, &labels).await;
    // Somebody else's: of another deployment, of nobody, ours by label but not by name; more than a page of them.
    let strange = rows::new_id();
    let foreign = sprite_name(strange.parse().unwrap(), 1);
    let machine = format!("machine:{strange}");
    sprites.create(&foreign, &json!([machine, "deployment:0123456789abcdef"])).await;
    let unlabelled = sprite_name(rows::new_id().parse().unwrap(), 1);
    sprites.create(&unlabelled, &json!([])).await;
    sprites.create("s-by-hand", &json!([machine, deployment])).await;
    for number in 0..50 {
        sprites.create(&format!("s-0-{number}"), &json!([])).await;
    }

    let first = look(&world).await;
    assert_eq!(first.len(), 2, "{first:?}");
    let (orphan, old) = (named(&first, &lost.sprite()).unwrap(), named(&first, &stale).unwrap());
    assert_eq!((&orphan["reason"], &old["reason"]), (&json!("machine_gone"), &json!("generation_stale")));
    assert!(first.iter().all(|orphan| orphan["sightings"] == 1 && orphan["deleted_at"].is_null()), "{first:?}");
    assert!(sprites.status(&lost.sprite()).await.is_some() && sprites.status(&stale).await.is_some(), "seen once");

    // Whatever the record calls the newer one, or that it has none yet.
    let unnamed = "update app.machine set sprite_name = null where id = $1::text::uuid";
    assert_eq!(rows::run(&superuser, unnamed, &[&kept.id]).await, 1);
    let second = look(&world).await;
    assert!(second.len() == 2 && second.iter().all(|orphan| !orphan["deleted_at"].is_null()), "{second:?}");
    for name in [lost.sprite(), stale] {
        assert_eq!(sprites.status(&name).await, None, "{name}");
    }
    for name in [&current, &foreign, &unlabelled, "s-by-hand", "s-0-49"] {
        assert!(sprites.status(name).await.is_some(), "{name} is not ours to delete");
    }
    assert_eq!(look(&world).await.len(), 2, "what was deleted is remembered for a while");

    // A database without a single machine explains nothing.
    assert_eq!(rows::run(&superuser, gone, &[&kept.id]).await, 1);
    for _ in 0..3 {
        assert!(named(&look(&world).await, &current).is_some_and(|orphan| orphan["deleted_at"].is_null()));
    }
    assert!(sprites.status(&current).await.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_young_orphan_is_left_alone_and_a_deployment_may_only_be_told() {
    let world = World::start(builder().variable("ORPHANS", "report").variable("ORPHAN_SECONDS", "0")).await;
    let org = world.org().await;
    let (lost, _kept) = (Machine::create(&org, "lost").await, Machine::create(&org, "kept").await);
    lost.until("running").await;
    let superuser = world.superuser().await;
    rows::run(&superuser, "delete from app.machine where id = $1::text::uuid", &[&lost.id]).await;
    for sightings in 1..4 {
        let orphans = look(&world).await;
        assert_eq!(named(&orphans, &lost.sprite()).unwrap()["sightings"], json!(sightings));
    }
    assert!(world.sprites().status(&lost.sprite()).await.is_some());
    // Asked by hand what it would delete: another sprite of that name is seen anew, and has to be old enough, too.
    let credential = snapvm::secrets::hash(world.stack.secrets.jobs_credential.as_bytes()).to_string();
    let page = json!([{"name": lost.sprite(), "id": "sprite-x", "machine": lost.id, "generation": 1}]).to_string();
    for (seconds, deleted) in [(0, false), (600, false), (0, true)] {
        let row = superuser
            .query_one(
                "select body from api.jobs_sprites('j:' || $1, '{}', $2, null, '[]', $3)",
                &[&credential, &page, &seconds],
            )
            .await
            .unwrap();
        let body: Value = serde_json::from_str(row.get(0)).unwrap();
        assert_eq!(!body["delete"].as_array().unwrap().is_empty(), deleted, "{seconds} s: {body}");
    }
}
