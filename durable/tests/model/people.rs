//! What people, their traffic, the reconciler and bad luck do to a machine, and one whole sequence of it.

use snapvm_durable::machine_gateway::cause::By;
use snapvm_durable::machine_gateway::desired::Desired;
use snapvm_durable::machine_gateway::state::Event;
use snapvm_protocol::lifecycle::{Cause, MachineState as State};
use snapvm_protocol::sprites::SpriteStatus;

use super::chance::Chance;
use super::outside::{Provider, Row};
use super::{Happening, Tally, Word, World, is_awake};

/// How long the world may take to come to rest once nothing goes wrong any more.
pub(crate) const SETTLE_MS: u64 = 60_000;

/// How far clocks jump.
const JUMP_MS: u64 = 60_000;

/// What went wrong, and how to see it again.
#[derive(Debug)]
pub(crate) struct Violation {
    #[cfg_attr(not(test), expect(dead_code, reason = "the soak names the seed itself"))]
    pub(crate) seed: u64,
    pub(crate) what: String,
    pub(crate) trace: Vec<String>,
}

/// Runs one sequence.
pub(crate) fn sequence(seed: u64, operations: u64, keep_trace: bool, tally: &mut Tally) -> Result<(), Violation> {
    let mut world = World {
        now: 1_000_000_000,
        chance: Chance(seed),
        queue: std::collections::BTreeMap::new(),
        serial: 0,
        faulty: true,
        tally: std::mem::take(tally),
        disk: None,
        live: None,
        instance: 0,
        alarm: None,
        skew_ms: 0,
        told_ms: None,
        row: None,
        postgres_away: false,
        provider: Provider::default(),
        boots: 0,
        lines: 0,
        generation: 1,
        carried: 1,
        is_full: false,
        ordered: None,
        before_restore: None,
        mismatch_since: None,
        trace: vec![],
        keep_trace,
    };
    let outcome = world.live_through(operations, !seed.is_multiple_of(4));
    world.tally.sequences += 1;
    *tally = std::mem::take(&mut world.tally);
    outcome.map_err(|what| Violation { seed, what, trace: world.trace })
}

impl World {
    fn live_through(&mut self, operations: u64, is_owned: bool) -> Result<(), String> {
        self.row = Some(Row {
            is_owned,
            state: State::Creating,
            desired: (!is_owned).then_some(Desired::Asleep),
            generation: 1,
            sprite_name: None,
            sprite_id: None,
            holds: vec![],
            lines: std::collections::BTreeSet::new(),
            state_at: self.now,
            checked_at: self.now,
            written: 0,
            checkpoint: None,
            checkpoint_at: 0,
            checkpoints: 0,
        });
        if !self.chance.one_in(10) && self.ensure()? {
            let _ = self.apply(Event::Provision)?;
        }
        let mut next_reconcile = self.now + self.chance.between(1_000, 60_000);
        for _ in 0..operations {
            self.tally.operations += 1;
            let until = self.now
                + if self.chance.one_in(3) { self.chance.between(1, 500) } else { self.chance.between(500, 30_000) };
            while next_reconcile <= until {
                self.run_until(next_reconcile)?;
                self.reconcile()?;
                next_reconcile += 60_000;
            }
            self.run_until(until)?;
            self.operate()?;
            if self.row.is_none() && self.disk.is_none() {
                break;
            }
        }
        self.come_to_rest()?;
        self.lead_on()
    }

    /// Nothing goes wrong any more: within a minute everything is where the last order wanted it.
    fn come_to_rest(&mut self) -> Result<(), String> {
        self.faulty = false;
        (self.postgres_away, self.provider.away, self.is_full) = (false, false, false);
        self.mismatch_since = None;
        self.note(|| "faults end".into());
        // The platform loses no SQLite; should it, whoever asks next finds the record.
        self.ensure()?;
        self.let_faults_end()?;
        let begun = self.now;
        let reconcile_at = begun + self.chance.between(1, 20_000);
        self.run_until(reconcile_at)?;
        self.reconcile()?;
        let (mut settled_at, mut ends) = (None, begun + SETTLE_MS);
        let mut until = begun;
        while until < ends {
            until += 1000;
            self.run_until(until.max(self.now))?;
            match (self.unsettled(), settled_at) {
                (None, None) => settled_at = Some(until - begun),
                // An idle clock that runs out now is no fault's, nor is an upgrade that begins now, or a hold that ends and
                // is just written down: they have a minute of their own.
                (Some(_), Some(at)) if self.sleeps_by_itself() || self.is_upgrading() || self.is_writing() => {
                    ends = ends.max(begun + at + 2 * SETTLE_MS);
                }
                (Some(_), Some(_)) => settled_at = None,
                _ => {}
            }
        }
        if let Some(what) = self.unsettled() {
            return Err(format!("not at rest after {SETTLE_MS} ms: {what}"));
        }
        self.tally.longest_settle_ms = self.tally.longest_settle_ms.max(settled_at.unwrap_or(SETTLE_MS));
        let end = self.disk.as_ref().map_or("gone".into(), |disk| disk.machine.state.to_string());
        *self.tally.ends.entry(end).or_default() += 1;
        self.check_end()
    }

