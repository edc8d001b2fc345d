//! The whole life of a machine under faults, in simulated time: the real state machine, an executor of its effects that
//! does what `machine_gateway/effects.rs` and `saving.rs` do, a provider, an agent, Postgres, and people who order.
//!
//! What is simulated: every call is dropped, answered after its asker gave up, delayed, repeated, refused (429, 5xx,
//! 302) or hangs; the object is evicted between any two steps, with its memory lost and its SQLite kept, or loses both;
//! agents are killed, hosts restarted, sprites paused, deleted and replaced behind our back; Postgres and the provider
//! go away and come back; clocks jump; checkpoints are made and restored in any state; deployments bring other agents, which
//! are upgraded in place, refuse, or die of it; two people order at once; other machines take the places that there are.
//! One sequence in four begins with a machine that is prepared, and taken by somebody or given up at some time.
//!
//! What must hold is in `check.rs`. What is not simulated: terminals, the bytes of anything.

#![allow(clippy::unnecessary_wraps, reason = "any step may come to end the sequence")]

pub(crate) mod chance;
mod check;
mod control;
mod guest;
mod object;
mod outside;
pub(crate) mod people;
mod prepared;
mod upkeep;

use std::collections::BTreeMap;

use snapvm_durable::machine_gateway::desired::Desired;
use snapvm_durable::machine_gateway::state::Work;
use snapvm_protocol::agent::ToAgent;
use snapvm_protocol::lifecycle::MachineState as State;
use snapvm_protocol::sprites::SpriteStatus;

use chance::Chance;
use object::{Disk, Live};
use outside::{Answer, Call, PAUSE_MS, Provider, Row};

/// Something that happens at a time.
#[derive(Debug, Clone)]
pub(crate) enum Happening {
    /// A call arrives where it goes; its answer is on the way to whoever asked, unless nobody gets it.
    Arrives {
        call: Call,
        job: u64,
        instance: u64,
        generation: u32,
        name: u32,
        is_answered: bool,
    },
    /// The asker has an answer, or has given up.
    Answered {
        job: u64,
        instance: u64,
        answer: Answer,
    },
    Alarm {
        serial: u64,
    },
    Dials {
        sprite: u32,
        boot: u64,
    },
    FromAgent {
        socket: u64,
        word: Word,
    },
    ToAgent {
        sprite: u32,
        boot: u64,
        word: ToAgent,
    },
    SocketGone {
        socket: u64,
    },
    Quiet {
        sprite: u32,
    },
    Cold {
        sprite: u32,
        since: u64,
    },
    Restarts {
        sprite: u32,
    },
    Prepared {
        sprite: u32,
        boot: u64,
        sleep: u64,
    },
    IdleTick {
        sprite: u32,
        boot: u64,
    },
}

/// What an agent says.
#[derive(Debug, Clone)]
pub(crate) enum Word {
    Hello { boot: u64 },
    Activity,
    Idle { seconds: u64 },
    Ready { sleep: u64 },
    Synced { sync: u64 },
    Refused { digest: String, again: bool },
}

/// Whether a machine in this state has a place among those that are awake.
pub(crate) fn is_awake(state: State) -> bool {
    !matches!(state, State::Hibernated | State::Stopped | State::Failed | State::Deleting)
}

/// More events than this between two operations mean that something goes round in a circle.
const SPIN: u64 = 20_000;

/// What was done in all.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub(crate) sequences: u64,
    pub(crate) operations: u64,
    pub(crate) events: u64,
    pub(crate) faults: BTreeMap<&'static str, u64>,
    pub(crate) longest_settle_ms: u64,
    pub(crate) ends: BTreeMap<String, u64>,
}

/// A step of work, or a write to Postgres, that waits for an answer.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    work: Option<Work>,
    turn: u64,
    generation: u32,
    call: Call,
}

/// One machine's world.
pub(crate) struct World {
    now: u64,
    chance: Chance,
    queue: BTreeMap<(u64, u64), Happening>,
    serial: u64,
    /// Whether faults happen.
    faulty: bool,
    pub(crate) tally: Tally,
    disk: Option<Disk>,
    live: Option<Live>,
    instance: u64,
    alarm: Option<(u64, u64)>,
    /// How far the object's clock is off.
    skew_ms: i64,
    /// The time to look again that was told before the clock last jumped.
    told_ms: Option<u64>,
    row: Option<Row>,
    postgres_away: bool,
    provider: Provider,
    boots: u64,
    lines: u64,
    /// The highest generation that the object has been of.
    generation: u32,
    /// Which agent the platform carries.
    carried: u64,
    /// Whether other machines of its organization have all the places that there are.
    is_full: bool,
    /// What the last order that was accepted asks for.
    ordered: Option<Desired>,
    /// What was ordered before a restore that has not ended, unless something was ordered since.
    #[expect(clippy::option_option, reason = "whether there was a restore, and what was ordered before")]
    before_restore: Option<Option<Desired>>,
    /// Since when the runtime runs although the machine is called asleep, and nothing keeps us from knowing.
    mismatch_since: Option<u64>,
    pub(crate) trace: Vec<String>,
    keep_trace: bool,
}

