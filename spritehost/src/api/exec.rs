//! Exec: a program with or without a terminal over a WebSocket, or once over HTTP without one.
//!
//! Query: `cmd` (repeated), `path` (the program, where it isn't the first `cmd`), `dir`, `env` (repeated `NAME=value`;
//! replaces the usual environment, `PATH` too), `stdin`, `tty`, `rows`, `cols`, `max_run_after_disconnect`.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use serde_json::json;

use super::query::{self, Pairs};
use super::{ApiFailure, session_socket, sessions};
use crate::arguments::parse_duration;
use crate::host::Host;
use crate::sprite::exec::{self, Wanted, stream};
use crate::sprite::sessions::Attachment;
use crate::sprite::{Sprite, SpriteError};
use crate::wire::{Program, Size};

/// How long a program without a terminal goes on after its caller has gone, unless the caller says otherwise.
const ALONE: Duration = Duration::from_secs(10);
/// The pause before the exit's frame over HTTP.
const BEFORE_EXIT: Duration = Duration::from_millis(20);
/// A terminal's size where the caller doesn't say.
const SIZE: Size = Size { rows: 24, cols: 80 };

/// `POST …/exec`: the body is stdin, the answer is frames, one in each chunk.
pub(crate) async fn once(
    State(host): State<Arc<Host>>,
    Path(name): Path<String>,
    Query(pairs): Pairs,
    body: Body,
) -> Result<Response, ApiFailure> {
    let sprite = host.find(&name)?;
    let mut wanted = wanted(&sprite, &pairs)?;
    wanted.program.terminal = None;
    let attachment = exec::start(sprite.awake().await?, wanted).await.map_err(in_words)?;
    let session = attachment.session.clone();
    tokio::spawn(async move {
        let mut body = body.into_data_stream();
        while let Some(Ok(piece)) = body.next().await {
            session.feed(Some(&piece)).await;
        }
        session.feed(None).await;
    });
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], frames(attachment)).into_response())
}

/// A body of frames; the last is the exit's.
fn frames(attachment: Attachment) -> Body {
    Body::from_stream(futures_util::stream::unfold(Some(attachment), |attachment| async {
        let mut attachment = attachment?;
        if let Some(piece) = attachment.output.recv().await {
            return Some((Ok::<_, Infallible>(piece), Some(attachment)));
        }
        // Only the chunk says where a frame ends, and readers see one where two arrive together.
        tokio::time::sleep(BEFORE_EXIT).await;
        let code = *attachment.session.code.borrow();
        code.map(|code| (Ok(exec::frame(stream::EXIT, &[code])), None))
    }))
}

