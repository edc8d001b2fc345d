//! The object: what it keeps, and how it carries out what the state machine decides. The same steps as in
//! `machine_gateway/effects.rs`, `saving.rs`, `control.rs` and `why.rs`, with an eviction possible between any two.

use std::collections::BTreeMap;

use snapvm_durable::machine_gateway::cause::By;
use snapvm_durable::machine_gateway::desired::Desired;
use snapvm_durable::machine_gateway::prepared::Prepared;
use snapvm_durable::machine_gateway::state::{Effect, Event, Machine, Refusal, Work};
use snapvm_protocol::agent::ToAgent;
use snapvm_protocol::lifecycle::{Cause, MachineState as State};
use snapvm_protocol::sprites::SpriteStatus;

use super::outside::{Answer, Call};
use super::{Happening, Job, World};

/// After how long the platform repeats an alarm whose handler did not end.
const ALARM_AGAIN_MS: u64 = 2_000;

/// What is in SQLite.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    pub(crate) machine: Machine,
    /// Whether the record read last was somebody's.
    pub(crate) is_owned: bool,
    pub(crate) generation: u32,
    pub(crate) sprite_name: Option<u32>,
    pub(crate) sprite_id: Option<u64>,
    pub(crate) lines: Vec<u64>,
    /// The bound agent: generation and boot.
    pub(crate) binding: Option<(u32, u64)>,
    /// The newest control socket.
    pub(crate) control: u64,
    pub(crate) is_open: bool,
    pub(crate) written: u64,
}

/// What is in memory.
#[derive(Debug, Default)]
pub(crate) struct Live {
    pub(crate) jobs: BTreeMap<u64, Job>,
    pub(crate) saving: bool,
    pub(crate) save_again: bool,
    #[expect(clippy::option_option, reason = "whether it was set, and to what")]
    pub(crate) armed: Option<Option<u64>>,
    pub(crate) waiters: Vec<u64>,
}

/// What became of a turn: an eviction may have ended it.
type Taken = Result<Result<(), Refusal>, String>;

impl World {
    pub(crate) fn object_now(&self) -> u64 {
        self.now.saturating_add_signed(self.skew_ms)
    }

    /// Memory is lost; SQLite, sockets and the platform's alarm are kept.
    pub(crate) fn evict(&mut self) {
        self.live = None;
        self.instance += 1;
    }

    fn evicted_here(&mut self) -> bool {
        let evicted = self.faulty && self.chance.one_in(400);
        if evicted {
            self.fault("eviction at an await");
            self.evict();
        }
        evicted
    }

    /// Fills the cache, from SQLite or from the record; false when there is no such machine, or nobody can say.
    pub(crate) fn ensure(&mut self) -> Result<bool, String> {
        if self.live.is_some() && self.disk.is_some() {
            return Ok(true);
        }
        let is_new = self.disk.is_none();
        if is_new {
            if self.postgres_away {
                return Ok(false);
            }
            let Some(row) = &self.row else { return Ok(false) };
            // What the record has is what was ordered, also an order that nobody was told of.
            self.ordered = row.desired.or(self.ordered);
            let mut machine = Machine::from_record(row.state, 300, row.sprite_id.is_some(), vec![5, 10, 20]);
            machine.prepared = (!row.is_owned).then_some(Prepared::Waiting);
            machine.holds.clone_from(&row.holds);
            machine.reason = "as recorded".into();
            if let Some(desired) = row.desired {
                machine = machine.ordered(desired);
            }
            self.disk = Some(Disk {
                machine,
                is_owned: row.is_owned,
                generation: row.generation,
                sprite_name: row.sprite_name,
                sprite_id: row.sprite_id,
                lines: vec![],
                binding: None,
                control: self.serial,
                is_open: false,
                written: row.written,
            });
        }
        let is_unsaved = self.disk.as_ref().is_some_and(|disk| disk.machine.unsaved);
        self.live = Some(Live::default());
        if is_new && self.disk.as_ref().is_some_and(|disk| disk.machine.is_on_its_way()) {
            let _ = self.apply(Event::Alarm)?;
        }
        let is_lost = self.disk.as_ref().is_some_and(|disk| disk.machine.connected && !disk.is_open);
        if is_lost {
            let _ = self.apply(Event::Lost)?;
        }
        if is_unsaved {
            self.save();
        }
        Ok(true)
    }

