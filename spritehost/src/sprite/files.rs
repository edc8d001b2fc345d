//! Files of a sprite, read and written by process 1 through pipes.

use std::pin::pin;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;

use super::{Awake, SpriteError, boot};
use crate::wire::{Change, FromGuest, ToGuest};

/// Largest file that the API writes.
pub(crate) const WRITE_MAX: u64 = 512 * 1024 * 1024;

/// Why a file was not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// The sprite.
    #[error(transparent)]
    Sprite(#[from] SpriteError),
    /// More than [`WRITE_MAX`] bytes.
    #[error("a file may have {WRITE_MAX} bytes at most")]
    TooLong,
    /// The caller went away in the middle; the old file, if any, stays.
    #[error("the body ended too early")]
    Broken,
}

/// A file that is being read.
pub(crate) struct Reading {
    /// Its length; `None` where that is not known.
    pub size: Option<u64>,
    /// Where in the file the bytes begin.
    pub offset: u64,
    /// Its bytes.
    pub pipe: pipe::Receiver,
    /// Keeps the sprite awake.
    pub awake: Awake,
}

/// Writes a file, whole or not at all; returns where it ended up and how long it is.
pub(crate) async fn write<E>(
    awake: &Awake,
    path: String,
    mode: u32,
    parents: bool,
    body: impl Stream<Item = Result<Bytes, E>>,
) -> Result<(String, u64), WriteError> {
    let (mut sender, end) = boot::pipe_to_guest().map_err(SpriteError::from)?;
    let ends = [end];
    let link = &awake.boot.link;
    let mut operation = link.begin(|id| ToGuest::Write { id, path, mode, parents }, &boot::borrow(&ends)).await?;
    drop(ends);
    let sent = async {
        let (mut size, mut body) = (0_u64, pin!(body));
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(|_| WriteError::Broken)?;
            size += piece.len() as u64;
            if size > WRITE_MAX {
                return Err(WriteError::TooLong);
            }
            // A refusal closes the pipe; the reason is in the operation's answer.
            if sender.write_all(&piece).await.is_err() {
                break;
            }
        }
        drop(sender);
        Ok(size)
    }
    .await;
    let received = operation.next().await;
    let keep = sent.is_ok();
    if received.is_ok() {
        link.say(&ToGuest::Commit { id: operation.id, keep }).await?;
    }
    let size = sent?;
    match received? {
        FromGuest::Received { size: received, .. } if received == size => {}
        _ => return Err(WriteError::Broken),
    }
    match operation.answer().await? {
        FromGuest::Written { path, .. } => Ok((path, size)),
        _ => Err(SpriteError::Silent.into()),
    }
}

/// Changes something; returns how many files and folders that concerned.
pub(crate) async fn change(awake: &Awake, change: Change) -> Result<u64, SpriteError> {
    let mut operation = awake.boot.link.begin(|id| ToGuest::Change { id, change }, &[]).await?;
    // However long: it may be a large folder.
    match operation.next().await? {
        FromGuest::Changed { count, .. } => Ok(count),
        _ => Err(SpriteError::Silent),
    }
}

/// Opens a file for reading; a negative offset counts from its end.
pub(crate) async fn read(awake: Awake, path: String, offset: i64) -> Result<Reading, SpriteError> {
    open(awake, |id| ToGuest::Read { id, path, offset }).await
}

/// Opens the listing of a folder, as the JSON of the API.
pub(crate) async fn list(awake: Awake, path: String) -> Result<Reading, SpriteError> {
    open(awake, |id| ToGuest::List { id, path }).await
}

/// Opens what happens to files from now on, as JSON lines.
pub(crate) async fn watch(awake: Awake, paths: Vec<String>, recursive: bool) -> Result<Reading, SpriteError> {
    open(awake, |id| ToGuest::Watch { id, paths, recursive }).await
}

async fn open(awake: Awake, make: impl FnOnce(u64) -> ToGuest) -> Result<Reading, SpriteError> {
    let (pipe, end) = boot::pipe_from_guest()?;
    let ends = [end];
    let mut operation = awake.boot.link.begin(make, &boot::borrow(&ends)).await?;
    drop(ends);
    match operation.answer().await? {
        FromGuest::Opened { size, offset, .. } => Ok(Reading { size: (size > 0).then_some(size), offset, pipe, awake }),
        _ => Err(SpriteError::Silent),
    }
}
