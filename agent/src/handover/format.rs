//! The handed-over state as bytes (pure).
//!
//! ```text
//! magic (8) | version u32 | length of the head u32 | head: JSON {state, lengths} | the blobs | SHA-256 of all before
//! ```
//!
//! Numbers are big-endian. A field that a later agent adds gets a default and keeps [`VERSION`]; anything else makes a
//! new version, which older and newer agents refuse.
//!
//! Invariant: whatever the bytes are, [`decode`] answers, and what it allocates is bounded by their length.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::state::State;
use crate::terminal::stream::PENDING_MAX;
use snapvm_protocol::terminal::{RING_BYTES, SNAPSHOT_MAX};

/// Version of the format and of the state.
pub const VERSION: u32 = 1;
/// Longest state in bytes: some hundred terminals with full rings.
pub const LENGTH_MAX: usize = 512 * 1024 * 1024;

const MAGIC: &[u8; 8] = b"SNAPHAND";
const PREFIX: usize = MAGIC.len() + 8;
const DIGEST: usize = 32;
/// Offsets above are none of a stream's.
const OFFSET_MAX: u64 = 1 << 53;

/// Why a state cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Another agent wrote it in another shape.
    #[error("it is of version {0}")]
    Version(u32),
    /// It is not what was written.
    #[error("it is damaged")]
    Damaged,
    /// It is longer than [`LENGTH_MAX`].
    #[error("it is too long")]
    TooLong,
}

#[derive(Serialize)]
struct Head<'a> {
    state: &'a State,
    lengths: Vec<u64>,
}

#[derive(Deserialize)]
struct OwnedHead {
    state: State,
    lengths: Vec<u64>,
}

/// Writes a state down.
///
/// # Errors
/// [`Unusable::TooLong`].
pub fn encode(mut state: State) -> Result<Vec<u8>, Unusable> {
    let blobs: Vec<Vec<u8>> = state.blobs().map(std::mem::take).collect();
    let lengths = blobs.iter().map(|blob| blob.len() as u64).collect();
    let head = serde_json::to_vec(&Head { state: &state, lengths }).map_err(|_| Unusable::TooLong)?;
    let length = PREFIX + head.len() + blobs.iter().map(Vec::len).sum::<usize>() + DIGEST;
    let head_length = u32::try_from(head.len()).map_err(|_| Unusable::TooLong)?;
    if length > LENGTH_MAX {
        return Err(Unusable::TooLong);
    }
    let mut bytes = Vec::with_capacity(length);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_be_bytes());
    bytes.extend_from_slice(&head_length.to_be_bytes());
    bytes.extend_from_slice(&head);
    for blob in &blobs {
        bytes.extend_from_slice(blob);
    }
    let digest = Sha256::digest(&bytes);
    bytes.extend_from_slice(&digest);
    Ok(bytes)
}

/// Reads it back.
///
/// # Errors
/// See [`Unusable`].
pub fn decode(bytes: &[u8]) -> Result<State, Unusable> {
    if bytes.len() > LENGTH_MAX {
        return Err(Unusable::TooLong);
    }
    let (content, digest) = bytes.split_last_chunk::<DIGEST>().ok_or(Unusable::Damaged)?;
    let (magic, rest) = content.split_first_chunk::<8>().ok_or(Unusable::Damaged)?;
    let (version, rest) = rest.split_first_chunk::<4>().ok_or(Unusable::Damaged)?;
    if magic != MAGIC || Sha256::digest(content).as_slice() != digest {
        return Err(Unusable::Damaged);
    }
    let version = u32::from_be_bytes(*version);
    if version != VERSION {
        return Err(Unusable::Version(version));
    }
    let (length, rest) = rest.split_first_chunk::<4>().ok_or(Unusable::Damaged)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| Unusable::Damaged)?;
    let (head, mut body) = rest.split_at_checked(length).ok_or(Unusable::Damaged)?;
    let OwnedHead { mut state, lengths } = serde_json::from_slice(head).map_err(|_| Unusable::Damaged)?;
    let mut lengths = lengths.into_iter();
    for blob in state.blobs() {
        let length = lengths.next().and_then(|length| usize::try_from(length).ok()).ok_or(Unusable::Damaged)?;
        let (first, later) = body.split_at_checked(length).ok_or(Unusable::Damaged)?;
        *blob = first.to_vec();
        body = later;
    }
    let is_whole = lengths.next().is_none() && body.is_empty();
    if is_whole && state.terminals.iter().all(is_sound) { Ok(state) } else { Err(Unusable::Damaged) }
}

fn is_sound(terminal: &super::state::Terminal) -> bool {
    let stream = &terminal.stream;
    let pending: usize = terminal.pending.iter().map(|input| input.bytes.len()).sum();
    let end = stream.start.saturating_add(stream.bytes.len() as u64);
    let screen_fits = stream.screen.len() <= SNAPSHOT_MAX && stream.screen_at.is_none_or(|at| at <= end);
    screen_fits && stream.bytes.len() <= RING_BYTES && pending <= PENDING_MAX && stream.start <= OFFSET_MAX
}

#[cfg(test)]
mod tests;