impl World {
    fn at(&mut self, at: u64, happening: Happening) {
        self.serial += 1;
        self.queue.insert((at.max(self.now), self.serial), happening);
    }

    fn after(&mut self, milliseconds: u64, happening: Happening) {
        self.at(self.now + milliseconds, happening);
    }

    fn fault(&mut self, kind: &'static str) {
        *self.tally.faults.entry(kind).or_default() += 1;
        self.note(|| format!("fault: {kind}"));
    }

    fn note(&mut self, text: impl FnOnce() -> String) {
        if self.keep_trace {
            let state = self.disk.as_ref().map(|disk| format!("{:?}", disk.machine.state)).unwrap_or_default();
            self.trace.push(format!("{:>9} {state:<11} {}", self.now, text()));
        }
    }

    /// Lets time pass.
    fn run_until(&mut self, until: u64) -> Result<(), String> {
        let mut happened = 0;
        while let Some((&(at, serial), _)) = self.queue.first_key_value().filter(|((at, _), _)| *at <= until) {
            let Some(happening) = self.queue.remove(&(at, serial)) else { break };
            self.now = at;
            self.tally.events += 1;
            self.happen(happening)?;
            self.check()?;
            happened += 1;
            if happened > SPIN {
                return Err("it does the same again and again, and time stands still".into());
            }
        }
        self.now = until;
        Ok(())
    }

    fn happen(&mut self, happening: Happening) -> Result<(), String> {
        match happening {
            Happening::Arrives { call, job, instance, generation, name, is_answered } => {
                let answer = self.carry_out(call, generation, name);
                self.note(|| format!("{call:?} arrives: {answer:?}"));
                if is_answered {
                    let latency = self.chance.between(1, 40);
                    self.after(latency, Happening::Answered { job, instance, answer });
                }
                Ok(())
            }
            Happening::Answered { job, instance, answer } => {
                if instance == self.instance {
                    self.answered(job, answer)
                } else {
                    Ok(())
                }
            }
            Happening::Alarm { serial } => {
                if self.alarm.is_some_and(|(_, armed)| armed == serial) {
                    self.alarm = None;
                    return self.alarm_fires();
                }
                Ok(())
            }
            Happening::Dials { sprite, boot } => self.dials(sprite, boot),
            Happening::FromAgent { socket, word } => self.hears(socket, word),
            Happening::SocketGone { socket } => self.socket_gone(socket),
            Happening::ToAgent { sprite, boot, word } => {
                self.agent_hears(sprite, boot, &word);
                Ok(())
            }
            Happening::Quiet { sprite } => {
                self.quiet(sprite);
                Ok(())
            }
            Happening::Cold { sprite, since } => {
                if let Some(found) = self.provider.sprites.get_mut(&sprite)
                    && found.status == SpriteStatus::Warm
                    && found.touched_ms == since
                {
                    found.status = SpriteStatus::Cold;
                    found.agent = None;
                }
                Ok(())
            }
            Happening::Restarts { sprite } => {
                self.start_agent(sprite);
                Ok(())
            }
            Happening::Prepared { sprite, boot, sleep } => {
                let found = self.agent_of(sprite, boot, |agent| agent.prepares == Some(sleep));
                if let Some((true, Some(socket))) = found {
                    self.says(sprite, socket, Word::Ready { sleep });
                }
                Ok(())
            }
            Happening::IdleTick { sprite, boot } => {
                let now = self.now;
                if let Some((seconds, Some(socket))) =
                    self.agent_of(sprite, boot, |agent| (now - agent.active_ms) / 1000)
                {
                    self.says(sprite, socket, Word::Idle { seconds });
                    self.after(60_000, Happening::IdleTick { sprite, boot });
                }
                Ok(())
            }
        }
    }

