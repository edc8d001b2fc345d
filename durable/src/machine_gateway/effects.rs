//! Carrying out what the state machine decides.

use futures::future::join;
use snapvm_protocol::ids::MachineId;
use snapvm_protocol::lifecycle::MachineState as State;
use snapvm_protocol::sprites::Sprite;
use snapvm_protocol::terminal::Notice;
use snapvm_protocol::tickets::Purpose;

use super::notice;
use super::object::{Cache, Gateway, Looked, NEVER};
use super::outside::{Failure, Outside, Record};
use super::state::{Effect, Event, Refusal, Work};
use crate::background;
use crate::terminal_session::command::Command as TerminalCommand;

/// How long one request for a wake may take: a warm one answers within the first, a cold one within the later ones.
const WAKE_TIMEOUTS_MS: [u64; 4] = [400, 1_000, 3_000, 12_000];

/// The turn of what was begun in an older generation: none that the machine has.
const NO_TURN: u64 = u64::MAX;

impl<O: Outside> Gateway<O> {
    /// Takes an event: state to SQLite first, then everything outside.
    pub(super) async fn apply(&self, event: Event) -> Result<(), Refusal> {
        self.take_turn(event, None).await
    }

    /// Takes an event, or what work says that was begun at a turn.
    async fn take_turn(&self, event: Event, begun: Option<(Work, u64)>) -> Result<(), Refusal> {
        let now = self.0.outside.now_ms();
        let taken = self.0.cache.borrow_mut().as_mut().map(|cache| {
            let before = cache.machine.clone();
            let taken = match begun {
                Some((work, turn)) => cache.machine.finish(work, turn, event, now),
                None => cache.machine.on(event, now),
            };
            taken.map(|effects| (effects, cache.machine != before))
        });
        let (effects, changed) = match taken {
            Some(taken) => taken?,
            None => return Ok(()),
        };
        if changed {
            self.remember();
        }
        self.arm().await;
        for effect in effects {
            self.carry_out(effect).await;
        }
        // It was found asleep while somebody waited for it: whoever counted on its agent's return needs a wake now.
        let asleep = self.0.cache.borrow().as_ref().is_some_and(|cache| cache.machine.state == State::Hibernated);
        let waits = self.0.waiters.borrow().first().map(|waiter| waiter.by.clone());
        match waits {
            Some(by) if asleep => Box::pin(self.apply(Event::Wanted { by })).await,
            _ => Ok(()),
        }
    }

    /// Sets the alarm that the state asks for, unless this instance has set it: whether the one before did, nobody knows.
    async fn arm(&self) {
        let wanted = self.0.cache.borrow().as_ref().and_then(|cache| cache.machine.alarm_ms);
        let armed = wanted.unwrap_or(NEVER);
        if self.0.armed.replace(Some(armed)) == Some(armed) {
            return;
        }
        let storage = self.0.state.storage();
        let set = match wanted {
            Some(at) => {
                let offset = at.saturating_sub(self.0.outside.now_ms());
                storage.set_alarm(std::time::Duration::from_millis(offset)).await
            }
            None => storage.delete_alarm().await,
        };
        if let Err(error) = set {
            self.0.armed.set(None);
            self.0.outside.log(&format!("setting an alarm: {error}"));
        }
    }

    async fn carry_out(&self, effect: Effect) {
        match effect {
            Effect::Save(history) => self.save(history),
            Effect::Tell(message) => self.tell(&message),
            Effect::Work(work) => self.spawn_work(work),
            Effect::ReleaseWaiters => self.answer_waiters(&Ok(())),
            Effect::RefuseWaiters { code, detail } => self.answer_waiters(&Err(Refusal { code, detail })),
            Effect::TellTerminals => self.spawn_notices(),
            Effect::WarnTerminals { in_ms } => {
                let notice = in_ms.map_or(Notice::IdleOver, |in_ms| Notice::IdleSoon { in_ms });
                self.spawn_word(TerminalCommand::Notice { notice });
            }
            Effect::Unbind => {
                let _ = self.0.memory.remove("binding");
            }
            Effect::Disconnect => {
                if let Err(error) = self.disconnect() {
                    self.0.outside.log(&format!("closing the control socket: {error}"));
                }
            }
            Effect::Forget => self.forget().await,
        }
    }

