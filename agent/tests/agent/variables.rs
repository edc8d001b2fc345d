//! Variables of the machine: who has them, from when on, and where they never are.

use serde_json::json;
use snapvm_protocol::agent::{ToAgent, ToObject, WokeBy};
use snapvm_protocol::services::{ServiceAction, ServiceDefinition, ServiceState};
use snapvm_protocol::terminal::ClientMode;
use snapvm_protocol::variables::Variables;

use crate::services::{shell, state_of, welcome_with};
use crate::support::World;
use crate::support::exec;
use crate::support::origin::{Control, fresh};
use crate::support::terminal::{Screen, Session, attach};
use crate::support::{soon, terminal};
use crate::upgrade::deliver_another;

/// A value that is found wherever it is.
const SECRET: &str = "correct-horse-battery-staple";

fn variables(pairs: &[(&str, &str)]) -> Variables {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn welcome(services: Vec<ServiceDefinition>, pairs: &[(&str, &str)]) -> ToAgent {
    let mut welcome = welcome_with(services);
    if let ToAgent::Welcome { variables: given, .. } = &mut welcome {
        *given = variables(pairs);
    }
    welcome
}

fn waits(name: &str) -> ServiceDefinition {
    shell(name, "exec sleep 1000")
}

/// The environment that a process was started with.
fn environment(pid: u32) -> Vec<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/environ")).unwrap();
    text.split('\0').map(str::to_owned).collect()
}

fn has(pid: u32, entry: &str) -> bool {
    environment(pid).iter().any(|found| found == entry)
}

async fn runs(control: &mut Control, name: &str) -> u32 {
    state_of(control, name, ServiceState::Running).await.pid.unwrap()
}

async fn shell_says(world: &mut World, control: &mut Control, number: u8, line: &str, wanted: &str) {
    control.send(&ToAgent::OpenTerminal(fresh(terminal(number)))).await;
    let mut session = Session::new(world.origin.terminal().await);
    session.join(1, ClientMode::Write, attach("tab", None)).await;
    session.input(1, 1, &format!("{line}\n")).await;
    let mut screen = Screen::default();
    session.until(1, &mut screen, |screen| screen.text().contains(wanted)).await;
}

/// Waits until the agent has taken a change.
async fn commands_have(world: &World, value: &str) {
    soon("a command has the new value", async {
        while exec::shell(world.address, "printf %s \"$TOKEN\"").await["stdout"] != value {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Every file below a folder that holds these bytes.
fn files_with(folder: &std::path::Path, bytes: &[u8]) -> Vec<std::path::PathBuf> {
    let mut found = vec![];
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            found.extend(files_with(&path, bytes));
        } else if kind.is_file() && std::fs::read(&path).unwrap().windows(bytes.len()).any(|part| part == bytes) {
            found.push(path);
        }
    }
    found
}

#[tokio::test]
async fn whatever_is_started_has_them_and_its_own_win() {
    let mut world = World::with(json!({}), &[]).await;
    let mut own = waits("own");
    own.environment.insert("TOKEN".into(), "the-services".into());
    let given = [("TOKEN", SECRET), ("LINES", "one\n\"two\" $HOME"), ("EMPTY", ""), ("LANG", "de_DE.UTF-8")];
    let mut control = world.control_with(welcome(vec![waits("web"), own], &given)).await;
    let (mut web, mut own) = (None, None);
    while web.is_none() || own.is_none() {
        if let ToObject::Service(status) = control.next().await
            && status.state == ServiceState::Running
        {
            if status.name == "web" { web = status.pid } else { own = status.pid }
        }
    }
    let (web, own) = (web.unwrap(), own.unwrap());
    for (name, value) in given {
        assert!(has(web, &format!("{name}={value}")), "{name}: {:?}", environment(web));
    }
    assert!(has(own, "TOKEN=the-services") && has(own, "EMPTY="));

    let printed = exec::shell(world.address, "printf '%s|' \"$TOKEN\" \"$LINES\" \"${EMPTY-unset}\"").await;
    assert_eq!(printed["stdout"], format!("{SECRET}|one\n\"two\" $HOME||"));
    let command = json!({"command": "printenv", "args": ["TOKEN"], "env": {"TOKEN": "the-commands"}});
    assert_eq!(exec::result(&exec::run(world.address, &command).await)["stdout"], "the-commands\n");
    // The terminal itself is not theirs to describe.
    shell_says(&mut world, &mut control, 1, "echo \"[$TOKEN]$TERM\"", &format!("[{SECRET}]xterm-256color")).await;
}

#[tokio::test]
async fn a_change_is_there_at_the_next_start_and_not_before() {
    let mut world = World::with(json!({"service_backoff": 5}), &[]).await;
    let list = vec![waits("web")];
    let mut control = world.control_with(welcome(list, &[("TOKEN", "old"), ("GONE", "1")])).await;
    let first = runs(&mut control, "web").await;
    control.send(&ToAgent::Variables { variables: variables(&[("TOKEN", "new")]) }).await;
    commands_have(&world, "new").await;
    assert!(has(first, "TOKEN=old") && std::path::Path::new(&format!("/proc/{first}")).exists());
    control.send(&ToAgent::ServiceCommand { name: "web".into(), action: ServiceAction::Restart }).await;
    state_of(&mut control, "web", ServiceState::Stopping).await;
    let second = runs(&mut control, "web").await;
    assert!(has(second, "TOKEN=new"), "{:?}", environment(second));
    assert!(environment(second).iter().all(|entry| !entry.starts_with("GONE=")));
    // A crash is a start, too; a message that nobody knows changes nothing.
    control.send(&ToAgent::Variables { variables: variables(&[("TOKEN", "newest")]) }).await;
    control.text(r#"{"type":"from_the_future","variables":{"TOKEN":"wrong"}}"#).await;
    commands_have(&world, "newest").await;
    let pid = rustix::process::Pid::from_raw(second.cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    state_of(&mut control, "web", ServiceState::Starting).await;
    let third = runs(&mut control, "web").await;
    assert!(has(third, "TOKEN=newest"));
}

#[tokio::test]
async fn they_outlive_an_upgrade_and_are_on_no_disk_and_in_no_log() {
    let mut world = World::with(json!({"service_backoff": 5}), &[]).await;
    let pairs = [("TOKEN", SECRET)];
    let mut control = world.control_with(welcome(vec![waits("web")], &pairs)).await;
    let before = runs(&mut control, "web").await;
    let digest = deliver_another(&world, "another");
    control.send(&ToAgent::Upgrade { digest }).await;
    let mut control = world.origin.control().await;
    let ToObject::Hello { woke, .. } = control.hello().await else { unreachable!() };
    assert_eq!(woke, WokeBy::Redial);
    // Before any Welcome: what crashes now is started with what was handed over.
    let pid = rustix::process::Pid::from_raw(before.cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let after = runs(&mut control, "web").await;
    assert!(after != before && has(after, &format!("TOKEN={SECRET}")));
    // The next boot has nothing: not even the agent's own environment knew.
    assert_eq!(files_with(world.home.path(), SECRET.as_bytes()), Vec::<std::path::PathBuf>::new());
    let agent = world.agent.id().unwrap();
    assert!(environment(agent).iter().all(|entry| !entry.contains(SECRET)));
    while let Ok(line) = world.log.try_recv() {
        assert!(!line.contains(SECRET), "{line}");
    }
}