    /// A call that comes late or again is a fault until it arrives, and a clock that jumped is one until the time to
    /// look again has come that was told before.
    fn let_faults_end(&mut self) -> Result<(), String> {
        let is_call = |happening: &Happening| matches!(happening, Happening::Arrives { .. });
        let last = self.queue.iter().rev().find(|(_, happening)| is_call(happening)).map(|((at, _), _)| *at);
        self.run_until(last.unwrap_or(self.now))?;
        let until = self.now + 2 * JUMP_MS;
        while self.now < until && self.told_ms.is_some() && self.told_ms == self.next_look_ms() {
            self.run_until(self.now + 1_000)?;
        }
        Ok(())
    }

    fn next_look_ms(&self) -> Option<u64> {
        self.disk.as_ref().and_then(|disk| disk.machine.alarm_ms)
    }

    fn is_upgrading(&self) -> bool {
        self.disk.as_ref().is_some_and(|disk| !disk.machine.upgrade.is_current())
    }

    fn is_writing(&self) -> bool {
        self.live.as_ref().is_some_and(|live| live.saving)
    }

    fn sleeps_by_itself(&self) -> bool {
        let wish = self.disk.as_ref().and_then(|disk| disk.machine.wish.as_ref());
        wish.is_some_and(|wish| wish.by.cause == Cause::Idle)
    }

    /// Wherever it is, there is a way on: a start leads to running, and a deletion to nothing.
    fn lead_on(&mut self) -> Result<(), String> {
        if self.row.is_none() {
            return Ok(());
        }
        let until = self.now + SETTLE_MS;
        // One that is nobody's is taken, or goes.
        if let Some(row) = self.row.as_ref().filter(|row| !row.is_owned)
            && (row.state != State::Hibernated || self.chance.one_in(2))
        {
            return self.end_prepared(until);
        }
        if self.row.as_ref().is_some_and(|row| !row.is_owned) {
            self.order("start")?;
            self.run_until(until)?;
            let is_ready = self.disk.as_ref().is_some_and(|disk| disk.machine.is_ready());
            return if is_ready { Ok(()) } else { Err(format!("who takes it waits for nothing: {:?}", self.disk)) };
        }
        if self.chance.one_in(2) {
            self.order("start")?;
            self.run_until(until)?;
            if self.disk.as_ref().is_some_and(|disk| disk.machine.vanished) {
                // It found out that its sprite is gone. Its reason says that another start makes it anew.
                self.order("start")?;
                self.run_until(until + SETTLE_MS)?;
            }
            let is_ready = self.disk.as_ref().is_some_and(|disk| {
                // Its idle clock may have run out since.
                disk.machine.is_ready() || self.sleeps_by_itself()
            });
            return if is_ready { Ok(()) } else { Err(format!("a start does not lead to running: {:?}", self.disk)) };
        }
        self.order("delete")?;
        self.run_until(until)?;
        self.reconcile()?;
        let is_gone = self.row.is_none() && self.disk.is_none() && self.provider.sprites.is_empty();
        if is_gone {
            Ok(())
        } else {
            Err(format!("a deletion leaves something: {:?} {:?}", self.row, self.provider.sprites))
        }
    }