    /// What a call does where it arrives.
    fn carry_out(&mut self, call: Call, generation: u32, name: u32) -> Answer {
        if call.is_database() && self.postgres_away || !call.is_database() && self.provider.away {
            return Answer::Failed;
        }
        let now = self.now;
        match call {
            Call::Get => self.provider.sprites.get(&name).map_or(Answer::NoSprite, |sprite| Answer::Sprite {
                id: sprite.id,
                status: sprite.status,
                name,
            }),
            Call::Create => {
                if self.provider.sprites.contains_key(&name) {
                    return Answer::Failed;
                }
                self.make_sprite(name);
                Answer::Sprite { id: self.provider.ids, status: SpriteStatus::Running, name }
            }
            Call::Install { .. } => match self.provider.sprites.get_mut(&name) {
                None => Answer::Failed,
                Some(sprite) => {
                    sprite.installed = true;
                    self.run_sprite(name);
                    self.start_agent(name);
                    Answer::Done
                }
            },
            Call::StartService => match self.provider.sprites.get(&name) {
                Some(sprite) if sprite.installed => {
                    self.run_sprite(name);
                    self.start_agent(name);
                    Answer::Done
                }
                _ => Answer::NoAgent,
            },
            Call::AskAgent { .. } => self.ask_agent(name, generation),
            Call::DeleteSprite => {
                self.lose_agent(name);
                self.provider.sprites.remove(&name);
                Answer::Done
            }
            Call::Checkpoint { what } => self.runtime_checkpoint(name, generation, what),
            Call::TellCheckpoint => self.record_checkpoint(),
            Call::Deliver | Call::Settle if self.is_ours(name) => Answer::Done,
            Call::Replace if self.is_ours(name) => {
                self.lose_agent(name);
                self.run_sprite(name);
                self.start_agent(name);
                Answer::Done
            }
            Call::Deliver | Call::Settle | Call::Replace => Answer::NoSprite,
            Call::Admit => self.admit(),
            Call::RemoveRow => {
                match &self.row {
                    Some(row) if row.desired == Some(Desired::Deleted) => self.row = None,
                    _ => {}
                }
                Answer::Done
            }
            Call::RecreateRow { gone } => match &mut self.row {
                Some(row) if row.is_owned => {
                    if row.generation == generation || gone.is_some() && row.sprite_id == gone {
                        row.generation += 1;
                        (row.sprite_id, row.sprite_name) = (None, None);
                    }
                    Answer::Generation(row.generation)
                }
                _ => Answer::NoMachine,
            },
            Call::Save { state, desired, line, number, sprite, is_owned } => {
                let found = self.row.as_mut().filter(|row| row.is_owned == is_owned);
                let Some(row) = found else { return Answer::NoMachine };
                let is_deleting = row.state == State::Deleting;
                if is_deleting && state != State::Deleting {
                    return Answer::Deleting;
                }
                row.lines.extend(line.filter(|_| is_owned));
                if number <= row.written {
                    return Answer::Done;
                }
                row.written = number;
                // One that sleeps is entered as waking by its admission alone.
                let stays = state == State::Waking && !is_awake(row.state);
                if row.state != state && !stays {
                    (row.state, row.state_at) = (state, now);
                }
                if is_owned {
                    row.desired = Some(desired);
                }
                // One that was on its way while the machine was made anew names a sprite that is given up.
                if let Some((id, name)) = sprite.filter(|_| row.generation == generation) {
                    (row.sprite_id, row.sprite_name) = (Some(id), Some(name));
                }
                Answer::Done
            }
        }
    }

    fn sprite_name(&self, generation: u32) -> u32 {
        self.disk.as_ref().and_then(|disk| disk.sprite_name).unwrap_or(generation)
    }

    /// A place among those that are awake, unless it has one.
    fn admit(&mut self) -> Answer {
        match &mut self.row {
            None => Answer::NoMachine,
            Some(row) if is_awake(row.state) || row.state == State::Deleting => Answer::Done,
            Some(_) if self.is_full => Answer::NoPlace,
            Some(row) => {
                (row.state, row.state_at) = (State::Waking, self.now);
                Answer::Done
            }
        }
    }

    /// Whether the object knows the id of its sprite.
    fn is_recorded(&self) -> bool {
        self.disk.as_ref().is_some_and(|disk| disk.sprite_id.is_some())
    }

    fn is_made(&self) -> bool {
        self.disk.as_ref().is_some_and(|disk| disk.machine.is_made())
    }

    /// Whether what has this name at the provider is the machine's.
    fn is_ours(&self, name: u32) -> bool {
        let recorded = self.disk.as_ref().and_then(|disk| disk.sprite_id);
        self.provider.sprites.get(&name).is_some_and(|sprite| recorded.is_none_or(|id| id == sprite.id))
    }

    fn make_sprite(&mut self, name: u32) {
        self.provider.ids += 1;
        let sprite = outside::Sprite {
            id: self.provider.ids,
            status: SpriteStatus::Running,
            installed: false,
            agent: None,
            touched_ms: self.now,
            running_ms: self.now,
        };
        self.provider.sprites.insert(name, sprite);
        self.after(PAUSE_MS, Happening::Quiet { sprite: name });
    }
}
