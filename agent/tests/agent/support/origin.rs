//! The dial origin: accepts sockets as the Worker does and hands them to the test, which acts as the object.

use std::net::SocketAddr;

use futures_util::{SinkExt as _, StreamExt as _};
use snapvm_protocol::agent::{OpenTerminal, ToAgent, ToObject};
use snapvm_protocol::headers::{AGENT_KEY, PASS, TICKET};
use snapvm_protocol::ids::TerminalId;
use snapvm_protocol::tickets::{Pass, Purpose, Verifier};
use snapvm_protocol::variables::Variables;
use std::sync::{Arc, Mutex};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

use super::{machine, now_ms, platform, soon};

pub type Socket = WebSocketStream<TcpStream>;

/// A socket that the agent dialed.
pub struct Dialed {
    pub path: String,
    pub headers: hyper::HeaderMap,
    pub socket: Socket,
}

/// Where the agent dials.
pub struct Origin {
    pub address: SocketAddr,
    controls: mpsc::UnboundedReceiver<Dialed>,
    terminals: mpsc::UnboundedReceiver<Dialed>,
    /// Every handshake: path and status.
    pub dials: mpsc::UnboundedReceiver<(String, u16)>,
    refuse: Arc<Mutex<Option<u16>>>,
}

impl Origin {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (control_sender, controls) = mpsc::unbounded_channel();
        let (terminal_sender, terminals) = mpsc::unbounded_channel();
        let (dial_sender, dials) = mpsc::unbounded_channel();
        let refuse = Arc::new(Mutex::new(None));
        let refusing = Arc::clone(&refuse);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (control, terminal, dial) = (control_sender.clone(), terminal_sender.clone(), dial_sender.clone());
                let refusing = Arc::clone(&refusing);
                tokio::spawn(async move {
                    stream.set_nodelay(true).unwrap();
                    let (mut path, mut headers) = (String::new(), hyper::HeaderMap::new());
                    #[expect(clippy::result_large_err, reason = "the callback's type is the library's")]
                    let look = |request: &Request, response: Response| {
                        request.uri().path().clone_into(&mut path);
                        headers = request.headers().clone();
                        match *refusing.lock().unwrap() {
                            Some(status) => Err(hyper::http::Response::builder().status(status).body(None).unwrap()),
                            None => Ok(response),
                        }
                    };
                    let accepted = tokio_tungstenite::accept_hdr_async(stream, look).await;
                    let status = refusing.lock().unwrap().unwrap_or(101);
                    let _ = dial.send((path.clone(), status));
                    let Ok(socket) = accepted else { return };
                    let to = if path.ends_with("/control") { control } else { terminal };
                    let _ = to.send(Dialed { path, headers, socket });
                });
            }
        });
        Self { address, controls, terminals, dials, refuse }
    }

    /// Answers every dial with this status from now on.
    pub fn refuse(&self, status: Option<u16>) {
        *self.refuse.lock().unwrap() = status;
    }

    pub async fn control(&mut self) -> Control {
        let dialed = soon("the agent dials its control socket", self.controls.recv()).await.unwrap();
        assert_eq!(dialed.path, format!("/agent/v1/machines/{}/control", machine()));
        Control(dialed)
    }

    pub async fn terminal(&mut self) -> Dialed {
        soon("the agent dials a terminal's socket", self.terminals.recv()).await.unwrap()
    }

    /// The next one of this session; those of others, which are dialed again when a test has dropped theirs, are left.
    pub async fn terminal_of(&mut self, session: TerminalId) -> Dialed {
        loop {
            let dialed = self.terminal().await;
            if dialed.path.ends_with(&format!("/terminals/{session}")) {
                return dialed;
            }
        }
    }

    /// Whether no control socket was dialed.
    pub fn nothing_dialed(&mut self) -> bool {
        self.controls.try_recv().is_err()
    }
}

/// What a Welcome usually says.
pub fn welcome() -> ToAgent {
    ToAgent::Welcome {
        now_ms: now_ms(),
        machine: machine(),
        generation: 3,
        pass: String::new(),
        epoch: 1,
        idle_seconds: 900,
        cpu_counts: false,
        services: vec![],
        terminals: vec![],
        variables: Variables::default(),
    }
}

