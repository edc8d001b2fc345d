//! Which part of SnapVM a `Host` names: the console, the agents' dial origin, or an app of a machine.
//!
//! One strict parser; whatever it does not know is a 404 before anything is looked up.

use crate::names::{MachineName, OrgSlug};

/// Lowest port an app may be reached on. Below it a guest needs privileges that apps should not have.
pub const APP_PORT_MIN: u16 = 1024;
/// The port the agent listens on: the one the Sprites edge forwards to, never an app's.
pub const AGENT_PORT: u16 = 8080;

/// The hosts of a deployment, each with its port where it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hosts {
    /// The console's and the API's host.
    pub console: String,
    /// The domain under which each app has a host.
    pub apps: String,
    /// The host that agents dial. May be the console's.
    pub dial: String,
}

/// What a host names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The console, the API and the documentation.
    Console,
    /// The agents' dial origin, where it has a host of its own.
    Dial,
    /// An app of a machine.
    App(AppHost),
}

/// An app's host: `[{port}--]{machine}--{org}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppHost {
    /// The port; `None` is the machine's default app port.
    pub port: Option<u16>,
    /// The machine's name.
    pub machine: MachineName,
    /// The organization's slug.
    pub org: OrgSlug,
}

impl Hosts {
    /// What `host` (as sent, so with a port where the URL has one) names; `None` for anything unknown.
    #[must_use]
    pub fn parse(&self, host: &str) -> Option<Target> {
        if host == self.console {
            return Some(Target::Console);
        }
        if host == self.dial {
            return Some(Target::Dial);
        }
        let label = host.strip_suffix(self.apps.as_str())?.strip_suffix('.')?;
        AppHost::parse(label).map(Target::App)
    }
}

impl AppHost {
    /// Reads the first label of an app's host.
    #[must_use]
    pub fn parse(label: &str) -> Option<Self> {
        if label.len() > 63 {
            return None;
        }
        let mut parts = label.split("--");
        let (first, second, third) = (parts.next()?, parts.next()?, parts.next());
        if parts.next().is_some() {
            return None;
        }
        let (port, machine, org) = match third {
            Some(org) => (Some(parse_port(first)?), second, org),
            None => (None, first, second),
        };
        Some(Self { port, machine: machine.parse().ok()?, org: org.parse().ok()? })
    }

    /// The label that [`AppHost::parse`] reads.
    #[must_use]
    pub fn label(&self) -> String {
        match self.port {
            Some(port) => format!("{port}--{}--{}", self.machine, self.org),
            None => format!("{}--{}", self.machine, self.org),
        }
    }
}

/// A port that an app may use, in its one canonical spelling.
#[must_use]
pub fn parse_port(text: &str) -> Option<u16> {
    let port: u16 = text.parse().ok()?;
    (is_app_port(port) && port.to_string() == text).then_some(port)
}

/// Whether an app may be reached on `port`.
#[must_use]
pub fn is_app_port(port: u16) -> bool {
    port >= APP_PORT_MIN && port != AGENT_PORT
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hosts() -> Hosts {
        Hosts {
            console: "localhost:8787".into(),
            apps: "apps.localhost:8787".into(),
            dial: "dial.snapvm.internal:8787".into(),
        }
    }

    #[test]
    fn known_hosts() {
        assert_eq!(hosts().parse("localhost:8787"), Some(Target::Console));
        assert_eq!(hosts().parse("dial.snapvm.internal:8787"), Some(Target::Dial));
        let Some(Target::App(app)) = hosts().parse("3000--api-demo--acme.apps.localhost:8787") else { panic!() };
        assert_eq!((app.port, app.machine.as_str(), app.org.as_str()), (Some(3000), "api-demo", "acme"));
        let Some(Target::App(app)) = hosts().parse("api-demo--acme.apps.localhost:8787") else { panic!() };
        assert_eq!(app.port, None);
    }

    #[test]
    fn everything_else_is_unknown() {
        for host in [
            "",
            "localhost",
            "localhost:8788",
            "apps.localhost:8787",
            ".apps.localhost:8787",
            "api-demo.apps.localhost:8787",
            "x.api-demo--acme.apps.localhost:8787",
            "8080--a--b.apps.localhost:8787",
            "80--a--b.apps.localhost:8787",
            "03000--a--b.apps.localhost:8787",
            "+3000--a--b.apps.localhost:8787",
            "99999--a--b.apps.localhost:8787",
            "evil.com:--a--b.apps.localhost:8787",
            "3000--a--b--c.apps.localhost:8787",
            "3000--A--b.apps.localhost:8787",
            "a--bapps.localhost:8787",
            "code--a--b.apps.localhost:8787",
            "--a--b.apps.localhost:8787",
        ] {
            assert_eq!(hosts().parse(host), None, "{host}");
        }
    }

    proptest! {
        #[test]
        fn a_label_that_parses_prints_back(label in "([0-9]{1,5}--)?[a-z0-9-]{1,20}--[a-z0-9-]{1,20}") {
            if let Some(app) = AppHost::parse(&label) {
                prop_assert_eq!(app.label(), label);
            }
        }

        #[test]
        fn any_host_is_parsed_or_refused(host in ".{0,100}") {
            let _ = hosts().parse(&host);
        }
    }
}
