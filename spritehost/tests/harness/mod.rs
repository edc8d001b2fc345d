//! A spritehost of its own for each test, and what it takes to talk to it.
//!
//! Needs root, runc, nftables and a finished base image, whose path is in `SNAPVM_BASE_IMAGE`.

#![expect(dead_code, reason = "each test file uses its part")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Full};
use hyper::header::{AUTHORIZATION, HeaderMap};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

pub(crate) const TOKEN: &str = "org/1/2/secret";
/// Longest that anything in these tests may take.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);
/// A program on port 8080 that tells about itself; see its text.
pub(crate) const APP: &str = include_str!("app.py");

pub(crate) struct Host {
    process: Option<Child>,
    arguments: Vec<String>,
    pub(crate) base: String,
    pub(crate) metrics: String,
    pub(crate) state: tempfile::TempDir,
    /// What the dial origin leads to.
    pub(crate) origin: TcpListener,
}

pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) code: u8,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Host {
    pub(crate) async fn start(arguments: &[&str]) -> Self {
        assert!(rustix::process::geteuid().is_root(), "these tests need root: they start real containers");
        let image = std::env::var("SNAPVM_BASE_IMAGE").unwrap_or_else(|_| {
            panic!("SNAPVM_BASE_IMAGE is not set: build an image with `spritehost image build --output DIR` first")
        });
        let origin = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dial = format!("snapvm.internal:8787={}", origin.local_addr().unwrap());
        let mut all: Vec<String> = ["--image", &image, "--dial", &dial].map(str::to_owned).into();
        all.extend(arguments.iter().map(ToString::to_string));
        let mut host = Self {
            process: None,
            arguments: all,
            base: String::new(),
            metrics: String::new(),
            state: tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap(),
            origin,
        };
        host.run_again();
        host
    }

    /// Starts the program on the state that is there.
    pub(crate) fn run_again(&mut self) {
        let mut process = Command::new(env!("CARGO_BIN_EXE_spritehost"))
            .args(["serve", "--listen", "127.0.0.1:0", "--state"])
            .arg(self.state.path())
            .args(&self.arguments)
            .env("SPRITEHOST_TOKEN", TOKEN)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(process.stdout.take().unwrap());
        self.process = Some(process);
        for line in said.lines().map(Result::unwrap) {
            if let Some(metrics) = line.strip_prefix("metrics on ") {
                metrics.clone_into(&mut self.metrics);
            }
            if let Some(base) = line.strip_prefix("spritehost listening on ") {
                return base.clone_into(&mut self.base);
            }
        }
        panic!("spritehost did not start");
    }

    pub(crate) fn stop(&mut self, signal: rustix::process::Signal) {
        let Some(mut process) = self.process.take() else { return };
        let pid = rustix::process::Pid::from_child(&process);
        rustix::process::kill_process(pid, signal).unwrap();
        process.wait().unwrap();
    }

    pub(crate) fn instance(&self) -> &str {
        self.base.rsplit(':').next().unwrap()
    }

    pub(crate) async fn call(&self, method: Method, path: &str, body: impl Into<Bytes>) -> Reply {
        let headers = [("authorization", format!("Bearer {TOKEN}")), ("content-type", "application/json".to_owned())];
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        request(method, &format!("{}{path}", self.base), &headers, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let reply = self.call(Method::GET, path, "").await;
        assert_eq!(reply.status, StatusCode::OK, "{path}: {}", reply.text());
        reply.json()
    }

    pub(crate) async fn create(&self, name: &str) -> Value {
        let reply = self.call(Method::POST, "/v1/sprites", json!({ "name": name }).to_string()).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
        reply.json()
    }

    pub(crate) async fn status(&self, name: &str) -> String {
        self.get(&format!("/v1/sprites/{name}")).await["status"].as_str().unwrap().to_owned()
    }

    /// Waits until a sprite's status is this.
    pub(crate) async fn until(&self, name: &str, status: &str) {
        let started = Instant::now();
        while self.status(name).await != status {
            assert!(started.elapsed() < DEADLINE, "{name} did not become {status}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A sprite's process 1, as the host sees it: the one that runs, or the one that stands by.
    pub(crate) fn first_process(&self, name: &str) -> Option<i32> {
        let file = format!("/run/spritehost/{}/s/{name}/pid", self.instance());
        std::fs::read_to_string(file).ok()?.trim().parse().ok()
    }

    /// Wakes a sprite, and waits until it is cold again and something stands by for it.
    pub(crate) async fn until_ready(&self, name: &str) {
        // It keeps it awake, so that the process is the one that runs.
        let (held, _) = self.terminal(name, "read line", "").await;
        let running = self.first_process(name);
        drop(held);
        let started = Instant::now();
        while self.first_process(name).is_none_or(|pid| Some(pid) == running) {
            assert!(started.elapsed() < DEADLINE * 3, "nothing stands by for {name}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.until(name, "cold").await;
    }

    pub(crate) async fn write(&self, name: &str, path: &str, body: impl Into<Bytes>) -> Value {
        let path = format!("/v1/sprites/{name}/fs/write?path={path}&mode=0755&mkdirParents=true");
        let reply = self.call(Method::PUT, &path, body).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        reply.json()
    }

    /// Runs a shell script over the WebSocket.
    pub(crate) async fn run(&self, name: &str, script: &str) -> Ran {
        let query = [("cmd", "bash"), ("cmd", "-c"), ("cmd", script)];
        self.exec(name, &query, b"").await
    }

    pub(crate) async fn exec(&self, name: &str, query: &[(&str, &str)], stdin: &[u8]) -> Ran {
        let query: Vec<String> = query.iter().map(|(key, value)| format!("{key}={}", encode(value))).collect();
        let url = format!("{}/v1/sprites/{name}/exec?{}", self.base.replace("http", "ws"), query.join("&"));
        let mut call = url.into_client_request().unwrap();
        call.headers_mut().insert(AUTHORIZATION, format!("Bearer {TOKEN}").parse().unwrap());
        let (mut socket, _) = tokio_tungstenite::connect_async(call).await.unwrap();
        for piece in stdin.chunks(10_000) {
            socket.send(Message::binary([b"\0", piece].concat())).await.unwrap();
        }
        socket.send(Message::binary(vec![4])).await.unwrap();
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        while let Some(message) = tokio::time::timeout(DEADLINE * 3, socket.next()).await.unwrap() {
            let Message::Binary(frame) = message.unwrap() else { continue };
            match frame[0] {
                1 => stdout.extend_from_slice(&frame[1..]),
                2 => stderr.extend_from_slice(&frame[1..]),
                3 => {
                    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
                    return Ran { code: frame[1], stdout: text(stdout), stderr: text(stderr) };
                }
                other => panic!("stream {other}"),
            }
        }
        panic!("no exit frame");
    }

    /// Runs the app of these tests as a service, and returns the sprite's URL once it answers.
    pub(crate) async fn run_app(&self, name: &str) -> String {
        let url = self.create(name).await["url"].as_str().unwrap().to_owned();
        self.write(name, "/opt/app.py", APP).await;
        self.put_service(name, "app", &json!({ "cmd": "python3", "args": ["-u", "/opt/app.py"] })).await;
        assert_eq!(visit(&url, "/").await.status, StatusCode::OK);
        url
    }

    pub(crate) async fn put_service(&self, name: &str, service: &str, definition: &Value) -> Vec<Value> {
        let path = format!("/v1/sprites/{name}/services/{service}?duration=0s");
        let reply = self.call(Method::PUT, &path, definition.to_string()).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        reply.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop(rustix::process::Signal::TERM);
    }
}

/// A WebSocket of the API.
pub(crate) struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Host {
    /// Opens a WebSocket; the status of the answer when it is refused.
    pub(crate) async fn try_open(&self, path: &str) -> Result<Socket, StatusCode> {
        let mut call = format!("{}{path}", self.base.replace("http", "ws")).into_client_request().unwrap();
        call.headers_mut().insert(AUTHORIZATION, format!("Bearer {TOKEN}").parse().unwrap());
        match tokio_tungstenite::connect_async(call).await {
            Ok((socket, _)) => Ok(Socket(socket)),
            Err(tokio_tungstenite::tungstenite::Error::Http(response)) => Err(response.status()),
            Err(error) => panic!("{path}: {error}"),
        }
    }

    pub(crate) async fn open(&self, path: &str) -> Socket {
        self.try_open(path).await.unwrap()
    }

    /// Runs a shell script on a terminal; the socket's first message, which tells about the session, is read.
    pub(crate) async fn terminal(&self, name: &str, script: &str, more: &str) -> (Socket, Value) {
        let path = format!("/v1/sprites/{name}/exec?tty=true&cmd=bash&cmd=-c&cmd={}{more}", encode(script));
        let mut socket = self.open(&path).await;
        let info = socket.text().await;
        assert_eq!((&info["type"], &info["tty"]), (&json!("session_info"), &json!(true)));
        (socket, info)
    }
}

impl Socket {
    /// The next message that is not a ping; nothing when the connection ended without a close frame.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        loop {
            let next = tokio::time::timeout(DEADLINE * 3, self.0.next()).await.expect("no message in time");
            match next {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(message)) => return Some(message),
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// The next message, which is text.
    pub(crate) async fn text(&mut self) -> Value {
        match self.next().await {
            Some(Message::Text(text)) => serde_json::from_str(&text).unwrap(),
            other => panic!("not a text: {other:?}"),
        }
    }

    /// What binary messages say, up to and with this text.
    pub(crate) async fn until(&mut self, end: &str) -> String {
        let mut said = String::new();
        while !said.contains(end) {
            match self.next().await {
                Some(Message::Binary(bytes)) => said.push_str(&String::from_utf8_lossy(&bytes)),
                Some(Message::Text(_)) => {}
                other => panic!("{end:?} was not said: {said:?}, then {other:?}"),
            }
        }
        said
    }

    /// The code that the socket is closed with; nothing when it just ended.
    pub(crate) async fn closed(&mut self) -> Option<u16> {
        loop {
            match self.next().await {
                Some(Message::Close(frame)) => return Some(frame.unwrap().code.into()),
                Some(_) => {}
                None => return None,
            }
        }
    }

    pub(crate) async fn send(&mut self, message: impl Into<Message>) {
        self.0.send(message.into()).await.unwrap();
    }

    pub(crate) async fn say(&mut self, message: &Value) {
        self.send(Message::text(message.to_string())).await;
    }

    pub(crate) async fn type_in(&mut self, text: &str) {
        self.send(Message::binary(text.as_bytes().to_vec())).await;
    }
}

/// A request to a sprite's URL with the token.
pub(crate) async fn visit(url: &str, path: &str) -> Reply {
    request(Method::GET, &format!("{url}{path}"), &[("authorization", &format!("Bearer {TOKEN}"))], "").await
}

/// A request on a connection of its own.
pub(crate) async fn request(method: Method, url: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Reply {
    let sent = try_request(method, url, headers, body);
    tokio::time::timeout(DEADLINE, sent).await.unwrap_or_else(|_| panic!("no answer from {url}")).unwrap()
}

pub(crate) async fn try_request(
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Result<Reply, hyper::Error> {
    let url: hyper::Uri = url.parse().unwrap();
    let stream = TcpStream::connect(url.authority().unwrap().as_str()).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(url.path_and_query().unwrap().as_str());
    request = request.header("host", url.authority().unwrap().as_str());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = sender.send_request(request.body(Full::new(body.into())).unwrap()).await?;
    let (parts, body) = response.into_parts();
    Ok(Reply { status: parts.status, headers: parts.headers, body: body.collect().await?.to_bytes() })
}

/// Tells a spritehost to fail.
pub(crate) async fn order_fault(host: &Host, order: &Value) {
    let (status, said) = operator(host, Method::PUT, "/faults", order.to_string()).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{order}: {said}");
}

/// A request to the operator's socket.
pub(crate) async fn operator(host: &Host, method: Method, path: &str, body: String) -> (StatusCode, String) {
    let socket: PathBuf = host.state.path().join("operator.sock");
    let stream = tokio::net::UnixStream::connect(socket).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::builder().method(method).uri(path).header("host", "operator");
    let request = request.header("content-type", "application/json").body(Full::<Bytes>::from(body)).unwrap();
    let response = sender.send_request(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8_lossy(&body).into_owned())
}

/// Percent-encodes a query's value.
pub(crate) fn encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
