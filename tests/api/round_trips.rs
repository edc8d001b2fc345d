//! D1 of the design: one API call is one statement. Counted on the wire between the Worker and the pooler.

use serde_json::json;
use snapvm_tests::people::PASSWORD;
use snapvm_tests::wire::WireCounter;
use snapvm_tests::{Answer, World, rows};
use xtask::stack::Stack;

/// Starts a stack whose Worker reaches the pooler through a counter: its configuration is changed and read again.
async fn counted() -> (World, WireCounter) {
    let world = World::start(Stack::builder()).await;
    let pooler: u16 =
        world.stack.database.app.rsplit(':').next().and_then(|rest| rest.split('/').next()).unwrap().parse().unwrap();
    let counter = WireCounter::start(pooler).await;
    let worker = world.stack.worker().unwrap();
    worker.stop().await.unwrap();
    let file = world.stack.dir.join("workerd/config.capnp");
    let configuration = std::fs::read_to_string(&file).unwrap();
    let (from, to) = (format!("127.0.0.1:{pooler}"), format!("127.0.0.1:{}", counter.port));
    assert_eq!(configuration.matches(&from).count(), 1);
    std::fs::write(&file, configuration.replace(&from, &to)).unwrap();
    worker.start().await.unwrap();
    (world, counter)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_call_is_one_round_trip_and_signing_in_or_a_secret_two() {
    let (world, counter) = counted().await;
    let count = async |expected: u64, call: std::pin::Pin<Box<dyn Future<Output = Answer> + Send>>| {
        let before = (counter.round_trips(), counter.connections());
        let answer = call.await;
        let (trips, connections) = (counter.round_trips() - before.0, counter.connections() - before.1);
        assert_eq!((trips, connections), (expected, expected.min(1)), "{}: {}", answer.asked, answer.status);
        answer
    };
    let person = world.sign_up().await;
    assert_eq!(counter.round_trips(), 1, "sign-up");
    let (client, org) = (person.client.clone(), format!("/v1/orgs/{}", person.first_org));
    rows::machine(&world.superuser().await, &person.first_org, &person.account, "one").await;

    let get = |path: String| {
        let client = client.clone();
        Box::pin(async move { client.get(path).await }) as std::pin::Pin<Box<dyn Future<Output = Answer> + Send>>
    };
    count(0, get("/v1/health".into())).await.expect(200);
    count(0, get("/v1/config".into())).await.expect(200);
    count(0, get("/v1/nothing".into())).await.problem(404, "not_found");
    for path in ["/v1/account", "/v1/sessions", "/v1/tokens", "/v1/orgs"] {
        count(1, get(path.into())).await.expect(200);
    }
    for rest in ["", "/members", "/audit", "/events", "/machines", "/machines/one", "/machines/one/events"] {
        count(1, get(format!("{org}{rest}"))).await.expect(200);
    }
    for rest in ["services", "ports", "terminals", "variables"].map(|rest| format!("/machines/one/{rest}")) {
        count(1, get(format!("{org}{rest}"))).await.expect(200);
    }
    count(1, get("/v1/orgs/none/machines".into())).await.problem(404, "not_found");

    let sender = client.clone();
    let path = format!("{org}/machines/one/ports/4000");
    count(1, Box::pin(async move { sender.put(path, json!({"label": "Web"})).await })).await.expect(200);
    // A secret is sealed for its machine, which is looked up before, on the same connection. The machine's object, which
    // knows the machine since the first of these, reads its record once more in each.
    let path = format!("{org}/machines/one/variables/A");
    client.put(&path, json!({"value": "x", "secret": false})).await.expect(200);
    for (trips, secret) in [(1, false), (2, true)] {
        let before = (counter.round_trips(), counter.connections());
        client.put(&path, json!({"value": "x", "secret": secret})).await.expect(200);
        assert_eq!((counter.round_trips() - before.0, counter.connections() - before.1), (trips + 1, 2));
    }
    let sender = client.clone();
    count(1, Box::pin(async move { sender.post("/v1/tokens", json!({"name": "t", "scope": "read"})).await }))
        .await
        .expect(201);
    let sender = client.clone();
    let path = format!("{org}/members/{}", person.account);
    count(1, Box::pin(async move { sender.patch(path, json!({"role": "viewer"})).await }))
        .await
        .problem(409, "last_owner");

    let body = json!({"email": person.email, "password": PASSWORD});
    let sender = client.browser();
    count(2, Box::pin(async move { sender.post("/v1/sessions", body).await })).await.expect(201);
    let body = json!({"email": person.email, "password": "wrong horse battery"});
    let sender = client.browser();
    count(1, Box::pin(async move { sender.post("/v1/sessions", body).await })).await.problem(401, "wrong_password");
}
