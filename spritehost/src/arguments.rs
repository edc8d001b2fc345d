//! The command line.
//!
//! Parsers of single values live here too, since nothing else reads them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

/// The variable with the API token; no program that is started inherits it.
pub(crate) const TOKEN_VARIABLE: &str = "SPRITEHOST_TOKEN";

/// A Sprites-compatible runtime for one Linux machine.
#[derive(Debug, Parser)]
#[command(name = "spritehost", version, about)]
pub(crate) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the Sprites API.
    Serve(Box<Serve>),
    /// The base image of all sprites.
    #[command(subcommand)]
    Image(ImageCommand),
    /// Process 1 of a sprite; started by `serve`, not by people.
    #[command(hide = true)]
    GuestInit,
}

/// What to do with base images.
#[derive(Debug, Subcommand)]
pub(crate) enum ImageCommand {
    /// Make a base image; a finished one is left as it is.
    Build(ImageBuild),
}

/// Options of `image build`.
#[derive(Debug, Args)]
pub(crate) struct ImageBuild {
    /// Where the image goes.
    #[arg(long)]
    pub output: PathBuf,
    /// Take this root file system (a tar archive of any Debian-like system) instead of asking the package mirrors.
    #[arg(long)]
    pub from_tar: Option<PathBuf>,
}

/// Options of `serve`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Serve {
    /// Where the API listens; sprites' URLs listen on the same address.
    #[arg(long, default_value = "127.0.0.1:8788")]
    pub listen: SocketAddr,
    /// Where sprites' files and records are kept.
    #[arg(long)]
    pub state: PathBuf,
    /// The base image, made by `image build`.
    #[arg(long)]
    pub image: PathBuf,
    /// The one host service that sprites reach: the name and port they dial, and where that leads on this machine.
    #[arg(long, value_name = "NAME:PORT=ADDRESS:PORT")]
    pub dial: Option<Dial>,
    /// The organization that sprites say they belong to.
    #[arg(long, default_value = "local")]
    pub organization: String,
    /// Freeze a sprite after this long without activity.
    #[arg(long, value_parser = parse_duration, default_value = "30s")]
    pub warm_after: Duration,
    /// Drop the memory of a frozen sprite after this long.
    #[arg(long, value_parser = parse_duration, default_value = "10m")]
    pub cold_after: Duration,
    /// Keep so many cold sprites ready to boot, those that went cold last; each takes a megabyte of the machine's memory.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u8).range(..=128))]
    pub ready: u8,
    /// The host in sprites' URLs.
    #[arg(long, default_value = "127.0.0.1")]
    pub public_host: String,
    /// Memory of a sprite that asks for no particular size, in MiB.
    #[arg(long, default_value_t = 2048)]
    pub memory: u32,
    /// Most processes and threads in one sprite.
    #[arg(long, default_value_t = 4096)]
    pub processes: u32,
    /// Addresses for sprites' network interfaces: a free /22 of this range is taken.
    #[arg(long, default_value = "10.83.0.0/16")]
    pub network: Range,
    /// Name servers that sprites' names are looked up with; the machine's own where none is given.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub resolver: Vec<SocketAddr>,
    /// A name, or `*.` and one, that network policies mean by `defaults`. May be given many times.
    #[arg(long, value_name = "DOMAIN", value_parser = parse_domain)]
    pub policy_default: Vec<String>,
    /// Most sprites that run at once; others get 429.
    #[arg(long)]
    pub running_limit: Option<u32>,
    /// Most sprites that are created within a minute; others get 429.
    #[arg(long)]
    pub creation_limit: Option<u32>,
    /// Drop frozen sprites while the machine has less memory left than this, in MiB.
    #[arg(long, default_value_t = 256)]
    pub memory_reserve: u32,
    /// Where metrics are served, as Prometheus reads them: a loopback address.
    #[arg(long, value_parser = parse_loopback)]
    pub metrics: Option<SocketAddr>,
    /// Take orders to fail on the unix socket `operator.sock` in the state folder.
    #[arg(long)]
    pub faults: bool,
    /// The API token of the whole organization.
    #[arg(long, env = TOKEN_VARIABLE, hide_env_values = true, hide = true, default_value = "")]
    pub token: Token,
}

/// The organization's API token; never printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Token(String);

impl Token {
    /// Whether a caller's token is this one, in a time that doesn't tell how much of it is right.
    #[must_use]
    pub(crate) fn matches(&self, offered: &str) -> bool {
        use subtle::ConstantTimeEq;
        self.0.as_bytes().ct_eq(offered.as_bytes()).into()
    }

    /// Whether there is none.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromStr for Token {
    type Err = std::convert::Infallible;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(…)")
    }
}

/// The dial origin: what sprites call it, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dial {
    /// The name in the guest's `/etc/hosts`.
    pub name: String,
    /// The port in the guest.
    pub port: u16,
    /// Where connections go on this machine.
    pub target: SocketAddr,
}