    fn answer_waiters(&self, outcome: &Result<(), Refusal>) {
        for waiter in self.0.waiters.borrow_mut().drain(..) {
            // Whoever went away meanwhile needs no answer.
            let _ = waiter.answer.send(outcome.clone());
        }
    }

    /// Begins work unless the same is under way. A sprite that is being made can't be deleted yet: the deletion waits
    /// for that, or one that nobody knows of would be left.
    fn spawn_work(&self, work: Work) {
        let Some(turn) = self.0.cache.borrow().as_ref().map(|cache| cache.machine.turn_of(work)) else { return };
        let blocked = |other: &Work| *other == work || (work == Work::Delete && *other == Work::Provision);
        if self.0.at_work.borrow().iter().any(blocked) {
            return;
        }
        self.0.at_work.borrow_mut().push(work);
        let gateway = self.clone();
        let generation = self.record().map(|record| record.generation);
        background::run(&self.0.state, async move {
            let event = match gateway.work(work, turn).await {
                Ok(event) => event,
                Err(Failure::NoPlace(detail)) => Event::NotAdmitted { detail },
                Err(Failure::NoAgent) => Event::NoAgent,
                Err(failure @ Failure::NoSprite) if work == Work::Checkpoint && !gateway.is_made() => {
                    Event::CheckpointRefused { reason: failure.to_string() }
                }
                Err(Failure::NoSprite) => Event::Looked { status: None },
                Err(Failure::Limited { limit, retry_ms })
                    if !matches!(work, Work::Checkpoint | Work::TellCheckpoint) =>
                {
                    Event::Limited { work, limit, retry_ms }
                }
                Err(failure) => {
                    gateway.0.outside.log(&format!("{work:?}: {failure}"));
                    Event::Failed { work, reason: failure.to_string() }
                }
            };
            gateway.0.at_work.borrow_mut().retain(|other| *other != work);
            // What was begun in an older generation says nothing of this one.
            let fenced = event == Event::Looked { status: None }
                || !matches!(work, Work::Checkpoint | Work::TellCheckpoint | Work::Recreate | Work::Delete);
            let is_old = fenced && gateway.record().map(|record| record.generation) != generation;
            let turn = if is_old { NO_TURN } else { turn };
            let _ = Box::pin(gateway.take_turn(event, Some((work, turn)))).await;
        });
    }

    /// Whether there has been a sprite. Before, one that is not there is not gone.
    fn is_made(&self) -> bool {
        self.0.cache.borrow().as_ref().is_some_and(|cache| cache.machine.is_made())
    }

    async fn work(&self, work: Work, turn: u64) -> Result<Event, Failure> {
        let record = self.record().ok_or(Failure::NoMachine)?;
        match work {
            Work::Provision => {
                let sprite = self.0.outside.provision(&record).await?;
                self.know(&record, &sprite);
                Ok(Event::Provisioned)
            }
            Work::Wake => {
                let (place, sprite) = join(self.take_place(record.machine), self.sprite(&record)).await;
                place?;
                let sprite = sprite?;
                self.wake(&record, &sprite.url, turn).await?;
                self.spawn_label(record, sprite);
                Ok(Event::WakeSent)
            }
            Work::Look => {
                let sprite = self.sprite(&record).await?;
                Ok(Event::Looked { status: Some(sprite.status) })
            }
            Work::Recreate => {
                let is_discarded = self.0.cache.borrow().as_ref().is_some_and(|cache| cache.machine.is_discarding());
                if !is_discarded {
                    match self.0.outside.sprite(&record).await {
                        Ok(_) => return Ok(Event::Found),
                        Err(Failure::NoSprite) => {}
                        Err(failure) => return Err(failure),
                    }
                }
                let generation = self.0.outside.recreate(&record).await?;
                if let Some(cache) = self.0.cache.borrow_mut().as_mut() {
                    cache.record.renew(generation);
                }
                self.remember();
                if is_discarded {
                    self.spawn_deletion(record);
                }
                Ok(Event::Recreated)
            }
            Work::Deliver => {
                let digest = self.0.outside.deliver_agent(&record).await?;
                Ok(Event::Delivered { digest })
            }
            Work::Settle => {
                self.0.outside.settle_agent(&record).await?;
                Ok(Event::Settled)
            }
            Work::Replace => {
                self.0.outside.replace_agent(&record).await?;
                Ok(Event::Replaced)
            }
            Work::Checkpoint => self.carry_out_checkpoint(&record).await,
            Work::TellCheckpoint => self.tell_checkpoint(&record).await,
            Work::Delete => {
                self.close_sockets();
                self.0.outside.delete_sprite(&record).await?;
                match self.0.outside.remove(record.machine).await {
                    Ok(()) | Err(Failure::NoMachine) => Ok(Event::Gone),
                    Err(failure) => Err(failure),
                }
            }
        }
    }

