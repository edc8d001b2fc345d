//! Live updates: who may follow, what they are told, and how they go on where they stopped.

use std::time::Duration;

use serde_json::json;
use snapvm_protocol::agent::close;
use snapvm_protocol::feed::{BEHIND_MAX, Change, Told};
use snapvm_protocol::roles::Role;
use snapvm_tests::feed::Follower;
use snapvm_tests::{Client, Org, rows, sockets, world};

/// From a change to whoever hears of it; much less on a computer that does nothing else.
const AT_ONCE: Duration = Duration::from_secs(25);
/// Where nobody told the feed that access has ended: 30 s after the last look, before the next change.
const LOOKED_AT: Duration = Duration::from_secs(90);
/// How many changes are remembered.
const ENTRIES_MAX: usize = 1000;
/// Close code for whoever does not say that it hears.
const TRY_AGAIN_LATER: u16 = 1013;

async fn port(client: &Client, org: &Org, port: u16) {
    client.put(org.path(&format!("/machines/one/ports/{port}")), json!({"label": "Web"})).await.expect(200);
}

async fn machine(org: &Org) -> rows::MachineRows {
    rows::machine(&world().superuser().await, &org.slug, &org.owner.account, "one").await
}

fn ports(follower: &Follower) -> Vec<u64> {
    follower.field("ports", "port").iter().map(|port| port.as_u64().unwrap()).collect()
}

#[tokio::test]
async fn only_members_follow_and_only_by_a_socket() {
    let org = world().org().await;
    let path = org.path("/feed");
    let status = async |client: &Client, path: &str| match Follower::try_open(world(), client, path).await {
        Ok(_) => 101,
        Err(refused) => refused.status,
    };
    let stranger = world().org().await.owner.client;
    assert_eq!(status(&world().anonymous(), &path).await, 401);
    assert_eq!(status(&stranger, &path).await, 404);
    assert_eq!(status(&stranger, "/v1/orgs/no-such-org/feed").await, 404);
    assert_eq!(status(&org.owner.client, &format!("{path}?after=-1")).await, 422);
    assert_eq!(status(&org.owner.token("read").await.0, &path).await, 101);
    org.owner.client.get(&path).await.problem(426, "upgrade");
    // A page of another origin has the cookie, and nothing by it.
    let cookie = format!("{}={}", snapvm_tests::client::SESSION_COOKIE, org.owner.client.session().unwrap());
    let protocol = ("sec-websocket-protocol", snapvm_protocol::feed::SUBPROTOCOL);
    let headers = [protocol, ("cookie", cookie.as_str()), ("origin", "http://3000--a--b.apps.localhost")];
    let refused = sockets::open(world(), &world().site().host, &path, &headers).await.err();
    assert_eq!(refused.map(|refused| refused.status), Some(403));
    // Whoever says something else than what they have heard is out.
    for nonsense in ["hello", "-1", "999999"] {
        let mut follower = Follower::open(world(), &org.owner.client, &org).await;
        follower.say("ping").await;
        follower.until("it is answered", |follower| follower.texts.last().is_some_and(|text| text == "pong")).await;
        follower.say(nonsense).await;
        assert_eq!(follower.until_closed(AT_ONCE).await, close::MALFORMED);
    }
}

