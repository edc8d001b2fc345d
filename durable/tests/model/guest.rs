//! Sprites and the agents in them: what runs, what is paused, and what an agent does with what it is told.

use snapvm_protocol::agent::ToAgent;
use snapvm_protocol::sprites::SpriteStatus;

use super::outside::{Agent, Answer, COLD_MS, PAUSE_MS};
use super::{Happening, Word, World};

impl World {
    /// Something reaches a sprite: it runs, with what memory it has.
    pub(crate) fn run_sprite(&mut self, name: u32) {
        let now = self.now;
        let Some(sprite) = self.provider.sprites.get_mut(&name) else { return };
        sprite.touched_ms = now;
        if sprite.status != SpriteStatus::Running {
            sprite.status = SpriteStatus::Running;
            sprite.running_ms = now;
            // One that was frozen while it worked finds its socket dead.
            let thawed = sprite.agent.as_ref().filter(|agent| agent.task && agent.socket.is_none());
            if let Some(boot) = thawed.map(|agent| agent.boot) {
                self.after(500, Happening::Dials { sprite: name, boot });
            }
        }
        self.after(PAUSE_MS, Happening::Quiet { sprite: name });
    }

    /// The agent's process is started where there is none.
    pub(crate) fn start_agent(&mut self, name: u32) {
        let (now, generation) = (self.now, self.disk.as_ref().map_or(1, |disk| disk.generation));
        let Some(sprite) = self.provider.sprites.get_mut(&name) else { return };
        if sprite.status != SpriteStatus::Running || !sprite.installed || sprite.agent.is_some() {
            return;
        }
        self.boots += 1;
        sprite.agent = Some(Agent::new(self.boots, generation, self.carried, now));
    }

    /// A wake arrives at a sprite's URL.
    pub(crate) fn ask_agent(&mut self, name: u32, generation: u32) -> Answer {
        if !self.provider.sprites.contains_key(&name) {
            return Answer::Failed;
        }
        let was_cold = self.provider.sprites.get(&name).is_some_and(|sprite| sprite.status == SpriteStatus::Cold);
        self.run_sprite(name);
        if was_cold {
            self.start_agent(name);
        }
        let Some(agent) = self.provider.sprites.get_mut(&name).and_then(|sprite| sprite.agent.as_mut()) else {
            return Answer::Failed;
        };
        if agent.generation > generation {
            return Answer::Failed;
        }
        agent.generation = generation;
        (agent.task, agent.prepares) = (true, None);
        let boot = agent.boot;
        let delay = self.chance.between(5, 300);
        self.after(delay, Happening::Dials { sprite: name, boot });
        Answer::Done
    }

    /// Looks at an agent, and which socket it has.
    pub(crate) fn agent_of<T>(
        &self,
        sprite: u32,
        boot: u64,
        look: impl FnOnce(&Agent) -> T,
    ) -> Option<(T, Option<u64>)> {
        let found = self.provider.sprites.get(&sprite).filter(|found| found.status == SpriteStatus::Running)?;
        let agent = found.agent.as_ref().filter(|agent| agent.boot == boot)?;
        Some((look(agent), agent.socket))
    }

    pub(crate) fn says(&mut self, sprite: u32, socket: u64, word: Word) {
        let delay = self.chance.between(1, 30);
        let now = self.now;
        let Some(agent) = self.provider.sprites.get_mut(&sprite).and_then(|sprite| sprite.agent.as_mut()) else {
            return;
        };
        agent.last_word_ms = (agent.last_word_ms + 1).max(now + delay);
        let at = agent.last_word_ms;
        self.at(at, Happening::FromAgent { socket, word });
    }

    pub(crate) fn agent_hears(&mut self, name: u32, boot: u64, word: &ToAgent) {
        let delay = self.chance.between(50, 3_000);
        let Some(sprite) = self.provider.sprites.get_mut(&name).filter(|sprite| sprite.status == SpriteStatus::Running)
        else {
            return;
        };
        let Some(agent) = sprite.agent.as_mut().filter(|agent| agent.boot == boot) else { return };
        match word {
            ToAgent::Sleep { sleep, .. } => {
                agent.prepares = Some(*sleep);
                self.after(delay, Happening::Prepared { sprite: name, boot, sleep: *sleep });
            }
            ToAgent::SleepCancel { sleep } if agent.prepares == Some(*sleep) => agent.prepares = None,
            ToAgent::SleepGo { sleep } if agent.prepares == Some(*sleep) => {
                (agent.prepares, agent.task) = (None, false);
                if let Some(socket) = agent.socket.take() {
                    self.after(5, Happening::SocketGone { socket });
                }
                self.after(PAUSE_MS, Happening::Quiet { sprite: name });
            }
            ToAgent::Sync { sync } => {
                if let Some(socket) = agent.socket {
                    self.says(name, socket, Word::Synced { sync: *sync });
                }
            }
            ToAgent::Upgrade { digest } => self.agent_becomes(name, digest.clone()),
            _ => {}
        }
    }

    /// Nothing may have happened in a sprite for long enough.
    pub(crate) fn quiet(&mut self, name: u32) {
        let now = self.now;
        let Some(sprite) = self.provider.sprites.get(&name) else { return };
        let is_kept = sprite.agent.as_ref().is_some_and(|agent| agent.task);
        if sprite.status == SpriteStatus::Running && !is_kept && now >= sprite.touched_ms + PAUSE_MS {
            self.pause(name);
        }
    }

    pub(crate) fn pause(&mut self, name: u32) {
        let (now, closes_ms) = (self.now, self.chance.between(10, 5_000));
        let Some(sprite) = self.provider.sprites.get_mut(&name) else { return };
        sprite.status = SpriteStatus::Warm;
        sprite.touched_ms = now;
        let socket = sprite.agent.as_mut().and_then(|agent| agent.socket.take());
        if let Some(socket) = socket {
            self.after(closes_ms, Happening::SocketGone { socket });
        }
        self.after(COLD_MS, Happening::Cold { sprite: name, since: now });
    }

    pub(crate) fn lose_agent(&mut self, name: u32) {
        let closes_ms = self.chance.between(1, 50);
        let Some(sprite) = self.provider.sprites.get_mut(&name) else { return };
        if let Some(socket) = sprite.agent.take().and_then(|agent| agent.socket) {
            self.after(closes_ms, Happening::SocketGone { socket });
        }
    }
}
