//! The key that seals machines' secrets is rotated, and lost.

use serde_json::json;
use snapvm_tests::machines::{Machine, builder};
use snapvm_tests::{PATIENCE, World, rows, until};

/// Has the Worker run with another `SECRETS_KEY`: its configuration is changed and read again.
async fn restart_with(world: &World, from: &str, to: &str) {
    let worker = world.stack.worker().unwrap();
    worker.stop().await.unwrap();
    let file = world.stack.dir.join("workerd/config.capnp");
    let configuration = std::fs::read_to_string(&file).unwrap();
    assert_eq!(configuration.matches(from).count(), 1);
    std::fs::write(&file, configuration.replace(from, to)).unwrap();
    worker.start().await.unwrap();
}

/// Waits until the machine's programs have these; the object is asked by a change of something else.
async fn until_printed(machine: &Machine, wanted: &str) {
    let variable = format!("{}/variables/SEEN", machine.path);
    let command = json!({"command": "sh", "args": ["-c", "echo ${OLD-none} ${NEW-none}"]});
    let printed = || async {
        machine.client.put(&variable, json!({"value": "x", "secret": false})).await.expect(200);
        let answer = machine.client.post(format!("{}/exec", machine.path), command.clone()).await.expect(200);
        (answer["stdout"] == format!("{wanted}\n")).then_some(())
    };
    until(&format!("programs have {wanted}"), PATIENCE, printed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_key_opens_a_newer_one_seals_and_a_lost_one_costs_its_secrets_only() {
    let world = World::start(builder()).await;
    let (_, machine) = Machine::running(&world).await;
    let put = |name: &str| machine.client.put(format!("{}/variables/{name}", machine.path), json!({"value": name}));
    put("OLD").await.expect(200);
    let first = world.stack.secrets.secrets_key.clone();
    assert!(first.starts_with("1:"));
    let second = "2:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE".to_owned();
    let both = format!("{second},{first}");
    restart_with(&world, &first, &both).await;
    put("NEW").await.expect(200);
    until_printed(&machine, "OLD NEW").await;
    let superuser = world.superuser().await;
    let sealed = "select string_agg(split_part(sealed, '.', 2), ' ' order by name desc) from app.variable
        where sealed is not null";
    assert_eq!(rows::value::<String>(&superuser, sealed, &[]).await, "1 2");

    restart_with(&world, &both, &second).await;
    until_printed(&machine, "none NEW").await;
    // Set again, it is sealed with what there is.
    put("OLD").await.expect(200);
    until_printed(&machine, "OLD NEW").await;
    assert_eq!(rows::value::<String>(&superuser, sealed, &[]).await, "2 2");

    // Without any, nothing else breaks: the machine runs, and a plain variable can be set.
    restart_with(&world, &second, "nonsense").await;
    until_printed(&machine, "none none").await;
}