#[tokio::test]
async fn followers_hear_what_their_role_may_see_of_their_own_organization() {
    let (org, other) = (world().org().await, world().org().await);
    let viewer = org.member(world(), "viewer").await;
    let mut owners = Follower::open(world(), &org.owner.client, &org).await;
    let mut viewers = Follower::open(world(), &viewer.client, &org).await;
    let mut strangers = Follower::open(world(), &other.owner.client, &other).await;
    assert_eq!((owners.state().role, viewers.state().role), (Role::Owner, Role::Viewer));

    let made = org.machine(&org.owner.client, "one").await;
    let hold = json!({"reason": "A demo", "minutes": 5});
    org.owner.client.post(org.path("/machines/one/holds"), hold).await.expect(201);
    let terminal = org.owner.client.post(org.path("/machines/one/terminals"), json!({})).await.expect(201);
    let service = json!({"command": "true", "environment": {"SECRET": "not-for-frames"}});
    org.owner.client.put(org.path("/machines/one/services/web"), service).await.expect(200);
    port(&org.owner.client, &org, 4000).await;
    org.owner.client.patch(org.path("/machines/one"), json!({"idle_seconds": 600})).await.expect(200);
    org.owner.client.put(org.path("/quotas"), json!({"machines": 7})).await.expect(200);
    let secret = json!({"value": "not-for-frames", "secret": true});
    org.owner.client.put(org.path("/machines/one/variables/TOKEN"), secret).await.expect(200);
    org.member(world(), "member").await;
    for follower in [&mut owners, &mut viewers] {
        follower.until("the newcomer", |follower| !follower.of("members").is_empty()).await;
        follower
            .until("the new idle time", |follower| follower.field("machine", "idle_seconds").contains(&json!(600)))
            .await;
        let told = |kind: &str, field: &str| follower.field(kind, field);
        let records: Vec<_> = follower.of("machine").into_iter().filter_map(|told| told.data.clone()).collect();
        assert!(records.iter().all(|record| record["id"] == made["id"] && record["org"] == json!(org.slug)));
        assert!(records.iter().all(|record| record["url"] == made["url"]), "whoever announces it: {records:?}");
        let versions: Vec<u64> = records.iter().map(|record| record["version"].as_u64().unwrap()).collect();
        assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
        let kinds = told("event", "kind");
        assert!(kinds.contains(&json!("created")) && kinds.contains(&json!("hold_taken")), "{kinds:?}");
        assert!(told("event", "actor").contains(&json!(org.owner.name)));
        assert!(told("event", "cause").contains(&json!("hand")));
        assert_eq!(told("holds", "reason"), [json!("A demo")]);
        assert!(told("terminals", "id").contains(&terminal["id"]));
        assert!(told("services", "name").contains(&json!("web")));
        assert_eq!(told("ports", "port"), [json!(4000)]);
        assert_eq!(told("variables", "name"), [json!("TOKEN")]);
        assert_eq!(follower.of("quotas").len(), 1);
        assert!(follower.told.iter().all(|told| ["members", "audit", "quotas"].contains(&told.kind.as_str())
            || told.machine.as_deref() == Some("one")));
        assert!(!follower.texts.concat().contains("not-for-frames"));
    }
    owners.until("the audit trail", |follower| !follower.of("audit").is_empty()).await;
    assert_eq!(viewers.of("audit").len(), 0, "that is for admins");

    // Nothing of it reaches anybody else, who hears their own.
    other.machine(&other.owner.client, "two").await;
    strangers.until("their own machine", |follower| !follower.of("machine").is_empty()).await;
    let heard = strangers.texts.concat();
    let org_id = rows::org_id(&world().superuser().await, &org.slug).await;
    for mark in [&org.slug, &org_id, &org.owner.name, &org.owner.account, made["id"].as_str().unwrap()] {
        assert!(!heard.contains(mark), "{mark} in {heard}");
    }
    assert!(strangers.told.iter().all(|told| told.machine.as_deref().is_none_or(|machine| machine == "two")));
}

#[tokio::test]
async fn whoever_comes_back_hears_what_they_missed_or_reads_again() {
    let org = world().org().await;
    machine(&org).await;
    let viewer = org.member(world(), "viewer").await;
    let mut first = Follower::open(world(), &viewer.client, &org).await;
    let mut owners = Follower::open(world(), &org.owner.client, &org).await;
    port(&org.owner.client, &org, 4000).await;
    first.until("the first port", |follower| ports(follower) == [4000]).await;
    let (feed, seq) = (first.state().feed.clone(), first.seq());
    drop(first);
    for number in 4001..4006 {
        port(&org.owner.client, &org, number).await;
        owners.until("a port", |follower| ports(follower).contains(&u64::from(number))).await;
    }
    let mut back = Follower::resume(world(), &viewer.client, &org, &feed, seq).await;
    assert!(!back.state().reset);
    back.until("what it missed", |follower| ports(follower).len() == 5).await;
    assert_eq!(ports(&back), [4001, 4002, 4003, 4004, 4005]);
    assert!(back.told.iter().all(|told| told.seq > seq && told.kind == "ports"), "{:?}", back.told);
    // And what comes then.
    port(&org.owner.client, &org, 4006).await;
    back.until("what comes then", |follower| ports(follower).last() == Some(&4006)).await;
    assert_eq!(ports(&back).len(), 6);
    // Another sequence, and a number that this one has not come to.
    for (feed, after) in [("another", seq), (feed.as_str(), u64::MAX)] {
        let again = Follower::resume(world(), &viewer.client, &org, feed, after).await;
        assert!(again.state().reset && again.told.is_empty() && again.state().feed == back.state().feed);
    }
}

