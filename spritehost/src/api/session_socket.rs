//! One caller's WebSocket to a session.
//!
//! First the text `session_info`, then what was said before, then everything as it comes: frames, or a terminal's plain
//! bytes. As the provider's:
//! * the text `exit` comes as soon as the program has ended, which may be before its last output;
//! * without a terminal the socket stays open for five seconds after the exit's frame, then it is dropped without a
//!   close frame; with one it is closed, with 1000 for exit code 0 and 4000 for any other;
//! * on a terminal, ports that programs of the sprite open and close are told;
//! * when the sprite is paused, the socket is dropped;
//! * a text `keepalive` comes often enough for clients that take 45 silent seconds for the end.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use rustix::process::Signal;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::sprite::exec::{self, stream};
use crate::sprite::ports::PortWatch;
use crate::sprite::sessions::{Attachment, Session};
use crate::sprite::{Activity, Boot};
use crate::wire::Size;

/// Largest message of a caller.
pub(super) const MESSAGE_MAX: usize = 1024 * 1024;
/// How long the socket stays open after the exit of a program without a terminal.
const LINGER: Duration = Duration::from_secs(5);
/// How often a text says that the socket is alive.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// Why a socket is left.
enum Leave {
    /// The caller is cut off.
    Gone,
    /// The caller has said goodbye, or vanished.
    Goodbye,
    /// The program has ended.
    Ended(u8),
}

/// Serves a caller until the program ends, the caller goes, or the sprite is paused.
pub(crate) async fn serve(
    socket: WebSocket,
    boot: &Arc<Boot>,
    activity: &Arc<Activity>,
    mut attachment: Attachment,
    is_owner: bool,
) {
    let session = attachment.session.clone();
    let (mut sink, incoming) = socket.split();
    // On its own: a program that waits for us to read must not keep us from reading.
    let mut listening = tokio::spawn(listen(incoming, session.clone(), boot.clone(), activity.clone()));
    let cut = boot.cut();
    let left = tokio::select! {
        left = speak(&mut sink, &mut attachment, boot, is_owner) => left,
        _ = &mut listening => Leave::Goodbye,
        () = cut.cancelled() => Leave::Gone,
    };
    let goodbye = match left {
        Leave::Gone => false,
        Leave::Goodbye => true,
        Leave::Ended(code) if session.about.tty => {
            let _ = sink.send(farewell(code)).await;
            false
        }
        Leave::Ended(code) => {
            let _ = sink.send(Message::Binary(exec::frame(stream::EXIT, &[code]))).await;
            tokio::time::timeout(LINGER, &mut listening).await.is_ok()
        }
    };
    if goodbye {
        // Some clients take a goodbye without an answer for a failure.
        let _ = tokio::time::timeout(LINGER, sink.close()).await;
    }
    listening.abort();
}

/// How a terminal's socket is closed: some clients have no other way to learn the exit code.
pub(super) fn farewell(code: u8) -> Message {
    let code = if code == 0 { 1000 } else { 4000 };
    Message::Close(Some(CloseFrame { code, reason: "".into() }))
}

