//! A machine's first boot in a real machine: once, with its output kept, whatever it ends with, and by hand again.

use serde_json::{Value, json};
use snapvm_tests::machines::Machine;
use snapvm_tests::people::text;
use snapvm_tests::terminal::Terminal;
use snapvm_tests::{PATIENCE, until};

use crate::world;

/// Fails until somebody has made a file.
const SCRIPT: &str = "echo run >> ~/runs\necho \"into $0's log\"\n[ -e ~/fixed ] || exit 3\nmkdir -p ~/project\n";

async fn status(machine: &Machine) -> Value {
    let list = machine.client.get(format!("{}/services", machine.path)).await.expect(200);
    let services = list["services"].as_array().unwrap();
    services.iter().find(|service| service["name"] == "first-boot").expect("it is listed")["status"].clone()
}

async fn until_status(machine: &Machine, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    until(what, PATIENCE, || async { Some(status(machine).await).filter(&is_so) }).await
}

#[tokio::test]
async fn a_script_runs_once_says_how_it_went_and_runs_again_by_hand() {
    let org = world().org().await;
    let body = json!({"name": "demo", "first_boot": SCRIPT});
    let made = org.owner.client.post(org.path("/machines"), body).await.expect(201);
    let client = org.owner.client.clone();
    let label = format!("demo--{}", org.slug);
    let machine = Machine { client, path: org.path("/machines/demo"), id: text(&made["id"]), label };

    // That it fails keeps nobody from the machine.
    machine.until("running").await;
    let failed = until_status(&machine, "it has failed", |status| status["state"] == "failed").await;
    assert_eq!((&failed["exits"][0]["code"], &failed["error"]), (&json!(3), &json!("exited with code 3")));
    machine.until_told("Setup failed: exited with code 3.", PATIENCE).await;
    let mut terminal = Terminal::start(world(), &machine).await;
    assert_eq!(terminal.run("cat runs").await, "run");
    let log = "cat ~/.snapvm/logs/first-boot.log /var/log/snapvm/first-boot.log 2>/dev/null | cut -d' ' -f2-";
    assert_eq!(terminal.run(log).await, "into first-boot's log");

    let id = machine.checkpoint("failed").await;
    terminal.run("touch fixed").await;
    machine.client.order(format!("{}/services/first-boot/restart", machine.path)).await.expect(200);
    until_status(&machine, "it is done", |status| status["ready"] == true).await;
    machine.until_told("Set up in ", PATIENCE).await;
    let told = machine.history().await;
    let told: Vec<&Value> = told.iter().filter(|event| text(&event["kind"]).starts_with("set")).collect();
    let kinds: Vec<&Value> = told.iter().map(|event| &event["kind"]).collect();
    assert_eq!(kinds, ["set_up", "setup_failed"], "{told:?}");
    assert!(told.iter().all(|event| event["cause"] == "agent"), "{told:?}");

    // A stop takes the memory, and the disk remembers.
    machine.order("stop").await;
    machine.until("stopped").await;
    machine.order("start").await;
    machine.until("running").await;
    let mut terminal = Terminal::start(world(), &machine).await;
    assert_eq!(terminal.run("cat runs; [ -d project ] && echo project").await, "run\r\nrun\r\nproject");
    assert_eq!(status(&machine).await["ready"], true);
    assert_eq!(machine.history().await.iter().filter(|event| event["kind"] == "set_up").count(), 1);

    // The files of before say what became of it then, and that it is not to run by itself.
    machine.restore(&id).await;
    until_status(&machine, "it has failed again, since then it had", |status| status["state"] == "failed").await;
    let mut terminal = Terminal::start(world(), &machine).await;
    assert_eq!(terminal.run("cat runs; touch fixed").await, "run");
    machine.client.order(format!("{}/services/first-boot/restart", machine.path)).await.expect(200);
    until_status(&machine, "it is done again", |status| status["ready"] == true).await;
    assert_eq!(terminal.run("cat runs").await, "run\r\nrun");
}
