//! Dialing the platform: one WebSocket over TCP or TLS, with our headers on its handshake.
//!
//! Absent on purpose: proxies, redirects (an answer other than 101 is a refusal), and any choice of roots beyond the
//! public ones, because the origin is part of the service definition and may only be the platform's.

pub mod backoff;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};
use rustls::pki_types::ServerName;
use snapvm_protocol::agent::ORDER_MAX;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, WebSocketConfig};

/// Longest message taken: a control message with room to notice that it is too long.
const RECEIVE_MAX: usize = 2 * ORDER_MAX;
/// A dial that takes longer will not come to anything.
const PATIENCE: Duration = Duration::from_secs(15);

/// A socket to the platform.
pub type Socket = WebSocketStream<Stream>;

/// Where to dial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    tls: bool,
    host: String,
    port: u16,
}

/// Why a dial failed.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// No connection.
    #[error("no connection: {0}")]
    Network(#[from] io::Error),
    /// It took too long.
    #[error("it took too long")]
    Patience,
    /// The platform answered with this status.
    #[error("the platform answered {0}")]
    Refused(u16),
    /// Not a WebSocket, or not ours to dial.
    #[error("the handshake failed")]
    Handshake,
}

impl DialError {
    /// Whether trying again with the same credentials is pointless.
    #[must_use]
    pub fn ends_binding(&self) -> bool {
        matches!(self, Self::Refused(401 | 403))
    }
}

impl Origin {
    /// Reads `http://host[:port]` or `https://host[:port]`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (tls, authority) = match text.trim_end_matches('/').split_once("://")? {
            ("http", authority) => (false, authority),
            ("https", authority) => (true, authority),
            _ => return None,
        };
        let authority: hyper::http::uri::Authority = authority.parse().ok()?;
        if authority.as_str().contains('@') {
            return None;
        }
        let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
        Some(Self { tls, host: authority.host().to_owned(), port })
    }

    fn url(&self, path: &str) -> String {
        let scheme = if self.tls { "wss" } else { "ws" };
        match (self.tls, self.port) {
            (true, 443) | (false, 80) => format!("{scheme}://{}{path}", self.host),
            (_, port) => format!("{scheme}://{}:{port}{path}", self.host),
        }
    }
}

/// Dials sockets; holds the TLS configuration they share.
pub struct Dialer {
    origin: Origin,
    tls: Option<TlsConnector>,
}

impl Dialer {
    /// For an origin.
    ///
    /// # Errors
    /// When TLS cannot be set up, which only a build without a cipher suite can bring about.
    pub fn new(origin: Origin) -> Result<Self, rustls::Error> {
        let tls = if origin.tls { Some(TlsConnector::from(Arc::new(tls_configuration()?))) } else { None };
        Ok(Self { origin, tls })
    }

    /// Opens a socket.
    ///
    /// # Errors
    /// See [`DialError`].
    pub async fn dial(&self, path: &str, headers: &[(&'static str, &str)]) -> Result<Socket, DialError> {
        tokio::time::timeout(PATIENCE, self.connect(path, headers)).await.map_err(|_| DialError::Patience)?
    }

    async fn connect(&self, path: &str, headers: &[(&'static str, &str)]) -> Result<Socket, DialError> {
        use tokio_tungstenite::tungstenite::Error;
        let mut request = self.origin.url(path).into_client_request().map_err(|_| DialError::Handshake)?;
        for (name, value) in headers {
            let value = HeaderValue::from_str(value).map_err(|_| DialError::Handshake)?;
            request.headers_mut().insert(HeaderName::from_static(name), value);
        }
        let host = self.origin.host.trim_start_matches('[').trim_end_matches(']');
        let tcp = TcpStream::connect((host, self.origin.port)).await?;
        // Keystrokes are small and must not wait for each other.
        tcp.set_nodelay(true)?;
        let stream = match &self.tls {
            None => Stream::Plain(tcp),
            Some(connector) => {
                let name = ServerName::try_from(host.to_owned()).map_err(|_| DialError::Handshake)?;
                Stream::Tls(Box::new(connector.connect(name, tcp).await?))
            }
        };
        let configuration = WebSocketConfig::default()
            .read_buffer_size(16 * 1024)
            .write_buffer_size(96 * 1024)
            .max_message_size(Some(RECEIVE_MAX))
            .max_frame_size(Some(RECEIVE_MAX));
        match tokio_tungstenite::client_async_with_config(request, stream, Some(configuration)).await {
            Ok((socket, _)) => Ok(socket),
            Err(Error::Http(response)) => Err(DialError::Refused(response.status().as_u16())),
            Err(Error::Io(error)) => Err(DialError::Network(error)),
            Err(_) => Err(DialError::Handshake),
        }
    }
}

fn tls_configuration() -> Result<rustls::ClientConfig, rustls::Error> {
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut configuration = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    configuration.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(configuration)
}

/// A close message with one of our codes.
#[must_use]
pub fn close_message(code: u16) -> Message {
    Message::Close(Some(CloseFrame { code: CloseCode::from(code), reason: "".into() }))
}

/// The code that a closing socket came with; 1006 when it came with none.
#[must_use]
pub fn close_code(frame: Option<&CloseFrame>) -> u16 {
    frame.map_or(1006, |frame| frame.code.into())
}

/// TCP with or without TLS.
pub enum Stream {
    /// Without.
    Plain(TcpStream),
    /// With.
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins() {
        let url = |text: &str| Origin::parse(text).map(|origin| origin.url("/x"));
        assert_eq!(url("https://dial.example").as_deref(), Some("wss://dial.example/x"));
        assert_eq!(url("http://localhost:8787/").as_deref(), Some("ws://localhost:8787/x"));
        assert_eq!(url("http://[::1]:80").as_deref(), Some("ws://[::1]/x"));
        assert_eq!(url("ftp://a"), None);
        assert_eq!(url("https://a@b"), None);
        assert_eq!(url("https://"), None);
    }
}
