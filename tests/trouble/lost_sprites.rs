//! What is behind a machine goes away behind our back: the sprite, or the agent in it. The machine says so and what to do,
//! or puts it right; and one that failed goes back to a checkpoint.

use std::time::Duration;

use serde_json::{Value, json};
use snapvm_protocol::agent::SERVICE_NAME;
use snapvm_protocol::ids::sprite_name;
use snapvm_tests::checkpoints::ORDER;
use snapvm_tests::machines::{Machine, builder};
use snapvm_tests::releases::Releases;
use snapvm_tests::terminal::Terminal;
use snapvm_tests::{Org, World, until};

/// A few tries at a wake, each as patient as it gets, and what follows on a busy computer.
const RECOVERY: Duration = Duration::from_mins(3);

async fn until_state(machine: &Machine, state: &str) -> Value {
    let reached = || async { Some(machine.record().await).filter(|record| record["state"] == state) };
    until(&format!("{}: {state}", machine.label), RECOVERY, reached).await
}

/// A machine with a file, in a state.
async fn brought_to(world: &World, org: &Org, state: &str) -> Machine {
    let machine = Machine::create(org, &format!("m-{state}")).await;
    machine.until("running").await;
    Terminal::start(world, &machine).await.run("echo kept > file; sync").await;
    match state {
        "hibernated" => drop(machine.order("hibernate").await),
        "stopped" => drop(machine.order("stop").await),
        _ => return machine,
    }
    machine.until(state).await;
    machine
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_whose_runtime_is_gone_says_so_and_is_made_anew() {
    let world = World::start(builder()).await;
    let (org, sprites) = (world.org().await, world.sprites());
    for state in ["running", "hibernated", "stopped"] {
        let machine = brought_to(&world, &org, state).await;
        let labels = sprites.get(&machine.sprite()).await["labels"].clone();
        let lost = if state == "running" { Some(machine.checkpoint("of the first").await) } else { None };
        sprites.delete(&machine.sprite()).await;
        if state == "stopped" {
            // Somebody made another one of its name, which is none of the machine's.
            sprites.create(&machine.sprite(), &labels).await;
        }
        if state != "running" {
            machine.order("start").await;
        }
        let failed = until_state(&machine, "failed").await;
        let reason = failed["reason"].as_str().unwrap();
        assert!(reason.contains("Start it to make it anew, empty, or delete it"), "{state}: {reason}");
        machine.order("start").await;
        until_state(&machine, "running").await;
        assert_eq!(machine.record().await["generation"], 2, "{state}");
        let mut terminal = Terminal::start(&world, &machine).await;
        assert_eq!(terminal.run("ls file 2>&1 | grep -c 'No such'").await, "1", "{state}: it is empty");
        let second = sprite_name(machine.id.parse().unwrap(), 2);
        assert_eq!(sprites.status(&second).await.as_deref(), Some("running"), "{state}");
        if let Some(lost) = lost {
            // The second sprite's first checkpoint has the name that the lost one had.
            machine.checkpoint("of the second").await;
            let restore = format!("{}/checkpoints/{lost}/restore", machine.path);
            let refused = machine.client.order(restore).await.problem(409, "state");
            let words = "There are no files behind this checkpoint: Its files were lost";
            assert!(refused["detail"].as_str().unwrap().starts_with(words), "{refused}");
        }
        machine.order_deletion().await;
        machine.until_gone().await;
        assert_eq!(sprites.status(&second).await, None, "{state}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sprite_without_an_agent_gets_one_again() {
    let world = World::start(builder()).await;
    let (org, sprites) = (world.org().await, world.sprites());
    for state in ["running", "hibernated"] {
        let machine = brought_to(&world, &org, state).await;
        sprites.delete_service(&machine.sprite(), SERVICE_NAME).await;
        if state == "hibernated" {
            machine.order("start").await;
        }
        machine.until_told("Its runtime has no agent, and gets one again.", RECOVERY).await;
        until_state(&machine, "running").await;
        let mut terminal = Terminal::start(&world, &machine).await;
        assert_eq!(terminal.run("cat file").await, "kept", "{state}");
        assert_eq!(machine.record().await["generation"], 1, "{state}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_goes_back_from_failed_from_its_way_to_sleep_and_from_an_upgrade() {
    let releases = Releases::new();
    let world = World::start(releases.builder().faults(true)).await;
    let (_, machine) = Machine::running(&world).await;
    let sprites = world.sprites();
    let changed = async |text: &str| Terminal::start(&world, &machine).await.run(text).await;
    changed("echo kept > file").await;
    let id = machine.checkpoint("before").await;
    let is_back = async |what: &str| {
        machine.restore(&id).await;
        assert_eq!(changed("cat file; echo changed > file").await, "kept", "{what}");
    };

    // The provider said, wrongly, that there is nothing left of it.
    machine.order("hibernate").await;
    machine.until("hibernated").await;
    sprites.fail("get_sprite", "before", 1, json!({"status": 404})).await;
    machine.order("start").await;
    until_state(&machine, "failed").await;
    sprites.stop_failing().await;
    is_back("from failed").await;

    machine.order("hibernate").await;
    is_back("from hibernating").await;

    // The agent is being upgraded, or about to be: whichever lies on the older disk, the carried one runs in the end.
    let digest = releases.deploy_another(&world).await;
    is_back("from an upgrade").await;
    let runs = || async {
        let mut terminal = Terminal::start(&world, &machine).await;
        (terminal.run("sha256sum < /proc/$PPID/exe | cut -c1-64").await == digest).then_some(())
    };
    until("the carried agent runs", ORDER, runs).await;
    assert_eq!(machine.record().await["generation"], 4);
}
