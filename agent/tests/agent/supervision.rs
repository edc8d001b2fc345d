//! Services with real processes: order, readiness, what gets away from its group, many at once, much to say.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;
use snapvm_protocol::agent::{SleepKind, ToAgent, ToObject};
use snapvm_protocol::services::{
    AtSleep, DesiredState, Readiness, RestartPolicy, ServiceAction, ServiceDefinition, ServiceState, ServiceStatus,
    Unready,
};

use crate::services::{gone, number_in, shell, state_of, welcome_with};
use crate::support::origin::Control;
use crate::support::{World, apps, silent_port, soon};
use crate::upgrade::deliver_another;

/// One that runs until it is told to end, and writes down both.
fn noting(name: &str, file: &Path, needs: &[&str]) -> ServiceDefinition {
    let file = file.display();
    let script =
        format!("trap 'echo {name} ends >> {file}; exit 0' TERM; echo {name} >> {file}; while :; do sleep 0.02; done");
    ServiceDefinition { needs: needs.iter().map(|need| (*need).to_owned()).collect(), ..shell(name, &script) }
}

fn quick(definition: ServiceDefinition) -> ServiceDefinition {
    ServiceDefinition { ready: Some(Readiness::Delay { seconds: 0 }), ..definition }
}

async fn status_of(control: &mut Control, name: &str, is_meant: impl Fn(&ServiceStatus) -> bool) -> ServiceStatus {
    control
        .until(|message| match message {
            ToObject::Service(status) if status.name == name && is_meant(status) => Some(status.clone()),
            _ => None,
        })
        .await
}

