//! The object's control socket: agents that dial, what they say, and sockets that end.

use snapvm_durable::machine_gateway::state::{ActivityKind, Event};

use super::outside::Agent;
use super::upkeep::digest;
use super::{Happening, Word, World};

impl World {
    /// An agent's dial: its first with a ticket, later ones with its key. One of another generation is refused.
    pub(crate) fn dials(&mut self, sprite: u32, boot: u64) -> Result<(), String> {
        let Some((generation, _)) = self.agent_of(sprite, boot, |agent| agent.generation) else { return Ok(()) };
        let is_lost = self.faulty && self.chance.one_in(12);
        if is_lost {
            self.fault("dial lost");
        }
        if is_lost || !self.ensure()? {
            self.after(2_000, Happening::Dials { sprite, boot });
            return Ok(());
        }
        let Some(disk) = &mut self.disk else { return Ok(()) };
        if disk.generation != generation || self.row.is_none() {
            return Ok(());
        }
        self.serial += 1;
        (disk.control, disk.is_open, disk.binding) = (self.serial, true, Some((generation, boot)));
        let (socket, now) = (self.serial, self.now);
        let agent = self.provider.sprites.get_mut(&sprite).and_then(|sprite| sprite.agent.as_mut());
        if let Some(agent) = agent {
            (agent.socket, agent.active_ms) = (Some(socket), now);
        }
        self.note(|| format!("boot {boot} dials"));
        self.says(sprite, socket, Word::Hello { boot });
        self.after(60_000, Happening::IdleTick { sprite, boot });
        Ok(())
    }

    fn agent_of_boot(&self, boot: u64) -> Option<&Agent> {
        self.provider.sprites.values().filter_map(|sprite| sprite.agent.as_ref()).find(|agent| agent.boot == boot)
    }

    fn is_current(&self, socket: u64) -> bool {
        self.disk.as_ref().is_some_and(|disk| disk.control == socket && disk.is_open)
    }

    pub(crate) fn hears(&mut self, socket: u64, word: Word) -> Result<(), String> {
        if !self.is_current(socket) || !self.ensure()? {
            return Ok(());
        }
        self.note(|| format!("the agent: {word:?}"));
        let event = match word {
            Word::Hello { boot } => {
                let bound = self.disk.as_ref().and_then(|disk| disk.binding);
                if bound.is_none_or(|(generation, bound)| {
                    bound != boot || self.disk.as_ref().is_some_and(|disk| disk.generation != generation)
                }) {
                    return Ok(());
                }
                self.reload_holds()?;
                let said = self.agent_of_boot(boot).map(|agent| digest(agent.digest));
                let _ = self.apply(Event::Hello)?;
                let Some(said) = said else { return Ok(()) };
                Event::Agent { boot: boot.to_string(), digest: said, carried: digest(self.carried) }
            }
            Word::Synced { sync } => Event::Synced { sync },
            Word::Refused { digest, again } => Event::UpgradeRefused { digest, reason: "not now".into(), again },
            Word::Activity => Event::Activity { kind: ActivityKind::Terminal },
            Word::Idle { seconds } => {
                if self.disk.as_ref().is_some_and(|disk| seconds >= disk.machine.idle_seconds) {
                    self.reload_holds()?;
                }
                Event::Idle { seconds }
            }
            Word::Ready { sleep } => Event::SleepReady { sleep },
        };
        self.apply(event).map(|_| ())
    }

    pub(crate) fn socket_gone(&mut self, socket: u64) -> Result<(), String> {
        // The agent's side: it dials again if it is there.
        let found = self.provider.sprites.iter_mut().find_map(|(name, sprite)| {
            let agent = sprite.agent.as_mut().filter(|agent| agent.socket == Some(socket))?;
            agent.socket = None;
            Some((*name, agent.boot))
        });
        if let Some((sprite, boot)) = found {
            self.after(1_000, Happening::Dials { sprite, boot });
        }
        if !self.is_current(socket) {
            return Ok(());
        }
        if let Some(disk) = &mut self.disk {
            disk.is_open = false;
        }
        if self.ensure()? { self.apply(Event::Lost).map(|_| ()) } else { Ok(()) }
    }
}
