//! Who this process is: its boot id, its key, its binary's digest.
//!
//! Invariant: the private key is made at start and never leaves memory; nothing here is written anywhere.

use std::fmt::Write as _;
use std::io::Read as _;

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
    digest: OnceCell<String>,
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
        let signer = Signer::from_seed(&random::<32>()?)?;
        Ok(Self {
            boot: hex(&random::<16>()?),
            public_key: signer.verifier().to_text(),
            signer,
            digest: OnceCell::new(),
        })
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
    let Ok(mut file) = std::fs::File::open("/proc/self/exe") else { return String::new() };
    let mut hash = Sha256::new();
    let mut buffer = [0_u8; 16 * 1024];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return hex(&hash.finalize()),
            Ok(length) => hash.update(buffer.get(..length).unwrap_or_default()),
            Err(_) => return String::new(),
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
