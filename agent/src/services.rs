//! Services: processes that the agent starts, restarts and stops. The object sends the whole list at every change.
//!
//! The decisions are in [`lifecycle`]; here are processes, time and reports. One task per service waits for whatever
//! is due next; nothing ticks while services just run.

pub mod lifecycle;
pub mod log;
pub mod process;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::rc::{Rc, Weak};
use std::time::Duration;

use rustix::process::Signal;
use snapvm_protocol::agent::{SleepKind, ToObject, WokeBy};
use snapvm_protocol::services::{DesiredState, SERVICES_MAX, ServiceAction, ServiceDefinition, ServiceStatus};
use tokio::sync::{Notify, watch};

use crate::agent::Agent;
use crate::clock::Reading;
use crate::handover::state;
use crate::journal::note;
use crate::reaper::Child;
use lifecycle::{Effect, Intervals, Lifecycle};
use log::Log;

/// All services, in the object's order.
#[derive(Default)]
pub struct Services {
    list: RefCell<Vec<Rc<Service>>>,
    /// Logs that somebody holds, by service: one for each.
    logs: RefCell<HashMap<String, Weak<Log>>>,
    /// Nothing is started between an ordered sleep's stops and its end.
    sleeping: Cell<bool>,
}

struct Service {
    life: RefCell<Lifecycle>,
    log: Rc<Log>,
    reported: RefCell<Option<ServiceStatus>>,
    due_changed: Notify,
    changed: watch::Sender<()>,
    agent: Weak<Agent>,
}

impl Services {
    /// What each is doing, for Hello.
    #[must_use]
    pub fn statuses(&self) -> Vec<ServiceStatus> {
        self.list.borrow().iter().map(|service| service.life.borrow().status(now())).collect()
    }

    /// The log of a service, whether it is defined or not.
    pub fn log(&self, agent: &Rc<Agent>, service: &str) -> Rc<Log> {
        let mut logs = self.logs.borrow_mut();
        logs.retain(|_, log| log.strong_count() > 0);
        let known = logs.get(service).and_then(Weak::upgrade);
        known.unwrap_or_else(|| {
            let log = Log::new(agent, service);
            logs.insert(service.to_owned(), Rc::downgrade(&log));
            log
        })
    }

    /// Takes the complete list: what is not in it is stopped and forgotten.
    pub fn replace(&self, agent: &Rc<Agent>, definitions: Vec<ServiceDefinition>) {
        let known = self.list.take();
        for service in &known {
            let name = service.name();
            if !definitions.iter().any(|definition| definition.name == name) {
                service.change(|life| life.remove(now()));
            }
        }
        let mut fresh = Vec::new();
        let mut list: Vec<Rc<Service>> = Vec::new();
        for definition in definitions.into_iter().take(SERVICES_MAX) {
            if list.iter().any(|service| service.name() == definition.name) {
                continue;
            }
            if let Some(service) = known.iter().find(|service| service.name() == definition.name) {
                list.push(Rc::clone(service));
                service.change(|life| life.define(definition, now()));
                continue;
            }
            let service = Service::new(agent, definition);
            fresh.push(Rc::clone(&service));
            list.push(service);
        }
        // One that is being stopped keeps its place until it is gone, so that the same name is not started beside it.
        list.extend(known.into_iter().filter(|old| old.is_leaving()));
        *self.list.borrow_mut() = list;
        for service in fresh {
            let is_up = service.life.borrow().definition.desired == DesiredState::Up;
            if is_up && !self.sleeping.get() {
                service.change(|life| life.command(ServiceAction::Start, now()));
            } else {
                service.report();
            }
        }
    }

    /// Does something to one service now.
    pub fn command(&self, name: &str, action: ServiceAction) {
        let service = self.list.borrow().iter().find(|service| service.name() == name).cloned();
        if let Some(service) = service {
            service.change(|life| life.command(action, now()));
        }
    }

    /// After a Welcome: starts what should be running and is not.
    pub fn wake(&self, woke: WokeBy) {
        self.sleeping.set(false);
        for service in self.all() {
            match woke {
                WokeBy::Boot | WokeBy::Thaw => service.change(|life| life.wake(now())),
                WokeBy::Redial => service.change(|life| life.resume(now())),
            }
        }
    }

    /// Stops what an ordered sleep of this kind stops; returns when that is done.
    pub async fn stop_for_sleep(&self, kind: SleepKind) {
        self.sleeping.set(true);
        let mut stopping = Vec::new();
        for service in self.all() {
            service.change(|life| life.prepare_sleep(kind, now()));
            let stops = kind == SleepKind::Stop || service.stops_at_sleep();
            if stops {
                stopping.push(service);
            }
        }
        for service in stopping {
            let mut changed = service.changed.subscribe();
            // The sender lives in the service.
            let _ = changed.wait_for(|()| service.life.borrow().is_still()).await;
        }
    }

    /// The sleep was called off.
    pub fn resume(&self) {
        self.sleeping.set(false);
        for service in self.all() {
            service.change(|life| life.resume(now()));
        }
    }

