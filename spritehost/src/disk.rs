//! A sprite's disk as layers of overlayfs, and its checkpoints. Pure: folders are named here and made elsewhere.
//!
//! ```text
//! upper      takes writes                      ─┐
//! layers     [first, …, last] under it          ├─ what the sprite sees
//! image      the base of all sprites           ─┘
//! checkpoint [first, …, last]: the layers that make it up
//! ```
//!
//! A checkpoint of a sprite without processes puts a new upper folder on the old one, which costs nothing. With processes
//! the upper folder can't be taken from under them: it is copied, with shared extents where the file system has them.
//! Going back is always a new upper folder on the checkpoint's layers.
//!
//! Invariants:
//! * No folder of a checkpoint is ever the upper one again, so nothing writes to it.
//! * A folder's name is used once.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Most layers under the upper one: the kernel mounts at most 500, and each makes look-ups slower.
const LAYERS_MAX: usize = 100;
/// Most checkpoints of one sprite.
const CHECKPOINTS_MAX: usize = 100;

/// A sprite's disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Disk {
    /// Folders under the upper one, the lowest first.
    pub layers: Vec<String>,
    /// The folder that takes writes.
    pub upper: String,
    /// Its checkpoints, the oldest first.
    pub checkpoints: Vec<Checkpoint>,
    /// The checkpoint that it was made from, or that was made of it last.
    pub source: Option<String>,
    /// How many folders have been named.
    folders: u32,
    /// How many checkpoints have been made.
    made: u32,
}

/// A checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    /// `v1`, `v2`, …
    pub id: String,
    /// RFC 3339.
    pub created_at: String,
    /// Words of whoever made it.
    pub comment: String,
    /// The checkpoint that the disk came from.
    pub source: Option<String>,
    /// What it is made up of, the lowest layer first.
    pub layers: Vec<String>,
}

/// There can't be another checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a sprite has at most {CHECKPOINTS_MAX} checkpoints, on {LAYERS_MAX} layers: delete some, or create a new sprite"
)]
pub(crate) struct TooMany;

impl Default for Disk {
    fn default() -> Self {
        Self { layers: Vec::new(), upper: "upper".into(), checkpoints: Vec::new(), source: None, folders: 0, made: 0 }
    }
}

impl Disk {
    /// Names a folder that there hasn't been.
    pub(crate) fn name_folder(&mut self) -> String {
        self.folders += 1;
        format!("layer-{}", self.folders)
    }

    /// Whether there may be another checkpoint.
    pub(crate) fn check_room(&self) -> Result<(), TooMany> {
        let full = self.checkpoints.len() >= CHECKPOINTS_MAX || self.layers.len() >= LAYERS_MAX;
        if full { Err(TooMany) } else { Ok(()) }
    }

    /// Makes a checkpoint out of the upper folder itself; a new one takes writes from now on.
    pub(crate) fn keep_upper(&mut self, comment: &str, now: &str) -> String {
        let new = self.name_folder();
        self.layers.push(std::mem::replace(&mut self.upper, new));
        self.keep(self.layers.clone(), comment, now)
    }

    /// Makes a checkpoint out of a copy of the upper folder, which goes on.
    pub(crate) fn keep_copy(&mut self, copy: String, comment: &str, now: &str) -> String {
        let mut layers = self.layers.clone();
        layers.push(copy);
        self.keep(layers, comment, now)
    }

    fn keep(&mut self, layers: Vec<String>, comment: &str, now: &str) -> String {
        self.made += 1;
        let id = format!("v{}", self.made);
        let source = self.source.replace(id.clone());
        self.checkpoints.push(Checkpoint {
            id: id.clone(),
            created_at: now.to_owned(),
            comment: comment.to_owned(),
            source,
            layers,
        });
        id
    }

    /// A checkpoint.
    pub(crate) fn find(&self, id: &str) -> Option<&Checkpoint> {
        self.checkpoints.iter().find(|checkpoint| checkpoint.id == id)
    }

    /// Goes back to a checkpoint; whether there is one of this id.
    pub(crate) fn restore(&mut self, id: &str) -> bool {
        let Some(layers) = self.find(id).map(|checkpoint| checkpoint.layers.clone()) else { return false };
        self.layers = layers;
        self.upper = self.name_folder();
        self.source = Some(id.to_owned());
        true
    }

    /// Forgets a checkpoint; whether there was one of this id.
    pub(crate) fn forget(&mut self, id: &str) -> bool {
        let before = self.checkpoints.len();
        self.checkpoints.retain(|checkpoint| checkpoint.id != id);
        self.checkpoints.len() < before
    }

    /// Every folder that is still needed.
    pub(crate) fn folders(&self) -> BTreeSet<&str> {
        let kept = self.checkpoints.iter().flat_map(|checkpoint| &checkpoint.layers);
        kept.chain(&self.layers).chain(std::iter::once(&self.upper)).map(String::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Clone)]
    enum Act {
        KeepUpper,
        KeepCopy,
        Restore(u32),
        Forget(u32),
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            Just(Act::KeepUpper),
            Just(Act::KeepCopy),
            (1..12_u32).prop_map(Act::Restore),
            (1..12_u32).prop_map(Act::Forget),
        ]
    }

    proptest! {
        #[test]
        fn a_checkpoint_never_changes_and_nothing_writes_to_it(acts in proptest::collection::vec(act(), 0..40)) {
            let mut disk = Disk::default();
            let mut expected: Vec<Checkpoint> = Vec::new();
            for act in acts {
                let (upper, layers) = (disk.upper.clone(), disk.layers.clone());
                match act {
                    Act::KeepUpper => {
                        let id = disk.keep_upper("", "");
                        prop_assert_eq!(disk.find(&id).unwrap().layers.last(), Some(&upper));
                        prop_assert!(disk.upper != upper);
                    }
                    Act::KeepCopy => {
                        let copy = disk.name_folder();
                        let id = disk.keep_copy(copy.clone(), "", "");
                        prop_assert_eq!(disk.find(&id).unwrap().layers.last(), Some(&copy));
                        prop_assert_eq!((&disk.upper, &disk.layers), (&upper, &layers));
                    }
                    Act::Restore(number) => {
                        let id = format!("v{number}");
                        let known = disk.find(&id).cloned();
                        prop_assert_eq!(disk.restore(&id), known.is_some());
                        if let Some(known) = known {
                            prop_assert_eq!(&disk.layers, &known.layers);
                        }
                    }
                    Act::Forget(number) => {
                        let id = format!("v{number}");
                        expected.retain(|checkpoint| checkpoint.id != id);
                        disk.forget(&id);
                    }
                }
                for known in &expected {
                    prop_assert_eq!(disk.find(&known.id), Some(known));
                }
                expected.clone_from(&disk.checkpoints);
                prop_assert!(!disk.layers.contains(&disk.upper));
                for checkpoint in &disk.checkpoints {
                    prop_assert!(!checkpoint.layers.contains(&disk.upper), "{} is written to", disk.upper);
                }
                let text = serde_json::to_string(&disk).unwrap();
                prop_assert_eq!(&serde_json::from_str::<Disk>(&text).unwrap(), &disk);
            }
        }
    }
}
