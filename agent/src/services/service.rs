//! One service: its life, its processes, its log, and what is reported of it.

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::rc::{Rc, Weak};
use std::time::Duration;

use snapvm_protocol::agent::ToObject;
use snapvm_protocol::services::{ServiceDefinition, ServiceStatus};
use tokio::sync::Notify;

use super::containment::Containment;
use super::lifecycle::{Effect, Exit, Intervals, Lifecycle, Past};
use super::log::Log;
use super::{once, probe};
use crate::agent::Agent;
use crate::clock::Reading;
use crate::handover::state;
use crate::journal::note;
use crate::reaper::Child;

pub(super) struct Service {
    pub(super) life: RefCell<Lifecycle>,
    log: Rc<Log>,
    containment: Containment,
    reported: RefCell<Option<ServiceStatus>>,
    due_changed: Notify,
    agent: Weak<Agent>,
}

impl Service {
    /// One that does nothing yet.
    pub(super) fn new(agent: &Rc<Agent>, definition: ServiceDefinition) -> Rc<Self> {
        let intervals = Intervals { grace: agent.timings.grace, backoff: agent.timings.service_backoff };
        let mut life = Lifecycle::new(definition, intervals);
        if life.definition.once
            && let Some(past) = once::read(&life.definition.name)
        {
            life.recall(past);
        }
        Self::run(agent, life)
    }

    fn run(agent: &Rc<Agent>, life: Lifecycle) -> Rc<Self> {
        let service = Rc::new(Self {
            log: agent.services.log(agent, &life.definition.name),
            containment: Containment::new(&agent.services.grounds, &life.definition.name),
            life: RefCell::new(life),
            reported: RefCell::new(None),
            due_changed: Notify::new(),
            agent: Rc::downgrade(agent),
        });
        tokio::task::spawn_local(Rc::clone(&service).watch());
        service
    }

    /// Goes on with one of an agent before this one, and with the pipes of its log.
    pub(super) fn take_over(agent: &Rc<Agent>, life: Lifecycle, pipes: Vec<OwnedFd>) -> Rc<Self> {
        let process = life.process();
        let is_to_spawn = life.is_to_spawn();
        let service = Self::run(agent, life);
        for pipe in pipes {
            if service.log.take(pipe).is_err() {
                note!("a service's log could not be taken over");
            }
        }
        if let Some(pid) = process {
            service.await_end(pid);
            service.ask_whether_ready();
        }
        if is_to_spawn {
            service.spawn_in_turn();
        }
        service
    }

    /// What [`Service::take_over`] needs.
    pub(super) fn parts(&self) -> state::Service {
        state::Service { life: self.life.borrow().clone(), pipes: self.log.descriptors() }
    }

    pub(super) fn name(&self) -> String {
        self.life.borrow().definition.name.clone()
    }

    pub(super) fn is_leaving(&self) -> bool {
        let life = self.life.borrow();
        life.is_removed() && !life.is_gone()
    }

    /// Changes the state, does what follows, for others too.
    pub(super) fn change(self: &Rc<Self>, change: impl FnOnce(&mut Lifecycle) -> Option<Effect>) {
        self.apply(change);
        if let Some(agent) = self.agent.upgrade() {
            agent.services.settle();
        }
    }

    /// Changes the state and does what follows for this one.
    pub(super) fn apply(self: &Rc<Self>, change: impl FnOnce(&mut Lifecycle) -> Option<Effect>) {
        let effect = change(&mut self.life.borrow_mut());
        self.carry_out(effect);
        self.report();
        self.due_changed.notify_one();
    }

    fn carry_out(self: &Rc<Self>, effect: Option<Effect>) {
        match effect {
            None => {}
            Some(Effect::Spawn) => self.spawn_in_turn(),
            Some(Effect::Terminate(group)) => self.containment.terminate(group),
            Some(Effect::Kill(group)) => self.containment.kill(group),
        }
    }