    fn operate(&mut self) -> Result<(), String> {
        match self.chance.between(0, 100) {
            0..=9 => self.order("start"),
            10..=17 => self.order("stop"),
            18..=26 => self.order("hibernate"),
            27 => self.order("delete"),
            28..=33 => {
                // Two people at once, each of another mind.
                let (one, other) = (self.any_order(), self.any_order());
                self.order(one)?;
                self.order(other)
            }
            34..=51 => self.need(),
            52..=58 => self.activity(),
            59..=62 => self.hold(),
            63..=67 => {
                self.fault("eviction");
                self.evict();
                Ok(())
            }
            68..=71 => self.strike("agent killed", |world, name| {
                world.lose_agent(name);
                world.after(1_500, Happening::Restarts { sprite: name });
            }),
            72..=74 => self.strike("host restarted", |world, name| {
                world.lose_agent(name);
                if let Some(sprite) = world.provider.sprites.get_mut(&name) {
                    sprite.status = SpriteStatus::Cold;
                }
            }),
            75..=77 => self.strike("paused by itself", |world, name| {
                if world.provider.sprites.get(&name).is_some_and(|sprite| sprite.status == SpriteStatus::Running) {
                    world.pause(name);
                }
            }),
            78 => self.strike("sprite deleted behind our back", |world, name| {
                world.lose_agent(name);
                world.provider.sprites.remove(&name);
            }),
            79 => self.strike("sprite replaced under its name", |world, name| {
                world.lose_agent(name);
                world.make_sprite(name);
            }),
            80..=81 => self.strike("sprite woken by a stranger", |world, name| {
                world.run_sprite(name);
                world.start_agent(name);
            }),
            82..=84 => {
                self.fault(if self.postgres_away { "Postgres back" } else { "Postgres away" });
                self.postgres_away = !self.postgres_away;
                Ok(())
            }
            85..=87 => {
                self.fault(if self.provider.away { "provider back" } else { "provider away" });
                self.provider.away = !self.provider.away;
                Ok(())
            }
            88..=90 => {
                self.fault("clock jumps");
                let far = i64::try_from(self.chance.between(0, 2 * JUMP_MS)).unwrap_or(0);
                self.skew_ms = far - i64::try_from(JUMP_MS).unwrap_or(0);
                self.told_ms = self.next_look_ms();
                Ok(())
            }
            91 => {
                self.fault("object lost with its SQLite");
                self.evict();
                (self.disk, self.alarm) = (None, None);
                // What it had sent is gone with it.
                let is_write =
                    |happening: &Happening| matches!(happening, Happening::Arrives { call, .. } if call.is_database());
                self.queue.retain(|_, happening| !is_write(happening));
                Ok(())
            }
            92..=95 => self.order_checkpoint(),
            96 => self.deploy(),
            97 => {
                // They take no place that this one has.
                let has_place = self.row.as_ref().is_some_and(|row| is_awake(row.state));
                self.is_full = !self.is_full && !has_place;
                if self.is_full {
                    self.fault("no place for one more awake machine");
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn any_order(&mut self) -> &'static str {
        match self.chance.between(0, 3) {
            0 => "start",
            1 => "stop",
            _ => "hibernate",
        }
    }

    /// Somebody orders: Postgres first, which knows who they are, and then the object.
    fn order(&mut self, verb: &'static str) -> Result<(), String> {
        if self.postgres_away {
            return Ok(());
        }
        let now = self.now;
        let Some(row) = &mut self.row else { return Ok(()) };
        if !row.is_owned {
            return match verb {
                "start" => self.claim(),
                "delete" => self.give_up_prepared(),
                _ => Ok(()),
            };
        }
        if verb == "delete" {
            (row.state, row.desired, row.state_at) = (State::Deleting, Some(Desired::Deleted), now);
            // Accepted here already, whatever becomes of the object.
            self.ordered = Some(Desired::Deleted);
        } else if row.state == State::Deleting {
            return Ok(());
        } else if row.state != State::Failed || verb == "start" {
            row.desired = Some(match verb {
                "start" => Desired::Running,
                "stop" => Desired::Stopped,
                _ if row.desired == Some(Desired::Stopped) => Desired::Stopped,
                _ => Desired::Asleep,
            });
        }
        if self.faulty && self.chance.one_in(12) {
            self.fault("order lost on its way to the object");
            return Ok(());
        }
        // An instance that is evicted over the look takes no order: whoever gave it hears of that.
        if !self.ensure()? || !self.look_for_owner()? || self.live.is_none() {
            return Ok(());
        }
        self.note(|| format!("order: {verb}"));
        let by = By::account(Cause::Hand, "ada");
        let (event, desired) = match verb {
            "start" => (Event::Start { by }, Desired::Running),
            "stop" => (Event::Stop { by }, Desired::Stopped),
            "hibernate" => (Event::Hibernate { by }, Desired::Asleep),
            _ => (Event::Delete { by }, Desired::Deleted),
        };
        let is_pinned = self.disk.as_ref().is_some_and(|disk| disk.machine.desired() == Desired::Stopped);
        if self.apply(event)?.is_ok()
            && self.ordered != Some(Desired::Deleted)
            && !(desired == Desired::Asleep && is_pinned)
        {
            (self.ordered, self.before_restore) = (Some(desired), None);
        }
        Ok(())
    }

    /// Traffic, or somebody at a terminal.
    fn need(&mut self) -> Result<(), String> {
        if self.row.as_ref().is_some_and(|row| !row.is_owned) {
            return self.claim();
        }
        if !self.ensure()? || !self.look_for_owner()? {
            return Ok(());
        }
        self.note(|| "needed".into());
        let event = if self.chance.one_in(3) {
            Event::Called { by: By::account(Cause::Terminal, "bob") }
        } else {
            Event::Wanted { by: By::request("bob", 3000) }
        };
        let is_ready = |world: &Self| world.disk.as_ref().is_some_and(|disk| disk.machine.is_ready());
        if self.apply(event)?.is_ok() {
            if self.ordered == Some(Desired::Asleep) {
                (self.ordered, self.before_restore) = (Some(Desired::Running), None);
            }
            if !is_ready(self)
                && let Some(live) = &mut self.live
            {
                live.waiters.push(self.now + 55_000);
            }
        }
        Ok(())
    }

    fn activity(&mut self) -> Result<(), String> {
        let name = self.present_name();
        let now = self.now;
        let agent = self.provider.sprites.get_mut(&name).filter(|sprite| sprite.status == SpriteStatus::Running);
        if let Some(agent) = agent.and_then(|sprite| sprite.agent.as_mut()) {
            agent.active_ms = now;
            if let Some(socket) = agent.socket {
                self.says(name, socket, Word::Activity);
            }
        }
        Ok(())
    }

    fn hold(&mut self) -> Result<(), String> {
        let until = self.now + self.chance.between(1_000, 1_200_000);
        let Some(row) = self.row.as_mut().filter(|row| row.is_owned && !self.postgres_away) else { return Ok(()) };
        if matches!(row.state, State::Stopping | State::Stopped) {
            return Ok(());
        }
        row.holds = if row.holds.is_empty() { vec![until] } else { vec![] };
        let until_ms = row.holds.iter().map(|at| at.saturating_add_signed(self.skew_ms)).collect();
        let is_there = self.ensure()? && self.look_for_owner()?;
        if is_there { self.apply(Event::Holds { until_ms }).map(|_| ()) } else { Ok(()) }
    }

    pub(crate) fn present_name(&self) -> u32 {
        self.sprite_name(self.disk.as_ref().map_or(1, |disk| disk.generation))
    }

    fn strike(&mut self, kind: &'static str, strike: impl FnOnce(&mut Self, u32)) -> Result<(), String> {
        let name = self.present_name();
        if self.provider.sprites.contains_key(&name) {
            self.fault(kind);
            strike(self, name);
        }
        Ok(())
    }

    /// Scheduled work: sprites that no row has.
    pub(crate) fn sweep_orphans(&mut self) {
        let row = self.row.as_ref().map(|row| (row.generation, row.sprite_name));
        // It keeps the name of the generation that it was made in; only one that was replaced is stale.
        let is_orphan = |name: u32| row.is_none_or(|(generation, known)| known != Some(name) && name < generation);
        if !self.provider.away && !self.postgres_away {
            self.provider.sprites.retain(|name, _| !is_orphan(*name));
        }
    }

    /// Scheduled work: rows on their way for long, rows that stand and are due.
    pub(crate) fn reconcile(&mut self) -> Result<(), String> {
        if self.postgres_away {
            return Ok(());
        }
        let now = self.now;
        self.sweep_orphans();
        let Some(row) = &mut self.row else { return Ok(()) };
        let (desired, recorded, is_on_its_way) = (
            row.desired,
            row.state,
            matches!(
                row.state,
                State::Creating | State::Hibernating | State::Waking | State::Stopping | State::Deleting
            ),
        );
        // Once the faults have ended, the next look is brought forward: how often there is one is not what is measured.
        let is_late = is_on_its_way && (now >= row.state_at + 30_000 || !self.faulty);
        let is_due = !is_on_its_way && (now >= row.checked_at + 600_000 || !self.faulty);
        if is_due {
            row.checked_at = now;
        }
        let is_waiting = row.checkpoint.is_some() && (now >= row.checkpoint_at + 30_000 || !self.faulty);
        if (!is_late && !is_due && !is_waiting) || !self.ensure()? || !self.look_for_owner()? {
            return Ok(());
        }
        self.note(|| "the reconciler".into());
        self.take_checkpoint_order()?;
        self.apply(Event::Check { recorded, desired }).map(|_| ())
    }
}
