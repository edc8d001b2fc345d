//! What spritehost keeps on disk, and where.
//!
//! ```text
//! STATE/lock                     held while an instance uses the state
//! STATE/guest-init               this program, as sprites see it
//! STATE/sprites/{name}/          sprite.json · upper, layer-{n} and their -work · logs · boot.log
//! STATE/trash/{id}/              sprites being deleted
//! ```
//!
//! Invariants: a record is written beside its name, synced and renamed, so a reader sees the old or the new one; a
//! sprite exists when its `sprite.json` does.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use snapvm_protocol::sprites::{NetworkPolicy, PutService, UrlAuth};

use crate::disk::Disk;

/// A sprite's record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// `sprite-<uuid>`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The port of its URL.
    pub port: u16,
    /// Who may use the URL.
    pub auth: UrlAuth,
    /// Free labels.
    #[serde(default)]
    pub labels: Vec<String>,
    /// Variables of every process in it.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Memory in MiB; the host's default without one.
    #[serde(default)]
    pub memory: Option<u32>,
    /// Virtual processors; all without a number.
    #[serde(default)]
    pub cpus: Option<u32>,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339.
    pub updated_at: String,
    /// RFC 3339; never, at first.
    #[serde(default)]
    pub last_running_at: Option<String>,
    /// Its services.
    #[serde(default)]
    pub services: BTreeMap<String, PutService>,
    /// Its files and their checkpoints.
    #[serde(default)]
    pub disk: Disk,
    /// What it may reach.
    #[serde(default)]
    pub policy: NetworkPolicy,
}

/// The state folder.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    root: PathBuf,
}

impl Store {
    /// Opens the state folder and takes its lock, which is held as long as the returned file.
    pub(crate) fn open(root: &Path) -> io::Result<(Self, File)> {
        use std::os::unix::fs::PermissionsExt;
        fs::create_dir_all(root)?;
        let root = root.canonicalize()?;
        // Sprites' files belong to ids that other users of the host might have too.
        fs::set_permissions(&root, fs::Permissions::from_mode(0o700))?;
        for folder in ["sprites", "trash"] {
            fs::create_dir_all(root.join(folder))?;
        }
        let lock = File::create(root.join("lock"))?;
        lock.try_lock().map_err(|_| io::Error::other("another spritehost uses this state folder"))?;
        Ok((Self { root }, lock))
    }

    /// A file of the state folder itself.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// A sprite's folder.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        self.root.join("sprites").join(name)
    }

    /// Every sprite; folders without a readable record are reported and skipped.
    pub(crate) fn load(&self) -> io::Result<Vec<Record>> {
        let mut records = Vec::new();
        for entry in fs::read_dir(self.root.join("sprites"))? {
            let path = entry?.path().join("sprite.json");
            match fs::read(&path).and_then(|bytes| serde_json::from_slice(&bytes).map_err(io::Error::from)) {
                Ok(record) => records.push(record),
                Err(error) => tracing::warn!(%error, path = %path.display(), "not a sprite; left alone"),
            }
        }
        Ok(records)
    }

    /// Writes a record.
    pub(crate) fn save(&self, record: &Record) -> io::Result<()> {
        let folder = self.folder(&record.name);
        fs::create_dir_all(&folder)?;
        let partial = folder.join("sprite.json.partial");
        let mut file = File::create(&partial)?;
        file.write_all(&serde_json::to_vec_pretty(record)?)?;
        file.sync_all()?;
        fs::rename(&partial, folder.join("sprite.json"))?;
        File::open(&folder)?.sync_all()
    }

    /// Takes a sprite's files away under a name of their own; its name is free at once.
    pub(crate) fn discard(&self, record: &Record) -> io::Result<PathBuf> {
        let trash = self.root.join("trash").join(&record.id);
        fs::rename(self.folder(&record.name), &trash)?;
        Ok(trash)
    }

    /// Takes a part of a sprite's disk away under a name of its own.
    pub(crate) fn throw_away(&self, path: &Path) -> io::Result<PathBuf> {
        let trash = self.root.join("trash").join(format!("part-{}", uuid::Uuid::new_v4()));
        fs::rename(path, &trash)?;
        Ok(trash)
    }

    /// What an earlier run had no time to delete.
    pub(crate) fn trash(&self) -> Vec<PathBuf> {
        fs::read_dir(self.root.join("trash")).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_and_names_are_free_after_a_delete() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _lock) = Store::open(folder.path()).unwrap();
        assert!(Store::open(folder.path()).is_err(), "the lock is held");
        let record = Record {
            id: "sprite-1".into(),
            name: "a".into(),
            port: 1,
            auth: UrlAuth::Sprite,
            labels: vec!["x".into()],
            environment: BTreeMap::new(),
            memory: Some(256),
            cpus: None,
            created_at: String::new(),
            updated_at: String::new(),
            last_running_at: None,
            services: BTreeMap::new(),
            disk: Disk::default(),
            policy: NetworkPolicy::default(),
        };
        store.save(&record).unwrap();
        fs::create_dir_all(store.folder("half-made")).unwrap();
        assert_eq!(store.load().unwrap(), std::slice::from_ref(&record));
        let trash = store.discard(&record).unwrap();
        assert_eq!(store.trash(), [trash]);
        assert_eq!(store.load().unwrap(), []);
    }
}
