//! Clients of the front door: nobody, a browser with a cookie, a program with a token.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::contract::contract;
use crate::events::Events;
use crate::world::Site;

/// No request may take longer: nothing hangs.
const PATIENCE: Duration = Duration::from_secs(30);
/// The cookie of a session.
pub const SESSION_COOKIE: &str = "__Host-snap_session";

/// What a client shows.
#[derive(Debug, Clone)]
pub enum Credential {
    /// Nothing.
    None,
    /// A browser: keeps cookies, and says which page a change comes from.
    Cookie(Arc<Mutex<BTreeMap<String, String>>>),
    /// An API token.
    Token(String),
}

/// A client.
#[derive(Debug, Clone)]
pub struct Client {
    site: Arc<Site>,
    credential: Credential,
    address: String,
}

enum Body {
    Empty,
    Json(Value),
    Bytes(Vec<u8>),
    Chunks(Vec<Vec<u8>>),
}

/// A request that is being put together.
pub struct Request {
    client: Client,
    method: &'static str,
    path: String,
    headers: BTreeMap<String, String>,
    body: Body,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The request's line, for messages.
    pub asked: String,
    /// The status.
    pub status: u16,
    /// Headers, in the order in which they came.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl Client {
    /// A client at an address of its own, so that the limits of one test are not those of another.
    pub fn new(site: Arc<Site>, credential: Credential) -> Self {
        let [a, b, c, d, ..] = getrandom::u64().expect("randomness").to_be_bytes();
        Self { site, credential, address: format!("10.{a}.{b}.{}", u16::from(c) + u16::from(d)) }
    }

    /// A browser without cookies.
    #[must_use]
    pub fn browser(&self) -> Self {
        Self { credential: Credential::Cookie(Arc::default()), ..self.clone() }
    }

