//! Every part is killed in turn, under load: machines with terminals in which somebody types, a service that is asked,
//! writes to the API. What was acknowledged is there afterwards, once; what was not is said to be lost; and everything
//! ends up running or asleep, as its runtime is.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use serde_json::json;
use snapvm_protocol::agent::BINARY_PATH;
use snapvm_tests::apps::Visitor;
use snapvm_tests::machines::{Machine, builder};
use snapvm_tests::sprites::processes;
use snapvm_tests::terminal::Terminal;
use snapvm_tests::{World, until};
use tokio::time::Instant;

/// From a part's return until everything works again.
const RECOVERY: Duration = Duration::from_mins(2);
/// Lines that are typed before a kill, and as many after it.
const LINES: u32 = 20;
/// Ports that are written to; a machine can have fifty.
const PORTS: u32 = 40;

/// What is killed, and what that costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Worker,
    Database,
    Agents,
    Runtime,
}

impl Part {
    /// Whether shells live on.
    fn keeps_shells(self) -> bool {
        matches!(self, Self::Worker | Self::Database)
    }

    async fn kill(self, world: &World) {
        let stack = &world.stack;
        match self {
            Self::Worker => stack.worker().unwrap().kill().await,
            Self::Database => stack.postgres.kill().await,
            Self::Runtime => stack.spritehost.as_ref().unwrap().process.kill().await,
            Self::Agents => {
                let agents = agents(&stack.spritehost.as_ref().unwrap().dir);
                assert!(agents.len() >= 2, "{agents:?}");
                for pid in agents {
                    let killed = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
                    assert!(killed.success(), "{pid}");
                }
            }
        }
    }

    async fn start(self, world: &World) {
        let stack = &world.stack;
        match self {
            Self::Worker => stack.worker().unwrap().start().await.unwrap(),
            Self::Database => stack.postgres.start().await.unwrap(),
            Self::Runtime => stack.spritehost.as_ref().unwrap().process.start().await.unwrap(),
            // Whoever started them starts them again.
            Self::Agents => {}
        }
    }
}

/// Agents of this stack alone.
fn agents(folder: &Path) -> Vec<u32> {
    let folder = folder.to_string_lossy().into_owned();
    let ours = |pid: &u32| {
        std::fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default().contains(&folder)
            && std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim() == "agent"
    };
    processes(BINARY_PATH).into_iter().filter(ours).collect()
}

/// Somebody who types numbered lines into a program that keeps them.
struct Typist {
    machine: Machine,
    terminal: Terminal,
    /// The file that the lines end up in, and how many were typed.
    file: String,
    lines: u32,
}

impl Typist {
    async fn begin(world: &World, machine: Machine, file: String) -> Self {
        let mut terminal = Terminal::start(world, &machine).await;
        terminal.type_text(&format!("echo reads-$((1+1)); cat > {file}\r")).await;
        terminal.until_text("reads-2").await;
        Self { machine, terminal, file, lines: 0 }
    }

    async fn type_lines(&mut self) {
        for _ in 0..LINES {
            self.lines += 1;
            self.terminal.type_text(&format!("line {}\r", self.lines)).await;
        }
    }

    /// After the part is back: the same shell with every line, or the word that it is lost, and every line up to some one.
    async fn recover(&mut self, world: &World, part: Part) {
        let deadline = Instant::now() + RECOVERY;
        while self.terminal.end.is_none() && !(part.keeps_shells() && self.terminal.is_acknowledged()) {
            if !self.terminal.is_open() {
                self.terminal.reconnect(world, &self.machine, RECOVERY).await;
            }
            self.terminal.drain(Duration::from_millis(200)).await;
            assert!(Instant::now() < deadline, "{}: {part:?}: neither its lines nor its end", self.machine.label);
        }
        if part.keeps_shells() {
            assert!(self.terminal.end.is_none(), "{part:?} costs no shell: {:?}", self.terminal.end);
            self.terminal.type_text("\u{4}").await;
            self.check(&mut Reader::Same, world, self.lines).await;
        } else {
            self.check(&mut Reader::Another, world, 0).await;
        }
    }

    /// The file has the lines in order, each once, and at least so many.
    async fn check(&mut self, reader: &mut Reader, world: &World, at_least: u32) {
        let asked = format!("cat {}", self.file);
        let text = match reader {
            Reader::Same => self.terminal.run(&asked).await,
            Reader::Another => Terminal::start(world, &self.machine).await.run(&asked).await,
        };
        let lines: Vec<&str> = text.lines().collect();
        let wanted: Vec<String> = (1..=lines.len()).map(|number| format!("line {number}")).collect();
        assert_eq!(lines, wanted, "{}: in order, and each once", self.machine.label);
        assert!(lines.len() >= at_least as usize && lines.len() <= self.lines as usize, "{} lines", lines.len());
    }
}

/// Who reads the file.
enum Reader {
    Same,
    Another,
}

