//! Variables on their way to a machine that really runs: who has them there, after what, and where a secret never is.

use std::process::Command;

use serde_json::{Value, json};
use snapvm_tests::machines::Machine;
use snapvm_tests::{PATIENCE, rows, until};

use crate::world;

async fn set(machine: &Machine, name: &str, body: Value) {
    machine.client.put(format!("{}/variables/{name}", machine.path), body).await.expect(200);
}

/// What a command in the machine has of a variable; `(none)` when it has none.
async fn printed(machine: &Machine, name: &str) -> String {
    let line = format!("printf %s \"${{{name}-(none)}}\"");
    let command = json!({"command": "sh", "args": ["-c", line]});
    let answer = machine.client.post(format!("{}/exec", machine.path), command).await.expect(200);
    answer["stdout"].as_str().unwrap().to_owned()
}

/// What a service of the machine wrote about itself.
async fn service_says(machine: &Machine, wanted: &str) {
    let command = json!({"command": "cat", "args": ["/tmp/said"]});
    let said = || async {
        let answer = machine.client.post(format!("{}/exec", machine.path), command.clone()).await.expect(200);
        (answer["stdout"] == wanted).then_some(())
    };
    until(&format!("the service says {wanted:?}"), PATIENCE, said).await;
}

#[tokio::test]
async fn a_secret_is_in_every_program_and_nowhere_at_rest() {
    // Not written as one word anywhere in the machine but in memory.
    let secret = format!("s3cr3t-{}", snapvm_tests::chance::word());
    let (org, machine) = Machine::running(world()).await;
    set(&machine, "TOKEN", json!({"value": secret})).await;
    assert_eq!(printed(&machine, "TOKEN").await, secret);
    let definition = json!({
        "command": "sh", "args": ["-c", "printf %s \"${#TOKEN} $OWN\" > /tmp/said; exec sleep 86400"],
        "environment": {"OWN": "mine"},
    });
    machine.client.put(format!("{}/services/says", machine.path), definition).await.expect(200);
    let length = secret.len();
    service_says(&machine, &format!("{length} mine")).await;
    // A new value is there at the next start, and the service's own wins.
    set(&machine, "TOKEN", json!({"value": format!("{secret}+")})).await;
    set(&machine, "OWN", json!({"value": "theirs", "secret": false})).await;
    assert_eq!(
        (printed(&machine, "TOKEN").await, printed(&machine, "OWN").await),
        (format!("{secret}+"), "theirs".into())
    );
    machine.client.order(format!("{}/services/says/restart", machine.path)).await.expect(200);
    service_says(&machine, &format!("{} mine", length + 1)).await;

    // A boot that kept nothing: services have it from their first start.
    machine.order("stop").await;
    machine.until("stopped").await;
    machine.order("start").await;
    machine.until("running").await;
    service_says(&machine, &format!("{} mine", length + 1)).await;

    // Everything that the stack has written: the database and its log, the objects' storage, the sprites' disks, logs.
    let found = Command::new("grep").args(["-rlaF", "-D", "skip", &secret]).arg(&world().stack.dir).output().unwrap();
    let found = String::from_utf8_lossy(&found.stdout).into_owned();
    assert!(found.is_empty(), "the secret is at rest in: {found}");

    machine.client.delete(format!("{}/variables/TOKEN", machine.path)).await.expect(204);
    assert_eq!(printed(&machine, "TOKEN").await, "(none)");
    drop(org);
}

#[tokio::test]
async fn a_secret_opens_on_its_own_machine_and_under_its_own_name_only() {
    let (org, machine) = Machine::running(world()).await;
    let other = Machine::create(&org, "other").await;
    other.until("running").await;
    set(&machine, "TOKEN", json!({"value": "mine"})).await;
    let superuser = world().superuser().await;
    for (to, name) in [(&other, "TOKEN"), (&machine, "RENAMED")] {
        let moved = "insert into app.variable (org_id, machine_id, name, sealed, size)
            select org_id, $2::text::uuid, $3, sealed, size from app.variable
            where machine_id = $1::text::uuid and name = 'TOKEN'";
        assert_eq!(rows::run(&superuser, moved, &[&machine.id, &to.id, name]).await, 1);
        // Any change has them read again; what does not open is left out, and the others come.
        set(to, "SEEN", json!({"value": "yes", "secret": false})).await;
        assert_eq!((printed(to, name).await, printed(to, "SEEN").await), ("(none)".into(), "yes".into()));
    }
    assert_eq!(printed(&machine, "TOKEN").await, "mine");
}
