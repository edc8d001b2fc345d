//! A deployment whose Worker comes to carry another agent, as the next release does.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use sha2::{Digest, Sha256};
use xtask::stack::StackBuilder;

use crate::machines;
use crate::world::World;

/// The Worker's assets of one stack: its agent, and nothing else.
#[derive(Debug)]
pub struct Releases {
    assets: PathBuf,
    count: AtomicU32,
}

impl Releases {
    /// Begins with the agent that was built.
    pub fn new() -> Self {
        let assets = std::env::temp_dir().join(format!("snapvm-assets-{}", crate::chance::word()));
        std::fs::create_dir_all(assets.join("agent")).expect("a folder for assets");
        for entry in std::fs::read_dir(xtask::paths::assets().join("agent")).expect("a built agent").flatten() {
            std::fs::copy(entry.path(), assets.join("agent").join(entry.file_name())).expect("a copy of the agent");
        }
        Self { assets, count: AtomicU32::new(0) }
    }

    /// A stack that serves these assets.
    pub fn builder(&self) -> StackBuilder {
        machines::builder().assets(&self.assets)
    }

    /// The digest of the agent that is carried now.
    pub fn carried(&self) -> String {
        let mut entries = std::fs::read_dir(self.assets.join("agent")).expect("the assets");
        let entry = entries.next().expect("an agent").expect("the assets");
        entry.file_name().into_string().expect("a digest")
    }

    /// Deploys the Worker with another agent: the same program, with other bytes behind its end. Answers its digest.
    pub async fn deploy_another(&self, world: &World) -> String {
        let (before, number) = (self.carried(), self.count.fetch_add(1, Ordering::Relaxed));
        let mut bytes = std::fs::read(self.assets.join("agent").join(&before)).expect("the agent");
        bytes.extend_from_slice(format!("release {number}").as_bytes());
        let digest = format!("{:x}", Sha256::digest(&bytes));
        std::fs::write(self.assets.join("agent").join(&digest), bytes).expect("another agent");
        std::fs::remove_file(self.assets.join("agent").join(&before)).expect("only one is carried");
        let configuration = world.stack.dir.join("workerd/config.capnp");
        let text = std::fs::read_to_string(&configuration).expect("the Worker's configuration");
        assert!(text.contains(&before), "the Worker knows its agent's digest");
        std::fs::write(&configuration, text.replace(&before, &digest)).expect("the Worker's configuration");
        world.stack.worker().expect("a Worker").restart().await.expect("the Worker starts");
        digest
    }
}

impl Default for Releases {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Releases {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.assets);
    }
}
