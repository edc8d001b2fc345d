//! Services: programs that a sprite runs from every boot on, started again when they end.
//!
//! Definitions are durable (in the sprite's record), states belong to one boot. The guest only starts and reaps; the
//! state machine is here. A timer that fires while the sprite is frozen only puts a message into the control socket,
//! which process 1 reads when it thaws: nothing here wakes a sprite.
//!
//! As the provider's: a stopped service reports `failed` with `exited with code 143`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::Signal;
use serde::Serialize;
use snapvm_protocol::sprites::PutService;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::boot::{HOME, environment};
use super::link::Operation;
use super::{Boot, SpriteError};
use crate::guest::lock;
use crate::store::Record;
use crate::wire::{FromGuest, Program};

/// The first wait before a service is started again; it doubles with each.
const BACKOFF_FIRST: Duration = Duration::from_millis(500);
/// The longest.
const BACKOFF_MAX: Duration = Duration::from_mins(1);
/// A service that ran this long starts with a fresh back-off.
const STABLE: Duration = Duration::from_mins(1);

/// What a service is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    /// Never started in this boot.
    Stopped,
    /// About to run.
    Starting,
    /// Running.
    Running,
    /// Told to end.
    Stopping,
    /// Ended; the reason is in `error`.
    Failed,
}

/// A service's state, as the API shows it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct State {
    /// Which service.
    pub name: String,
    /// What it is doing.
    pub status: Status,
    /// Its process in the guest.
    pub pid: Option<u32>,
    /// RFC 3339.
    pub started_at: Option<String>,
    /// The last exit.
    pub error: Option<String>,
    /// How often it was started again by itself.
    pub restart_count: u32,
    /// RFC 3339, while it waits to be.
    pub next_restart_at: Option<String>,
    /// The last exit's code.
    #[serde(skip)]
    pub exit_code: Option<i32>,
    /// Which operation of process 1 it is, while it runs.
    #[serde(skip)]
    pub operation: Option<u64>,
}

/// Services of one boot.
#[derive(Default)]
pub(crate) struct Services {
    running: Mutex<BTreeMap<String, Arc<Service>>>,
}

/// A service that was started in this boot.
pub(crate) struct Service {
    state: watch::Sender<State>,
    stop: CancellationToken,
    /// How long it has between TERM and KILL; set before `stop`.
    grace: Mutex<Duration>,
    done: CancellationToken,
}

impl Services {
    /// Starts all of a record's services, needed ones first.
    pub(super) async fn start_all(&self, boot: &Arc<Boot>, record: &Record) {
        for name in in_order(&record.services) {
            if let Some(definition) = record.services.get(&name) {
                let mut state = self.start(boot, &name, definition, &record.environment);
                // Until its process exists, or doesn't: the next may need it.
                let started = state.wait_for(|state| state.pid.is_some() || state.status == Status::Failed);
                let _ = tokio::time::timeout(Duration::from_secs(5), started).await;
            }
        }
    }

    /// Starts a service unless it runs; the answer follows its state.
    pub(crate) fn start(
        &self,
        boot: &Arc<Boot>,
        name: &str,
        definition: &PutService,
        variables: &BTreeMap<String, String>,
    ) -> watch::Receiver<State> {
        let mut running = lock(&self.running);
        if let Some(service) = running.get(name).filter(|service| !service.done.is_cancelled()) {
            return service.state.subscribe();
        }
        let service = Arc::new(Service {
            state: watch::Sender::new(State { status: Status::Starting, ..State::stopped(name) }),
            stop: CancellationToken::new(),
            grace: Mutex::new(Duration::from_secs(10)),
            done: CancellationToken::new(),
        });
        running.insert(name.to_owned(), service.clone());
        let mut all = environment(variables);
        all.extend(definition.env.clone());
        let program = Program {
            arguments: std::iter::once(&definition.cmd).chain(&definition.args).cloned().collect(),
            environment: all,
            directory: definition.dir.clone().unwrap_or_else(|| HOME.to_owned()),
            log: Some(name.to_owned()),
            terminal: None,
        };
        let receiver = service.state.subscribe();
        let boot = boot.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = service.supervise(&boot, &program) => {}
                () = boot.over.cancelled() => {}
            }
            service.done.cancel();
        });
        receiver
    }

    /// Stops a service and waits until it has ended.
    pub(crate) async fn stop(&self, name: &str, grace: Duration) {
        let service = lock(&self.running).get(name).cloned();
        if let Some(service) = service {
            *lock(&service.grace) = grace;
            service.stop.cancel();
            service.done.cancelled().await;
        }
    }

    /// Forgets a service that was stopped.
    pub(crate) fn forget(&self, name: &str) {
        lock(&self.running).remove(name);
    }

    /// A service's state.
    pub(crate) fn state(&self, name: &str) -> State {
        lock(&self.running).get(name).map_or_else(|| State::stopped(name), |service| service.state.borrow().clone())
    }
}

