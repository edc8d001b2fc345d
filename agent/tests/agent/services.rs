//! Services: crashes, stubborn ones, forks, changes, logs.

use serde_json::json;
use snapvm_protocol::agent::{ToAgent, ToObject};
use snapvm_protocol::services::{DesiredState, ServiceAction, ServiceDefinition, ServiceState, ServiceStatus};

use crate::support::origin::{Control, welcome};
use crate::support::{World, soon};

pub fn shell(name: &str, script: &str) -> ServiceDefinition {
    ServiceDefinition { args: vec!["-c".into(), script.into()], ..ServiceDefinition::new(name, "sh") }
}

pub fn welcome_with(list: Vec<ServiceDefinition>) -> ToAgent {
    let mut welcome = welcome();
    if let ToAgent::Welcome { services, .. } = &mut welcome {
        *services = list;
    }
    welcome
}

pub async fn state_of(control: &mut Control, name: &str, state: ServiceState) -> ServiceStatus {
    control
        .until(|message| match message {
            ToObject::Service(status) if status.name == name && status.state == state => Some(status.clone()),
            _ => None,
        })
        .await
}

fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // A zombie whose parent has yet to look is as dead as can be.
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with('Z'))
}

pub async fn gone(pid: u32) {
    soon(&format!("process {pid} ends"), async {
        while is_alive(pid) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

pub async fn number_in(path: &std::path::Path) -> u32 {
    soon("a number in a file", async {
        loop {
            if let Some(number) = std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok()) {
                break number;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

#[tokio::test]
async fn a_crash_loop_fails_and_says_why() {
    let mut world = World::with(json!({"service_backoff": 5}), &[]).await;
    let mut control = world.control_with(welcome_with(vec![shell("loops", "echo once more; exit 3")])).await;
    let status = state_of(&mut control, "loops", ServiceState::Failed).await;
    assert_eq!((status.restarts, status.error.as_deref()), (7, Some("exited with code 3")));
    let log = world.home.path().join("logs/loops.log");
    soon("its whole log", async {
        loop {
            let text = std::fs::read_to_string(&log).unwrap();
            let said: Vec<&str> = text.lines().filter_map(|line| Some(line.split_once(' ')?.1)).collect();
            if said == ["once more"; 8] {
                break;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    // Sticky over lists, until asked.
    control.send(&ToAgent::ServiceCommand { name: "loops".into(), action: ServiceAction::Start }).await;
    state_of(&mut control, "loops", ServiceState::Starting).await;
    state_of(&mut control, "loops", ServiceState::Failed).await;
}

#[tokio::test]
async fn what_cannot_be_spawned_fails() {
    let mut world = World::with(json!({"service_backoff": 5}), &[]).await;
    let mut missing = shell("missing", "");
    missing.command = "/nowhere/program".into();
    let mut control = world.control_with(welcome_with(vec![missing])).await;
    let status = state_of(&mut control, "missing", ServiceState::Failed).await;
    assert!(status.error.unwrap().starts_with("could not be started: "));
}

#[tokio::test]
async fn one_that_ignores_term_is_killed_with_its_forks() {
    let mut world = World::with(json!({"grace": 300}), &[]).await;
    let file = world.home.path().join("fork");
    let script = format!("trap '' TERM; sleep 1000 & echo $! > {}; wait; wait", file.display());
    let mut control = world.control_with(welcome_with(vec![shell("stubborn", &script)])).await;
    let pid = state_of(&mut control, "stubborn", ServiceState::Running).await.pid.unwrap();
    let fork = number_in(&file).await;
    control.send(&ToAgent::ServiceCommand { name: "stubborn".into(), action: ServiceAction::Stop }).await;
    state_of(&mut control, "stubborn", ServiceState::Stopping).await;
    let stopped = state_of(&mut control, "stubborn", ServiceState::Stopped).await;
    assert_eq!((stopped.pid, stopped.error), (None, None));
    gone(pid).await;
    gone(fork).await;
}

#[tokio::test]
async fn forks_that_outlive_their_parent_are_ended_and_orphans_reaped() {
    let mut world = World::with(json!({"grace": 300, "service_backoff": 20}), &[]).await;
    let file = world.home.path().join("fork");
    let script = format!("test -e {0} && exec sleep 1000; sleep 1000 & echo $! > {0}; exit 1", file.display());
    let mut control = world.control_with(welcome_with(vec![shell("forks", &script)])).await;
    let first = state_of(&mut control, "forks", ServiceState::Starting).await.pid;
    let fork = number_in(&file).await;
    let second = state_of(&mut control, "forks", ServiceState::Running).await.pid;
    assert_ne!(first, second);
    // Gone altogether, not even a zombie, since the agent is its parent now.
    soon("the fork is reaped", async {
        while std::path::Path::new(&format!("/proc/{fork}")).exists() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn lists_replace_each_other() {
    let mut world = World::with(json!({}), &[]).await;
    let (one, two) = (shell("one", "sleep 1000"), shell("two", "sleep 1000"));
    let mut control = world.control_with(welcome_with(vec![one.clone(), two.clone()])).await;
    let first = state_of(&mut control, "one", ServiceState::Running).await.pid.unwrap();
    let second = state_of(&mut control, "two", ServiceState::Running).await.pid.unwrap();
    // One is changed, two removed, three new but down.
    let mut changed = one.clone();
    changed.environment.insert("A".into(), "b".into());
    let mut three = shell("three", "sleep 1000");
    three.desired = DesiredState::Down;
    control.send(&ToAgent::Services { services: vec![changed.clone(), three.clone()] }).await;
    let again = state_of(&mut control, "one", ServiceState::Running).await.pid.unwrap();
    assert_ne!(first, again);
    gone(second).await;
    let environment = std::fs::read_to_string(format!("/proc/{again}/environ")).unwrap();
    assert!(environment.contains("A=b") && environment.contains("HOME=") && !environment.contains("SNAPVM_MACHINE"));
    three.desired = DesiredState::Up;
    changed.desired = DesiredState::Down;
    control.send(&ToAgent::Services { services: vec![changed, three] }).await;
    let (mut up, mut down) = (false, false);
    control
        .until(|message| {
            if let ToObject::Service(status) = message {
                up |= status.name == "three" && status.state == ServiceState::Running;
                down |= status.name == "one" && status.state == ServiceState::Stopped;
            }
            (up && down).then_some(())
        })
        .await;
    gone(again).await;
}

#[tokio::test]
async fn the_agents_own_end_stops_services() {
    let mut world = World::with(json!({}), &[]).await;
    let file = world.home.path().join("said");
    let script = format!("trap 'echo 1 > {}; exit 0' TERM; while :; do sleep 0.02; done", file.display());
    let mut control = world.control_with(welcome_with(vec![shell("polite", &script)])).await;
    state_of(&mut control, "polite", ServiceState::Running).await;
    let pid = rustix::process::Pid::from_raw(world.agent.id().unwrap().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(soon("the agent ends", world.agent.wait()).await.unwrap().success());
    assert_eq!(number_in(&file).await, 1);
}
