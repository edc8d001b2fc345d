//! Services: processes that the agent starts, restarts and stops. The object sends the whole list at every change.
//!
//! ```text
//! list, commands, wake, sleep ─▶ each service's [`lifecycle`] ─▶ spawn, TERM, KILL ([`containment`])
//!                                   ▲ need ── settle: which of its needs are ready? ([`probe`], time, or its end)
//! ```
//!
//! The decisions are in [`lifecycle`]; here are processes, time, order and reports. One task per service waits for
//! whatever is due next; nothing ticks while services just run.
//!
//! Invariants: what a service needs is ready before it is spawned; an ordered sleep stops a service after those that
//! need it; what one service does never ends another.

pub mod cgroup;
pub mod containment;
pub mod lifecycle;
pub mod log;
pub mod once;
pub mod probe;
pub mod process;
mod service;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::os::fd::OwnedFd;
use std::rc::{Rc, Weak};

use snapvm_protocol::agent::{SleepKind, WokeBy};
use snapvm_protocol::services::{
    DesiredState, SERVICES_MAX, ServiceAction, ServiceDefinition, ServiceStatus, Unready, needs,
};
use tokio::sync::{Semaphore, watch};

use crate::agent::Agent;
use crate::handover::state;
use containment::Grounds;
use lifecycle::Lifecycle;
use log::Log;
use service::{Service, now};

/// All services, in the object's order.
pub struct Services {
    list: RefCell<Vec<Rc<Service>>>,
    /// Logs that somebody holds, by service: one for each.
    logs: RefCell<HashMap<String, Weak<Log>>>,
    /// Nothing is started between an ordered sleep's stops and its end.
    sleeping: Cell<bool>,
    /// Something about one of them changed.
    changed: watch::Sender<()>,
    /// One is spawned at a time.
    turn: Semaphore,
    grounds: Grounds,
}

impl Services {
    /// None, on these grounds.
    #[must_use]
    pub fn new(grounds: Grounds) -> Self {
        Self {
            list: RefCell::default(),
            logs: RefCell::default(),
            sleeping: Cell::default(),
            changed: watch::Sender::new(()),
            turn: Semaphore::new(1),
            grounds,
        }
    }

    /// Ends what an agent before this one has left, which handed nothing over.
    pub fn clear(&self) {
        self.grounds.clear();
    }

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
                service.apply(|life| life.remove(now()));
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
                service.apply(|life| life.define(definition, now()));
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
                service.apply(|life| life.begin(now()));
            } else {
                service.report();
            }
        }
        self.settle();
    }

    /// Does something to one service now.
    pub fn command(&self, name: &str, action: ServiceAction) {
        let service = self.list.borrow().iter().find(|service| service.name() == name).cloned();
        if let Some(service) = service {
            service.change(|life| life.command(action, now()));
        }
    }

    /// After a Welcome: starts what should be running and is not, each once what it needs is ready.
    pub fn wake(&self, woke: WokeBy) {
        self.sleeping.set(false);
        for service in self.all() {
            service.apply(|life| match woke {
                WokeBy::Boot | WokeBy::Thaw => life.wake(now()),
                WokeBy::Redial => life.resume(now()),
            });
        }
        self.settle();
    }

    /// Stops what an ordered sleep of this kind stops, each after those that need it; returns when that is done.
    pub async fn stop_for_sleep(&self, kind: SleepKind) {
        self.sleeping.set(true);
        let mut changed = self.changed.subscribe();
        loop {
            changed.borrow_and_update();
            let mut left = self.all();
            left.retain(|service| {
                let life = service.life.borrow();
                life.stops_for(kind) && !life.is_still()
            });
            if left.is_empty() {
                return;
            }
            let names: Vec<String> = left.iter().map(|service| service.name()).collect();
            let names: BTreeSet<&str> = names.iter().map(String::as_str).collect();
            let first = needs::unneeded(&self.needs(), &names);
            for service in left.iter().filter(|service| first.contains(&service.name().as_str())) {
                service.apply(|life| if life.is_stopping() { None } else { life.prepare_sleep(kind, now()) });
            }
            if left.iter().all(|service| service.life.borrow().is_still()) {
                return;
            }
            // The sender lives as long as this.
            let _ = changed.changed().await;
        }
    }

    fn needs(&self) -> needs::Needs {
        let line = |service: &Rc<Service>| {
            let life = service.life.borrow();
            (life.definition.name.clone(), life.definition.needs.clone())
        };
        self.list.borrow().iter().map(line).collect::<BTreeMap<_, _>>()
    }

    /// The sleep was called off.
    pub fn resume(&self) {
        self.sleeping.set(false);
        for service in self.all() {
            service.apply(|life| life.resume(now()));
        }
        self.settle();
    }

    /// Tells each service which of those it needs are not ready; what waited for them only is spawned then.
    fn settle(&self) {
        let all = self.all();
        if all.iter().any(|service| !service.life.borrow().definition.needs.is_empty()) {
            let states: HashMap<String, _> = all
                .iter()
                .map(|service| service.life.borrow())
                .filter(|life| !life.is_removed())
                .map(|life| (life.definition.name.clone(), (life.is_ready(), life.state(now()))))
                .collect();
            for service in &all {
                let unready: Vec<Unready> = {
                    let life = service.life.borrow();
                    let names = life.definition.needs.iter().map(|name| (name, states.get(name)));
                    let unready = names.filter(|(_, found)| !found.is_some_and(|(is_ready, _)| *is_ready));
                    let unready = unready
                        .map(|(name, found)| Unready { name: name.clone(), state: found.map(|(_, state)| *state) });
                    unready.collect()
                };
                let is_new = service.life.borrow().unready() != unready;
                if is_new {
                    service.apply(|life| life.need(unready, now()));
                }
            }
        }
        self.changed.send_replace(());
    }

    /// What [`Services::take_over`] needs. Nothing of it changes until the next await.
    #[must_use]
    pub fn parts(&self) -> Vec<state::Service> {
        self.list.borrow().iter().map(|service| service.parts()).collect()
    }

    /// Goes on with a service of an agent before this one, and with the pipes of its log.
    pub fn take_over(&self, agent: &Rc<Agent>, life: Lifecycle, pipes: Vec<OwnedFd>) {
        let service = Service::take_over(agent, life, pipes);
        self.list.borrow_mut().push(service);
    }

    fn all(&self) -> Vec<Rc<Service>> {
        self.list.borrow().clone()
    }

    fn forget(&self, gone: &Rc<Service>) {
        self.list.borrow_mut().retain(|service| !Rc::ptr_eq(service, gone));
        self.settle();
    }
}
