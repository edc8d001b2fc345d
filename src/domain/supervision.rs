//! Checks of what a service's definition says about its supervision: what it needs, when it is ready, how it is
//! restarted and stopped. Each refusal names the field.

use snapvm_protocol::services::needs::{Needs, cycle};
use snapvm_protocol::services::{NEEDS_MAX, READY_SECONDS_MAX, Readiness, STOP_GRACE_SECONDS_MAX, ServiceDefinition};

use super::fields::{service_name, within};
use crate::error::Problem;

/// Longest path that readiness is asked at, in bytes.
const PATH_MAX: usize = 1024;

/// What can be said without knowing the machine's other services.
///
/// # Errors
/// 422 for the field that is wrong.
pub fn check(definition: &ServiceDefinition) -> Result<(), Problem> {
    needs(definition)?;
    readiness(definition)?;
    let seconds = |field: &str, given: Option<u16>, most: u16| match given {
        Some(seconds) => within(field, i64::from(seconds), 1..=i32::from(most)).map(|_| ()),
        None => Ok(()),
    };
    seconds("ready_limit_seconds", definition.ready_limit_seconds, READY_SECONDS_MAX)?;
    seconds("stop_grace_seconds", definition.stop_grace_seconds, STOP_GRACE_SECONDS_MAX)
}

fn needs(definition: &ServiceDefinition) -> Result<(), Problem> {
    let refuse = |detail: String| Err(Problem::invalid("needs", detail));
    if definition.needs.len() > NEEDS_MAX {
        return refuse(format!("A service needs at most {NEEDS_MAX} others; this one has {}.", definition.needs.len()));
    }
    for (at, name) in definition.needs.iter().enumerate() {
        if service_name(name).is_err() {
            return refuse("These are names of services of the same machine.".into());
        }
        if *name == definition.name {
            return refuse(format!("{name} cannot need itself."));
        }
        if definition.needs.iter().take(at).any(|other| other == name) {
            return refuse(format!("{name} is named twice."));
        }
    }
    Ok(())
}

fn readiness(definition: &ServiceDefinition) -> Result<(), Problem> {
    let refuse = |detail: String| Err(Problem::invalid("ready", detail));
    match &definition.ready {
        None => Ok(()),
        Some(Readiness::Http { .. }) if definition.http_port.is_none() => {
            refuse("It can be asked over HTTP only where it has an HTTP port.".into())
        }
        Some(Readiness::Http { path }) => {
            let is_path = path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
            if is_path && path.len() <= PATH_MAX && !path.starts_with("//") {
                return Ok(());
            }
            refuse(format!("A path starts with one slash, has no spaces in it, and at most {PATH_MAX} characters."))
        }
        Some(Readiness::Tcp { port: 0 }) => refuse("A port is a number from 1 to 65535.".into()),
        Some(Readiness::Tcp { .. }) => Ok(()),
        Some(Readiness::Delay { seconds }) if *seconds <= READY_SECONDS_MAX => Ok(()),
        Some(Readiness::Delay { .. }) => refuse(format!("A delay has at most {READY_SECONDS_MAX} seconds.")),
    }
}

/// The refusal of needs that would make a cycle through this service.
#[must_use]
pub fn cyclic(needs: &Needs, name: &str) -> Problem {
    let path = cycle(needs, name).unwrap_or_else(|| vec![name.to_owned(), name.to_owned()]);
    let mut sentence = String::new();
    for (at, name) in path.iter().enumerate() {
        sentence.push_str(match at {
            0 => "",
            1 => " needs ",
            _ => ", which needs ",
        });
        sentence.push_str(name);
    }
    Problem::invalid("needs", format!("This makes a cycle: {sentence}. None of them could start."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut ServiceDefinition)) -> Option<String> {
        let mut definition = ServiceDefinition::new("web", "true");
        change(&mut definition);
        check(&definition).err().and_then(|problem| problem.field)
    }

    #[test]
    fn refusals_name_the_field() {
        assert_eq!(refused(|_| {}), None);
        for needs in [vec!["web"], vec!["A"], vec!["a", "b", "a"], vec!["a"; 21]] {
            let needs: Vec<String> = needs.into_iter().map(str::to_owned).collect();
            assert_eq!(refused(|definition| definition.needs = needs).as_deref(), Some("needs"));
        }
        let http = |path: &str| Some(Readiness::Http { path: path.into() });
        let with_port = |ready: Option<Readiness>| {
            refused(|definition| (definition.http_port, definition.ready) = (Some(3000), ready))
        };
        assert_eq!(with_port(http("/healthz?a=b")), None);
        for path in ["", "x", "//evil.test", "/a b", "/\n", "/é", "/a#b"] {
            assert_eq!(with_port(http(path)).as_deref(), Some("ready"), "{path}");
        }
        for ready in [http("/"), Some(Readiness::Tcp { port: 0 }), Some(Readiness::Delay { seconds: 3601 })] {
            assert_eq!(refused(|definition| definition.ready = ready).as_deref(), Some("ready"));
        }
        for seconds in [0, 301] {
            let field = refused(|definition| definition.stop_grace_seconds = Some(seconds));
            assert_eq!(field.as_deref(), Some("stop_grace_seconds"));
        }
        let field = refused(|definition| definition.ready_limit_seconds = Some(0));
        assert_eq!(field.as_deref(), Some("ready_limit_seconds"));
    }

    #[test]
    fn a_cycle_is_named() {
        let line = |name: &str, need: &str| (name.to_owned(), vec![need.to_owned()]);
        let needs = [line("web", "api"), line("api", "db"), line("db", "web")].into();
        let problem = cyclic(&needs, "db");
        let detail = "This makes a cycle: db needs web, which needs api, which needs db. None of them could start.";
        assert_eq!((problem.field.as_deref(), problem.detail.as_str()), (Some("needs"), detail));
    }
}
