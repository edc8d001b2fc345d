//! Checkpoints of a sprite's files: making them, going back, forgetting them. All under the sprite's lock.
//!
//! Absent on purpose: memory (nobody promises it), and read-only mounts of checkpoints in the guest.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use tokio::process::Command;

use super::{Phase, Sprite, SpriteError};
use crate::guest::lock;

impl Sprite {
    /// Makes a checkpoint, and returns its id. Processes stand still while their files are copied.
    pub(crate) async fn checkpoint(self: &Arc<Self>, comment: String) -> Result<String, SpriteError> {
        let sprite = self.clone();
        // In a task of its own: a caller who goes away must not leave half a checkpoint behind.
        let keeping = tokio::spawn(async move {
            let mut phase = sprite.phase.lock().await;
            lock(&sprite.record).disk.check_room()?;
            let kept = match &*phase {
                Phase::Gone => Err(SpriteError::Gone),
                Phase::Cold(_) => {
                    // It has the upper folder mounted.
                    let stood_by = sprite.take_standby(&mut phase).await;
                    let is_ready = stood_by.is_some();
                    if let Some(standby) = stood_by {
                        standby.end().await;
                    }
                    let kept = sprite.keep_upper(&comment).await;
                    if is_ready {
                        let sprite = sprite.clone();
                        tokio::spawn(async move { sprite.stand_by().await });
                    }
                    kept
                }
                Phase::Warm(..) => sprite.keep_copy(&comment).await,
                Phase::Running(boot) => {
                    boot.stand_still().await?;
                    let kept = sprite.keep_copy(&comment).await;
                    boot.go_on()?;
                    kept
                }
            };
            sprite.collect_folders();
            kept
        });
        keeping.await.map_err(|_| SpriteError::Stopped)?
    }

    /// The upper folder itself: nothing runs on it.
    async fn keep_upper(&self, comment: &str) -> Result<String, SpriteError> {
        let record = self.record();
        crate::container::clear(&self.shared.runtime.join("s").join(&record.name));
        let upper = self.shared.store.folder(&record.name).join(&record.disk.upper);
        // One that never ran has none yet.
        std::fs::create_dir_all(&upper)?;
        settle(&upper).await?;
        let mut id = String::new();
        self.change(|record| id = record.disk.keep_upper(comment, &crate::clock::now()))?;
        Ok(id)
    }

    /// A copy of the upper folder.
    async fn keep_copy(&self, comment: &str) -> Result<String, SpriteError> {
        let mut disk = self.record().disk;
        let (name, folder) = (disk.name_folder(), self.shared.store.folder(&lock(&self.record).name));
        let copy = folder.join(&name);
        // What is left of an attempt that failed.
        if copy.exists() {
            self.shared.store.throw_away(&copy)?;
        }
        let output = Command::new("cp")
            .args(["--archive", "--reflink=auto", "--one-file-system", "--no-target-directory"])
            .arg(folder.join(&disk.upper))
            .arg(&copy)
            .stdin(Stdio::null())
            .output()
            .await?;
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stderr).trim().chars().take(500).collect::<String>();
            self.shared.store.throw_away(&copy)?;
            return Err(SpriteError::Copy(words));
        }
        settle(&copy).await?;
        let id = disk.keep_copy(name, comment, &crate::clock::now());
        self.change(|record| record.disk = disk)?;
        Ok(id)
    }

    /// Goes back to a checkpoint: every process ends, files are as they were, and the sprite starts anew. Its id, its
    /// name, its URL and its services stay.
    pub(crate) async fn restore(self: &Arc<Self>, id: String) -> Result<(), SpriteError> {
        let sprite = self.clone();
        let restoring = tokio::spawn(async move {
            let mut phase = sprite.phase.lock().await;
            if matches!(*phase, Phase::Gone) {
                return Err(SpriteError::Gone);
            }
            if lock(&sprite.record).disk.find(&id).is_none() {
                return Err(SpriteError::NoCheckpoint);
            }
            let old = std::mem::replace(&mut *phase, Phase::Cold(None));
            sprite.end(old, false).await;
            crate::container::clear(&sprite.shared.runtime.join("s").join(lock(&sprite.record).name.clone()));
            sprite.change(|record| {
                record.disk.restore(&id);
            })?;
            sprite.collect_folders();
            drop(phase);
            sprite.awake().await.map(drop)
        });
        restoring.await.map_err(|_| SpriteError::Stopped)?
    }

    /// Forgets a checkpoint.
    pub(crate) async fn forget_checkpoint(self: &Arc<Self>, id: &str) -> Result<(), SpriteError> {
        let _phase = self.phase.lock().await;
        let mut found = false;
        self.change(|record| found = record.disk.forget(id))?;
        self.collect_folders();
        if found { Ok(()) } else { Err(SpriteError::NoCheckpoint) }
    }

    /// Throws away folders of the disk that nothing needs any more; with the lock held, or before anything runs.
    pub(crate) fn collect_folders(&self) {
        let record = self.record();
        let (needed, folder) = (record.disk.folders(), self.shared.store.folder(&record.name));
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let owner = name.strip_suffix(crate::container::WORK).unwrap_or(name);
            let is_ours = owner == "upper" || owner.starts_with("layer-");
            let is_needed = needed.contains(owner) && (owner == name || owner == record.disk.upper);
            if is_ours && !is_needed {
                match self.shared.store.throw_away(&entry.path()) {
                    Ok(trash) => drop(tokio::task::spawn_blocking(move || std::fs::remove_dir_all(trash))),
                    Err(error) => tracing::warn!(%error, sprite = record.name, "throwing away a part of its disk"),
                }
            }
        }
    }
}

/// Waits until a folder's file system has everything on disk.
async fn settle(folder: &Path) -> std::io::Result<()> {
    let folder = std::fs::File::open(folder)?;
    let synced = tokio::task::spawn_blocking(move || rustix::fs::syncfs(&folder));
    Ok(synced.await.map_err(std::io::Error::from)??)
}
