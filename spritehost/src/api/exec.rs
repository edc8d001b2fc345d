//! Exec without a terminal: once over HTTP, or over a WebSocket. Terminals are the agent's business.
//!
//! Query: `cmd` (repeated), `path` (the program, where it isn't the first `cmd`), `dir`, `env` (repeated `NAME=value`;
//! replaces the usual environment, `PATH` too), `stdin`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::SplitStream;
use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;

use super::ApiFailure;
use super::ndjson;
use super::query::{self, Pairs};
use crate::host::Host;
use crate::sprite::exec::{self, Execution, stream};
use crate::sprite::{Sprite, SpriteError};
use crate::wire::Program;

/// Largest WebSocket message of a caller.
const MESSAGE_MAX: usize = 1024 * 1024;

/// `POST …/exec`: the body is stdin, the answer is frames, one in each chunk.
pub(crate) async fn once(
    State(host): State<Arc<Host>>,
    Path(name): Path<String>,
    Query(pairs): Pairs,
    body: Body,
) -> Result<Response, ApiFailure> {
    let sprite = host.find(&name)?;
    let program = program(&sprite, &pairs)?;
    let execution = exec::start(sprite.awake().await?, program).await.map_err(in_words)?;
    tokio::spawn(async move {
        let (mut stdin, mut body) = (execution.stdin, body.into_data_stream());
        while let Some(Ok(piece)) = body.next().await {
            if stdin.write_all(&piece).await.is_err() {
                break;
            }
        }
    });
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], ndjson::body(execution.frames)).into_response())
}

/// `GET …/exec` with an upgrade.
pub(crate) async fn socket(
    State(host): State<Arc<Host>>,
    Path(name): Path<String>,
    Query(pairs): Pairs,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiFailure> {
    let upgrade = upgrade.map_err(|_| ApiFailure::not_found("not found"))?;
    if query::is_set(&pairs, "tty") {
        return Err(ApiFailure::bad_request("exec with a terminal is not supported here"));
    }
    let sprite = host.find(&name)?;
    let program = program(&sprite, &pairs)?;
    let command = program.arguments.join(" ");
    let takes_input = query::first(&pairs, "stdin").is_none_or(|value| value != "false");
    let execution = exec::start(sprite.awake().await?, program).await;
    let upgrade = upgrade.max_message_size(MESSAGE_MAX).max_frame_size(MESSAGE_MAX);
    Ok(upgrade.on_upgrade(async move |socket| match execution {
        Ok(execution) => run(socket, execution, &command, takes_input).await,
        Err(error) => refuse(socket, &error).await,
    }))
}

/// What a call asks for.
fn program(sprite: &Sprite, pairs: &[(String, String)]) -> Result<Program, ApiFailure> {
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
    let own = query::all(pairs, "env").map(|pair| pair.split_once('=').ok_or(pair)).collect::<Result<Vec<_>, _>>();
    let own = own.map_err(|pair| ApiFailure::bad_request(format!("env is not NAME=value: {pair}")))?;
    let environment = if own.is_empty() {
        crate::sprite::environment(&sprite.record().environment)
    } else {
        own.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    let directory = query::first(pairs, "dir").filter(|folder| !folder.is_empty()).unwrap_or(crate::sprite::HOME);
    Ok(Program { arguments, environment, directory: directory.to_owned(), log: None })
}

/// A program that can't be started is the caller's mistake, not a file that is missing.
fn in_words(error: SpriteError) -> ApiFailure {
    match error {
        SpriteError::Refused { message, .. } => ApiFailure::bad_request(message),
        error => error.into(),
    }
}

async fn run(socket: WebSocket, execution: Execution, command: &str, takes_input: bool) {
    let Execution { pid, stdin, mut frames, mut code } = execution;
    let info = json!({
        "type": "session_info", "session_id": pid.to_string(), "command": command,
        "created": crate::clock::now_ms() / 1000, "cols": 0, "rows": 0, "is_owner": true, "tty": false,
    });
    let (mut sink, stream) = socket.split();
    // On its own: a program that waits for us to read must not keep us from reading.
    let mut feeding = tokio::spawn(feed(stream, takes_input.then_some(stdin)));
    let mut fine = sink.send(Message::text(info.to_string())).await.is_ok();
    let mut told = false;
    while fine {
        tokio::select! {
            frame = frames.recv() => match frame {
                Some(frame) => fine = sink.send(Message::Binary(frame)).await.is_ok(),
                None => break,
            },
            // As the provider's: the text may come before the last output.
            changed = code.changed(), if !told => {
                told = true;
                let code = *code.borrow();
                if let (Ok(()), Some(code)) = (changed, code) {
                    let text = json!({ "type": "exit", "exit_code": code }).to_string();
                    fine = sink.send(Message::text(text)).await.is_ok();
                }
            }
            // The caller has gone.
            _ = &mut feeding => return,
        }
    }
    feeding.abort();
    let _ = sink.send(Message::Close(None)).await;
}

/// Feeds the program until the caller goes away.
async fn feed(mut stream: SplitStream<WebSocket>, mut stdin: Option<pipe::Sender>) {
    while let Some(Ok(message)) = stream.next().await {
        match message {
            Message::Binary(bytes) => input(&mut stdin, &bytes).await,
            Message::Close(_) => return,
            _ => {}
        }
    }
}

/// Takes one frame of the caller.
async fn input(stdin: &mut Option<pipe::Sender>, bytes: &Bytes) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match *kind {
        stream::STDIN => {
            if let Some(pipe) = stdin
                && pipe.write_all(bytes).await.is_err()
            {
                *stdin = None;
            }
        }
        stream::STDIN_END => *stdin = None,
        _ => {}
    }
}

/// Reports a program that could not be started, as a shell would.
async fn refuse(mut socket: WebSocket, error: &SpriteError) {
    let code = if matches!(error, SpriteError::Refused { code, .. } if code == "ENOENT") { 127 } else { 126 };
    let _ = socket.send(Message::Binary(exec::frame(stream::STDERR, format!("{error}\n").as_bytes()))).await;
    let _ = socket.send(Message::Binary(exec::frame(stream::EXIT, &[code]))).await;
    let _ = socket.send(Message::Close(None)).await;
}