    /// The sprite; from then on its id is known, should the answer have been lost that said so first.
    async fn sprite(&self, record: &Record) -> Result<Sprite, Failure> {
        let at_ms = self.0.outside.now_ms();
        let sprite = self.0.outside.sprite(record).await?;
        if record.sprite_id.is_none() {
            self.know(record, &sprite);
        }
        *self.0.looked.borrow_mut() = Some(Looked { at_ms, generation: record.generation, sprite: sprite.clone() });
        Ok(sprite)
    }

    fn know(&self, record: &Record, sprite: &Sprite) {
        let mut cache = self.0.cache.borrow_mut();
        if let Some(cache) = cache.as_mut().filter(|cache| cache.record.generation == record.generation) {
            cache.record.sprite_id = Some(sprite.id.clone());
            cache.record.sprite_url = Some(sprite.url.clone());
        }
    }

    /// A wake needs a place in its organization's quota; tries after the first have one. Where nobody can say, people
    /// get their machine.
    async fn take_place(&self, machine: MachineId) -> Result<(), Failure> {
        let is_first = |cache: &Cache| cache.machine.state == State::Waking && cache.machine.tries == 0;
        if !self.0.cache.borrow().as_ref().is_some_and(is_first) {
            return Ok(());
        }
        match self.0.outside.admit(machine).await {
            Err(failure @ Failure::NoPlace(_)) => Err(failure),
            Err(failure) => {
                self.0.outside.log(&format!("machine {machine}: asking for its place: {failure}"));
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Asks the agent, more and more patiently: a request that reaches a sprite whose agent does not listen yet hangs,
    /// and one after it would not have. A wake that is not wanted any more goes no further.
    async fn wake(&self, record: &Record, url: &str, turn: u64) -> Result<(), Failure> {
        let is_wanted =
            || self.0.cache.borrow().as_ref().is_some_and(|cache| cache.machine.turn_of(Work::Wake) == turn);
        let mut last = Failure::Unavailable("its agent was not asked".into());
        for timeout_ms in WAKE_TIMEOUTS_MS {
            // Something else is ordered by now, and asking would wake it all the same.
            if !is_wanted() {
                return Err(last);
            }
            // A ticket is good for one use, and the one before may have been used.
            let ticket = self.ticket(record, Purpose::Wake);
            let ticket = ticket.ok_or_else(|| Failure::Unavailable("no ticket could be signed".into()))?;
            match self.0.outside.wake(url, &ticket, timeout_ms).await {
                Ok(()) => return Ok(()),
                // Asking again would count against it; the call below learns which limit it is.
                Err(failure @ Failure::Limited { .. }) => {
                    last = failure;
                    break;
                }
                Err(failure) => last = failure,
            }
        }
        if !is_wanted() {
            return Err(last);
        }
        // It may be that its process is not there: the next try finds it started.
        self.0.outside.restart_agent(record).await?;
        Err(last)
    }

    /// Open terminals learn what the machine is doing.
    fn spawn_notices(&self) {
        let Some(notice) = self.0.cache.borrow().as_ref().map(|cache| {
            let machine = &cache.machine;
            if machine.is_ready() { Notice::Connected } else { notice(machine.state, &machine.reason, false) }
        }) else {
            return;
        };
        self.spawn_word(TerminalCommand::Notice { notice });
    }

    /// The machine is gone: so is everything this object knows.
    async fn forget(&self) {
        for terminal in self.all_terminals() {
            let _ = self.0.outside.tell_terminal(terminal.session, &TerminalCommand::Forget).await;
        }
        self.0.cache.borrow_mut().take();
        let storage = self.0.state.storage();
        if let Err(error) = storage.delete_all().await {
            self.0.outside.log(&format!("forgetting: {error}"));
        }
    }
}
