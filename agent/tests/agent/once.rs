//! Services that run once: begun once in the life of the disk, whatever ends the agent or the machine.

use std::path::PathBuf;

use serde_json::json;
use snapvm_protocol::agent::{SleepKind, ToAgent, ToObject};
use snapvm_protocol::services::{FIRST_BOOT, ServiceAction, ServiceDefinition, ServiceState, ServiceStatus};
use snapvm_protocol::variables::Variables;

use crate::services::{number_in, state_of, welcome_with};
use crate::support::origin::Control;
use crate::support::{World, soon};
use crate::upgrade::deliver_another;

/// Appends a line to a file at each run, and then does what it is told.
fn setup(world: &World, then: &str) -> (ServiceDefinition, PathBuf) {
    let file = world.home.path().join("runs");
    (ServiceDefinition::first_boot(format!("echo run >> {}; {then}", file.display())), file)
}

fn runs(file: &PathBuf) -> usize {
    std::fs::read_to_string(file).unwrap_or_default().lines().count()
}

fn welcome(definition: &ServiceDefinition) -> ToAgent {
    welcome_with(vec![definition.clone()])
}

/// Once it is so.
async fn says(control: &mut Control, is_meant: impl Fn(&ServiceStatus) -> bool) -> ServiceStatus {
    control
        .until(|message| match message {
            ToObject::Service(status) if status.name == FIRST_BOOT && is_meant(status) => Some(status.clone()),
            _ => None,
        })
        .await
}

async fn finished(control: &mut Control) -> ServiceStatus {
    says(control, |status| status.state == ServiceState::Stopped && status.ready).await
}

/// The same machine after it lost its memory.
async fn after_boot(world: World, definition: &ServiceDefinition) -> (World, Control, ServiceStatus) {
    let mut world = world.boot().await;
    let mut control = world.control_with(welcome(definition)).await;
    let status = says(&mut control, |_| true).await;
    (world, control, status)
}

#[tokio::test]
async fn a_script_runs_once_with_the_machines_variables_and_its_output_is_kept() {
    let mut world = World::new().await;
    let (definition, file) = setup(&world, "echo token=$TOKEN; echo oops >&2; pwd");
    let mut first = welcome(&definition);
    if let ToAgent::Welcome { variables, .. } = &mut first {
        *variables = [("TOKEN".to_owned(), "hunter2".to_owned())].into_iter().collect::<Variables>();
    }
    let mut control = world.control_with(first).await;
    let awake = says(&mut control, |status| status.pid.is_some()).await;
    assert!(awake.keeps_awake, "{awake:?}");
    let status = finished(&mut control).await;
    assert_eq!((status.exits.len(), status.exits[0].code, status.exits[0].ordered), (1, Some(0), false));
    let log = world.home.path().join("logs/first-boot.log");
    let home = world.home.path().display().to_string();
    soon("its output", async {
        while !["token=hunter2", "oops", &home]
            .iter()
            .all(|line| std::fs::read_to_string(&log).is_ok_and(|text| text.contains(line)))
        {
            tokio::task::yield_now().await;
        }
    })
    .await;
    drop(control);
    let (world, _control, status) = after_boot(world, &definition).await;
    assert_eq!((status.state, status.ready, status.exits[0].code), (ServiceState::Stopped, true, Some(0)));
    // A second boot knows no less.
    let (_world, mut control, status) = after_boot(world, &definition).await;
    assert!(status.ready && runs(&file) == 1, "{status:?}");
    // By hand it runs again.
    control.send(&ToAgent::ServiceCommand { name: FIRST_BOOT.into(), action: ServiceAction::Restart }).await;
    let status = says(&mut control, |status| status.exits.len() == 2).await;
    assert_eq!((status.ready, runs(&file)), (true, 2));
}

#[tokio::test]
async fn one_that_fails_says_so_and_is_not_run_again() {
    let mut world = World::with(json!({"service_backoff": 1}), &[]).await;
    let (definition, file) = setup(&world, "exit 3");
    let mut control = world.control_with(welcome(&definition)).await;
    let status = state_of(&mut control, FIRST_BOOT, ServiceState::Failed).await;
    assert_eq!((status.error.as_deref(), status.exits[0].code), (Some("exited with code 3"), Some(3)));
    let (_world, _control, status) = after_boot(world, &definition).await;
    assert_eq!((status.state, status.error.as_deref()), (ServiceState::Failed, Some("exited with code 3")));
    assert_eq!((status.exits[0].code, runs(&file)), (Some(3), 1));
}

