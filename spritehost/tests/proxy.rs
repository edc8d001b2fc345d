//! TCP into a sprite, and the ports that are there.

mod harness;

use harness::{Host, Socket};
use hyper::StatusCode;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

/// Opens a connection and says where to; what is answered.
async fn proxy(host: &Host, name: &str, to: Value) -> (Socket, Value) {
    let mut socket = host.open(&format!("/v1/sprites/{name}/proxy")).await;
    socket.say(&to).await;
    let answer = socket.text().await;
    (socket, answer)
}

#[tokio::test]
async fn a_websocket_is_one_tcp_connection() {
    let host = Host::start(&[]).await;
    host.create("tcp").await;
    let program = "import socketserver,socket,threading\n\
        class Echo(socketserver.BaseRequestHandler):\n def handle(self):\n  while data := self.request.recv(65536): self.request.sendall(data)\n  self.request.close()\n\
        class Six(socketserver.ThreadingTCPServer): address_family = socket.AF_INET6\n\
        threading.Thread(target=socketserver.ThreadingTCPServer(('127.0.0.1', 7004), Echo).serve_forever).start()\n\
        Six(('::1', 7006), Echo).serve_forever()\n";
    host.write("tcp", "/opt/echo.py", program).await;
    host.put_service("tcp", "echo", &json!({ "cmd": "python3", "args": ["/opt/echo.py"] })).await;
    host.run("tcp", "until grep -q :1B5E /proc/net/tcp6; do sleep 0.01; done").await;

    let (mut socket, answer) = proxy(&host, "tcp", json!({ "host": "localhost", "port": 7004 })).await;
    assert_eq!(answer, json!({ "status": "connected", "target": "127.0.0.1:7004" }));
    let sent: Vec<u8> = (0..2_000_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    for piece in sent.chunks(100_000) {
        socket.send(Message::binary(piece.to_vec())).await;
    }
    let mut back = Vec::new();
    while back.len() < sent.len() {
        match socket.next().await {
            Some(Message::Binary(bytes)) => back.extend_from_slice(&bytes),
            other => panic!("{other:?} after {} bytes", back.len()),
        }
    }
    assert!(back == sent, "the same bytes come back");
    let (_six, answer) = proxy(&host, "tcp", json!({ "host": "localhost", "port": 7006 })).await;
    assert_eq!(answer["target"], "[::1]:7006", "whichever address localhost is served on");

    for wrong in [json!({ "host": "localhost", "port": 7005 }), json!({ "host": "a.test", "port": 1 }), json!({})] {
        let (mut socket, answer) = proxy(&host, "tcp", wrong.clone()).await;
        assert_eq!(answer["status"], "error", "{wrong}");
        assert!(matches!(socket.next().await, Some(Message::Close(_))));
    }
    // Of the host it leads to no more than a program of the sprite reaches.
    let (_, answer) = proxy(&host, "tcp", json!({ "host": "169.254.83.1", "port": 22 })).await;
    assert_eq!(answer["status"], "error");
    assert_eq!(host.try_open("/v1/sprites/nobody/proxy").await.err(), Some(StatusCode::NOT_FOUND));
    // The service's end ends the connection.
    host.call(hyper::Method::DELETE, "/v1/sprites/tcp/services/echo", "").await;
    assert!(matches!(socket.next().await, Some(Message::Close(_)) | None));
}

#[tokio::test]
async fn ports_are_told_as_they_open_and_close() {
    let host = Host::start(&[]).await;
    host.run_app("ports").await;
    let mut watch = host.open("/v1/sprites/ports/ports/watch").await;
    let list = watch.text().await;
    assert_eq!((&list["type"], &list["ports"][0]["port"]), (&json!("port_list"), &json!(8080)), "{list}");
    assert_eq!(list["ports"].as_array().unwrap().len(), 1, "and nothing of the host's: {list}");
    let listen = "python3 -c 'import socket; print(\"ready\"); input(); s = socket.create_server((\"127.0.0.1\", 7001)); input()'";
    let (mut terminal, info) = host.terminal("ports", &format!("exec {listen}"), "").await;
    terminal.until("ready").await;
    terminal.type_in("\r").await;
    let opened = watch.text().await;
    assert_eq!((&opened["type"], &opened["port"]), (&json!("port_opened"), &json!(7001)));
    assert_eq!(
        (&opened["address"], opened["pid"].to_string()),
        (&json!("127.0.0.1"), info["session_id"].as_str().unwrap().to_owned())
    );
    loop {
        match terminal.next().await {
            Some(Message::Text(text)) if text.contains("port_opened") => break,
            Some(Message::Binary(_)) => {}
            other => panic!("terminals hear of it too: {other:?}"),
        }
    }
    terminal.type_in("\r").await;
    assert_eq!(watch.text().await["type"], "port_closed");
}
