//! A follower of an organization's feed that keeps the protocol to the letter: numbers only grow, and what is told is
//! said to have been heard.

use std::time::Duration;

use serde_json::Value;
use snapvm_protocol::feed::{HEARD_EVERY, MESSAGE_MAX, SUBPROTOCOL, State, Told};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::protocol::Message;

use crate::client::{Client, SESSION_COOKIE};
use crate::people::Org;
use crate::sockets::{self, Refused, Socket};
use crate::world::World;

/// Longest time until a change is heard of, on a computer that does much else.
const PATIENCE: Duration = Duration::from_secs(90);

/// Somebody who follows.
pub struct Follower {
    /// Where the sequence was, each time it was said.
    pub states: Vec<State>,
    /// What was told.
    pub told: Vec<Told>,
    /// Every message, as it came.
    pub texts: Vec<String>,
    /// The code that the socket was closed with.
    pub closed: Option<u16>,
    /// Whether it says what it has heard.
    pub says_heard: bool,
    socket: Option<Socket>,
    heard: u32,
}

impl Follower {
    /// Follows an organization from now on.
    pub async fn open(world: &World, client: &Client, org: &Org) -> Self {
        let follower = Self::try_open(world, client, &org.path("/feed")).await;
        let mut follower = follower.unwrap_or_else(|refused| panic!("{refused:?}"));
        follower.until("it is told where it is", |follower| !follower.states.is_empty()).await;
        assert!(follower.state().reset, "whoever comes for the first time reads everything");
        follower
    }

    /// Comes back to where another one stopped.
    pub async fn resume(world: &World, client: &Client, org: &Org, feed: &str, after: u64) -> Self {
        let path = org.path(&format!("/feed?feed={feed}&after={after}"));
        let mut follower = Self::try_open(world, client, &path).await.unwrap_or_else(|refused| panic!("{refused:?}"));
        follower.until("it is told where it is", |follower| !follower.states.is_empty()).await;
        follower
    }

    /// Opens the socket.
    ///
    /// # Errors
    /// What came instead.
    pub async fn try_open(world: &World, client: &Client, path: &str) -> Result<Self, Refused> {
        let site = world.site();
        let mut headers = vec![("sec-websocket-protocol", SUBPROTOCOL), ("cf-connecting-ip", client.address())];
        let shown = match client.token() {
            Some(token) => format!("Bearer {token}"),
            None => client.session().map(|session| format!("{SESSION_COOKIE}={session}")).unwrap_or_default(),
        };
        match client.token() {
            Some(_) => headers.push(("authorization", &shown)),
            None => headers.extend([("cookie", shown.as_str()), ("origin", &site.origin)]),
        }
        let socket = sockets::open(world, &site.host, path, &headers).await?;
        Ok(Self {
            states: Vec::new(),
            told: Vec::new(),
            texts: Vec::new(),
            closed: None,
            says_heard: true,
            socket: Some(socket),
            heard: 0,
        })
    }

    /// Where the sequence was when it was said last.
    pub fn state(&self) -> &State {
        self.states.last().expect("it has been told where it is")
    }

    /// The number up to which it has everything.
    pub fn seq(&self) -> u64 {
        let told = self.told.last().map_or(0, |told| told.seq);
        // What is told after a resume came before the number that the feed was at.
        if self.state().reset { told.max(self.state().seq) } else { told }
    }

    /// What was told of a kind.
    pub fn of(&self, kind: &str) -> Vec<&Told> {
        self.told.iter().filter(|told| told.kind == kind).collect()
    }

    /// A field of what was told of a kind.
    pub fn field(&self, kind: &str, field: &str) -> Vec<Value> {
        let data = self.of(kind).into_iter().filter_map(|told| told.data.as_ref());
        data.map(|data| data.get(field).cloned().unwrap_or_default()).collect()
    }

    /// Listens until something is so.
    pub async fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        self.until_within(what, PATIENCE, is_so).await;
    }

    /// Listens until something is so, which it has to be in time.
    pub async fn until_within(&mut self, what: &str, patience: Duration, is_so: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + patience;
        while !is_so(self) {
            let step = tokio::time::timeout_at(deadline, self.step()).await;
            assert!(step.is_ok(), "{what}: not within {patience:?}; {:#?}", self.texts);
            assert!(self.socket.is_some() || is_so(self), "{what}: closed with {:?}; {:#?}", self.closed, self.texts);
        }
    }

    /// Listens for a while, in which nothing has to happen.
    pub async fn drain(&mut self, time: Duration) {
        let deadline = Instant::now() + time;
        while self.socket.is_some() && tokio::time::timeout_at(deadline, self.step()).await.is_ok() {}
    }

    /// Waits until the socket is closed, and gives its code.
    pub async fn until_closed(&mut self, patience: Duration) -> u16 {
        self.until_within("it is closed", patience, |follower| follower.socket.is_none()).await;
        self.closed.unwrap_or_default()
    }

    /// Whether the socket is open.
    pub fn is_open(&self) -> bool {
        self.socket.is_some()
    }

    /// Says something.
    pub async fn say(&mut self, text: &str) {
        let socket = self.socket.as_mut().expect("an open socket");
        sockets::send(socket, Message::Text(text.into())).await;
    }

    async fn step(&mut self) {
        let socket = self.socket.as_mut().expect("an open socket");
        let text = match futures::StreamExt::next(socket).await {
            Some(Ok(Message::Text(text))) => text.to_string(),
            Some(Ok(Message::Close(frame))) => {
                self.closed = Some(frame.map_or(0, |frame| frame.code.into()));
                self.socket = None;
                return;
            }
            Some(Ok(_)) => return,
            Some(Err(_)) | None => {
                self.socket = None;
                return;
            }
        };
        assert!(text.len() <= MESSAGE_MAX, "{} bytes", text.len());
        self.texts.push(text.clone());
        if let Ok(told) = serde_json::from_str::<Told>(&text) {
            assert!(self.told.last().is_none_or(|last| last.seq < told.seq), "{told:?} after {:?}", self.told.last());
            self.told.push(told);
            self.heard += 1;
            if self.says_heard && self.heard >= HEARD_EVERY / 2 {
                self.heard = 0;
                let seq = self.seq();
                self.say(&seq.to_string()).await;
            }
        } else if text != "pong" {
            self.states.push(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")));
        }
    }
}
