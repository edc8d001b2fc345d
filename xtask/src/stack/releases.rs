//! A deployment whose Worker comes to carry another agent, as the next release does.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use super::{Stack, worker};

/// The Worker's assets of one stack: its agent, and nothing else. Dropping it deletes them.
#[derive(Debug)]
pub struct Releases {
    assets: PathBuf,
    count: AtomicU32,
}

impl Releases {
    /// Begins with the agent that was built.
    ///
    /// # Errors
    /// When there is none, or it cannot be copied.
    pub fn new() -> Result<Self> {
        let releases = Self {
            assets: std::env::temp_dir().join(format!("snapvm-assets-{}", crate::random::hex(6)?)),
            count: AtomicU32::new(0),
        };
        std::fs::create_dir_all(releases.assets.join("agent"))?;
        let built = crate::paths::assets();
        let digest = worker::agent_digest(&built)?.context("there is no agent: run `cargo xtask build`")?;
        std::fs::copy(built.join("agent").join(&digest), releases.agent(&digest))?;
        Ok(releases)
    }

    /// The folder, for a stack that serves them.
    #[must_use]
    pub fn assets(&self) -> &Path {
        &self.assets
    }

    fn agent(&self, digest: &str) -> PathBuf {
        self.assets.join("agent").join(digest)
    }

    /// The digest of the agent that is carried now.
    ///
    /// # Errors
    /// When the assets cannot be read.
    pub fn carried(&self) -> Result<String> {
        worker::agent_digest(&self.assets)?.context("no agent among the assets")
    }

    /// From the Worker's next start on it carries another agent: the same program, with other bytes behind its end.
    /// Answers its digest.
    ///
    /// # Errors
    /// When files cannot be written, or the stack is not one of these assets.
    pub fn next(&self, stack: &Stack) -> Result<String> {
        let (before, number) = (self.carried()?, self.count.fetch_add(1, Ordering::Relaxed));
        let mut bytes = std::fs::read(self.agent(&before))?;
        bytes.extend_from_slice(format!("release {number}").as_bytes());
        let digest = format!("{:x}", Sha256::digest(&bytes));
        std::fs::remove_file(self.agent(&before))?;
        std::fs::write(self.agent(&digest), bytes)?;
        let configuration = worker::configuration(&stack.dir);
        let text = std::fs::read_to_string(&configuration)?;
        if !text.contains(&before) {
            bail!("the Worker does not carry the agent {before}");
        }
        std::fs::write(&configuration, text.replace(&before, &digest))?;
        Ok(digest)
    }
}

impl Drop for Releases {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.assets);
    }
}