/// A fresh session.
pub fn fresh(session: snapvm_protocol::ids::TerminalId) -> OpenTerminal {
    OpenTerminal { session, columns: 80, rows: 24, fresh: true, directory: None }
}

/// A control socket, seen from the object.
pub struct Control(pub Dialed);

impl Control {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.0.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Checks the credentials of a later dial.
    pub fn check_own_key(&self, purpose: Purpose) {
        check_own_key(&self.0, purpose);
    }

    /// The next message, pings answered.
    pub async fn next(&mut self) -> ToObject {
        soon("a control message", async {
            loop {
                match self.0.socket.next().await.expect("the control socket lives").unwrap() {
                    Message::Text(text) if text.as_str() == "ping" => {
                        self.0.socket.send(Message::text("pong")).await.unwrap();
                    }
                    Message::Text(text) => break snapvm_protocol::agent::decode(&text).unwrap(),
                    other => panic!("not a control message: {other:?}"),
                }
            }
        })
        .await
    }

    /// The next message that is meant; others are left out.
    pub async fn until<T>(&mut self, mut meant: impl FnMut(&ToObject) -> Option<T>) -> T {
        let mut seen = vec![];
        let found = tokio::time::timeout(super::DEADLINE, async {
            loop {
                let message = self.next().await;
                if let Some(value) = meant(&message) {
                    break value;
                }
                seen.push(message);
            }
        });
        found.await.expect("the message that is waited for")
    }

    pub async fn hello(&mut self) -> ToObject {
        let hello = self.next().await;
        assert!(matches!(hello, ToObject::Hello { .. }), "{hello:?}");
        hello
    }

    pub async fn send(&mut self, message: &ToAgent) {
        self.text(&serde_json::to_string(message).unwrap()).await;
    }

    pub async fn text(&mut self, text: &str) {
        self.0.socket.send(Message::text(text)).await.unwrap();
    }

    /// Says Welcome, with a pass for the key that was shown at the first dial.
    pub async fn welcome(&mut self, mut welcome: ToAgent) {
        if let ToAgent::Welcome { pass, .. } = &mut welcome
            && pass.is_empty()
        {
            *pass = match (self.header(AGENT_KEY), self.header(PASS)) {
                (Some(key), _) => platform()
                    .pass(&Pass {
                        machine: machine(),
                        generation: 3,
                        boot: self.header("x-snap-boot").unwrap().to_owned(),
                        agent_key: key.to_owned(),
                        pass: true,
                    })
                    .unwrap(),
                (None, Some(pass)) => pass.to_owned(),
                (None, None) => panic!("neither key nor pass"),
            };
        }
        self.send(&welcome).await;
    }

    /// Waits for the close; its code.
    pub async fn closed(&mut self) -> u16 {
        closed(&mut self.0.socket).await
    }
}

pub async fn closed(socket: &mut Socket) -> u16 {
    soon("the agent closes", async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Close(frame))) => break frame.map_or(1005, |frame| frame.code.into()),
                Some(Ok(_)) => {}
                _ => break 1006,
            }
        }
    })
    .await
}

pub fn check_own_key(dialed: &Dialed, purpose: Purpose) {
    check_own_key_at(dialed, purpose, now_ms());
}

/// The same, where the platform's clock says something else than ours.
pub fn check_own_key_at(dialed: &Dialed, purpose: Purpose, now: i64) {
    let header = |name| dialed.headers.get(name).map(|value| value.to_str().unwrap());
    let pass = platform().verifier().pass(header(PASS).unwrap()).unwrap();
    assert_eq!((pass.machine, pass.generation), (machine(), 3));
    assert_eq!(header("x-snap-boot"), Some(pass.boot.as_str()));
    let key = Verifier::from_text(&pass.agent_key).unwrap();
    let ticket = key.ticket(header(TICKET).unwrap(), now).unwrap().ticket;
    assert_eq!((ticket.machine, ticket.generation, ticket.purpose), (machine(), 3, purpose));
    assert!(header(AGENT_KEY).is_none());
}