#[tokio::test]
async fn access_that_ends_ends_the_socket_and_another_role_sees_something_else() {
    let org = world().org().await;
    machine(&org).await;
    let (removed, promoted) = (org.member(world(), "viewer").await, org.member(world(), "viewer").await);
    let (token, token_id) = org.owner.token("read").await;
    let browser = org.owner.sign_in().await;
    let mut of_removed = Follower::open(world(), &removed.client, &org).await;
    let mut of_promoted = Follower::open(world(), &promoted.client, &org).await;
    let mut of_token = Follower::open(world(), &token, &org).await;
    let mut of_browser = Follower::open(world(), &browser, &org).await;
    let mut owners = Follower::open(world(), &org.owner.client, &org).await;

    org.owner.client.delete(org.path(&format!("/members/{}", removed.account))).await.expect(204);
    assert_eq!(of_removed.until_closed(AT_ONCE).await, close::FORBIDDEN);
    assert!(of_removed.told.is_empty(), "also its own removal is nothing for it any more: {:?}", of_removed.told);
    org.owner.client.delete(format!("/v1/tokens/{token_id}")).await.expect(204);
    assert_eq!(of_token.until_closed(AT_ONCE).await, close::UNAUTHENTICATED);
    browser.delete("/v1/sessions/current").await.expect(204);
    assert_eq!(of_browser.until_closed(AT_ONCE).await, close::UNAUTHENTICATED);

    let path = org.path(&format!("/members/{}", promoted.account));
    org.owner.client.patch(&path, json!({"role": "admin"})).await.expect(200);
    of_promoted.until("it sees more", |follower| follower.state().role == Role::Admin).await;
    assert!(of_promoted.state().reset && of_promoted.of("audit").is_empty());
    port(&org.owner.client, &org, 4000).await;
    of_promoted.until("the audit trail", |follower| !follower.of("audit").is_empty()).await;
    org.owner.client.patch(&path, json!({"role": "viewer"})).await.expect(200);
    of_promoted.until("it sees less", |follower| follower.state().role == Role::Viewer).await;
    let before = of_promoted.of("audit").len();
    port(&org.owner.client, &org, 4001).await;
    of_promoted.until("a port", |follower| ports(follower).last() == Some(&4001)).await;
    owners
        .until("the port's line in the trail", |follower| {
            follower
                .of("audit")
                .last()
                .is_some_and(|last| follower.of("ports").last().is_some_and(|port| port.seq < last.seq))
        })
        .await;
    assert_eq!(of_promoted.of("audit").len(), before);
    assert!(owners.is_open());
}

/// Nobody tells the feed of this change: it is made where the API cannot see it.
#[tokio::test]
async fn nobody_is_told_anything_half_a_minute_after_their_access_ended() {
    let org = world().org().await;
    machine(&org).await;
    let viewer = org.member(world(), "viewer").await;
    let mut of_viewer = Follower::open(world(), &viewer.client, &org).await;
    let begun = tokio::time::Instant::now();
    let removal = "delete from app.membership where account_id = $1::text::uuid
        and org_id = (select id from app.org where slug = $2)";
    assert_eq!(rows::run(&world().superuser().await, removal, &[&viewer.account, &org.slug]).await, 1);
    let mut number = 4000;
    while of_viewer.is_open() {
        assert!(begun.elapsed() < LOOKED_AT, "it still follows");
        port(&org.owner.client, &org, 4000 + number % 40).await;
        number += 1;
        of_viewer.drain(Duration::from_millis(500)).await;
    }
    assert_eq!(of_viewer.closed, Some(close::FORBIDDEN));
}

#[tokio::test]
async fn whoever_does_not_say_that_they_hear_is_cut_off_and_goes_on_from_there() {
    let org = world().org().await;
    machine(&org).await;
    let mut silent = Follower::open(world(), &org.owner.client, &org).await;
    silent.says_heard = false;
    let mut heard = Follower::open(world(), &org.owner.client, &org).await;
    let body = json!({"reason": "again", "minutes": 5});
    while silent.is_open() {
        assert!(silent.told.len() <= usize::try_from(BEHIND_MAX).unwrap() + 10, "nobody cuts it off");
        let made = org.owner.client.post(org.path("/machines/one/holds"), body.clone()).await.expect(201);
        let path = org.path(&format!("/machines/one/holds/{}", made["id"].as_str().unwrap()));
        org.owner.client.delete(path).await.expect(204);
        silent.drain(Duration::from_millis(1)).await;
        heard.drain(Duration::from_millis(1)).await;
    }
    assert_eq!(silent.closed, Some(TRY_AGAIN_LATER));
    let last = |follower: &Follower| follower.field("event", "id").last().cloned();
    let events = org.owner.client.get(org.path("/events?limit=1")).await.expect(200);
    let newest = Some(events["events"][0]["id"].clone());
    heard.until("all of it", |follower| last(follower) == newest).await;
    let state = silent.state().clone();
    let mut back = Follower::resume(world(), &org.owner.client, &org, &state.feed, silent.seq()).await;
    assert!(!back.state().reset);
    if last(&silent) != newest {
        back.until("the rest", |follower| last(follower) == newest).await;
    }
    let of = |follower: &Follower| follower.field("event", "id");
    assert_eq!([of(&silent), of(&back)].concat(), of(&heard), "nothing is lost, nothing comes twice");
}

