//! Files: read, write, list, and changes of what is there. As root of the guest.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::io::ReaderStream;

use super::ApiFailure;
use super::query::{self, Pairs};
use crate::host::Host;
use crate::sprite::files::{self, Reading, WRITE_MAX, WriteError};
use crate::wire::Change;

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

/// `DELETE …/fs/delete`
pub(crate) async fn delete(
    State(host): State<Arc<Host>>,
    Path(name): Path<String>,
    Query(pairs): Pairs,
) -> Result<Json<Value>, ApiFailure> {
    let (path, recursive) = (target(&pairs)?, query::is_set(&pairs, "recursive"));
    let count = change(&host, &name, &path, Change::Delete { path: path.clone(), recursive }).await?;
    Ok(Json(json!({ "deleted": [path], "count": count })))
}

/// `POST …/fs/rename`
pub(crate) async fn rename(
    State(host): State<Arc<Host>>,
    Path(name): Path<String>,
    body: Result<Json<Pair>, JsonRejection>,
) -> Result<Json<Value>, ApiFailure> {
    let (source, dest) = body?.0.paths()?;
    change(&host, &name, &source, Change::Rename { source: source.clone(), dest: dest.clone() }).await?;
    Ok(Json(json!({ "source": source, "dest": dest })))
}

/// `POST …/fs/copy`
pub(crate) async fn copy(
    State(host): State<Arc<Host>>,
    Path(name): Path<String>,
    body: Result<Json<Pair>, JsonRejection>,
) -> Result<Json<Value>, ApiFailure> {
    let Json(wanted) = body?;
    let (source, dest) = wanted.paths()?;
    let (recursive, preserve) = (wanted.recursive, wanted.preserve_attrs);
    let copy = Change::Copy { source: source.clone(), dest: dest.clone(), recursive, preserve };
    let count = change(&host, &name, &source, copy).await?;
    Ok(Json(json!({ "source": source, "dest": dest, "count": count })))
}

/// `POST …/fs/chmod`
pub(crate) async fn chmod(
    State(host): State<Arc<Host>>,
    Path(name): Path<String>,
    body: Result<Json<Attributes>, JsonRejection>,
) -> Result<Json<Value>, ApiFailure> {
    let Json(wanted) = body?;
    let path = settle(wanted.working_dir.as_deref(), &wanted.path)?;
    let mode = wanted.mode.as_deref().and_then(parse_mode);
    let mode = mode.ok_or_else(|| ApiFailure::bad_request("mode must be octal, such as 0644"))?;
    let chmod = Change::Chmod { path: path.clone(), mode, recursive: wanted.recursive };
    let count = change(&host, &name, &path, chmod).await?;
    Ok(Json(json!({ "path": path, "mode": format!("{mode:04o}"), "count": count })))
}

/// `POST …/fs/chown`
pub(crate) async fn chown(
    State(host): State<Arc<Host>>,
    Path(name): Path<String>,
    body: Result<Json<Attributes>, JsonRejection>,
) -> Result<Json<Value>, ApiFailure> {
    let Json(wanted) = body?;
    let path = settle(wanted.working_dir.as_deref(), &wanted.path)?;
    let owner = |value: &Option<Value>| match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(name)) => Ok(Some(name.clone())),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(_) => Err(ApiFailure::bad_request("uid and gid are numbers or names")),
    };
    let (uid, gid) = (owner(&wanted.uid)?, owner(&wanted.gid)?);
    if uid.is_none() && gid.is_none() {
        return Err(ApiFailure::bad_request("uid or gid is missing"));
    }
    let chown = Change::Chown { path: path.clone(), uid, gid, recursive: wanted.recursive };
    let count = change(&host, &name, &path, chown).await?;
    Ok(Json(json!({ "path": path, "uid": wanted.uid, "gid": wanted.gid, "count": count })))
}

/// What `rename` and `copy` are about.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Pair {
    source: String,
    dest: String,
    #[serde(default)]
    working_dir: Option<String>,
    #[serde(default)]
    recursive: bool,
    #[serde(default)]
    preserve_attrs: bool,
}

impl Pair {
    fn paths(&self) -> Result<(String, String), ApiFailure> {
        Ok((settle(self.working_dir.as_deref(), &self.source)?, settle(self.working_dir.as_deref(), &self.dest)?))
    }
}

/// What `chmod` and `chown` are about.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Attributes {
    path: String,
    #[serde(default)]
    working_dir: Option<String>,
    #[serde(default)]
    mode: Option<String>,
    #[serde(default)]
    uid: Option<Value>,
    #[serde(default)]
    gid: Option<Value>,
    #[serde(default)]
    recursive: bool,
}

/// Has the guest change something; a refusal says which path it is about.
async fn change(host: &Arc<Host>, name: &str, about: &str, change: Change) -> Result<u64, ApiFailure> {
    let awake = host.find(name)?.awake().await?;
    files::change(&awake, change).await.map_err(|error| ApiFailure::from(error).about(about))
}

/// The absolute path that a call's query is about.
fn target(pairs: &[(String, String)]) -> Result<String, ApiFailure> {
    settle(query::first(pairs, "workingDir"), query::first(pairs, "path").unwrap_or_default())
}

/// The absolute path that a call is about.
pub(super) fn settle(folder: Option<&str>, path: &str) -> Result<String, ApiFailure> {
    if path.is_empty() {
        return Err(ApiFailure::bad_request("path is missing"));
    }
    let folder = folder.filter(|folder| !folder.is_empty()).unwrap_or("/home/sprite");
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
