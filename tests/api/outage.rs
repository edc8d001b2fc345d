//! The database is away: every answer is a 503 that says when to try again, soon, and all is well when it is back.

use std::time::Duration;

use serde_json::json;
use snapvm_tests::people::PASSWORD;
use snapvm_tests::{Person, World, until};
use tokio::time::Instant;
use xtask::stack::{Component, Stack};

/// Longest time until a refusal: connecting and one statement may take 10 s each.
const PATIENCE: Duration = Duration::from_secs(21);

/// What needs the database is refused in time; what doesn't, goes on.
async fn refuses(what: &str, person: &Person) {
    let client = &person.client;
    // A killed server's processes end one by one, and may answer what they were just asked.
    let away = || async { (client.get("/v1/account").await.status == 503).then_some(()) };
    until("the database is away", PATIENCE, away).await;

    let started = Instant::now();
    let nobody = client.browser();
    let (read, changed, signed_in) = futures::join!(
        client.get("/v1/account"),
        client.post("/v1/orgs", json!({"slug": "never-made", "name": "Org"})),
        nobody.post("/v1/sessions", json!({"email": person.email, "password": PASSWORD})),
    );
    for answer in [&read, &changed, &signed_in] {
        answer.problem(503, "database_unavailable");
    }
    println!("{what}: refused within {:?}", started.elapsed());
    assert!(started.elapsed() < PATIENCE);
    client.get("/v1/health").await.expect(200);
}

async fn recovers(what: &str, person: &Person) {
    let started = Instant::now();
    let back = || async { (person.client.get("/v1/account").await.status == 200).then_some(()) };
    until("the API is back", Duration::from_secs(30), back).await;
    println!("{what}: back within {:?}", started.elapsed());
    person.sign_in().await;
}

async fn dies(world: &World, part: &Component, person: &Person) {
    let what = format!("{} is gone", part.name());
    part.kill().await;
    refuses(&what, person).await;
    part.start().await.unwrap();
    recovers(&what, person).await;
    assert!(world.stack.worker().unwrap().id().await.is_some(), "the Worker lives on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_database_the_api_says_so_and_comes_back() {
    let world = World::start(Stack::builder()).await;
    let person = world.sign_up().await;
    // Test databases acknowledge before they write (synchronous_commit is off), so a kill may lose the last moment.
    world.superuser().await.batch_execute("checkpoint").await.unwrap();
    dies(&world, &world.stack.postgres, &person).await;
    dies(&world, &world.stack.pgbouncer, &person).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_that_hangs_is_not_waited_for() {
    let world = World::start(Stack::builder()).await;
    let person = world.sign_up().await;
    world.stack.pgbouncer.signal(nix::sys::signal::Signal::SIGSTOP).await.unwrap();
    refuses("PgBouncer hangs", &person).await;
    world.stack.pgbouncer.signal(nix::sys::signal::Signal::SIGCONT).await.unwrap();
    recovers("PgBouncer hangs", &person).await;
}

/// Somebody holds a lock and lets go of it too late: nobody waits for it longer than the Worker does, and the pooler's
/// connections are free again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_hangs_is_not_waited_for() {
    let world = World::start(Stack::builder()).await;
    let person = world.sign_up().await;
    let mut superuser = world.superuser().await;
    let observer = world.superuser().await;
    let lock = superuser.transaction().await.unwrap();
    lock.batch_execute("lock table app.session, app.password in access exclusive mode").await.unwrap();
    refuses("Postgres hangs", &person).await;
    let query = "select count(*) from pg_stat_activity where usename = 'snap_app' and state = 'active'";
    let free = || async { (observer.query_one(query, &[]).await.unwrap().get::<_, i64>(0) == 0).then_some(()) };
    until("no statement is left behind", Duration::from_secs(15), free).await;
    lock.rollback().await.unwrap();
    recovers("Postgres hangs", &person).await;
}
