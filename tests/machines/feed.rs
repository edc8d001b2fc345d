//! Live updates of machines that really run: states as they are reached, services as their agents report them; and an
//! object that goes while its followers stay.

use std::cell::Cell;
use std::time::Duration;

use serde_json::{Value, json};
use snapvm_tests::feed::Follower;
use snapvm_tests::machines::Machine;
use snapvm_tests::{rows, until};

use crate::eviction::{constructions, holding};
use crate::world;

/// Longer than the runtime keeps a quiet object.
const QUIET: Duration = Duration::from_secs(12);

fn states(follower: &Follower) -> Vec<Value> {
    follower.field("machine", "state")
}

#[tokio::test]
async fn a_machines_life_is_told_and_a_quiet_feed_sleeps_with_its_sockets_open() {
    let org = world().org().await;
    let viewer = org.member(world(), "viewer").await;
    let mut follower = Follower::open(world(), &viewer.client, &org).await;
    let machine = Machine::create(&org, "demo").await;
    follower.until("it runs", |follower| states(follower).last() == Some(&json!("running"))).await;
    follower.until("its history", |follower| follower.field("event", "kind").contains(&json!("running"))).await;
    let service = json!({"command": "sleep", "args": ["1000"]});
    machine.client.put(format!("{}/services/web", machine.path), service).await.expect(200);
    let runs =
        |follower: &Follower| follower.field("services", "status").iter().any(|status| status["state"] == "running");
    follower.until("its service runs", runs).await;

    // Nothing happens, and the object goes; the next change finds its followers.
    let feed = follower.state().feed.clone();
    let before = constructions("OrgFeed", &feed);
    assert!(before > 0);
    let said = follower.states.len();
    for round in 1.. {
        follower.drain(QUIET).await;
        assert!(follower.is_open(), "the socket stays: {:?}", follower.closed);
        let port = 4000 + round;
        machine.client.put(format!("{}/ports/{port}", machine.path), json!({"label": "Web"})).await.expect(200);
        follower.until("the port", |follower| follower.field("ports", "port").contains(&json!(port))).await;
        let after = constructions("OrgFeed", &feed);
        println!("constructions: {before}, after {round} times {QUIET:?} of quiet {after}");
        if after > before {
            break;
        }
        assert!(round < 4, "the object stays in memory");
    }
    assert_eq!(follower.states.len(), said, "nobody had to begin anew");

    machine.order("stop").await;
    follower.until("it is stopped", |follower| states(follower).last() == Some(&json!("stopped"))).await;
    let versions: Vec<u64> =
        follower.field("machine", "version").iter().map(|version| version.as_u64().unwrap()).collect();
    assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
    machine.client.delete(&machine.path).await.expect(202);
    follower.until("it is gone", |follower| follower.field("machine", "removed").contains(&json!(true))).await;
}

#[tokio::test]
async fn where_nobody_follows_no_object_hears_of_anything() {
    let (org, machine) = Machine::running(world()).await;
    let superuser = world().superuser().await;
    let org_id = rows::org_id(&superuser, &org.slug).await;
    let is_followed = async || {
        rows::value::<i64>(&superuser, "select count(*) from app.followed where org_id = $1::text::uuid", &[&org_id])
            .await
            == 1
    };
    let change = async |number: u16| {
        let port = 4000 + number % 40;
        machine.client.put(format!("{}/ports/{port}", machine.path), json!({"label": "Web"})).await.expect(200);
    };
    change(0).await;
    assert!(!is_followed().await && holding("OrgFeed", &machine.id).is_none(), "somebody hears of it");

    let mut follower = Follower::open(world(), &org.owner.client, &org).await;
    assert!(is_followed().await);
    change(1).await;
    follower.until("the port", |follower| follower.field("ports", "port").contains(&json!(4001))).await;
    let (state, seq) = (follower.state().clone(), follower.seq());
    drop(follower);

    // What changes then tells the Worker, after a while, that nobody is there.
    let number = Cell::new(2);
    until("nothing is announced any more", Duration::from_secs(90), || async {
        change(number.replace(number.get() + 1)).await;
        (!is_followed().await).then_some(())
    })
    .await;
    let back = Follower::resume(world(), &org.owner.client, &org, &state.feed, seq).await;
    assert!(back.state().reset && back.state().feed != state.feed, "what was not announced cannot be told");
    assert!(is_followed().await);
}
