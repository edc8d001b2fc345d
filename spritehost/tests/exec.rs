//! Sessions over WebSockets: terminals, attaching, ending, and what goes wrong with them on the provider too.

mod harness;

use std::time::{Duration, Instant};

use harness::Host;
use hyper::{Method, StatusCode};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

#[tokio::test]
async fn a_terminal_has_a_size_a_name_and_an_exit_code() {
    let host = Host::start(&[]).await;
    host.create("tty").await;
    let script = "trap : INT; tty; stty size; echo $TERM; id -un; until [ \"$(stty size)\" = '50 132' ]; do sleep 0.01; done; echo resized; read x; echo got $x; \
                  sh -c 'trap - INT; echo asleep; exec sleep 100'; echo woken; (exec </dev/tty; read y; echo $y); sudo stat -c %U:%G $(tty); echo over; read z; exit 3";
    let (mut socket, info) = host.terminal("tty", script, "&rows=40&cols=100").await;
    assert_eq!((&info["is_owner"], &info["rows"]), (&json!(true), &json!(0)), "sizes are not told");
    let hello = socket.until("sprite\r\n").await;
    assert_eq!(hello, "/dev/pts/0\r\n40 100\r\nxterm-256color\r\nsprite\r\n");
    socket.say(&json!({ "type": "resize", "cols": 132, "rows": 50 })).await;
    socket.until("resized\r\n").await;
    socket.type_in("word\r").await;
    assert!(socket.until("got word").await.starts_with("word\r\n"), "the terminal echoes");
    socket.until("asleep\r\n").await;
    // Ctrl-C ends what is in the foreground, and not what it runs under.
    socket.type_in("\u{3}").await;
    socket.until("woken").await;
    socket.type_in("controlling\r").await;
    // A program that leaves the terminal may drop what was typed while it ran, as sudo does.
    let rest = socket.until("over\r\n").await;
    assert!(rest.contains("\ncontrolling\r\n"), "/dev/tty is the terminal: {rest:?}");
    assert!(rest.contains("\nsprite:tty\r\n"), "it belongs to whoever sits there: {rest:?}");
    // Only now may it end: the word of its end comes when it likes, also before its last output.
    socket.type_in("\r").await;
    let mut exit = None;
    while let Some(message) = socket.next().await {
        match message {
            Message::Text(text) => exit = Some(text.to_string()),
            Message::Close(frame) => {
                assert_eq!(u16::from(frame.unwrap().code), 4000, "how a failure looks to clients that see no text");
                break;
            }
            _ => {}
        }
    }
    assert_eq!(exit.unwrap(), r#"{"exit_code":3,"type":"exit"}"#);
    let (mut fine, _) = host.terminal("tty", "exit 0", "").await;
    assert_eq!(fine.closed().await, Some(1000));
    let missing = format!("/v1/sprites/tty/exec?tty=true&cmd={}", "no-such-program");
    assert!(host.open(&missing).await.until("os error 2").await.contains("no-such-program"));
    for bad in ["rows=0", "cols=70000", "max_run_after_disconnect=soon"] {
        let path = format!("/v1/sprites/tty/exec?tty=true&cmd=true&{bad}");
        assert_eq!(host.try_open(&path).await.err(), Some(StatusCode::BAD_REQUEST), "{bad}");
    }
}

#[tokio::test]
async fn a_session_outlives_its_caller_and_others_join_it() {
    let host = Host::start(&[]).await;
    host.create("many").await;
    assert_eq!(host.get("/v1/sprites/many/exec").await, json!({ "count": 0, "sessions": [] }));
    let (mut first, info) = host.terminal("many", "echo start; while read x; do echo said $x; done", "&dir=/tmp").await;
    first.until("start").await;
    let id = info["session_id"].as_str().unwrap();
    let listed = host.get("/v1/sprites/many/exec").await;
    let session = &listed["sessions"][0];
    assert_eq!((&listed["count"], session["id"].as_str()), (&json!(1), Some(id)));
    assert_eq!(
        (&session["tty"], &session["workdir"], &session["is_active"]),
        (&json!(true), &json!("/tmp"), &json!(true))
    );
    assert!(session["command"].as_str().unwrap().starts_with("bash -c"));
    first.type_in("one\r").await;
    first.until("said one").await;
    drop(first);

    let path = format!("/v1/sprites/many/exec/{id}");
    let (mut second, mut third) = (host.open(&path).await, host.open(&path).await);
    for socket in [&mut second, &mut third] {
        let info = socket.text().await;
        assert_eq!((info["session_id"].as_str(), &info["is_owner"]), (Some(id), &json!(false)));
        assert!(socket.until("said one").await.contains("start"), "what was said before");
    }
    second.type_in("two\r").await;
    third.until("said two").await;
    second.until("said two").await;

    assert_eq!(host.call(Method::POST, &format!("{path}/kill?signal=STOP"), "").await.status, StatusCode::BAD_REQUEST);
    let killed = host.call(Method::POST, &format!("{path}/kill?signal=SIGHUP&timeout=20s"), "").await;
    let kinds: Vec<String> = killed
        .text()
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["type"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kinds, ["signal", "exited", "complete"]);
    assert_eq!(second.closed().await, Some(4000));
    let gone = host.call(Method::GET, &path, "").await;
    assert_eq!((gone.status, gone.json()["message"].as_str()), (StatusCode::NOT_FOUND, Some("session not found")));
    assert_eq!(host.try_open(&path).await.err(), Some(StatusCode::NOT_FOUND), "the handshake fails for a dead id");
    assert_eq!(host.call(Method::POST, &format!("{path}/kill"), "").await.status, StatusCode::GONE);
    assert_eq!(host.call(Method::POST, "/v1/sprites/many/exec/9999/kill", "").await.status, StatusCode::NOT_FOUND);

    let (mut stubborn, info) = host.terminal("many", "trap '' TERM; echo set; sleep 1000", "").await;
    stubborn.until("set").await;
    let path = format!("/v1/sprites/many/exec/{}/kill?timeout=100ms", info["session_id"].as_str().unwrap());
    let killed = host.call(Method::POST, &path, "").await.text();
    assert!(killed.contains(r#""type":"timeout""#) && killed.contains(r#""exit_code":137"#), "{killed}");
    assert_eq!(stubborn.closed().await, Some(4000));
}

#[tokio::test]
async fn a_program_without_a_terminal_ends_some_time_after_its_caller_has_gone() {
    let host = Host::start(&[]).await;
    host.create("alone").await;
    let script = harness::encode("echo up; sleep 1234");
    let path = format!("/v1/sprites/alone/exec?cmd=bash&cmd=-c&cmd={script}&max_run_after_disconnect=2s");
    let mut socket = host.open(&path).await;
    let id = socket.text().await["session_id"].as_str().unwrap().to_owned();
    socket.until("up").await;
    drop(socket);
    // Somebody else may come in that time, and sees it out.
    let mut other = host.open(&format!("/v1/sprites/alone/exec/{id}")).await;
    assert_eq!(other.text().await["tty"], false);
    assert_eq!(other.until("up").await, "\u{1}up\n");
    drop(other);
    let started = Instant::now();
    while host.get("/v1/sprites/alone/exec").await["count"] != 0 {
        assert!(started.elapsed() < harness::DEADLINE, "it goes on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(host.run("alone", "pgrep -f '[s]leep 1234'").await.code, 1);
}

/// The provider's text may overtake the last output, and its socket ends without a goodbye.
#[tokio::test]
async fn the_text_comes_before_the_last_output_and_the_end_without_a_close_frame() {
    let host = Host::start(&[]).await;
    host.create("trap").await;
    let script = harness::encode(
        "trap 'echo up; read x; (sleep 0.1; echo late) & exit 5' USR1; echo ready; while :; do sleep 0.01; done",
    );
    // On a busy machine what is late may come earlier than the end, or too late to be waited for.
    for tries in 1.. {
        let mut socket = host.open(&format!("/v1/sprites/trap/exec?cmd=bash&cmd=-c&cmd={script}")).await;
        socket.text().await;
        socket.until("ready").await;
        socket.say(&json!({ "type": "signal", "signal": "USR1" })).await;
        socket.until("up").await;
        socket.send(Message::binary(b"\0go\n".to_vec())).await;
        let (mut seen, mut ended) = (Vec::new(), None);
        while let Some(message) = socket.next().await {
            match message {
                Message::Text(text) => seen.push(text.to_string()),
                Message::Binary(bytes) if bytes[0] == 3 => {
                    assert_eq!(&bytes[..], [3, 5]);
                    ended = Some(Instant::now());
                }
                Message::Binary(bytes) if bytes[0] == 1 => seen.push(String::from_utf8_lossy(&bytes[1..]).into_owned()),
                // What the shell remarks about the signal.
                Message::Binary(_) => {}
                other => panic!("{other:?}"),
            }
        }
        assert!(ended.unwrap().elapsed() > Duration::from_secs(4), "it is held open for a while");
        let end = r#"{"exit_code":5,"type":"exit"}"#;
        if seen == [end, "late\n"] {
            break;
        }
        assert!(tries < 5 && (seen == [end] || seen == ["late\n", end]), "{seen:?}");
    }
}

#[tokio::test]
async fn a_silent_terminal_does_not_keep_a_sprite_awake_and_its_socket_dies_at_the_pause() {
    let host = Host::start(&["--warm-after", "2s", "--cold-after", "1h"]).await;
    host.create("silent").await;
    let (mut socket, info) = host.terminal("silent", "echo $$; while read x; do echo said $x; done", "").await;
    socket.until("\r\n").await;
    assert_eq!(socket.closed().await, None, "no close frame");
    host.until("silent", "warm").await;
    let id = info["session_id"].as_str().unwrap();
    let mut again = host.open(&format!("/v1/sprites/silent/exec/{id}")).await;
    assert_eq!(again.text().await["session_id"], id, "the same program goes on");
    again.type_in("more\r").await;
    again.until("said more").await;
    // What it says keeps the sprite awake for as long as it says something.
    let (mut busy, _) = host.terminal("silent", "for i in {1..30}; do echo $i; sleep 0.1; done; echo end", "").await;
    busy.until("end").await;
}

#[tokio::test]
async fn clients_that_take_silence_for_the_end_hear_something() {
    let host = Host::start(&[]).await;
    host.create("quiet").await;
    let (mut socket, _) = host.terminal("quiet", "read x", "").await;
    assert_eq!(socket.text().await, json!({ "type": "keepalive" }));
    let head = host.call(Method::HEAD, "/v1/sprites/quiet/exec", "").await;
    assert!(head.headers.contains_key("sprite-version"), "how clients learn what they may ask for");
}