/// Why a value of the command line was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidArgument {
    /// Not a dial origin.
    #[error("expected NAME:PORT=ADDRESS:PORT, such as snapvm.internal:8787=127.0.0.1:8787")]
    Dial,
    /// Not a duration.
    #[error("expected a duration such as 500ms, 30s, 10m or 1h")]
    Duration,
    /// Not a pattern of names.
    #[error("expected a domain name, or *. and one")]
    Domain,
    /// Not a loopback address.
    #[error("expected a loopback address and a port, such as 127.0.0.1:9100")]
    Loopback,
    /// Not a range.
    #[error("expected a private IPv4 range between /8 and /22, such as 10.83.0.0/16")]
    Range,
}

impl FromStr for Dial {
    type Err = InvalidArgument;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (origin, target) = text.split_once('=').ok_or(InvalidArgument::Dial)?;
        let (name, port) = origin.rsplit_once(':').ok_or(InvalidArgument::Dial)?;
        let tidy = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-';
        if name.is_empty() || name.len() > 253 || !name.bytes().all(tidy) {
            return Err(InvalidArgument::Dial);
        }
        let port = port.parse().ok().filter(|port| *port != 0).ok_or(InvalidArgument::Dial)?;
        let target = target.parse().map_err(|_| InvalidArgument::Dial)?;
        Ok(Self { name: name.to_owned(), port, target })
    }
}

/// A range of private IPv4 addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    /// Its first address.
    pub first: Ipv4Addr,
    /// Length of its prefix.
    pub prefix: u8,
}

impl FromStr for Range {
    type Err = InvalidArgument;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (first, prefix) = text.split_once('/').ok_or(InvalidArgument::Range)?;
        let first: Ipv4Addr = first.parse().map_err(|_| InvalidArgument::Range)?;
        let prefix: u8 = prefix.parse().map_err(|_| InvalidArgument::Range)?;
        let aligned = (8..=22).contains(&prefix) && first.to_bits().trailing_zeros() >= 32 - u32::from(prefix);
        if !aligned || !first.is_private() {
            return Err(InvalidArgument::Range);
        }
        Ok(Self { first, prefix })
    }
}

/// Reads a duration: a whole number and a unit out of `ms`, `s`, `m`, `h`; a bare number counts seconds.
///
/// # Errors
/// Anything else, and more than a year.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, InvalidArgument> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).ok_or(InvalidArgument::Duration)?;
    let number: u64 = number.parse().map_err(|_| InvalidArgument::Duration)?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" | "" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(InvalidArgument::Duration),
    };
    let total = number.checked_mul(milliseconds).ok_or(InvalidArgument::Duration)?;
    if total > 366 * 24 * 3_600_000 {
        return Err(InvalidArgument::Duration);
    }
    Ok(Duration::from_millis(total))
}

/// Reads a pattern of domain names.
///
/// # Errors
/// Anything else.
fn parse_domain(text: &str) -> Result<String, InvalidArgument> {
    if crate::policy::is_pattern(text) { Ok(text.to_owned()) } else { Err(InvalidArgument::Domain) }
}

/// Reads a loopback address with a port.
///
/// # Errors
/// Anything else.
fn parse_loopback(text: &str) -> Result<SocketAddr, InvalidArgument> {
    text.parse().ok().filter(|address: &SocketAddr| address.ip().is_loopback()).ok_or(InvalidArgument::Loopback)
}

impl Serve {
    /// The address that sprites' URLs listen on.
    #[must_use]
    pub(crate) fn address(&self) -> IpAddr {
        self.listen.ip()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_are_read_or_refused() {
        assert_eq!(parse_duration("1500ms"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_duration("10m"), Ok(Duration::from_mins(10)));
        assert_eq!(parse_duration("7"), Ok(Duration::from_secs(7)));
        for bad in ["", "s", "-1s", "1d", "1.5h", "99999999999999999999s", "9000h9"] {
            assert_eq!(parse_duration(bad), Err(InvalidArgument::Duration), "{bad}");
        }
        let dial: Dial = "snapvm.internal:8787=127.0.0.1:80".parse().unwrap();
        assert_eq!((dial.name.as_str(), dial.port, dial.target.port()), ("snapvm.internal", 8787, 80));
        for bad in ["", "a=b", ":1=127.0.0.1:1", "a b:1=127.0.0.1:1", "a:0=127.0.0.1:1", "a:1=host:1"] {
            assert_eq!(bad.parse::<Dial>(), Err(InvalidArgument::Dial), "{bad}");
        }
        assert!(parse_loopback("127.0.0.1:0").is_ok() && parse_loopback("[::1]:9").is_ok());
        assert_eq!(parse_loopback("0.0.0.0:9100"), Err(InvalidArgument::Loopback));
        assert!("10.83.0.0/16".parse::<Range>().is_ok());
        for bad in ["10.83.0.1/16", "8.8.0.0/16", "10.0.0.0/24", "10.0.0.0"] {
            assert_eq!(bad.parse::<Range>(), Err(InvalidArgument::Range), "{bad}");
        }
    }

    #[test]
    fn the_token_is_not_printed() {
        let token: Token = "secret".parse().unwrap();
        assert_eq!(format!("{token:?}"), "Token(…)");
        assert!(token.matches("secret") && !token.matches("secreT") && !token.matches(""));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}") {
            let _ = parse_duration(&text);
            let _ = text.parse::<Dial>();
            let _ = text.parse::<Range>();
        }
    }
}