/// The lines of a file, once there are so many.
async fn lines(file: &Path, count: usize) -> Vec<String> {
    soon(&format!("{count} lines"), async {
        loop {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            if text.lines().count() >= count {
                break text.lines().map(str::to_owned).collect();
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

/// Children of the agent that ended and that nobody took.
fn zombies(world: &World) -> usize {
    let pid = world.agent.id().unwrap();
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let is_zombie = |child: &&str| {
        let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z'))
    };
    children.split_whitespace().filter(is_zombie).count()
}

#[tokio::test]
async fn they_start_in_order_of_needs_and_stop_in_reverse() {
    let mut world = World::with(json!({}), &[]).await;
    let file = world.home.path().join("order");
    // The list's order is not theirs; a cold wake is exactly this: a new process, and a Welcome with all of them.
    let list = vec![
        noting("web", &file, &["api", "cache"]),
        noting("api", &file, &["db"]),
        noting("cache", &file, &["api"]),
        noting("db", &file, &[]),
    ];
    let mut control = world.control_with(welcome_with(list)).await;
    let waiting = status_of(&mut control, "web", |status| !status.waiting_on.is_empty()).await;
    assert_eq!((waiting.state, waiting.pid), (ServiceState::Starting, None));
    assert!(waiting.waiting_on.iter().any(|need| need.name == "cache"), "{waiting:?}");
    status_of(&mut control, "web", |status| status.ready).await;
    assert_eq!(lines(&file, 4).await, ["db", "api", "cache", "web"]);

    control.send(&ToAgent::Sleep { sleep: 1, kind: SleepKind::Stop, clear_tasks: true }).await;
    control.until(|message| matches!(message, ToObject::SleepReady { sleep: 1 }).then_some(())).await;
    let all = lines(&file, 8).await;
    assert_eq!(all[4..], ["web ends", "cache ends", "api ends", "db ends"]);
    // Called off: the same order again.
    control.send(&ToAgent::SleepCancel { sleep: 1 }).await;
    assert_eq!(lines(&file, 12).await[8..], ["db", "api", "cache", "web"]);
}

#[tokio::test]
async fn a_sleep_stops_only_those_that_ask_for_it_and_in_order() {
    let mut world = World::with(json!({}), &[]).await;
    let file = world.home.path().join("order");
    let stops = |definition| ServiceDefinition { at_sleep: AtSleep::Stop, ..quick(definition) };
    let list = vec![
        stops(noting("db", &file, &[])),
        quick(noting("api", &file, &["db"])),
        stops(noting("web", &file, &["api"])),
    ];
    let mut control = world.control_with(welcome_with(list)).await;
    // Ready as soon as they run, so whoever writes first is the first line.
    let mut started = lines(&file, 3).await;
    started.sort();
    assert_eq!(started, ["api", "db", "web"]);
    control.send(&ToAgent::Sleep { sleep: 1, kind: SleepKind::Hibernate, clear_tasks: false }).await;
    control.until(|message| matches!(message, ToObject::SleepReady { sleep: 1 }).then_some(())).await;
    // By way of the one that goes on, the web needs the database.
    assert_eq!(lines(&file, 5).await[3..], ["web ends", "db ends"]);
}

#[tokio::test]
async fn one_whose_need_is_stopped_or_failed_says_so_and_starts_later() {
    let mut world = World::with(json!({"service_backoff": 5}), &[]).await;
    let file = world.home.path().join("order");
    let mut db = shell("db", "exit 7");
    let web = ServiceDefinition { needs: vec!["db".into(), "none".into()], ..noting("web", &file, &[]) };
    let mut control = world.control_with(welcome_with(vec![web.clone(), db.clone()])).await;
    let failed = |status: &ServiceStatus| status.waiting_on.iter().any(|need| need.state == Some(ServiceState::Failed));
    let waiting = status_of(&mut control, "web", failed).await;
    let expected = [("db", Some(ServiceState::Failed)), ("none", None)];
    assert_eq!(waiting.waiting_on, expected.map(|(name, state)| Unready { name: name.into(), state }));
    // Stopped by hand, and then mended.
    db.desired = DesiredState::Down;
    let web = ServiceDefinition { needs: vec!["db".into()], ..web };
    control.send(&ToAgent::Services { services: vec![web.clone(), db.clone()] }).await;
    let stopped =
        |status: &ServiceStatus| status.waiting_on.iter().any(|need| need.state == Some(ServiceState::Stopped));
    assert_eq!(status_of(&mut control, "web", stopped).await.waiting_on.len(), 1);
    assert!(!file.exists());
    db = ServiceDefinition { desired: DesiredState::Up, ..shell("db", "exec sleep 1000") };
    control.send(&ToAgent::Services { services: vec![web, db] }).await;
    status_of(&mut control, "web", |status| status.ready).await;
    // It goes on when what it needs does not, until it is to start again.
    control.send(&ToAgent::ServiceCommand { name: "db".into(), action: ServiceAction::Stop }).await;
    state_of(&mut control, "db", ServiceState::Stopped).await;
    control.send(&ToAgent::ServiceCommand { name: "web".into(), action: ServiceAction::Restart }).await;
    let status = status_of(&mut control, "web", |status| status.state == ServiceState::Starting).await;
    assert_eq!((status.pid, status.waiting_on.len()), (None, 1));
}

#[tokio::test]
async fn readiness_is_asked_over_http_and_tcp() {
    let mut world = World::with(json!({}), &[]).await;
    let port = apps::start().await;
    let file = world.home.path().join("order");
    let asked = |name: &str, ready: Readiness| ServiceDefinition {
        http_port: Some(port),
        ready: Some(ready),
        ready_limit_seconds: Some(2),
        ..shell(name, "exec sleep 1000")
    };
    let (silent, closed) = silent_port();
    let list = vec![
        asked("http", Readiness::Http { path: "/status/404".into() }),
        asked("broken", Readiness::Http { path: "/status/503".into() }),
        asked("tcp", Readiness::Tcp { port }),
        asked("closed", Readiness::Tcp { port: closed }),
        noting("after-http", &file, &["http"]),
        noting("after-tcp", &file, &["tcp"]),
        noting("never", &file, &["broken", "closed"]),
    ];
    let mut control = world.control_with(welcome_with(list)).await;
    let (mut ready, mut late) = (vec![], vec![]);
    control
        .until(|message| {
            if let ToObject::Service(status) = message {
                if status.ready && !ready.contains(&status.name) {
                    ready.push(status.name.clone());
                }
                if status.error.as_deref() == Some("not ready after 2 s") && !late.contains(&status.name) {
                    assert_eq!((status.state, status.ready), (ServiceState::Running, false));
                    late.push(status.name.clone());
                }
            }
            (ready.len() >= 4 && late.len() >= 2).then_some(())
        })
        .await;
    ready.sort();
    late.sort();
    assert_eq!(ready, ["after-http", "after-tcp", "http", "tcp"]);
    assert_eq!(late, ["broken", "closed"]);
    assert!(!std::fs::read_to_string(&file).unwrap().contains("never"));
    // Late is not never.
    let listener = silent.listen(8).unwrap();
    let status = status_of(&mut control, "closed", |status| status.ready).await;
    assert_eq!(status.error, None);
    drop(listener);
}

#[tokio::test]
async fn one_that_did_its_work_lets_others_start_and_is_not_restarted() {
    let mut world = World::with(json!({"service_backoff": 5}), &[]).await;
    let file = world.home.path().join("order");
    let once = |name: &str, restart, code: u8| ServiceDefinition {
        restart,
        ..shell(name, &format!("echo {name} >> {}; exit {code}", file.display()))
    };
    let list = vec![
        ServiceDefinition { needs: vec!["migrate".into()], ..noting("web", &file, &[]) },
        once("migrate", RestartPolicy::OnFailure, 0),
        once("breaks", RestartPolicy::Never, 4),
    ];
    let mut control = world.control_with(welcome_with(list)).await;
    let (mut broken, mut ready) = (None, false);
    control
        .until(|message| {
            if let ToObject::Service(status) = message {
                if status.name == "breaks" && status.state == ServiceState::Failed {
                    broken = Some(status.clone());
                }
                ready |= status.name == "web" && status.ready;
            }
            (broken.is_some() && ready).then_some(())
        })
        .await;
    let broken = broken.unwrap();
    assert_eq!((broken.restarts, broken.error.as_deref()), (0, Some("exited with code 4")));
    assert_eq!((broken.exits.len(), broken.exits[0].code, broken.exits[0].ordered), (1, Some(4), false));
    assert!(broken.exits[0].at_ms > 1_600_000_000_000, "{broken:?}");
    let text = std::fs::read_to_string(&file).unwrap();
    let started = |name: &str| text.lines().filter(|line| *line == name).count();
    assert_eq!(["migrate", "web", "breaks"].map(started), [1, 1, 1]);
    assert!(text.find("migrate") < text.find("web"));
}

/// A daemon as of old: two forks and a session of its own, away from its service's group. It heeds no TERM.
const DAEMON: &str = "import os, signal, sys, time
if os.fork():
    while not os.path.exists(sys.argv[1]): time.sleep(0.01)
    os._exit(0) if len(sys.argv) > 2 else time.sleep(1000)
os.setsid()
if os.fork(): os._exit(0)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open(sys.argv[1] + '.new', 'w').write(str(os.getpid()))
os.rename(sys.argv[1] + '.new', sys.argv[1])
time.sleep(1000)";

async fn daemons_are_ended(cgroups: &str) {
    let mut world =
        World::with(json!({"grace": 300, "service_backoff": 60_000}), &[("SNAPVM_TEST_CGROUPS", cgroups)]).await;
    let (stopped, left) = (world.home.path().join("stopped"), world.home.path().join("left"));
    let daemon = |name: &str, file: &Path, more: &[&str]| ServiceDefinition {
        args: ["-c", DAEMON, file.to_str().unwrap()].iter().chain(more).map(|text| (*text).to_owned()).collect(),
        ..ServiceDefinition::new(name, "python3")
    };
    let list = vec![daemon("stays", &stopped, &[]), daemon("leaves", &left, &["and goes"])];
    let mut control = world.control_with(welcome_with(list)).await;
    let (stopped, left) = (number_in(&stopped).await, number_in(&left).await);
    // The one whose parent went is ended before any restart; the other one with its service.
    gone(left).await;
    control.send(&ToAgent::ServiceCommand { name: "stays".into(), action: ServiceAction::Stop }).await;
    let status = state_of(&mut control, "stays", ServiceState::Stopped).await;
    gone(stopped).await;
    let containment = serde_json::to_value(status.containment).unwrap();
    if cgroups == "off" {
        assert_eq!(containment, "descent");
    } else {
        eprintln!("found by: {containment}");
    }
    soon("no zombies", async {
        while zombies(&world) > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn daemons_that_left_their_group_are_ended() {
    daemons_are_ended("on").await;
}

#[tokio::test]
async fn daemons_that_left_their_group_are_ended_without_control_groups() {
    daemons_are_ended("off").await;
}

#[tokio::test]
async fn what_a_killed_agent_left_is_ended_by_the_next() {
    for cgroups in ["on", "off"] {
        let scope = format!("snapvm-test-left-{}-{cgroups}", std::process::id());
        let variables = [("SNAPVM_TEST_CGROUPS", cgroups), ("SNAPVM_TEST_SCOPE", scope.as_str())];
        let mut world = World::with(json!({}), &variables).await;
        let mut control = world.control_with(welcome_with(vec![shell("web", "exec sleep 1000")])).await;
        let pid = state_of(&mut control, "web", ServiceState::Running).await.pid.unwrap();
        world.agent.kill().await.unwrap();
        assert!(Path::new(&format!("/proc/{pid}")).exists(), "it outlives its agent");
        let _next = World::with(json!({}), &variables).await;
        gone(pid).await;
    }
}

#[tokio::test]
async fn a_hundred_start_in_order_and_nobody_waits_for_them() {
    let mut world = World::with(json!({}), &[]).await;
    let file = world.home.path().join("order");
    let line = |number: usize| {
        let needs: Vec<String> = (number > 0).then(|| format!("s{:02}", number - 1)).into_iter().collect();
        let script = format!("echo {number} >> {}; exec sleep 1000", file.display());
        quick(ServiceDefinition { needs, ..shell(&format!("s{number:02}"), &script) })
    };
    // The last first, so that the list's order is of no help. Each writes before the next may know of it.
    let chain: Vec<ServiceDefinition> = (0..50).rev().map(line).collect();
    let crowd = (50..100).map(|number| shell(&format!("s{number}"), "exec sleep 1000"));
    let list: Vec<ServiceDefinition> = chain.into_iter().chain(crowd).collect();
    let mut control = world.control_with(welcome_with(list.clone())).await;
    let mut running: BTreeMap<String, u32> = BTreeMap::new();
    let mut first_started: Vec<String> = vec![];
    control
        .until(|message| {
            if let ToObject::Service(status) = message
                && let Some(pid) = status.pid
            {
                assert!(status.exits.is_empty(), "{status:?}");
                if running.insert(status.name.clone(), pid).is_none() {
                    first_started.push(status.name.clone());
                }
            }
            (running.len() == 100).then_some(())
        })
        .await;
    let chained: Vec<&String> = first_started.iter().filter(|name| name.as_str() < "s50").collect();
    assert!(chained.is_sorted() && chained.len() == 50, "{chained:?}");
    // All of them go with one list.
    control.send(&ToAgent::Services { services: vec![] }).await;
    for pid in running.into_values() {
        gone(pid).await;
    }
}

#[tokio::test]
async fn exits_readiness_and_waiting_go_over_an_upgrade() {
    let mut world = World::with(json!({"service_backoff": 5}), &[]).await;
    let once = world.home.path().join("once");
    let script = format!("test -e {0} && exec sleep 1000; touch {0}; exit 3", once.display());
    let late = shell("late", "exec sleep 1000");
    let list = vec![shell("web", &script), ServiceDefinition { needs: vec!["db".into()], ..late.clone() }];
    let mut control = world.control_with(welcome_with(list.clone())).await;
    let before = status_of(&mut control, "web", |status| status.ready).await;
    assert_eq!((before.exits.len(), before.exits[0].code), (1, Some(3)));
    let digest = deliver_another(&world, "another");
    control.send(&ToAgent::Upgrade { digest }).await;
    let mut control = world.origin.control().await;
    let ToObject::Hello { services, .. } = control.hello().await else { panic!("no Hello") };
    assert_eq!(services[0], before);
    assert_eq!(services[1].waiting_on, [Unready { name: "db".into(), state: None }]);
    // And it still waits for that, and no longer than that.
    let with_db = [list, vec![quick(shell("db", "exec sleep 1000"))]].concat();
    control.welcome(welcome_with(with_db)).await;
    status_of(&mut control, "late", |status| status.ready).await;
}

/// Memory that the agent holds, in KiB.
fn resident(world: &World) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", world.agent.id().unwrap())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test]
async fn much_to_say_does_not_make_the_agent_grow() {
    let mut world = World::with(json!({}), &[]).await;
    let file = world.home.path().join("said");
    // 60 MB as fast as they are taken, which is faster than ten a second.
    let script =
        format!("head -c 60000000 /dev/zero | tr '\\0' 'x' | fold -w 99; echo 1 > {}; exec sleep 1000", file.display());
    let mut control = world.control_with(welcome_with(vec![shell("quiet", "exec sleep 1000")])).await;
    state_of(&mut control, "quiet", ServiceState::Running).await;
    let before = resident(&world);
    let list = vec![shell("quiet", "exec sleep 1000"), shell("loud", &script)];
    control.send(&ToAgent::Services { services: list }).await;
    let most = soon("all is said", async {
        let mut most = 0;
        while !file.exists() {
            most = most.max(resident(&world));
            tokio::task::yield_now().await;
        }
        most
    })
    .await;
    assert!(most < before + 4096, "from {before} to {most} KiB");
    let folder = world.home.path().join("logs");
    let kept: u64 = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    assert!(kept < 60_000_000, "{kept} bytes of logs");
}
