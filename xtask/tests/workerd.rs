//! What a stack gives to a Worker, shown by a stand-in that is small enough to know the answers beforehand.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::time::Duration;

use xtask::http::{self, Answer};
use xtask::stack::Stack;

async fn get(stack: &Stack, path: &str) -> Answer {
    http::get(stack.port, path, Duration::from_secs(10)).await.unwrap()
}

async fn start() -> Stack {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stand_in");
    Stack::builder()
        .without_migrations()
        .worker_bundle(&folder, &folder.join("wrangler.toml"))
        .assets(&folder.join("assets"))
        .variable("SHAPE", "from the \"stack\"")
        .start()
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn bindings_variables_objects_and_the_database_are_there() {
    let stack = start().await;
    let vars = get(&stack, "/vars").await;
    let expected = format!(r#"{{"origin":"{}","color":"green","shape":"from the \"stack\""}}"#, stack.console);
    assert_eq!(vars.body, expected);
    assert_eq!(get(&stack, "/loopback").await.body, expected, "a Worker reaches this machine's loopback ports");
    assert_eq!(get(&stack, "/database").await.body, "snap_app snapvm N");
    assert_eq!(get(&stack, "/count").await.body, "1");

    stack.run_scheduled().await.unwrap();
    stack.worker().unwrap().kill().await;
    assert!(http::get(stack.port, "/count", Duration::from_secs(10)).await.is_err());
    stack.worker().unwrap().start().await.unwrap();
    assert_eq!(get(&stack, "/count").await.body, "3", "objects' data outlives a crash");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_component_comes_back_on_its_port_after_a_crash() {
    let stack = start().await;
    for component in stack.components() {
        let before = component.id().await.unwrap();
        component.kill().await;
        assert_eq!(component.id().await, None);
        component.start().await.unwrap();
        assert_ne!(component.id().await.unwrap(), before);
    }
    assert_eq!(get(&stack, "/database").await.body, "snap_app snapvm N");
    assert!(xtask::database::connect::connect(&stack.database.admin).await.is_ok());
    stack.stop().await.unwrap();
    for component in stack.components() {
        assert_eq!(component.id().await, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn assets_have_their_types_and_other_pages_are_the_console() {
    let stack = start().await;
    let page = get(&stack, "/").await;
    assert!(page.head.contains("text/html") && page.head.contains("must-revalidate"), "{page:?}");
    let script = get(&stack, "/assets/main.js").await;
    assert!(script.head.contains("text/javascript") && script.head.contains("immutable"), "{script:?}");
    assert!(get(&stack, "/docs").await.body.contains("the documents"));
    assert!(get(&stack, "/docs/").await.body.contains("the documents"));
    let deep = get(&stack, "/orgs/acme/machines").await;
    assert!(deep.status == 200 && deep.body.contains("the console"), "{deep:?}");
}