    /// The same client with a token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { credential: Credential::Token(token.to_owned()), ..self.clone() }
    }

    /// The same client at another address.
    #[must_use]
    pub fn at(&self, address: &str) -> Self {
        Self { address: address.to_owned(), ..self.clone() }
    }

    /// Where it is.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The session's secret, where it has one.
    pub fn session(&self) -> Option<String> {
        match &self.credential {
            Credential::Cookie(jar) => jar.lock().unwrap_or_else(PoisonError::into_inner).get(SESSION_COOKIE).cloned(),
            _ => None,
        }
    }

    /// The token's secret, where it has one.
    pub fn token(&self) -> Option<&str> {
        match &self.credential {
            Credential::Token(token) => Some(token),
            _ => None,
        }
    }

    /// The same client with a jar of its own: what happens to its cookies happens to nobody else.
    #[must_use]
    pub fn copy(&self) -> Self {
        let credential = match &self.credential {
            Credential::Cookie(jar) => {
                Credential::Cookie(Arc::new(Mutex::new(jar.lock().unwrap_or_else(PoisonError::into_inner).clone())))
            }
            other => other.clone(),
        };
        Self { credential, ..self.clone() }
    }

    /// Puts a well-formed session that nobody has into the jar.
    pub(crate) fn cookie_jar_of_a_dead_session(&self) {
        if let Credential::Cookie(jar) = &self.credential {
            let token =
                snapvm::secrets::Token::from_random(snapvm::secrets::Prefix::Session, &std::array::from_fn(|_| 7));
            let mut jar = jar.lock().unwrap_or_else(PoisonError::into_inner);
            jar.insert(SESSION_COOKIE.to_owned(), token.reveal().to_owned());
        }
    }

    /// A request to put together.
    pub fn request(&self, method: &'static str, path: impl Into<String>) -> Request {
        let mut headers = BTreeMap::from([
            ("host".to_owned(), self.site.host.clone()),
            ("cf-connecting-ip".to_owned(), self.address.clone()),
            ("user-agent".to_owned(), "snapvm-tests".to_owned()),
        ]);
        match &self.credential {
            Credential::None => {}
            Credential::Cookie(jar) => {
                let jar = jar.lock().unwrap_or_else(PoisonError::into_inner);
                let cookies: Vec<String> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
                if !cookies.is_empty() {
                    headers.insert("cookie".to_owned(), cookies.join("; "));
                }
                headers.insert("sec-fetch-site".to_owned(), "same-origin".to_owned());
                if method != "GET" {
                    headers.insert("origin".to_owned(), self.site.origin.clone());
                }
            }
            Credential::Token(token) => {
                headers.insert("authorization".to_owned(), format!("Bearer {token}"));
            }
        }
        Request { client: self.clone(), method, path: path.into(), headers, body: Body::Empty }
    }

    /// `GET`.
    pub async fn get(&self, path: impl Into<String>) -> Answer {
        self.request("GET", path).send().await
    }

    /// `POST` with a JSON body.
    pub async fn post(&self, path: impl Into<String>, body: Value) -> Answer {
        self.request("POST", path).json(body).send().await
    }

    /// `POST` without a body.
    pub async fn order(&self, path: impl Into<String>) -> Answer {
        self.request("POST", path).send().await
    }

    /// `PUT` with a JSON body.
    pub async fn put(&self, path: impl Into<String>, body: Value) -> Answer {
        self.request("PUT", path).json(body).send().await
    }

    /// `PATCH` with a JSON body.
    pub async fn patch(&self, path: impl Into<String>, body: Value) -> Answer {
        self.request("PATCH", path).json(body).send().await
    }

    /// `DELETE`.
    pub async fn delete(&self, path: impl Into<String>) -> Answer {
        self.request("DELETE", path).send().await
    }

    /// Keeps cookies as a browser does, and is as strict as one about the prefix `__Host-`.
    fn keep_cookies(&self, answer: &Answer) {
        let Credential::Cookie(jar) = &self.credential else { return };
        for line in answer.headers.iter().filter(|(name, _)| name == "set-cookie").map(|(_, value)| value) {
            let mut parts = line.split(';').map(str::trim);
            let (name, value) = parts.next().and_then(|pair| pair.split_once('=')).expect("a cookie has a name");
            let attributes: Vec<String> = parts.map(str::to_lowercase).collect();
            let has = |attribute: &str| attributes.iter().any(|other| other == attribute);
            assert!(name.starts_with("__Host-"), "{line}");
            assert!(has("secure") && has("httponly") && has("path=/") && has("samesite=lax"), "{line}");
            assert!(!attributes.iter().any(|attribute| attribute.starts_with("domain")), "{line}");
            let mut jar = jar.lock().unwrap_or_else(PoisonError::into_inner);
            if has("max-age=0") {
                jar.remove(name);
            } else {
                jar.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

impl Request {
    /// Sets a header, also one that the client would set itself.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Leaves a header out.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    /// A JSON body.
    #[must_use]
    pub fn json(mut self, body: Value) -> Self {
        self.body = Body::Json(body);
        self.header("content-type", "application/json")
    }

    /// Any body, with its length declared.
    #[must_use]
    pub fn bytes(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Body::Bytes(body.into());
        self
    }

    /// A body in chunks, whose length nobody says beforehand.
    #[must_use]
    pub fn chunks(mut self, chunks: Vec<Vec<u8>>) -> Self {
        self.body = Body::Chunks(chunks);
        self
    }

    /// Sends it, and holds the answer against the contract.
    pub async fn send(self) -> Answer {
        let asked = format!("{} {}", self.method, self.path);
        let (client, method, path) = (self.client.clone(), self.method, self.path.clone());
        let host = self.headers.get("host").cloned().unwrap_or_default();
        let answer = tokio::time::timeout(PATIENCE, self.exchange())
            .await
            .unwrap_or_else(|_| panic!("{asked}: no answer within {PATIENCE:?}"));
        client.keep_cookies(&answer);
        if host == client.site.host {
            contract().check(method, &path, &answer);
        }
        answer
    }

    /// Sends it, and gives the answer as soon as it has begun. Dropping that closes the connection.
    pub async fn open(self) -> Events {
        let asked = format!("{} {}", self.method, self.path);
        let begun = tokio::time::timeout(PATIENCE, self.begin()).await;
        let (response, driver) = begun.unwrap_or_else(|_| panic!("{asked}: no answer within {PATIENCE:?}"));
        Events::new(asked, response, driver)
    }

    /// The answer's head, its body to be read, and what reads it.
    async fn begin(self) -> (hyper::Response<Incoming>, Driver) {
        let asked = format!("{} {}", self.method, self.path);
        let stream = TcpStream::connect(("127.0.0.1", self.client.site.port)).await.expect("the Worker listens");
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("a connection");
        let driver = Driver(tokio::spawn(async move {
            // Its end shows in the answer.
            let _ = connection.await;
        }));
        let mut request = hyper::Request::builder().method(self.method).uri(&self.path);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.body(self.body.into_stream()).expect("a request");
        let response = sender.send_request(request).await.unwrap_or_else(|error| panic!("{asked}: {error}"));
        (response, driver)
    }

    async fn exchange(self) -> Answer {
        let asked = format!("{} {}", self.method, self.path);
        let (response, driver) = self.begin().await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap_or_else(|error| panic!("{asked}: {error}")).to_bytes();
        drop(driver);
        Answer { asked, status: parts.status.as_u16(), headers: listed(&parts.headers), body }
    }
}

/// Headers as they are compared.
pub(crate) fn listed(headers: &hyper::HeaderMap) -> Vec<(String, String)> {
    let text = |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}

/// A connection that lasts as long as this.
#[derive(Debug)]
pub(crate) struct Driver(tokio::task::JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Body {
    fn into_stream(self) -> BoxBody<Bytes, Infallible> {
        match self {
            Self::Empty => Full::new(Bytes::new()).boxed(),
            Self::Json(value) => Full::new(Bytes::from(value.to_string())).boxed(),
            Self::Bytes(bytes) => Full::new(Bytes::from(bytes)).boxed(),
            Self::Chunks(chunks) => {
                let frames = chunks.into_iter().map(|chunk| Ok(Frame::data(Bytes::from(chunk))));
                StreamBody::new(futures::stream::iter(frames)).boxed()
            }
        }
    }
}

impl Answer {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// Names the request in logs and in the audit trail.
    pub fn request_id(&self) -> &str {
        self.header("x-request-id").unwrap_or_else(|| panic!("{}: no x-request-id", self.asked))
    }

    /// Asserts the status and gives the body.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}: {}", self.asked, self.text());
        self.json()
    }

    /// Asserts a refusal with this status and code, and gives the problem document.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Value {
        let problem = self.json();
        let told = problem["code"].as_str().unwrap_or_default();
        assert_eq!((self.status, told), (status, code), "{}: {}", self.asked, self.text());
        problem
    }

    /// Asserts a refusal of one field.
    #[track_caller]
    pub fn invalid(&self, field: &str) {
        let problem = self.problem(422, "invalid");
        assert_eq!(problem["field"], field, "{}: {problem}", self.asked);
    }

    /// A problem document without what differs between any two requests: equal refusals must be equal.
    #[track_caller]
    pub fn refusal(&self) -> Value {
        let mut problem = self.json();
        let document = problem.as_object_mut().unwrap_or_else(|| panic!("{}: {}", self.asked, self.text()));
        document.remove("request_id");
        problem
    }
}