/// Says everything there is to say.
async fn speak(
    sink: &mut SplitSink<WebSocket, Message>,
    attachment: &mut Attachment,
    boot: &Arc<Boot>,
    is_owner: bool,
) -> Leave {
    let session = attachment.session.clone();
    let about = &session.about;
    let info = json!({
        "type": "session_info", "session_id": about.pid.to_string(), "command": about.command,
        "created": session.created.timestamp(), "cols": 0, "rows": 0, "is_owner": is_owner, "tty": about.tty,
    });
    if sink.send(Message::text(info.to_string())).await.is_err() {
        return Leave::Gone;
    }
    for piece in std::mem::take(&mut attachment.replay) {
        if sink.send(Message::Binary(piece)).await.is_err() {
            return Leave::Gone;
        }
    }
    let mut ports = if about.tty { Some(PortWatch::start(boot).await) } else { None };
    let mut code = session.code.clone();
    let mut told = false;
    let mut tick = tokio::time::interval_at(Instant::now() + KEEPALIVE, KEEPALIVE);
    loop {
        let messages = tokio::select! {
            piece = attachment.output.recv() => match piece {
                Some(piece) => vec![Message::Binary(piece)],
                None => break,
            },
            code = ended(&mut code), if !told => {
                told = true;
                vec![exit_text(code)]
            }
            changes = changes(&mut ports) => {
                changes.iter().map(|change| Message::text(change.to_string())).collect()
            }
            _ = tick.tick() => vec![Message::text(json!({ "type": "keepalive" }).to_string())],
        };
        for message in messages {
            if sink.send(message).await.is_err() {
                return Leave::Gone;
            }
        }
    }
    let code = *code.borrow();
    match code {
        Some(code) => {
            if !told && sink.send(exit_text(code)).await.is_err() {
                return Leave::Gone;
            }
            Leave::Ended(code)
        }
        // The sprite ended, not the program.
        None => Leave::Gone,
    }
}

/// Changes of ports, where they are told.
async fn changes(ports: &mut Option<PortWatch>) -> Vec<Value> {
    match ports {
        Some(ports) => ports.changes().await,
        None => std::future::pending().await,
    }
}

/// The exit code, once there is one.
async fn ended(code: &mut watch::Receiver<Option<u8>>) -> u8 {
    let code = code.wait_for(Option::is_some).await.ok().and_then(|code| *code);
    match code {
        Some(code) => code,
        // The sprite ended, not the program; the output's end tells.
        None => std::future::pending().await,
    }
}

fn exit_text(code: u8) -> Message {
    Message::text(json!({ "type": "exit", "exit_code": code }).to_string())
}

/// What a caller says in text.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Said {
    Resize { cols: u16, rows: u16 },
    Signal { signal: String },
}

/// Takes what the caller sends, until it goes away.
async fn listen(mut incoming: SplitStream<WebSocket>, session: Arc<Session>, boot: Arc<Boot>, activity: Arc<Activity>) {
    while let Some(Ok(message)) = incoming.next().await {
        match message {
            Message::Binary(bytes) => {
                activity.traffic();
                feed(&session, &bytes).await;
            }
            Message::Text(text) => match serde_json::from_str(&text) {
                Ok(Said::Resize { cols, rows }) if session.about.tty && cols > 0 && rows > 0 => {
                    boot.resize(session.about.operation, Size { rows, cols }).await;
                }
                Ok(Said::Signal { signal }) => {
                    if let Some(signal) = signal_of(&signal) {
                        boot.signal(session.about.operation, signal).await;
                    }
                }
                _ => {}
            },
            Message::Close(_) => return,
            _ => {}
        }
    }
}

/// Takes one message of input.
async fn feed(session: &Session, bytes: &Bytes) {
    if session.about.tty {
        return session.feed(Some(bytes)).await;
    }
    match bytes.split_first() {
        Some((&stream::STDIN, bytes)) => session.feed(Some(bytes)).await,
        Some((&stream::STDIN_END, _)) => session.feed(None).await,
        _ => {}
    }
}

/// A signal that callers may send, with or without `SIG` in front.
pub(super) fn signal_of(name: &str) -> Option<Signal> {
    Some(match name.strip_prefix("SIG").unwrap_or(name) {
        "INT" => Signal::INT,
        "TERM" => Signal::TERM,
        "HUP" => Signal::HUP,
        "KILL" => Signal::KILL,
        "QUIT" => Signal::QUIT,
        "USR1" => Signal::USR1,
        "USR2" => Signal::USR2,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn signals_have_two_names() {
        assert_eq!((signal_of("TERM"), signal_of("SIGTERM")), (Some(Signal::TERM), Some(Signal::TERM)));
        assert_eq!((signal_of("STOP"), signal_of("")), (None, None));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_passed_over(text in "\\PC{0,60}") {
            let _ = serde_json::from_str::<Said>(&text);
            let _ = signal_of(&text);
        }
    }
}
