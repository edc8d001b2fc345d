//! Orders about checkpoints, as the object carries them out: read from the record, done by the runtime, answered to the
//! record. See [`super::checkpoint`].

use snapvm_protocol::agent::TerminalEnd;

use super::checkpoint::{Step, What};
use super::command::Reply;
use super::object::Gateway;
use super::outside::{Failure, Outside, Record, Verdict};
use super::reports::Report;
use super::state::Event;
use super::terminals::Terminal;
use crate::terminal_session::command::Command as TerminalCommand;

impl<O: Outside> Gateway<O> {
    /// Takes the record's order, if there is one that has not been begun.
    pub(super) async fn checkpoints(&self) -> Reply {
        let is_busy = self.0.cache.borrow().as_ref().is_some_and(|cache| cache.machine.checkpoints.is_busy());
        let Some(machine) = self.record().map(|record| record.machine).filter(|_| !is_busy) else {
            return self.present();
        };
        match self.0.outside.load(machine).await {
            Ok(record) => {
                if let Some(order) = record.checkpoint {
                    self.raise_generation(record.generation);
                    let _ = self.apply(Event::Checkpoint { order }).await;
                } else if let Some(cache) = self.0.cache.borrow_mut().as_mut()
                    && cache.machine.vanished
                {
                    // A sprite that is gone was given up, and the answer lost.
                    cache.record.renew(record.generation);
                }
            }
            Err(failure) => self.0.outside.log(&format!("machine {machine}: reading its record: {failure}")),
        }
        self.present()
    }

    /// Credentials of an older generation are dead from here on; the sprite keeps the name that it was made under.
    fn raise_generation(&self, generation: u32) {
        if let Some(cache) = self.0.cache.borrow_mut().as_mut()
            && generation > cache.record.generation
        {
            cache.record.sprite_name = Some(cache.record.sprite_name());
            cache.record.generation = generation;
        }
    }

    pub(super) async fn carry_out_checkpoint(&self, record: &Record) -> Result<Event, Failure> {
        let job = self.0.cache.borrow().as_ref().and_then(|cache| cache.machine.checkpoints.job.clone());
        let Some(order) = job.filter(|job| job.step == Step::Working).map(|job| job.order) else {
            return Err(Failure::Unavailable("nothing is ordered".into()));
        };
        let unnamed = || Failure::Unavailable("the checkpoint has no name".into());
        let verdict = match order.what {
            What::Making => self.0.outside.make_checkpoint(record, &order.runtime_comment()).await?,
            What::Restoring => {
                let name = order.name.as_deref().ok_or_else(unnamed)?;
                let verdict = self.0.outside.restore_checkpoint(record, name).await?;
                if matches!(verdict, Verdict::Done(_)) {
                    self.end_shells(record).await?;
                }
                verdict
            }
            What::Deleting => {
                let name = order.name.as_deref().ok_or_else(unnamed)?;
                self.0.outside.delete_checkpoint(record, name).await?
            }
        };
        Ok(match verdict {
            Verdict::Done(name) => Event::CheckpointDone { name },
            Verdict::Refused(reason) => Event::CheckpointRefused { reason },
        })
    }

    pub(super) async fn tell_checkpoint(&self, record: &Record) -> Result<Event, Failure> {
        let job = self.0.cache.borrow().as_ref().and_then(|cache| cache.machine.checkpoints.job.clone());
        let Some((order, Step::Done(outcome))) = job.map(|job| (job.order, job.step)) else {
            return Ok(Event::CheckpointTold);
        };
        match self.0.outside.save_checkpoint(record.machine, &order, &outcome).await {
            // The record of a machine that is gone needs no answer.
            Ok(()) | Err(Failure::NoMachine | Failure::Deleting) => Ok(Event::CheckpointTold),
            Err(failure) => Err(failure),
        }
    }

    /// The shells of before went with the files; a session that never had one gets it from the next agent.
    async fn end_shells(&self, record: &Record) -> Result<(), Failure> {
        let end = TerminalEnd::Restored;
        let has_shell = |terminal: &Terminal| terminal.started && terminal.ended_ms.is_none();
        for terminal in self.all_terminals().into_iter().filter(has_shell) {
            let reported = self.report(record.machine, Report::Ended(terminal.session, end)).await;
            reported.map_err(|error| Failure::Unavailable(error.to_string()))?;
            self.end_terminal(terminal.session, Some(end));
            let command = TerminalCommand::Ended { end, agent_tells: false };
            if let Err(failure) = self.0.outside.tell_terminal(terminal.session, &command).await {
                self.0.outside.log(&format!("terminal {}: {failure}", terminal.session));
            }
        }
        Ok(())
    }
}
