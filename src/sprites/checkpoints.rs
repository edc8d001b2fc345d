//! Checkpoints of a sprite's files. Making, listing and deleting them wakes nothing; going back starts the sprite.
//!
//! Both ways answer with lines, and the connection may break off at any of them, whatever becomes of the work. So each
//! can be asked again: a checkpoint is known by its comment, which has to be one of its own, and going back by a file
//! that was written just before it, which the older files do not have.

use snapvm_protocol::sprites::{Checkpoint, CreateCheckpoint};
use worker::Method;

use super::lines::{self, Ending};
use super::transport::{Ask, pause};
use super::{Client, Error};

/// Longest time for one of them: files that were written since the last one may be copied.
const LINES_MS: u64 = 120_000;
/// How often it is looked whether the work was done, when its stream broke off.
const LOOKS: u32 = 20;
/// Time between looks.
const LOOK_MS: u64 = 1_000;

impl Client {
    /// All checkpoints, the newest first as the provider says.
    ///
    /// # Errors
    /// [`Error::Missing`] when there is no such sprite.
    pub async fn checkpoints(&self, name: &str) -> Result<Vec<Checkpoint>, Error> {
        self.ask(Ask::records(Method::Get, format!("/v1/sprites/{name}/checkpoints"))).await?.read()
    }

    /// Makes a checkpoint. The comment tells it from all others of this sprite: one that has it is answered, and none
    /// made, so asking again after a failure is safe.
    ///
    /// # Errors
    /// [`Error::Refused`] in the provider's words; [`Error::Unreachable`] when it is not there although it was begun.
    pub async fn create_checkpoint(&self, name: &str, comment: &str) -> Result<Checkpoint, Error> {
        if let Some(made) = self.checkpoint_with(name, comment).await? {
            return Ok(made);
        }
        let wanted = CreateCheckpoint { comment: comment.to_owned() };
        let path = format!("/v1/sprites/{name}/checkpoint");
        let asked = self.ask(Ask::sprite(Method::Post, path).once().within(LINES_MS).json(&wanted)?).await;
        let looks = match asked.map(|answer| lines::ending(&answer.body)) {
            Ok(Ending::Error(words)) => return Err(Error::Refused { status: 200, words }),
            Ok(Ending::Complete) => 1,
            Err(error) if !error.may_be_done() => return Err(error),
            Ok(Ending::Unknown) | Err(_) => LOOKS,
        };
        for look in 0..looks {
            if look > 0 {
                pause(LOOK_MS).await;
            }
            if let Some(made) = self.checkpoint_with(name, comment).await? {
                return Ok(made);
            }
        }
        Err(Error::Unreachable)
    }

    async fn checkpoint_with(&self, name: &str, comment: &str) -> Result<Option<Checkpoint>, Error> {
        let all = self.checkpoints(name).await?;
        Ok(all.into_iter().find(|checkpoint| checkpoint.comment == comment))
    }

    /// Goes back to a checkpoint: every process ends, files are as they were, and the sprite starts anew. `mark` is the
    /// path of a file that the checkpoint does not have: it is written first, and its absence tells that the files
    /// are the older ones. Asking again after a failure is safe, with another mark or the same.
    ///
    /// # Errors
    /// [`Error::Missing`] when there is no such checkpoint; [`Error::Refused`] in the provider's words;
    /// [`Error::Unreachable`] when nobody knows: ask again.
    pub async fn restore_checkpoint(&self, name: &str, checkpoint: &str, mark: &str) -> Result<(), Error> {
        // A disk that is full takes no mark, and may be why somebody goes back: then only the stream can tell.
        let marked = self.write_file(name, mark, "0600", "restoring".into()).await.is_ok();
        let path = format!("/v1/sprites/{name}/checkpoints/{checkpoint}/restore");
        let asked = self.ask(Ask::sprite(Method::Post, path).once().within(LINES_MS)).await;
        match asked.map(|answer| lines::ending(&answer.body)) {
            Ok(Ending::Complete) => return Ok(()),
            Ok(Ending::Error(words)) => return Err(Error::Refused { status: 200, words }),
            Err(error) if !error.may_be_done() => return Err(error),
            Ok(Ending::Unknown) | Err(_) => {}
        }
        for look in 0..if marked { LOOKS } else { 0 } {
            if look > 0 {
                pause(LOOK_MS).await;
            }
            // A sprite that is just being started fails at this in many ways, which all mean: not yet.
            if self.has_file(name, mark).await == Ok(false) {
                return Ok(());
            }
        }
        Err(Error::Unreachable)
    }

    /// Forgets a checkpoint; one that is not there is forgotten.
    ///
    /// # Errors
    /// Whatever keeps it.
    pub async fn delete_checkpoint(&self, name: &str, checkpoint: &str) -> Result<(), Error> {
        let path = format!("/v1/sprites/{name}/checkpoints/{checkpoint}");
        match self.ask(Ask::records(Method::Delete, path).within(60_000)).await {
            Ok(_) | Err(Error::Missing { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