    /// What [`Services::take_over`] needs. Nothing of it changes until the next await.
    #[must_use]
    pub fn parts(&self) -> Vec<state::Service> {
        let parts = |service: &Rc<Service>| state::Service {
            life: service.life.borrow().clone(),
            pipes: service.log.descriptors(),
        };
        self.list.borrow().iter().map(parts).collect()
    }

    /// Goes on with a service of an agent before this one, and with the pipes of its log.
    pub fn take_over(&self, agent: &Rc<Agent>, life: Lifecycle, pipes: Vec<OwnedFd>) {
        let process = life.process();
        let service = Service::run(agent, life);
        for pipe in pipes {
            if service.log.take(pipe).is_err() {
                note!("a service's log could not be taken over");
            }
        }
        if let Some(pid) = process {
            service.await_end(pid);
        }
        self.list.borrow_mut().push(service);
    }

    fn all(&self) -> Vec<Rc<Service>> {
        self.list.borrow().clone()
    }

    fn forget(&self, gone: &Rc<Service>) {
        self.list.borrow_mut().retain(|service| !Rc::ptr_eq(service, gone));
    }
}

impl Service {
    fn new(agent: &Rc<Agent>, definition: ServiceDefinition) -> Rc<Self> {
        let intervals = Intervals { grace: agent.timings.grace, backoff: agent.timings.service_backoff };
        Self::run(agent, Lifecycle::new(definition, intervals))
    }

    fn run(agent: &Rc<Agent>, life: Lifecycle) -> Rc<Self> {
        let service = Rc::new(Self {
            log: agent.services.log(agent, &life.definition.name),
            life: RefCell::new(life),
            reported: RefCell::new(None),
            due_changed: Notify::new(),
            changed: watch::Sender::new(()),
            agent: Rc::downgrade(agent),
        });
        tokio::task::spawn_local(Rc::clone(&service).watch());
        service
    }

    fn name(&self) -> String {
        self.life.borrow().definition.name.clone()
    }

    fn stops_at_sleep(&self) -> bool {
        self.life.borrow().definition.at_sleep == snapvm_protocol::services::AtSleep::Stop
    }

    fn is_leaving(&self) -> bool {
        let life = self.life.borrow();
        life.is_removed() && !life.is_gone()
    }

    /// Changes the state, does what follows, reports it.
    fn change(self: &Rc<Self>, change: impl FnOnce(&mut Lifecycle) -> Option<Effect>) {
        let mut effect = change(&mut self.life.borrow_mut());
        while let Some(todo) = effect.take() {
            match todo {
                Effect::Spawn => effect = self.spawn(),
                Effect::Terminate(group) => {
                    process::signal(group, Signal::TERM);
                    // A stopped process takes it only when it goes on.
                    process::signal(group, Signal::CONT);
                }
                Effect::Kill(group) => process::signal(group, Signal::KILL),
            }
        }
        self.report();
        self.due_changed.notify_one();
        self.changed.send_replace(());
    }

    fn spawn(self: &Rc<Self>) -> Option<Effect> {
        let definition = self.life.borrow().definition.clone();
        let agent = self.agent.upgrade()?;
        let variables = agent.variables.borrow();
        match self.log.pipe().and_then(|output| process::spawn(&definition, &variables, output)) {
            Ok(pid) => {
                self.await_end(pid);
                self.life.borrow_mut().spawned(pid, now())
            }
            Err(error) => {
                self.life.borrow_mut().unspawnable(format!("could not be started: {error}"), now());
                None
            }
        }
    }

    fn await_end(self: &Rc<Self>, pid: u32) {
        let (child, service) = (Child::of(pid), Rc::clone(self));
        tokio::task::spawn_local(async move {
            let exit = child.wait().await.unwrap_or(lifecycle::Exit::Code(-1));
            let group_lives = process::group_lives(pid);
            service.change(|life| life.exited(exit, group_lives, now()));
        });
    }

    fn report(&self) {
        let status = self.life.borrow().status(now());
        if self.reported.borrow().as_ref() != Some(&status) {
            *self.reported.borrow_mut() = Some(status.clone());
            if let Some(agent) = self.agent.upgrade() {
                agent.link.send(ToObject::Service(status));
            }
        }
    }

    /// Waits for whatever is due, until the service was removed and is gone.
    async fn watch(self: Rc<Self>) {
        while !self.life.borrow().is_gone() {
            let due = self.life.borrow().due(now());
            match due {
                None => self.due_changed.notified().await,
                Some(due) => {
                    let wait = Duration::from_millis(due.saturating_sub(now()));
                    tokio::select! {
                        () = self.due_changed.notified() => continue,
                        () = tokio::time::sleep(wait) => {}
                    }
                    let orphaned = self.life.borrow().orphaned_group();
                    if orphaned.is_some_and(|group| !process::group_lives(group)) {
                        self.change(|life| life.group_gone(now()));
                    }
                    self.change(|life| life.tick(now()));
                }
            }
        }
        if let Some(agent) = self.agent.upgrade() {
            agent.services.forget(&self);
            if !agent.services.all().iter().any(|other| other.name() == self.name()) {
                self.log.remove();
            }
        }
    }
}

fn now() -> u64 {
    Reading::take().boot
}
