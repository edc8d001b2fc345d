//! Files: read, write, list. As root of the guest.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio_util::io::ReaderStream;

use super::ApiFailure;
use super::query::{self, Pairs};
use crate::host::Host;
use crate::sprite::files::{self, Reading, WRITE_MAX, WriteError};

/// Mode of a file whose caller doesn't say.
const MODE: u32 = 0o644;
/// Size of the pieces in which files are sent.
const PIECE: usize = 64 * 1024;

/// `GET …/fs/read`
pub(crate) async fn read(
    State(host): State<Arc<Host>>,
    Path(name): Path<String>,
    Query(pairs): Pairs,
) -> Result<Response, ApiFailure> {
    let path = target(&pairs)?;
    let awake = host.find(&name)?.awake().await?;
    let reading = files::read(awake, path.clone(), 0).await.map_err(|error| ApiFailure::from(error).about(&path))?;
    Ok(stream(reading, "application/octet-stream"))
}

/// `GET …/fs/list`
pub(crate) async fn list(
    State(host): State<Arc<Host>>,
    Path(name): Path<String>,
    Query(pairs): Pairs,
) -> Result<Response, ApiFailure> {
    let path = target(&pairs)?;
    let awake = host.find(&name)?.awake().await?;
    let reading = files::list(awake, path.clone()).await.map_err(|error| ApiFailure::from(error).about(&path))?;
    Ok(stream(reading, "application/json"))
}

/// `PUT …/fs/write`
pub(crate) async fn write(
    State(host): State<Arc<Host>>,
    Path(name): Path<String>,
    Query(pairs): Pairs,
    headers: axum::http::HeaderMap,
    body: Body,
) -> Result<Json<Value>, ApiFailure> {
    let path = target(&pairs)?;
    let mode = query::first(&pairs, "mode").map_or(Some(MODE), parse_mode);
    let mode = mode.ok_or_else(|| ApiFailure::bad_request("mode must be octal, such as 0644"))?;
    let parents = query::is_set(&pairs, "mkdirParents");
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > WRITE_MAX) {
        return Err(WriteError::TooLong.into());
    }
    let awake = host.find(&name)?.awake().await?;
    let written = files::write(&awake, path.clone(), mode, parents, body.into_data_stream()).await;
    let (path, size) = written.map_err(|error| ApiFailure::from(error).about(&path))?;
    Ok(Json(json!({ "path": path, "size": size, "mode": format!("{mode:04o}") })))
}

/// The absolute path that a call is about.
fn target(pairs: &[(String, String)]) -> Result<String, ApiFailure> {
    let path = query::first(pairs, "path").filter(|path| !path.is_empty());
    let path = path.ok_or_else(|| ApiFailure::bad_request("path is missing"))?;
    let folder = query::first(pairs, "workingDir").filter(|folder| !folder.is_empty()).unwrap_or("/home/sprite");
    join(folder, path).ok_or_else(|| ApiFailure::bad_request("path must not hold a zero byte, nor be over 4096 bytes"))
}

/// A path seen from a folder. What links do is up to the guest, which nothing leads out of.
fn join(folder: &str, path: &str) -> Option<String> {
    let joined = std::path::Path::new("/").join(folder).join(path);
    let text = joined.to_str()?;
    (!text.contains('\0') && text.len() <= 4096).then(|| text.to_owned())
}

fn parse_mode(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    u32::from_str_radix(digits, 8).ok().filter(|mode| *mode <= 0o7777)
}

/// A pipe as a response; the sprite stays awake until its end.
fn stream(reading: Reading, kind: &'static str) -> Response {
    let Reading { size, pipe, awake, .. } = reading;
    let pieces = ReaderStream::with_capacity(pipe, PIECE).map(move |piece| {
        let _awake = &awake;
        piece
    });
    let mut response = ([(header::CONTENT_TYPE, kind)], Body::from_stream(pieces)).into_response();
    if let Some(size) = size {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(size));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_and_modes() {
        assert_eq!(join("/home/sprite", "a/b"), Some("/home/sprite/a/b".into()));
        assert_eq!(join("x", "/etc/hosts"), Some("/etc/hosts".into()));
        assert_eq!(join("/", "a\0b"), None);
        assert_eq!(
            (parse_mode("0755"), parse_mode("644"), parse_mode("8"), parse_mode("77777")),
            (Some(0o755), Some(0o644), None, None)
        );
    }

    proptest! {
        #[test]
        fn joined_paths_are_absolute(folder in "\\PC{0,20}", path in "\\PC{1,20}") {
            if let Some(joined) = join(&folder, &path) {
                prop_assert!(joined.starts_with('/'));
            }
        }
    }
}
