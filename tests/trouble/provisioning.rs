//! The runtime fails while a machine is being made, before or after it has done what was asked: the machine ends up
//! running, with exactly one sprite.

use serde_json::{Value, json};
use snapvm_tests::machines::{Machine, builder};
use snapvm_tests::terminal::Terminal;
use snapvm_tests::{PATIENCE, World, until};

/// All sprites that a machine has had in any generation.
async fn sprites_of(world: &World, machine: &Machine) -> Vec<String> {
    let name = machine.sprite();
    world.sprites().names(name.strip_suffix('1').unwrap()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_while_a_machine_is_made_leaves_one_sprite() {
    let world = World::start(builder().faults(true)).await;
    let (org, sprites) = (world.org().await, world.sprites());
    let broken = json!({"status": 500});
    let cases: [(&str, &str, u32, Value); 9] = [
        ("create_sprite", "before", 1, broken.clone()),
        ("create_sprite", "before", 2, json!({"status": 429})),
        ("create_sprite", "after", 1, broken.clone()),
        ("create_sprite", "after", 1, json!("drop")),
        ("get_sprite", "before", 1, json!("drop")),
        ("fs_write", "before", 1, broken.clone()),
        ("fs_write", "after", 1, json!("drop")),
        ("put_service", "after", 1, broken.clone()),
        ("url", "before", 2, json!({"status": 502})),
    ];
    for (number, (operation, when, times, answer)) in cases.into_iter().enumerate() {
        let what = format!("{operation} fails {when} the work, {times} times: {answer}");
        sprites.fail(operation, when, times, answer).await;
        let machine = Machine::create(&org, &format!("m{number}")).await;
        machine.until("running").await;
        sprites.stop_failing().await;
        assert_eq!(sprites_of(&world, &machine).await, [machine.sprite()], "{what}");
        assert_eq!(Terminal::start(&world, &machine).await.run("echo fine").await, "fine", "{what}");

        // Deleting survives it as well.
        let (when, answer) = if number % 2 == 0 { ("before", broken.clone()) } else { ("after", json!("drop")) };
        sprites.fail("delete_sprite", when, 1, answer).await;
        machine.client.delete(&machine.path).await.expect(202);
        machine.until_gone().await;
        sprites.stop_failing().await;
        let gone = || async { sprites_of(&world, &machine).await.is_empty().then_some(()) };
        until("the sprite is gone", PATIENCE, gone).await;
    }
}