impl Service {
    /// Runs the program again and again, until it is to stop or can't be started.
    async fn supervise(&self, boot: &Boot, program: &Program) {
        let mut wait = BACKOFF_FIRST;
        loop {
            let started = std::time::Instant::now();
            let operation = match boot.spawn(program.clone(), &[]).await {
                Ok((operation, pid)) => {
                    self.state.send_modify(|state| {
                        state.status = Status::Running;
                        state.pid = Some(pid);
                        state.operation = Some(operation.id);
                        state.started_at = Some(crate::clock::now());
                        state.next_restart_at = None;
                        state.exit_code = None;
                    });
                    operation
                }
                Err(error) => {
                    self.fail(error.to_string(), None);
                    return;
                }
            };
            let code = match self.run(boot, operation).await {
                Ok(code) => code,
                Err(error) => return self.fail(error.to_string(), None),
            };
            self.fail(format!("exited with code {code}"), Some(code));
            if self.stop.is_cancelled() {
                return;
            }
            wait = if started.elapsed() > STABLE { BACKOFF_FIRST } else { wait };
            let next = chrono::Utc::now() + wait;
            self.state.send_modify(|state| state.next_restart_at = Some(crate::clock::text(next)));
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.stop.cancelled() => {
                    self.state.send_modify(|state| state.next_restart_at = None);
                    return;
                }
            }
            wait = (wait * 2).min(BACKOFF_MAX);
            self.state.send_modify(|state| {
                state.status = Status::Starting;
                state.restart_count = state.restart_count.saturating_add(1);
            });
        }
    }

    /// Waits for the program's end, and brings it about when it is to stop.
    async fn run(&self, boot: &Boot, mut operation: Operation) -> Result<i32, SpriteError> {
        tokio::select! {
            exited = exit_code(&mut operation) => return exited,
            () = self.stop.cancelled() => {}
        }
        self.state.send_modify(|state| state.status = Status::Stopping);
        boot.signal(operation.id, Signal::TERM).await;
        let grace = *lock(&self.grace);
        if let Ok(exited) = tokio::time::timeout(grace, exit_code(&mut operation)).await {
            return exited;
        }
        boot.signal(operation.id, Signal::KILL).await;
        exit_code(&mut operation).await
    }

    fn fail(&self, error: String, exit_code: Option<i32>) {
        self.state.send_modify(|state| {
            state.status = Status::Failed;
            state.pid = None;
            state.operation = None;
            state.error = Some(error);
            state.exit_code = exit_code;
        });
    }
}

impl State {
    fn stopped(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            status: Status::Stopped,
            pid: None,
            started_at: None,
            error: None,
            restart_count: 0,
            next_restart_at: None,
            exit_code: None,
            operation: None,
        }
    }
}

/// Waits for a program's end.
pub(super) async fn exit_code(operation: &mut Operation) -> Result<i32, SpriteError> {
    loop {
        if let FromGuest::Exited { code, .. } = operation.next().await? {
            return Ok(code);
        }
    }
}

/// Names of services, each after those it needs. Needs that don't exist or go in a circle hold nothing up.
fn in_order(services: &BTreeMap<String, PutService>) -> Vec<String> {
    fn visit<'a>(
        name: &'a str,
        services: &'a BTreeMap<String, PutService>,
        seen: &mut Vec<&'a str>,
        order: &mut Vec<String>,
    ) {
        let Some(definition) = services.get(name) else { return };
        if seen.contains(&name) {
            return;
        }
        seen.push(name);
        for need in &definition.needs {
            visit(need, services, seen, order);
        }
        order.push(name.to_owned());
    }
    let (mut seen, mut order) = (Vec::new(), Vec::new());
    for name in services.keys() {
        visit(name, services, &mut seen, &mut order);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn needing(needs: &[String]) -> PutService {
        PutService {
            cmd: "true".into(),
            args: Vec::new(),
            env: BTreeMap::new(),
            dir: None,
            needs: needs.to_vec(),
            http_port: None,
        }
    }

    #[test]
    fn needed_services_come_first() {
        let services: BTreeMap<_, _> = [("a", vec!["c"]), ("b", vec![]), ("c", vec!["b", "missing"])]
            .into_iter()
            .map(|(name, needs)| (name.to_owned(), needing(&needs.iter().map(ToString::to_string).collect::<Vec<_>>())))
            .collect();
        assert_eq!(in_order(&services), ["b", "c", "a"]);
    }

    proptest! {
        #[test]
        fn every_service_is_started_once_whatever_it_needs(
            needs in proptest::collection::btree_map("[a-e]", proptest::collection::vec("[a-f]", 0..4), 0..6),
        ) {
            let services: BTreeMap<_, _> = needs.iter().map(|(name, needs)| (name.clone(), needing(needs))).collect();
            let mut order = in_order(&services);
            order.sort();
            prop_assert_eq!(order, services.keys().cloned().collect::<Vec<_>>());
        }
    }
}
