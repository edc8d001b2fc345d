//! Headers of the path browser → edge → Worker → sprite's edge → agent → app: which carry our own facts, and which
//! never reach an app or a browser.
//!
//! Both edges add headers after the Worker, so the agent applies the tables here last.

/// On every response that the agent itself produced. A 302, 404 or 502 without it came from the platform.
pub const AGENT_MARK: &str = "x-snap-agent";
/// A ticket (see [`crate::tickets`]): to the agent on HTTP requests, to the dial origin on sockets.
pub const TICKET: &str = "x-snap-ticket";
/// To the dial origin: the pass that vouches for the agent's key, on dials after the first.
pub const PASS: &str = "x-snap-pass";
/// To the dial origin, first dial: the agent's Ed25519 public key, base64url without padding.
pub const AGENT_KEY: &str = "x-snap-agent-key";
/// To the dial origin: the agent's boot id.
pub const BOOT: &str = "x-snap-boot";
/// To the agent: the loopback port that an app request is for.
pub const PORT: &str = "x-snap-port";
/// To the agent: the host the visitor asked for; becomes `Host`.
pub const APP_HOST: &str = "x-snap-host";
/// To the agent: `http` or `https`, as the visitor sees it; becomes `X-Forwarded-Proto`.
pub const APP_SCHEME: &str = "x-snap-scheme";
/// To the agent: the visitor's address; becomes `X-Forwarded-For`.
pub const CLIENT_ADDRESS: &str = "x-snap-client-address";
/// To the agent: the account behind the request (its id), for connections that must end when access does.
pub const ACCOUNT: &str = "x-snap-account";
/// To the agent: the visitor's own `Authorization`, which the sprite's edge would strip; restored for the app.
pub const AUTHORIZATION: &str = "x-snap-authorization";

/// Prefix of our own headers.
pub const OWN_PREFIX: &str = "x-snap-";
/// Paths under it belong to the gateway and to the agent, never to an app.
pub const RESERVED_PATH: &str = "/.snapvm/";

/// Whether a cookie of this name is ours, so that an app neither sees nor sets it.
#[must_use]
pub fn is_own_cookie(name: &str) -> bool {
    let name = name.strip_prefix("__Host-").or_else(|| name.strip_prefix("__Secure-")).unwrap_or(name);
    name.len() >= 5 && name.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("snap_"))
}

/// Whether a request header (lower-case name) must not reach an app. `Host`, `X-Forwarded-*` and the visitor's
/// `Authorization` are dropped here too, because the agent sets them itself.
#[must_use]
pub fn is_dropped_on_request(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "authorization",
        "host",
        "forwarded",
        "x-real-ip",
        "true-client-ip",
        "x-client-ip",
        "cdn-loop",
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "fly-client-ip",
        "fly-forwarded-port",
        "fly-forwarded-proto",
        "fly-forwarded-ssl",
        "fly-region",
        "fly-request-id",
        "via",
    ];
    const PREFIXES: &[&str] = &[OWN_PREFIX, "cf-", "sprite-", "x-sprite-", "x-forwarded-", "fly-"];
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether a response header (lower-case name) of an app must not reach the visitor.
#[must_use]
pub fn is_dropped_on_response(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "alt-svc",
    ];
    NAMES.contains(&name) || name.starts_with(OWN_PREFIX)
}

/// A `Cookie` header without our cookies, everything else byte for byte; `None` when nothing is left.
///
/// Apps use odd names and values, so the pieces are not parsed beyond the first `=`.
#[must_use]
pub fn strip_own_cookies(header: &str) -> Option<String> {
    let kept: Vec<&str> =
        header.split(';').filter(|piece| !is_own_cookie(piece.split('=').next().unwrap_or(piece).trim())).collect();
    let joined = kept.join(";");
    let joined = joined.trim_start();
    (!joined.is_empty()).then(|| joined.to_owned())
}

/// Whether an app's `Set-Cookie` may pass: not for our names, and not for a whole domain, since a sibling app lives
/// under it.
#[must_use]
pub fn is_allowed_set_cookie(value: &str) -> bool {
    let mut pieces = value.split(';');
    let name = pieces.next().and_then(|pair| pair.split('=').next()).unwrap_or("").trim();
    let for_domain = pieces.any(|piece| piece.split('=').next().unwrap_or("").trim().eq_ignore_ascii_case("domain"));
    !is_own_cookie(name) && !for_domain
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn own_cookies_are_removed_and_others_kept_byte_for_byte() {
        assert_eq!(strip_own_cookies("a=1; __Host-snap_app=x; b==;;"), Some("a=1; b==;;".into()));
        assert_eq!(strip_own_cookies("__Host-snap_app=x; snap_pre=1"), None);
        assert_eq!(strip_own_cookies("__Host-SNAP_session=x; a=1"), Some("a=1".into()));
        assert_eq!(strip_own_cookies("snapshot=1"), Some("snapshot=1".into()));
    }

    #[test]
    fn set_cookie_for_a_domain_or_for_our_names_is_refused() {
        assert!(is_allowed_set_cookie("a=domain; Path=/"));
        assert!(!is_allowed_set_cookie("a=1; Domain=apps.test"));
        assert!(!is_allowed_set_cookie("a=1; DOMAIN = apps.test"));
        assert!(!is_allowed_set_cookie("__Host-snap_app=1; Path=/"));
        assert!(!is_allowed_set_cookie("__Secure-snap_x=1"));
    }

    proptest! {
        #[test]
        fn no_own_cookie_survives(header in "((__Host-)?(snap_|SNAP_|a)[a-z]{0,4}=[ -~]{0,8};? ?){0,8}") {
            if let Some(left) = strip_own_cookies(&header) {
                for piece in left.split(';') {
                    prop_assert!(!is_own_cookie(piece.split('=').next().unwrap().trim()));
                }
            }
        }
    }
}