    /// Takes an event: state to SQLite first, then everything outside.
    pub(crate) fn apply(&mut self, event: Event) -> Taken {
        self.take_turn(|machine, now| machine.on(event, now))
    }

    fn take_turn(&mut self, turn: impl FnOnce(&mut Machine, u64) -> Result<Vec<Effect>, Refusal>) -> Taken {
        let now = self.object_now();
        let (Some(disk), true) = (&mut self.disk, self.live.is_some()) else { return Ok(Ok(())) };
        let was = (disk.machine.state, disk.machine.turn);
        let effects = match turn(&mut disk.machine, now) {
            Ok(effects) => effects,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let (state, wanted) = (disk.machine.state, disk.machine.alarm_ms);
        if was.0 == State::Deleting && state != State::Deleting {
            return Err("a deletion did not win".into());
        }
        if effects.contains(&Effect::Forget) {
            (self.disk, self.live, self.alarm) = (None, None, None);
            return Ok(Ok(()));
        }
        if self.evicted_here() {
            return Ok(Ok(()));
        }
        self.arm(wanted, now);
        for effect in effects {
            if self.evicted_here() {
                return Ok(Ok(()));
            }
            self.carry_out_effect(effect)?;
        }
        let waits = self.live.as_ref().is_some_and(|live| !live.waiters.is_empty());
        if waits && self.disk.as_ref().is_some_and(|disk| disk.machine.state == State::Hibernated) {
            return self.apply(Event::Wanted { by: By::nobody(Cause::Request) });
        }
        Ok(Ok(()))
    }

    fn arm(&mut self, wanted: Option<u64>, now: u64) {
        let Some(live) = &mut self.live else { return };
        if live.armed.replace(wanted) == Some(wanted) {
            return;
        }
        self.serial += 1;
        self.alarm = wanted.map(|at| (self.now + at.saturating_sub(now), self.serial));
        if let Some((at, serial)) = self.alarm {
            self.queue.insert((at, serial), Happening::Alarm { serial });
        }
    }

    fn carry_out_effect(&mut self, effect: Effect) -> Result<(), String> {
        match effect {
            Effect::Save(history) => {
                if history.is_some() {
                    self.lines += 1;
                    let line = self.lines;
                    self.disk.iter_mut().for_each(|disk| disk.lines.push(line));
                }
                self.save();
            }
            Effect::Tell(word) => self.tell(word)?,
            Effect::Work(work) => self.begin(work),
            Effect::ReleaseWaiters => {
                if !self.disk.as_ref().is_some_and(|disk| disk.machine.is_ready()) {
                    return Err("waiters were let go on to a machine that is not ready".into());
                }
                self.live.iter_mut().for_each(|live| live.waiters.clear());
            }
            Effect::RefuseWaiters { .. } => self.live.iter_mut().for_each(|live| live.waiters.clear()),
            Effect::Unbind => self.disk.iter_mut().for_each(|disk| disk.binding = None),
            Effect::Disconnect => self.disk.iter_mut().for_each(|disk| disk.is_open = false),
            Effect::TellTerminals | Effect::WarnTerminals { .. } | Effect::Forget => {}
        }
        Ok(())
    }

    fn tell(&mut self, word: ToAgent) -> Result<(), String> {
        let Some(disk) = self.disk.as_ref().filter(|disk| disk.is_open) else { return Ok(()) };
        let machine = &disk.machine;
        if let ToAgent::Sleep { .. } | ToAgent::SleepGo { .. } = word {
            let is_by_itself = machine.sleep.as_ref().is_some_and(|sleep| sleep.unless_activity_after.is_some());
            let holds = machine.live_holds(self.object_now());
            if is_by_itself && (holds > 0 || !machine.tasks.is_empty()) {
                return Err(format!("told to sleep ({word:?}) while {holds} holds keep it awake"));
            }
        }
        let socket = disk.control;
        let found = self.provider.sprites.iter().find_map(|(name, sprite)| {
            sprite.agent.as_ref().filter(|agent| agent.socket == Some(socket)).map(|agent| (*name, agent.boot))
        });
        if let Some((sprite, boot)) = found {
            self.serial += 1;
            // One after the other: the latency is the same for all.
            self.after(10, Happening::ToAgent { sprite, boot, word });
        }
        Ok(())
    }

    fn save(&mut self) {
        let Some(live) = &mut self.live else { return };
        live.save_again = true;
        if !std::mem::replace(&mut live.saving, true) {
            self.write();
        }
    }

    fn write(&mut self) {
        let now = self.object_now();
        let (Some(live), Some(disk)) = (&mut self.live, &mut self.disk) else { return };
        live.save_again = false;
        disk.written = now.max(disk.written + 1);
        let name = disk.sprite_name.unwrap_or(disk.generation);
        let machine = &disk.machine;
        let call = Call::Save {
            state: machine.state,
            desired: machine.desired(),
            line: disk.lines.first().copied(),
            number: disk.written,
            sprite: disk.sprite_id.map(|id| (id, name)),
            is_owned: disk.is_owned,
        };
        let generation = disk.generation;
        self.ask(Job { work: None, turn: 0, generation, call });
    }

    /// Begins work, unless the same is under way or something that it has to wait for.
    fn begin(&mut self, work: Work) {
        let (Some(live), Some(disk)) = (&self.live, &self.disk) else { return };
        let is_blocked =
            |job: &Job| job.work == Some(work) || (work == Work::Delete && job.work == Some(Work::Provision));
        if live.jobs.values().any(is_blocked) {
            return;
        }
        let needs_place = work == Work::Wake && disk.machine.state == State::Waking && disk.machine.tries == 0;
        let first = match work {
            Work::Delete => Call::DeleteSprite,
            Work::Recreate if disk.machine.is_discarding() => Call::RecreateRow { gone: disk.sprite_id },
            _ if needs_place => Call::Admit,
            _ => Call::Get,
        };
        let call = self.upkeep_call(work).unwrap_or(first);
        self.ask(Job { work: Some(work), turn: disk.machine.turn_of(work), generation: disk.generation, call });
    }

    fn go_on(&mut self, job: Job) -> Result<(), String> {
        self.ask(job);
        Ok(())
    }

    /// Sends a call, under whatever fault there is.
    fn ask(&mut self, job: Job) {
        let Some(live) = &mut self.live else { return };
        self.serial += 1;
        let (id, instance, call, generation) = (self.serial, self.instance, job.call, job.generation);
        live.jobs.insert(id, job);
        let name = self.sprite_name(generation);
        let patience = call.patience_ms();
        let cold = matches!(call, Call::AskAgent { .. })
            && self.provider.sprites.get(&name).is_some_and(|sprite| sprite.status == SpriteStatus::Cold);
        let mut latency = if cold { self.chance.between(200, 2_500) } else { self.chance.between(1, 60) };
        let arrives = |is_answered| Happening::Arrives { call, job: id, instance, generation, name, is_answered };
        let gives_up = Happening::Answered { job: id, instance, answer: Answer::Failed };
        if !self.faulty || !self.chance.one_in(6) {
            if latency > patience {
                self.after(latency, arrives(false));
                return self.after(patience, gives_up);
            }
            return self.after(latency, arrives(true));
        }
        match self.chance.between(0, 8) {
            0 => {
                self.fault("request dropped");
                self.after(patience, gives_up);
            }
            1 => {
                self.fault("reply dropped");
                self.after(latency, arrives(false));
                self.after(patience, gives_up);
            }
            2 => {
                self.fault("delay");
                latency = self.chance.between(100, 40_000);
                self.after(latency, arrives(latency < patience));
                if latency >= patience {
                    self.after(patience, gives_up);
                }
            }
            3 => {
                self.fault("duplicate");
                self.after(latency, arrives(true));
                let again = latency + self.chance.between(1, 20_000);
                self.after(again, arrives(false));
            }
            4 => {
                self.fault("429");
                let answer = if call.is_database() { Answer::Failed } else { Answer::Limited };
                self.after(latency, Happening::Answered { job: id, instance, answer });
            }
            5 => {
                self.fault("5xx after the work");
                self.after(latency, arrives(false));
                self.after(latency + 1, gives_up);
            }
            6 => {
                self.fault("302");
                self.after(latency, gives_up);
            }
            _ => {
                self.fault("hang");
                self.after(patience, gives_up);
            }
        }
    }

    pub(crate) fn answered(&mut self, id: u64, answer: Answer) -> Result<(), String> {
        let Some(job) = self.live.as_mut().and_then(|live| live.jobs.remove(&id)) else { return Ok(()) };
        if self.evicted_here() {
            return Ok(());
        }
        let Some(work) = job.work else { return self.saved(answer) };
        let next = |call| Job { call, ..job.clone() };
        // Which sprite it is, should the answer have been lost that said so first.
        if let (Work::Look | Work::Wake, Call::Get, Answer::Sprite { id, .. }) = (work, job.call, &answer)
            && let Some(disk) = self.disk.as_mut().filter(|disk| disk.generation == job.generation)
        {
            disk.sprite_id.get_or_insert(*id);
        }
        let is_other = |id: u64| self.disk.as_ref().and_then(|disk| disk.sprite_id).is_some_and(|known| known != id);
        let failed = || Event::Failed { work, reason: "it failed".into() };
        let gone = || Event::Looked { status: None };
        let event = match (work, job.call, answer) {
            (Work::Provision, Call::Get | Call::Create, Answer::Sprite { id, .. }) if !is_other(id) => {
                return self.go_on(next(Call::Install { id }));
            }
            (Work::Provision, Call::Get, Answer::NoSprite) if !self.is_recorded() => {
                return self.go_on(next(Call::Create));
            }
            (Work::Provision, Call::Install { id }, Answer::Done) => {
                if let Some(disk) = self.disk.as_mut().filter(|disk| disk.generation == job.generation) {
                    disk.sprite_id = Some(id);
                }
                Event::Provisioned
            }
            (Work::Recreate, Call::Get, Answer::Sprite { id, .. }) if !is_other(id) => Event::Found,
            (Work::Recreate, Call::Get, Answer::Sprite { .. } | Answer::NoSprite) => {
                let gone = self.disk.as_ref().and_then(|disk| disk.sprite_id);
                return self.go_on(next(Call::RecreateRow { gone }));
            }
            (Work::Recreate, Call::RecreateRow { .. }, Answer::Generation(generation)) => {
                self.discard(job.generation);
                if let Some(disk) = self.disk.as_mut().filter(|disk| disk.generation < generation) {
                    disk.generation = generation;
                    (disk.sprite_id, disk.sprite_name) = (None, None);
                }
                Event::Recreated
            }
            (work, _, Answer::Limited) if !matches!(work, Work::Checkpoint | Work::TellCheckpoint) => {
                Event::Limited { work, limit: "a limit is reached".into(), retry_ms: 7_000 }
            }
            (work, _, Answer::Done) if self.upkeep_done(work).is_some() => match self.upkeep_done(work) {
                Some(event) => event,
                None => failed(),
            },
            (Work::Deliver | Work::Settle | Work::Replace, _, Answer::NoSprite) => gone(),
            (Work::Checkpoint, _, Answer::NoSprite) if self.is_made() => gone(),
            (Work::Checkpoint, _, Answer::NoSprite) => Event::CheckpointRefused { reason: "it is not there".into() },
            (_, Call::Get, Answer::NoSprite) => gone(),
            (_, Call::Get, Answer::Sprite { id, .. }) if is_other(id) => gone(),
            (Work::Look, Call::Get, Answer::Sprite { status, .. }) => Event::Looked { status: Some(status) },
            (Work::Wake, Call::Get, Answer::Sprite { .. }) if !self.is_wanted(&job) => failed(),
            (Work::Wake, Call::Get, Answer::Sprite { .. }) => {
                return self.go_on(next(Call::AskAgent { tries: 0 }));
            }
            (Work::Wake, Call::Admit, Answer::NoPlace) => Event::NotAdmitted { detail: "no place".into() },
            // Where nobody can say, people get their machine.
            (Work::Wake, Call::Admit, _) => return self.go_on(next(Call::Get)),
            (Work::Wake, Call::AskAgent { .. }, Answer::Done) => Event::WakeSent,
            (Work::Wake, Call::StartService, Answer::NoAgent) => Event::NoAgent,
            (Work::Wake, Call::AskAgent { .. }, Answer::Failed) if !self.is_wanted(&job) => failed(),
            (Work::Wake, Call::AskAgent { tries }, Answer::Failed) => {
                let call = if tries < 3 { Call::AskAgent { tries: tries + 1 } } else { Call::StartService };
                return self.go_on(next(call));
            }
            (Work::Delete, Call::DeleteSprite, Answer::Done) => return self.go_on(next(Call::RemoveRow)),
            (Work::Delete, Call::RemoveRow, Answer::Done | Answer::NoMachine) => Event::Gone,
            _ => failed(),
        };
        // What was begun in an older generation says nothing of this one.
        let is_old = self.disk.as_ref().is_some_and(|disk| disk.generation != job.generation);
        let is_fenced =
            event == gone() || !matches!(work, Work::Delete | Work::Recreate | Work::Checkpoint | Work::TellCheckpoint);
        if is_old && is_fenced {
            self.note(|| format!("{work:?} of an older generation"));
            return self.take_turn(|machine, now| machine.finish(work, u64::MAX, event, now)).map(|_| ());
        }
        self.note(|| format!("{work:?} ends: {event:?}"));
        let is_overtaken = self.disk.as_ref().is_some_and(|disk| disk.machine.turn != job.turn);
        match event {
            Event::NotAdmitted { .. } if !is_overtaken && self.ordered != Some(Desired::Deleted) => {
                // Whoever ordered it was told why not, and nobody's order is left but the stop of before.
                let was_stopped = self.disk.as_ref().is_some_and(|disk| disk.machine.was_stopped);
                self.ordered = was_stopped.then_some(Desired::Stopped);
                self.before_restore = None;
            }
            Event::CheckpointDone { .. } => self.before_restore = None,
            Event::CheckpointRefused { .. } => {
                if let Some(ordered) = self.before_restore.take() {
                    self.ordered = ordered;
                }
            }
            _ => {}
        }
        self.take_turn(|machine, now| machine.finish(work, job.turn, event, now)).map(|_| ())
    }

    /// Whether the turn of the machine's life is still the one in which a wake was begun.
    fn is_wanted(&self, wake: &Job) -> bool {
        self.disk.as_ref().is_some_and(|disk| disk.machine.turn == wake.turn)
    }

    fn saved(&mut self, answer: Answer) -> Result<(), String> {
        let event = match answer {
            Answer::Done => {
                let (Some(live), Some(disk)) = (&self.live, &mut self.disk) else { return Ok(()) };
                if !disk.lines.is_empty() {
                    disk.lines.remove(0);
                }
                if !disk.lines.is_empty() || live.save_again {
                    self.write();
                    return Ok(());
                }
                Event::Saved
            }
            Answer::NoMachine => Event::Saved,
            Answer::Deleting => Event::Delete { by: By::default() },
            _ => Event::SaveFailed,
        };
        if let Some(live) = &mut self.live {
            live.saving = false;
        }
        self.apply(event).map(|_| ())
    }

    pub(crate) fn alarm_fires(&mut self) -> Result<(), String> {
        if self.disk.is_none() || !self.ensure()? {
            return Ok(());
        }
        if let Some(live) = &mut self.live {
            live.armed = None;
        }
        let now = self.object_now();
        if self.disk.as_ref().is_some_and(|disk| disk.machine.is_overdue(now)) {
            self.reload_holds()?;
        }
        self.note(|| "the alarm".into());
        let instance = self.instance;
        let _ = self.apply(Event::Alarm)?;
        // The platform repeats an alarm whose handler did not end.
        if self.instance != instance && self.alarm.is_none() && self.disk.is_some() {
            self.serial += 1;
            let (at, serial) = (self.now + ALARM_AGAIN_MS, self.serial);
            self.alarm = Some((at, serial));
            self.queue.insert((at, serial), Happening::Alarm { serial });
        }
        Ok(())
    }

    /// Reads the record's holds, unless Postgres is away.
    pub(crate) fn reload_holds(&mut self) -> Result<(), String> {
        let Some(row) = self.row.as_ref().filter(|_| !self.postgres_away) else { return Ok(()) };
        let until_ms = row.holds.iter().map(|at| at.saturating_add_signed(self.skew_ms)).collect();
        self.apply(Event::Holds { until_ms }).map(|_| ())
    }
}
