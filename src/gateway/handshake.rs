//! How a member's browser gets into a private app, which lives on another domain than the console:
//!
//! ```text
//! app host      no cookie: set __Host-snap_pre, 302 ─▶ console /app-auth?host&path&c=hash(pre)
//! console       session, membership: 302 ─▶ app host /.snapvm/callback?code
//! app host      code good, hash(pre) fits, unused: set __Host-snap_app, 302 ─▶ path
//! ```
//!
//! The code lives 60 s, is good once, for one host, in the browser that began. Nothing here tells a stranger whether a
//! machine exists: the first step is the same for every name.

use serde::Deserialize;
use snapvm_durable::machine_gateway::command::{Command, Reply};
use snapvm_protocol::hosts::{AppHost, Target};
use snapvm_protocol::ids::MachineId;
use worker::{Env, Request, Response};

use super::cookies::{APP_COOKIE, APP_SECONDS, Admission, CODE_SECONDS, Code, Key, PRE_COOKIE, challenge, set};
use super::object;
use crate::authn::Credential;
use crate::authn::{Presented, authenticate, cookie_value};
use crate::config::Config;
use crate::context::new_id;
use crate::db::{Database, Operation};
use crate::error::{Error, Problem};
use crate::platform;

/// The console's side.
pub const CONSOLE_PATH: &str = "/app-auth";
/// The app host's side.
pub const CALLBACK_PATH: &str = "/.snapvm/callback";

/// First step, on the app's host.
///
/// # Errors
/// [`Error::Internal`] without randomness.
pub fn begin(config: &Config, host: &str, path: &str) -> Result<Response, Error> {
    let pre = new_id()? + &new_id()?;
    let mut target = url::Url::parse(&format!("{}{CONSOLE_PATH}", config.console_origin))
        .map_err(|_| Error::Misconfigured("CONSOLE_ORIGIN must be an origin"))?;
    target.query_pairs_mut().append_pair("host", host).append_pair("path", path).append_pair("c", &challenge(&pre));
    redirect(target.as_str(), &[set(PRE_COOKIE, &pre, 300)])
}

#[derive(Deserialize)]
struct Authorized {
    machine: MachineId,
    account: String,
    epoch: u64,
}

/// Second step, on the console's host.
///
/// # Errors
/// 400 for a request that no first step made; the refusals of `apps_authorize`.
pub async fn authorize(request: Request, env: Env, config: Config, request_id: &str) -> Result<Response, Error> {
    let url = request.url()?;
    let value = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    let (host, path, hash) = (value("host"), value("path"), value("c"));
    let (Some(host), Some(path), Some(hash)) = (host, path, hash) else {
        return Err(Problem::new(400, "handshake", "Open the app's address again.").into());
    };
    let Some(Target::App(app)) = config.hosts.parse(&host) else { return Err(Problem::not_found().into()) };
    if !is_local_path(&path) || hash.len() != 64 {
        return Err(Problem::new(400, "handshake", "Open the app's address again.").into());
    }
    let presented = Presented { cookie: request.headers().get("cookie")?, ..Presented::default() };
    let Some(credential) = authenticate(&presented, &config.console_origin)? else { return sign_in(&config, &url) };
    let authorized = match authorized(&env, &config, &credential, &app, request_id).await {
        Err(Error::Refused(Problem { status: 401, .. })) => return sign_in(&config, &url),
        outcome => outcome?,
    };
    let now = platform::now_ms();
    let code = Code {
        code_for: host.clone(),
        challenge: hash,
        admission: Admission {
            admits: host.clone(),
            machine: authorized.machine,
            account: authorized.account,
            epoch: authorized.epoch,
            until_ms: now + APP_SECONDS * 1000,
        },
        path,
        jti: new_id()?,
        until_ms: now + CODE_SECONDS * 1000,
    };
    let code = Key::read(&env)?.seal(&code)?;
    redirect(&format!("{}://{host}{CALLBACK_PATH}?code={code}", config.scheme), &[])
}

async fn authorized(
    env: &Env,
    config: &Config,
    credential: &Credential,
    app: &AppHost,
    request_id: &str,
) -> Result<Authorized, Error> {
    let context = serde_json::json!({"request_id": request_id, "apps": config.apps_pattern()}).to_string();
    let arguments =
        vec![credential.as_context().into(), context.into(), app.org.as_str().into(), app.machine.as_str().into()];
    Database::connect(env).await?.call(Operation { name: "apps_authorize", arguments }).await?.read()
}

fn sign_in(config: &Config, url: &url::Url) -> Result<Response, Error> {
    let mut target = url::Url::parse(&format!("{}/signin", config.console_origin))
        .map_err(|_| Error::Misconfigured("CONSOLE_ORIGIN must be an origin"))?;
    let next = format!("{}?{}", url.path(), url.query().unwrap_or_default());
    target.query_pairs_mut().append_pair("next", &next);
    redirect(target.as_str(), &[])
}

/// Third step, on the app's host.
///
/// # Errors
/// 403 `handshake` for a code that is wrong, old, used, for another host, or of another browser.
pub async fn finish(request: &Request, env: &Env, config: &Config, host: &str) -> Result<Response, Error> {
    let refused =
        || Problem::new(403, "handshake", "This link has been used or is too old. Open the app's address again.");
    let url = request.url()?;
    let text = url.query_pairs().find(|(key, _)| key == "code").map(|(_, value)| value.into_owned());
    let key = Key::read(env)?;
    let code: Code = text.and_then(|text| key.open(&text)).ok_or_else(refused)?;
    let cookies = request.headers().get("cookie")?.unwrap_or_default();
    let pre = cookie_value(&cookies, PRE_COOKIE).unwrap_or_default();
    let now = platform::now_ms();
    if code.code_for != host || code.until_ms <= now || code.challenge != challenge(pre) {
        return Err(refused().into());
    }
    let command = Command::UseCode { jti: code.jti, until_ms: code.until_ms };
    match object::command(env, code.admission.machine, &command).await? {
        Reply::Code { fresh: true } => {}
        _ => return Err(refused().into()),
    }
    let cookie = set(APP_COOKIE, &key.seal(&code.admission)?, APP_SECONDS);
    let target = format!("{}://{host}{}", config.scheme, code.path);
    redirect(&target, &[cookie, set(PRE_COOKIE, "", 0)])
}

fn redirect(target: &str, cookies: &[String]) -> Result<Response, Error> {
    let headers = worker::Headers::new();
    headers.set("location", target)?;
    headers.set("cache-control", "no-store")?;
    for cookie in cookies {
        headers.append("set-cookie", cookie)?;
    }
    Ok(Response::empty()?.with_status(302).with_headers(headers))
}

/// A path on the same host: `/…`, but not `//…` or `/\…`, which browsers take for another host.
#[must_use]
pub fn is_local_path(path: &str) -> bool {
    let mut characters = path.chars();
    characters.next() == Some('/')
        && !matches!(characters.next(), Some('/' | '\\'))
        && path.len() <= 4096
        && !path.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::is_local_path;

    #[test]
    fn only_paths_of_the_same_host_are_local() {
        for path in ["/", "/a?b=//c", "/a/b#c"] {
            assert!(is_local_path(path), "{path}");
        }
        for path in ["", "a", "//evil.test", "/\\evil.test", "https://evil.test", "/a\r\nb", "\\/a"] {
            assert!(!is_local_path(path), "{path:?}");
        }
    }
}