/// Writes numbers to the API for as long as it is wanted, over and over at the same ports; gives for each the last one
/// that was acknowledged.
async fn write(machine: Machine, goes_on: Arc<AtomicBool>, numbers: Arc<AtomicU32>) -> BTreeMap<u32, u32> {
    let mut acknowledged = BTreeMap::new();
    while goes_on.load(Ordering::Relaxed) {
        let number = numbers.fetch_add(1, Ordering::Relaxed);
        let port = 10_000 + number % PORTS;
        let (client, path) = (machine.client.clone(), format!("{}/ports/{port}", machine.path));
        let body = json!({"label": number.to_string()});
        // Without a Worker the connection fails: nobody has promised anything then.
        let answer = tokio::spawn(async move { client.put(path, body).await.status }).await;
        if answer.is_ok_and(|status| status < 300) {
            acknowledged.insert(port, number);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    acknowledged
}

/// What was acknowledged is there, or what was written later.
async fn check_writes(machine: &Machine, acknowledged: &BTreeMap<u32, u32>) {
    let list = machine.client.get(format!("{}/ports", machine.path)).await.expect(200);
    let there: BTreeMap<u64, u32> = list["ports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["port"].as_u64().unwrap(), row["label"].as_str().unwrap().parse().unwrap()))
        .collect();
    for (port, number) in acknowledged {
        let found = there.get(&u64::from(*port));
        assert!(found >= Some(number), "port {port}: {number} was acknowledged, and {found:?} is there");
    }
}

/// A record that says what its runtime does.
async fn until_true(world: &World, machine: &Machine) {
    let is_true = || async {
        let (record, status) = (machine.record().await, world.sprites().status(&machine.sprite()).await);
        let awake = status.as_deref() == Some("running");
        ((record["state"] == "running" && awake) || (record["state"] == "hibernated" && !awake)).then_some(())
    };
    until(&format!("{}: its record is true", machine.label), RECOVERY, is_true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_killed_under_load_nothing_acknowledged_is_lost() {
    let world = World::start(builder()).await;
    let org = world.org().await;
    let (one, two, idle) =
        (Machine::create(&org, "one").await, Machine::create(&org, "two").await, Machine::create(&org, "idle").await);
    for machine in [&one, &two, &idle] {
        machine.until("running").await;
    }
    one.serve(3000).await;
    let visitor = Visitor::admitted(&world, &one.host(&world, 3000), &org.owner.client).await;
    let numbers = Arc::new(AtomicU32::new(0));
    for (round, part) in [Part::Worker, Part::Database, Part::Agents, Part::Runtime].into_iter().enumerate() {
        let goes_on = Arc::new(AtomicBool::new(true));
        let mut typists = Vec::new();
        for machine in [&one, &one, &two] {
            let file = format!("typed-{round}-{}", typists.len());
            typists.push(Typist::begin(&world, machine.clone(), file).await);
        }
        let writer = tokio::spawn(write(two.clone(), goes_on.clone(), numbers.clone()));
        let (asking, asks) = (visitor.clone(), goes_on.clone());
        let app = tokio::spawn(async move {
            let (mut answered, mut refused) = (0, 0);
            while asks.load(Ordering::Relaxed) {
                let asked = asking.clone();
                let answer = tokio::spawn(async move { asked.get("/count").await.status }).await;
                if answer.is_ok_and(|status| status == 200) {
                    answered += 1;
                } else {
                    refused += 1;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            (answered, refused)
        });
        for typist in &mut typists {
            typist.type_lines().await;
        }
        let killed = Instant::now();
        part.kill(&world).await;
        for typist in typists.iter_mut().filter(|typist| typist.terminal.is_open()) {
            typist.type_lines().await;
        }
        part.start(&world).await;
        let back = Instant::now();
        // The database may have been away for longer than the API says so in words.
        let answers = || async {
            let client = two.client.clone();
            let path = two.path.clone();
            tokio::spawn(async move { client.get(path).await.status == 200 }).await.is_ok_and(|ok| ok).then_some(())
        };
        until("the API answers", RECOVERY, answers).await;
        for typist in &mut typists {
            typist.recover(&world, part).await;
        }
        let up = || async { (visitor.get("/count").await.status == 200).then_some(()) };
        until("the service answers", RECOVERY, up).await;
        for machine in [&one, &two, &idle] {
            until_true(&world, machine).await;
        }
        println!("killed {part:?}: back after {:?}, everything works {:?} later", back - killed, back.elapsed());
        goes_on.store(false, Ordering::Relaxed);
        let acknowledged = writer.await.unwrap();
        let (answered, refused) = app.await.unwrap();
        println!("  {} ports written, {answered} app requests answered, {refused} not", acknowledged.len());
        assert!(!acknowledged.is_empty() && answered > 0);
        check_writes(&two, &acknowledged).await;
    }
    // What sleeps wakes for whoever needs it.
    assert_eq!(Terminal::start(&world, &idle).await.run("echo fine").await, "fine");
}