#[tokio::test]
async fn one_that_was_interrupted_says_so_and_is_run_again_by_hand_only() {
    let mut world = World::new().await;
    let pid = world.home.path().join("pid");
    let (definition, file) =
        setup(&world, &format!("echo $$ > {0}.new; mv {0}.new {0}; exec sleep 1000", pid.display()));
    let _control = world.control_with(welcome(&definition)).await;
    number_in(&pid).await;
    let (_world, mut control, status) = after_boot(world, &definition).await;
    let interrupted = "interrupted: the machine stopped before it had ended";
    assert_eq!((status.state, status.error.as_deref()), (ServiceState::Failed, Some(interrupted)));
    assert_eq!((status.exits.len(), runs(&file)), (0, 1));
    control.send(&ToAgent::ServiceCommand { name: FIRST_BOOT.into(), action: ServiceAction::Start }).await;
    state_of(&mut control, FIRST_BOOT, ServiceState::Running).await;
    assert_eq!(runs(&file), 2);
    // Also a sleep that ends it, and is called off.
    control.send(&ToAgent::Sleep { sleep: 1, kind: SleepKind::Stop, clear_tasks: true }).await;
    control.until(|message| matches!(message, ToObject::SleepReady { sleep: 1 }).then_some(())).await;
    control.send(&ToAgent::SleepCancel { sleep: 1 }).await;
    control.send(&ToAgent::Sync { sync: 5 }).await;
    control.until(|message| matches!(message, ToObject::Synced { sync: 5 }).then_some(())).await;
    assert_eq!(runs(&file), 2);
}

#[tokio::test]
async fn an_upgrade_goes_on_with_it_and_knows_its_end() {
    let mut world = World::new().await;
    let go = world.home.path().join("go");
    let (definition, file) = setup(&world, &format!("while [ ! -e {} ]; do sleep 0.02; done; exit 4", go.display()));
    let mut control = world.control_with(welcome(&definition)).await;
    let before = state_of(&mut control, FIRST_BOOT, ServiceState::Running).await;
    let digest = deliver_another(&world, "first-boot");
    control.send(&ToAgent::Upgrade { digest }).await;
    let mut control = world.origin.control().await;
    control.hello().await;
    control.welcome(welcome(&definition)).await;
    std::fs::write(&go, "").unwrap();
    let status = state_of(&mut control, FIRST_BOOT, ServiceState::Failed).await;
    assert_eq!((before.exits.len(), status.exits[0].code, runs(&file)), (0, Some(4), 1));
    let (_world, _control, status) = after_boot(world, &definition).await;
    assert_eq!((status.exits[0].code, runs(&file)), (Some(4), 1));
}

#[tokio::test]
async fn it_is_not_begun_where_that_cannot_be_noted_and_another_of_its_name_is_new() {
    let mut world = World::with(json!({"service_backoff": 1}), &[]).await;
    let (definition, file) = setup(&world, "true");
    let folder = world.home.path().join("once");
    std::fs::write(&folder, "in the way").unwrap();
    let mut control = world.control_with(welcome(&definition)).await;
    let status = state_of(&mut control, FIRST_BOOT, ServiceState::Failed).await;
    assert!(status.error.unwrap().starts_with("could not be started"));
    assert_eq!(runs(&file), 0);
    std::fs::remove_file(&folder).unwrap();
    // It never began, so a boot begins it.
    let mut world = world.boot().await;
    let mut control = world.control_with(welcome(&definition)).await;
    finished(&mut control).await;
    assert_eq!(runs(&file), 1);
    // Deleted and defined again.
    control.send(&ToAgent::Services { services: vec![] }).await;
    soon("what is known of it goes with it", async {
        while std::fs::read_dir(&folder).unwrap().next().is_some() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    control.send(&ToAgent::Services { services: vec![definition] }).await;
    finished(&mut control).await;
    assert_eq!(runs(&file), 2);
}