/// `GET …/exec`: with an upgrade it starts a program, without one it lists those that run.
pub(crate) async fn socket(
    State(host): State<Arc<Host>>,
    Path(name): Path<String>,
    Query(pairs): Pairs,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiFailure> {
    let sprite = host.find(&name)?;
    let Ok(upgrade) = upgrade else { return sessions::list(&sprite).await };
    let wanted = wanted(&sprite, &pairs)?;
    let tty = wanted.program.terminal.is_some();
    let takes_input = query::first(&pairs, "stdin").is_none_or(|value| value != "false");
    let awake = sprite.awake().await?;
    let (boot, activity) = (awake.boot.clone(), awake.guard.activity());
    let started = exec::start(awake, wanted).await;
    if let (Ok(attachment), false) = (&started, takes_input) {
        attachment.session.feed(None).await;
    }
    Ok(upgraded(upgrade, async move |socket| match started {
        Ok(attachment) => session_socket::serve(socket, &boot, &activity, attachment, true).await,
        Err(error) => refuse(socket, &error, tty).await,
    }))
}

/// Answers an upgrade, and says what the socket understands.
pub(super) fn upgraded<F>(upgrade: WebSocketUpgrade, serve: impl FnOnce(WebSocket) -> F + Send + 'static) -> Response
where
    F: Future<Output = ()> + Send + 'static,
{
    let upgrade = upgrade.max_message_size(session_socket::MESSAGE_MAX).max_frame_size(session_socket::MESSAGE_MAX);
    let mut response = upgrade.on_upgrade(serve);
    let (name, value) = (HeaderName::from_static("x-sprite-capabilities"), HeaderValue::from_static("signal"));
    response.headers_mut().insert(name, value);
    response
}

/// What a call asks for.
fn wanted(sprite: &Sprite, pairs: &[(String, String)]) -> Result<Wanted, ApiFailure> {
    let mut arguments: Vec<String> = query::all(pairs, "cmd").map(str::to_owned).collect();
    if let Some(path) = query::first(pairs, "path").filter(|path| !path.is_empty()) {
        match arguments.first_mut() {
            Some(first) => path.clone_into(first),
            None => arguments.push(path.to_owned()),
        }
    }
    if arguments.is_empty() {
        return Err(ApiFailure::bad_request("cmd is missing"));
    }
    let terminal = query::is_set(pairs, "tty").then(|| size(pairs)).transpose()?;
    let own = query::all(pairs, "env").map(|pair| pair.split_once('=').ok_or(pair)).collect::<Result<Vec<_>, _>>();
    let own = own.map_err(|pair| ApiFailure::bad_request(format!("env is not NAME=value: {pair}")))?;
    let environment = if own.is_empty() {
        let mut usual = crate::sprite::environment(&sprite.record().environment);
        if terminal.is_some() {
            usual.entry("TERM".into()).or_insert_with(|| "xterm-256color".into());
        }
        usual
    } else {
        own.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    let directory = query::first(pairs, "dir").filter(|folder| !folder.is_empty()).unwrap_or(crate::sprite::HOME);
    let program = Program { arguments, environment, directory: directory.to_owned(), log: None, terminal };
    let alone = match query::first(pairs, "max_run_after_disconnect") {
        Some(text) => {
            let life = parse_duration(text).map_err(|error| ApiFailure::bad_request(error.to_string()))?;
            (!life.is_zero()).then_some(life)
        }
        None => terminal.is_none().then_some(ALONE),
    };
    Ok(Wanted { program, alone })
}

/// The size that a caller wants its terminal to have.
fn size(pairs: &[(String, String)]) -> Result<Size, ApiFailure> {
    let number = |name: &str, usual: u16| match query::first(pairs, name) {
        Some(text) => text.parse().ok().filter(|number| *number > 0),
        None => Some(usual),
    };
    match (number("rows", SIZE.rows), number("cols", SIZE.cols)) {
        (Some(rows), Some(cols)) => Ok(Size { rows, cols }),
        _ => Err(ApiFailure::bad_request("rows and cols must be between 1 and 65535")),
    }
}

/// A program that can't be started is the caller's mistake, not a file that is missing.
fn in_words(error: SpriteError) -> ApiFailure {
    match error {
        SpriteError::Refused { message, .. } => ApiFailure::bad_request(message),
        error => error.into(),
    }
}

/// Reports a program that could not be started, as a shell would.
async fn refuse(mut socket: WebSocket, error: &SpriteError, tty: bool) {
    let code = if matches!(error, SpriteError::Refused { code, .. } if code == "ENOENT") { 127 } else { 126 };
    let words = format!("{error}\n");
    if tty {
        let _ = socket.send(Message::binary(words.into_bytes())).await;
        let _ = socket.send(Message::text(json!({ "type": "exit", "exit_code": code }).to_string())).await;
        let _ = socket.send(session_socket::farewell(code)).await;
    } else {
        let _ = socket.send(Message::Binary(exec::frame(stream::STDERR, words.as_bytes()))).await;
        let _ = socket.send(Message::Binary(exec::frame(stream::EXIT, &[code]))).await;
        let _ = socket.send(Message::Close(None)).await;
    }
}
