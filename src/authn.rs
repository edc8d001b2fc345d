//! Authentication: which credential a request carries, and whether it may be used from where the request comes.
//!
//! Forged cross-site requests are refused here, in one place, before anything else runs; a handler cannot forget it.
//! Whether a credential is *good* is the database's business (`authz.account_id`).

use crate::error::Problem;
use crate::secrets::{self, Hash, OPERATOR_PREFIX, TOKEN_PREFIX, Token};

/// The session cookie. `__Host-` ties it to this origin: `Secure`, `Path=/`, no `Domain`.
pub const SESSION_COOKIE: &str = "__Host-snap_session";
/// How long a browser keeps it, in seconds; the server's own limits are shorter or equal.
pub const SESSION_SECONDS: u32 = 30 * 24 * 3600;

/// A credential, as the database knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// A browser session.
    Session(Hash),
    /// An API token.
    Token(Hash),
    /// The operator of the deployment.
    Operator(Hash),
}

impl Credential {
    /// The database's form: kind and hash.
    #[must_use]
    pub fn as_context(&self) -> String {
        match self {
            Self::Session(hash) => format!("s:{hash}"),
            Self::Token(hash) => format!("t:{hash}"),
            Self::Operator(hash) => format!("j:{hash}"),
        }
    }
}

/// The parts of a request that authentication looks at.
#[derive(Debug, Clone, Default)]
pub struct Presented {
    /// `Authorization`.
    pub authorization: Option<String>,
    /// `Cookie`.
    pub cookie: Option<String>,
    /// `Origin`.
    pub origin: Option<String>,
    /// `Sec-Fetch-Site`.
    pub fetch_site: Option<String>,
    /// Whether the method may change something, or the request opens a socket.
    pub unsafe_method: bool,
}

/// Finds the credential of a request.
///
/// # Errors
/// 401 for an `Authorization` that cannot be a token of ours; 403 `cross_site` for an unsafe request that a page of
/// another origin may have caused.
pub fn authenticate(presented: &Presented, console_origin: &str) -> Result<Option<Credential>, Problem> {
    if let Some(authorization) = &presented.authorization {
        // A token is never sent by a browser on its own, so cookies and origin do not matter beside it.
        let text = authorization
            .split_once(' ')
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, text)| text.trim())
            .ok_or_else(Problem::unauthenticated)?;
        // Made by whoever deploys, so it has no checksum; like the others it is known by its hash only.
        if text.starts_with(OPERATOR_PREFIX) {
            return Ok(Some(Credential::Operator(secrets::hash(text.as_bytes()))));
        }
        let token = Some(text).filter(|text| text.starts_with(TOKEN_PREFIX)).and_then(Token::parse);
        return Ok(Some(Credential::Token(token.ok_or_else(Problem::unauthenticated)?.hash())));
    }
    let session = presented.cookie.as_deref().and_then(|cookie| cookie_value(cookie, SESSION_COOKIE));
    if presented.unsafe_method {
        refuse_cross_site(presented, console_origin, session.is_some())?;
    }
    Ok(session.and_then(Token::parse).map(|token| Credential::Session(token.hash())))
}

/// An unsafe request needs the console's origin. One without `Origin` comes from a program, not a page, and may only
/// do what needs no cookie.
fn refuse_cross_site(presented: &Presented, console_origin: &str, has_cookie: bool) -> Result<(), Problem> {
    let allowed = match (presented.origin.as_deref(), presented.fetch_site.as_deref()) {
        (_, Some(site)) if site != "same-origin" => false,
        (Some(origin), _) => origin == console_origin,
        (None, _) => !has_cookie,
    };
    if allowed {
        return Ok(());
    }
    Err(Problem::new(403, "cross_site", "This request came from another site. Use the console, or an API token."))
}

/// The value of a cookie in a `Cookie` header.
#[must_use]
pub fn cookie_value<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    header.split(';').find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

/// `Set-Cookie` that begins a session.
#[must_use]
pub fn session_cookie(token: &Token) -> String {
    format!("{SESSION_COOKIE}={}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={SESSION_SECONDS}", token.reveal())
}

/// `Set-Cookie` that ends it.
#[must_use]
pub fn cleared_session_cookie() -> String {
    format!("{SESSION_COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONSOLE: &str = "https://console.test";

    fn cookie(origin: Option<&str>, fetch_site: Option<&str>) -> Presented {
        let token = Token::from_random(crate::secrets::Prefix::Session, &[7; 24]);
        Presented {
            cookie: Some(format!("a=1; {SESSION_COOKIE}={}", token.reveal())),
            origin: origin.map(Into::into),
            fetch_site: fetch_site.map(Into::into),
            unsafe_method: true,
            authorization: None,
        }
    }

    #[test]
    fn an_unsafe_request_with_a_cookie_needs_the_consoles_origin() {
        for (origin, site, allowed) in [
            (Some(CONSOLE), None, true),
            (Some(CONSOLE), Some("same-origin"), true),
            (Some(CONSOLE), Some("same-site"), false),
            (Some(CONSOLE), Some("cross-site"), false),
            (Some("https://3000--a--b.apps.test"), None, false),
            (Some("null"), None, false),
            (Some("https://console.test.evil.test"), None, false),
            (None, None, false),
            (None, Some("none"), false),
        ] {
            let outcome = authenticate(&cookie(origin, site), CONSOLE);
            assert_eq!(outcome.is_ok(), allowed, "{origin:?} {site:?}");
        }
    }

    #[test]
    fn a_safe_request_needs_no_origin() {
        let presented = Presented { unsafe_method: false, ..cookie(None, Some("cross-site")) };
        assert!(matches!(authenticate(&presented, CONSOLE), Ok(Some(Credential::Session(_)))));
    }

    #[test]
    fn a_token_counts_alone_and_must_be_one_of_ours() {
        let token = Token::from_random(crate::secrets::Prefix::Personal, &[9; 24]);
        let presented =
            Presented { authorization: Some(format!("Bearer {}", token.reveal())), ..cookie(None, Some("cross-site")) };
        assert_eq!(authenticate(&presented, CONSOLE), Ok(Some(Credential::Token(token.hash()))));
        let operator = Presented { authorization: Some("Bearer snap_op_x".into()), ..cookie(None, Some("cross-site")) };
        assert!(matches!(authenticate(&operator, CONSOLE), Ok(Some(Credential::Operator(_)))));
        for wrong in ["Basic snap_op_x", "Bearer snap_pat_x", "Basic abc", "Bearer ", "snap_pat_"] {
            let presented = Presented { authorization: Some(wrong.into()), ..Presented::default() };
            assert_eq!(authenticate(&presented, CONSOLE), Err(Problem::unauthenticated()), "{wrong}");
        }
    }
}
