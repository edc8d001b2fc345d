//! Random text for passwords, keys and names.

use anyhow::{Result, anyhow};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

fn bytes(count: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    getrandom::fill(&mut bytes).map_err(|error| anyhow!("no randomness: {error}"))?;
    Ok(bytes)
}

/// `count` random bytes in hexadecimal.
pub(crate) fn hex(count: usize) -> Result<String> {
    Ok(crate::digest::hex(&bytes(count)?))
}

/// `count` random bytes in URL-safe base64 without padding.
pub(crate) fn base64url(count: usize) -> Result<String> {
    Ok(URL_SAFE_NO_PAD.encode(bytes(count)?))
}
