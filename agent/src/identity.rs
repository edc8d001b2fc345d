//! Who this process is: its boot id, its key, its binary's digest.
//!
//! Invariant: the private key is made at start and never leaves memory; nothing here is written anywhere. An upgrade
//! in place passes it on through memory too (see [`crate::handover`]).

use std::fmt::Write as _;
use std::io::{self, Read as _};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use snapvm_protocol::tickets::{Signer, TicketError};
use tokio::sync::OnceCell;

/// The process's identity.
#[derive(Debug)]
pub struct Identity {
    /// Random per start.
    pub boot: String,
    /// Signs the tickets of later dials.
    pub signer: Signer,
    /// The public half, as headers carry it.
    pub public_key: String,
    seed: Seed,
    digest: OnceCell<String>,
}

/// What the key is made of. Its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seed([u8; 32]);

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed(..)")
    }
}

impl From<[u8; 32]> for Seed {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

/// The system gives no randomness, or no key can be made of it.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// No randomness.
    #[error("the system gives no randomness")]
    Random,
    /// No key.
    #[error(transparent)]
    Key(#[from] TicketError),
}

impl Identity {
    /// Makes a new one.
    ///
    /// # Errors
    /// See [`IdentityError`].
    pub fn new() -> Result<Self, IdentityError> {
        Self::from_parts(hex(&random::<16>()?), Seed(random::<32>()?), OnceCell::new())
    }

    /// The one of an agent before this one, in the same process.
    ///
    /// # Errors
    /// See [`IdentityError`].
    pub fn resume(boot: String, seed: Seed, digest: String) -> Result<Self, IdentityError> {
        Self::from_parts(boot, seed, OnceCell::new_with(Some(digest)))
    }

    fn from_parts(boot: String, seed: Seed, digest: OnceCell<String>) -> Result<Self, IdentityError> {
        let signer = Signer::from_seed(&seed.0)?;
        Ok(Self { boot, public_key: signer.verifier().to_text(), signer, seed, digest })
    }

    /// What the key is made of, for a hand-over.
    #[must_use]
    pub fn seed(&self) -> Seed {
        self.seed.clone()
    }

    /// SHA-256 of the running binary, hex; empty when it cannot be read. Read once, beside everything else, since
    /// it takes longer than a wake may.
    pub async fn digest(&self) -> &str {
        self.digest.get_or_init(|| async { tokio::task::spawn_blocking(binary_digest).await.unwrap_or_default() }).await
    }
}

/// Random bytes.
///
/// # Errors
/// [`IdentityError::Random`].
pub fn random<const N: usize>() -> Result<[u8; N], IdentityError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| IdentityError::Random)?;
    Ok(bytes)
}

/// A random id for a ticket.
///
/// # Errors
/// [`IdentityError::Random`].
pub fn random_id() -> Result<String, IdentityError> {
    random::<16>().map(|bytes| hex(&bytes))
}

fn binary_digest() -> String {
    file_digest(Path::new("/proc/self/exe")).unwrap_or_default()
}

/// SHA-256 of a file, hex.
///
/// # Errors
/// When it cannot be read.
pub fn file_digest(path: &Path) -> io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = [0_u8; 16 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hash.finalize())),
            length => hash.update(buffer.get(..length).unwrap_or_default()),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