    /// Spawns it when its turn has come: however many are to start, terminals are served between them.
    fn spawn_in_turn(self: &Rc<Self>) {
        let service = Rc::clone(self);
        tokio::task::spawn_local(async move {
            let Some(agent) = service.agent.upgrade() else { return };
            // It is never closed.
            let _turn = agent.services.turn.acquire().await;
            // Stopped since, or spawned by an earlier turn.
            if service.life.borrow().is_to_spawn() {
                service.spawn();
                tokio::task::yield_now().await;
            }
        });
    }

    fn spawn(self: &Rc<Self>) {
        let definition = self.life.borrow().definition.clone();
        let Some(agent) = self.agent.upgrade() else { return };
        let noted = if definition.once { once::write(&definition.name, &Past::Begun) } else { Ok(()) };
        let spawned = noted
            .and_then(|()| self.log.pipe())
            .and_then(|output| self.containment.spawn(&definition, &agent.variables.borrow(), &output));
        match spawned {
            Ok((pid, containment)) => {
                self.await_end(pid);
                self.change(|life| life.spawned(pid, containment, now()));
                self.ask_whether_ready();
            }
            Err(error) => self.change(|life| {
                life.unspawnable(format!("could not be started: {error}"), now());
                None
            }),
        }
    }

    fn await_end(self: &Rc<Self>, pid: u32) {
        let (child, service) = (Child::of(pid), Rc::clone(self));
        tokio::task::spawn_local(async move {
            let exit = child.wait().await.unwrap_or(Exit::Code(-1));
            let others_live = service.containment.lives(pid);
            service.change(|life| {
                let effect = life.exited(exit, others_live, now(), service.unix_ms());
                note_end(life);
                effect
            });
        });
    }

    fn unix_ms(&self) -> u64 {
        let reading = Reading::take();
        let known = self.agent.upgrade().map_or(0, |agent| agent.admission.borrow().clock.now(reading));
        u64::try_from(if known > 0 { known } else { reading.wall }).unwrap_or(0)
    }

    /// Asks the present process until it is ready or gone.
    fn ask_whether_ready(self: &Rc<Self>) {
        let Some(process) = self.life.borrow().probe().map(|(pid, _)| pid) else { return };
        let service = Rc::clone(self);
        tokio::task::spawn_local(async move {
            let mut asked = 0;
            loop {
                let question = {
                    let life = service.life.borrow();
                    let probe = life.probe().filter(|(pid, _)| *pid == process);
                    probe.map(|(_, readiness)| (readiness.clone(), life.definition.http_port))
                };
                let Some((readiness, http_port)) = question else { return };
                if probe::ask(&readiness, http_port).await {
                    return service.change(|life| {
                        life.is_found_ready(process);
                        None
                    });
                }
                tokio::time::sleep(probe::pause(asked)).await;
                asked += 1;
            }
        });
    }

    pub(super) fn report(&self) {
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
                    if orphaned.is_some_and(|group| !self.containment.lives(group)) {
                        self.change(|life| life.group_gone(now()));
                    }
                    self.change(|life| life.tick(now()));
                }
            }
        }
        self.containment.close();
        if let Some(agent) = self.agent.upgrade() {
            agent.services.forget(&self);
            if !agent.services.all().iter().any(|other| other.name() == self.name()) {
                self.log.remove();
                once::forget(&self.name());
            }
        }
    }
}

/// Before anybody hears of it: an end that was told and is forgotten would be told as an interruption later.
fn note_end(life: &Lifecycle) {
    let Some(exit) = life.newest_exit().filter(|_| life.definition.once) else { return };
    if let Err(error) = once::write(&life.definition.name, &Past::Ended(exit.clone())) {
        note!("the end of {} could not be noted: {error}", life.definition.name);
    }
}

/// Milliseconds of the boot clock.
pub(super) fn now() -> u64 {
    Reading::take().boot
}
