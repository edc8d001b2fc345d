//! HTTP over connections that stay open, and somebody who is signed in.

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::random;

/// The session's cookie.
pub(crate) const SESSION_COOKIE: &str = "__Host-snap_session";

/// One connection to a port of this machine.
#[derive(Debug)]
pub(crate) struct Connection {
    port: u16,
    host: String,
    sender: SendRequest<Full<Bytes>>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: u16,
    /// The headers.
    pub(crate) headers: hyper::HeaderMap,
    /// The body.
    pub(crate) body: Bytes,
}

impl Answer {
    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header that has to be there.
    pub(crate) fn header(&self, name: &str) -> Result<&str> {
        let value = self.headers.get(name).with_context(|| format!("{}: no {name}: {}", self.status, self.text()))?;
        Ok(value.to_str()?)
    }

    /// `name=value` of the cookie of this name.
    pub(crate) fn cookie(&self, name: &str) -> Result<String> {
        self.headers
            .get_all("set-cookie")
            .iter()
            .filter_map(|line| line.to_str().ok()?.split(';').next())
            .find(|pair| pair.split('=').next() == Some(name))
            .map(str::to_owned)
            .with_context(|| format!("{}: no cookie {name}: {}", self.status, self.text()))
    }
}

impl Connection {
    /// Connects; `host` is what each request says as `Host`.
    pub(crate) async fn open(port: u16, host: &str) -> Result<Self> {
        Ok(Self { port, host: host.to_owned(), sender: connect(port).await? })
    }

    /// Sends a request and reads all of its answer. A connection that the other side closed is opened again.
    pub(crate) async fn ask(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Answer> {
        if self.sender.ready().await.is_err() {
            self.sender = connect(self.port).await?;
        }
        let mut request = hyper::Request::builder().method(method).uri(path).header("host", &self.host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        let answer = self.sender.send_request(request.body(Full::new(Bytes::from(body)))?).await?;
        let (parts, body) = answer.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
    }
}

async fn connect(port: u16) -> Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.with_context(|| format!("port {port}"))?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    // Its end shows at the next request.
    tokio::spawn(connection);
    Ok(sender)
}

/// Somebody with an account and a browser.
#[derive(Debug)]
pub(crate) struct Person {
    connection: Connection,
    /// The console's origin.
    pub(crate) origin: String,
    /// The Worker's port.
    pub(crate) port: u16,
    /// The session's cookie, as `name=value`.
    pub(crate) cookie: String,
    /// Their address.
    pub(crate) email: String,
    /// Their account.
    pub(crate) account: String,
    /// The organization that sign-up made.
    pub(crate) org: String,
}

impl Person {
    /// Signs somebody up; `number` keeps their addresses apart, for the limits of sign-up are per address.
    pub(crate) async fn sign_up(port: u16, number: usize) -> Result<Self> {
        let host = format!("localhost:{port}");
        let mut connection = Connection::open(port, &host).await?;
        let origin = format!("http://{host}");
        let email = format!("b{}@example.com", random::hex(6)?);
        let body = json!({
            "email": email, "name": "Bench", "password": "correct horse battery",
        });
        let address = format!("10.0.{}.{}", number / 250, number % 250 + 1);
        let headers = [("origin", origin.as_str()), ("cf-connecting-ip", &address)];
        let answer = connection.ask("POST", "/v1/accounts", &headers, Some(&body)).await?;
        if answer.status != 201 {
            bail!("sign-up answered {}: {}", answer.status, answer.text());
        }
        let cookie = answer.cookie(SESSION_COOKIE)?;
        let account: Value = serde_json::from_slice(&answer.body)?;
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned).context("no account");
        Ok(Self {
            connection,
            origin,
            port,
            cookie,
            email,
            account: text(account.get("id"))?,
            org: text(account.pointer("/orgs/0/slug"))?,
        })
    }

    /// Calls the API, as the console does.
    pub(crate) async fn call(&mut self, method: &str, path: &str, body: Option<&Value>) -> Result<(u16, Value)> {
        let headers = [("origin", self.origin.as_str()), ("cookie", self.cookie.as_str())];
        let answer = self.connection.ask(method, path, &headers, body).await?;
        Ok((answer.status, serde_json::from_slice(&answer.body).unwrap_or(Value::Null)))
    }

    /// The same, for a call that has to succeed.
    pub(crate) async fn expect(&mut self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let (status, value) = self.call(method, path, body).await?;
        if status >= 300 {
            bail!("{method} {path} answered {status}: {value}");
        }
        Ok(value)
    }
}
