//! Turns: work is begun under one, and what it says after the next one means nothing (pure).

use snapvm_protocol::lifecycle::MachineState;

use super::state::{Effect, Event, Machine, Refusal, Work};

impl Machine {
    /// The turn that work is begun at: of the machine's life, or of its orders about checkpoints.
    #[must_use]
    pub fn turn_of(&self, work: Work) -> u64 {
        match work {
            Work::Checkpoint | Work::TellCheckpoint => self.checkpoints.turn(),
            _ => self.turn,
        }
    }

    /// Takes what work says that was begun at a turn. A late word on something that has moved on since means nothing:
    /// what the state needs is begun anew.
    ///
    /// # Errors
    /// None: work orders nothing.
    pub fn finish(&mut self, work: Work, turn: u64, event: Event, now_ms: u64) -> Result<Vec<Effect>, Refusal> {
        // A deletion lasts from its order to its end; what upgrades say names theirs.
        let is_named = matches!(work, Work::Delete | Work::Deliver | Work::Settle);
        if turn == self.turn_of(work) || is_named {
            return self.on(event, now_ms);
        }
        match self.state {
            // What has the same name and is needed meanwhile was not begun beside it.
            _ if matches!(work, Work::Checkpoint | Work::TellCheckpoint) => {
                return Ok(self.checkpoints.work().map(Effect::Work).into_iter().collect());
            }
            MachineState::Hibernated | MachineState::Stopped if work == Work::Look => {
                return Ok(vec![Effect::Work(work)]);
            }
            // Its admission may have written `waking` over what came since, and its request may have woken the runtime.
            MachineState::Hibernated | MachineState::Stopped | MachineState::Failed if work == Work::Wake => {
                self.unsaved = true;
                let look = (self.state != MachineState::Failed).then_some(Effect::Work(Work::Look));
                return Ok([Effect::Save(None)].into_iter().chain(look).collect());
            }
            MachineState::Creating | MachineState::Waking | MachineState::Deleting => self.alarm_ms = Some(now_ms),
            // The next look begins it.
            MachineState::Hibernating | MachineState::Stopping if work == Work::Wake => self.tries += 1,
            _ => {}
        }
        Ok(vec![])
    }
}
