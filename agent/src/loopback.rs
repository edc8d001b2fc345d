//! Connecting to programs of the machine itself.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::net::TcpStream;

/// Connects to a loopback port.
///
/// # Errors
/// [`io::ErrorKind::ConnectionRefused`] where nobody listens; others say what the system says.
pub async fn connect(port: u16) -> io::Result<TcpStream> {
    let refused = match TcpStream::connect((IpAddr::V4(Ipv4Addr::LOCALHOST), port)).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => error,
        other => return other,
    };
    // Many development servers listen on the IPv6 loopback only.
    TcpStream::connect((IpAddr::V6(Ipv6Addr::LOCALHOST), port)).await.map_err(|_| refused)
}