/// Many machines, changed together by one call.
#[tokio::test]
async fn who_stalls_is_cut_off_and_who_was_away_for_too_long_reads_again() {
    const MACHINES: u32 = 200;
    let org = world().org().await;
    machine(&org).await;
    let more = "insert into app.machine (org_id, id, name, owner_id, runtime, size, region, state, reason, idle_seconds)
        select m.org_id, ('00000000-0000-7000-8000-' || right(m.id::text, 9) || to_char(n, 'FM000'))::uuid, 'more-' || n,
          m.owner_id, m.runtime, m.size, m.region, 'stopped', 'Stopped.', 86400
        from app.machine m join app.org o on o.id = m.org_id, generate_series(1, $2::text::int) n where o.slug = $1";
    let made = rows::run(&world().superuser().await, more, &[&org.slug, &MACHINES.to_string()]).await;
    assert_eq!(made, u64::from(MACHINES));
    let viewer = org.member(world(), "viewer").await;
    let mut away = Follower::open(world(), &viewer.client, &org).await;
    port(&org.owner.client, &org, 4000).await;
    away.until("the first port", |follower| ports(follower) == [4000]).await;
    let (feed, seq) = (away.state().feed.clone(), away.seq());
    drop(away);

    // One reads and says so; the other one's socket is open, and nobody reads from it.
    let mut reads = Follower::open(world(), &org.owner.client, &org).await;
    let mut stalls = Follower::open(world(), &viewer.client, &org).await;
    let mut seconds = 86_400;
    while stalls_for(&reads) <= ENTRIES_MAX {
        seconds -= 300;
        org.owner.client.put(org.path("/quotas"), json!({"idle_seconds_max": seconds})).await.expect(200);
        let last = json!(seconds);
        let all = |follower: &Follower| {
            follower.field("machine", "idle_seconds").iter().filter(|idle| **idle == last).count()
        };
        reads.until("all machines", |follower| all(follower) >= usize::try_from(MACHINES).unwrap()).await;
    }
    assert!(reads.is_open());
    let cut = stalls.until_closed(LOOKED_AT).await;
    assert_eq!(cut, TRY_AGAIN_LATER, "it is not waited for");
    assert!(stalls.told.len() <= usize::try_from(BEHIND_MAX).unwrap() + usize::try_from(2 * MACHINES).unwrap());
    let again = Follower::resume(world(), &viewer.client, &org, &feed, seq).await;
    assert!(again.state().reset && again.told.is_empty() && again.state().feed == feed, "that is gone");
    assert!(again.state().seq >= reads.seq());
}

/// How many changes there have been since somebody follows.
fn stalls_for(follower: &Follower) -> usize {
    usize::try_from(follower.seq() - follower.state().seq).unwrap()
}

/// What an operator types can be too long for a message: then it is left out, and the client reads it.
#[tokio::test]
async fn what_would_be_too_long_is_left_out() {
    let org = world().org().await;
    let rows = machine(&org).await;
    let mut superuser = world().superuser().await;
    let transaction = superuser.transaction().await.unwrap();
    let status = json!({"state": "failed", "exits": [], "detail": "\u{1f9be}".repeat(3000)}).to_string();
    let follow = "insert into app.followed (org_id, at) select id, now() from app.org where slug = $1";
    transaction.execute(follow, &[&org.slug]).await.unwrap();
    for (status, is_told) in [(status.as_str(), false), (r#"{"state": "failed", "exits": []}"#, true)] {
        transaction.execute("select set_config('app.feed', '', true)", &[]).await.unwrap();
        let change = "update app.service set status = $3 where machine_id = $1::text::uuid and name = $2";
        assert_eq!(transaction.execute(change, &[&rows.id, &rows.service, &status]).await.unwrap(), 1);
        let lines: String = transaction.query_one("select current_setting('app.feed')", &[]).await.unwrap().get(0);
        let (org_id, line) = lines.trim_end().split_once(' ').unwrap();
        assert_eq!(org_id, rows::org_id(&world().superuser().await, &org.slug).await);
        let change = Change::read(line).expect("it fits");
        let told: Told = serde_json::from_str(&change.told(u64::MAX)).unwrap();
        assert_eq!((told.kind.as_str(), told.machine.as_deref()), ("services", Some("one")));
        assert_eq!(told.data.is_some_and(|data| data["status"]["state"] == "failed"), is_told);
    }
    transaction.rollback().await.unwrap();
}
