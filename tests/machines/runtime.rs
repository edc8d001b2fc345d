//! What the control plane and the agent ask of the runtime.

use snapvm_tests::machines::Machine;
use snapvm_tests::terminal::Terminal;

use crate::world;

/// The whole life of a machine needs no call that the reference doesn't list: everything else answers 404 here, and would
/// elsewhere, too.
#[tokio::test]
async fn a_machines_life_uses_listed_calls_only() {
    let (_org, machine) = Machine::running(world()).await;
    let mut terminal = Terminal::start(world(), &machine).await;
    machine.order("hibernate").await;
    machine.until("hibernated").await;
    assert_eq!(terminal.run("echo awake").await, "awake");
    machine.order("stop").await;
    machine.until("stopped").await;
    machine.client.delete(&machine.path).await.expect(202);
    machine.until_gone().await;
    let calls = world().sprites().listed_calls().await;
    for operation in ["create_sprite", "get_sprite", "fs_write", "put_service", "delete_sprite", "url"] {
        assert!(calls[operation].as_u64() > Some(0), "{operation} was not counted: {calls}");
    }
}
