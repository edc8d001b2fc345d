//! One connection from a URL, with TLS as the URL says.

use anyhow::{Context, Result, anyhow, bail};
use tokio_postgres::config::Host;
use tokio_postgres::{Client, Config, NoTls};

use super::tls;

/// How the connection is protected. The words are libpq's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TlsMode {
    /// Plain text: the default for this machine itself, and a choice nowhere else.
    Disable,
    /// Encrypted, the server's certificate not looked at, as libpq does it.
    Require,
    /// Encrypted, certificate and host name verified: the default for every other host.
    Verify,
}

/// What a database URL says.
#[derive(Debug)]
pub(crate) struct Target {
    config: Config,
    tls: TlsMode,
    root_certificate: Option<String>,
}

/// Opens a connection. `url` may say `sslmode=disable`, `require` or `verify-full`, and `sslrootcert=FILE`; without
/// `sslmode`, connections to this machine are plain and all others are verified.
///
/// # Errors
/// When the URL can't be read or the server can't be reached.
pub async fn connect(url: &str) -> Result<Client> {
    let target = Target::parse(url)?;
    let context = || format!("cannot connect to {}", target.describe());
    match target.tls {
        TlsMode::Disable => {
            let (client, connection) = target.config.connect(NoTls).await.with_context(context)?;
            drive(connection);
            Ok(client)
        }
        TlsMode::Require | TlsMode::Verify => {
            let verify = target.tls == TlsMode::Verify;
            let connector = tls::connector(verify, target.root_certificate.as_deref())?;
            let (client, connection) = target.config.connect(connector).await.with_context(context)?;
            drive(connection);
            Ok(client)
        }
    }
}

/// A connection's own work runs beside its client. Its error is also every pending query's error, so it isn't shown.
fn drive<S, T>(connection: tokio_postgres::Connection<S, T>)
where
    tokio_postgres::Connection<S, T>: Future<Output = Result<(), tokio_postgres::Error>> + Send + 'static,
{
    tokio::spawn(async move {
        let _ = connection.await;
    });
}

impl Target {
    /// Reads a URL. Our own words for `sslmode` are taken out first: the driver knows only some of libpq's.
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let mut mode = None;
        let mut root_certificate = None;
        let mut rest = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", value)) => mode = Some(parse_mode(value)?),
                Some(("sslrootcert", value)) => root_certificate = Some(value.replace("%2F", "/")),
                _ => rest.push(pair),
            }
        }
        let cleaned = if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) };
        // The driver's error may repeat the URL and with it the password.
        let mut config: Config = cleaned.parse().map_err(|_| anyhow!("the database URL can't be read"))?;
        if config.get_hosts().is_empty() {
            bail!("the database URL names no host");
        }
        let local = config.get_hosts().iter().all(is_local);
        let tls = mode.unwrap_or(if local { TlsMode::Disable } else { TlsMode::Verify });
        config.ssl_mode(match tls {
            TlsMode::Disable => tokio_postgres::config::SslMode::Disable,
            TlsMode::Require | TlsMode::Verify => tokio_postgres::config::SslMode::Require,
        });
        config.application_name("snapvm-db");
        Ok(Self { config, tls, root_certificate })
    }

    /// Host and database for messages; never the password.
    fn describe(&self) -> String {
        let host = match self.config.get_hosts().first() {
            Some(Host::Tcp(host)) => host.clone(),
            Some(Host::Unix(path)) => path.display().to_string(),
            None => String::new(),
        };
        let port = self.config.get_ports().first().copied().unwrap_or(5432);
        format!("Postgres at {host}:{port}, database {}", self.config.get_dbname().unwrap_or("(default)"))
    }
}

fn parse_mode(value: &str) -> Result<TlsMode> {
    match value {
        "disable" => Ok(TlsMode::Disable),
        "require" => Ok(TlsMode::Require),
        "verify" | "verify-ca" | "verify-full" => Ok(TlsMode::Verify),
        other => bail!("sslmode={other} isn't known: use disable, require or verify-full"),
    }
}

fn is_local(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        Host::Unix(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(url: &str) -> TlsMode {
        Target::parse(url).unwrap().tls
    }

    #[test]
    fn remote_hosts_are_verified_unless_the_url_says_otherwise() {
        assert_eq!(mode("postgres://a:b@db.example.com/x"), TlsMode::Verify);
        assert_eq!(mode("postgres://a:b@db.example.com/x?sslmode=require"), TlsMode::Require);
        assert_eq!(mode("postgres://a:b@db.example.com/x?connect_timeout=3&sslmode=disable"), TlsMode::Disable);
        assert_eq!(mode("postgres://a:b@127.0.0.1:5/x"), TlsMode::Disable);
        assert_eq!(mode("postgres://a:b@localhost/x?sslmode=verify-full"), TlsMode::Verify);
    }

    #[test]
    fn weak_modes_are_refused() {
        assert!(Target::parse("postgres://a@db.example.com/x?sslmode=prefer").is_err());
    }

    #[test]
    fn a_bad_url_is_refused_without_repeating_its_password() {
        let error = format!("{:?}", Target::parse("postgres://a:hunter2@db:notaport/x").unwrap_err());
        assert!(!error.contains("hunter2"), "{error}");
    }
}
