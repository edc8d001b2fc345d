//! The header tables, applied last (pure): what an app sees of a request, and a visitor of an answer.
//!
//! Both edges add headers behind the Worker, so what the app may rely on is set here and nowhere else.

use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, CONNECTION, COOKIE, HOST, HeaderName, HeaderValue, SET_COOKIE, UPGRADE};
use snapvm_protocol::headers::{
    APP_HOST, APP_SCHEME, AUTHORIZATION as CARRIED_AUTHORIZATION, CLIENT_ADDRESS, is_allowed_set_cookie,
    is_dropped_on_request, is_dropped_on_response, strip_own_cookies,
};

/// What the app sees.
#[must_use]
pub fn request(from: &HeaderMap, websocket: bool) -> HeaderMap {
    let mut to = kept(from, is_dropped_on_request);
    to.remove(UPGRADE);
    strip_cookies(&mut to);
    let mut set = |name: HeaderName, value: Option<&HeaderValue>| {
        if let Some(value) = value {
            to.insert(name, value.clone());
        }
    };
    let localhost = HeaderValue::from_static("localhost");
    let host = from.get(APP_HOST);
    set(HOST, Some(host.unwrap_or(&localhost)));
    set(HeaderName::from_static("x-forwarded-host"), host);
    set(HeaderName::from_static("x-forwarded-proto"), from.get(APP_SCHEME));
    set(HeaderName::from_static("x-forwarded-for"), from.get(CLIENT_ADDRESS));
    set(AUTHORIZATION, from.get(CARRIED_AUTHORIZATION));
    if websocket {
        set_upgrade(&mut to);
    }
    to
}

/// What the visitor sees of an app's answer.
#[must_use]
pub fn response(from: &HeaderMap, websocket: bool) -> HeaderMap {
    let mut to = kept(from, is_dropped_on_response);
    to.remove(UPGRADE);
    let cookies: Vec<HeaderValue> = to.get_all(SET_COOKIE).iter().cloned().collect();
    to.remove(SET_COOKIE);
    for cookie in cookies {
        // A value that is no text is none a browser of ours could have sent back.
        if std::str::from_utf8(cookie.as_bytes()).is_ok_and(is_allowed_set_cookie) {
            to.append(SET_COOKIE, cookie);
        }
    }
    if websocket {
        set_upgrade(&mut to);
    }
    to
}

/// Whether this asks for a WebSocket; other upgrades are not passed on.
#[must_use]
pub fn is_websocket(headers: &HeaderMap) -> bool {
    let mut protocols = headers.get_all(UPGRADE).iter();
    let is_one = protocols.next().is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    is_one && protocols.next().is_none() && named_in_connection(headers).any(|name| name == "upgrade")
}

fn set_upgrade(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
}

fn kept(from: &HeaderMap, is_dropped: fn(&str) -> bool) -> HeaderMap {
    let hop: Vec<String> = named_in_connection(from).collect();
    let mut to = HeaderMap::with_capacity(from.len());
    for (name, value) in from {
        if !is_dropped(name.as_str()) && !hop.iter().any(|hop| hop == name.as_str()) {
            to.append(name, value.clone());
        }
    }
    to
}

fn named_in_connection(headers: &HeaderMap) -> impl Iterator<Item = String> {
    let values = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(|name| name.trim().to_ascii_lowercase())
}

/// Several Cookie headers are one list; bytes beyond ASCII are kept as they are.
fn strip_cookies(headers: &mut HeaderMap) {
    let all: Vec<Vec<u8>> = headers.get_all(COOKIE).iter().map(|value| value.as_bytes().to_vec()).collect();
    headers.remove(COOKIE);
    for cookie in all {
        // Each byte as one character and back, so that odd bytes survive a function that takes text.
        let text: String = cookie.iter().copied().map(char::from).collect();
        let Some(left) = strip_own_cookies(&text) else { continue };
        let bytes: Vec<u8> = left.chars().filter_map(|character| u8::try_from(character).ok()).collect();
        if let Ok(value) = HeaderValue::from_bytes(&bytes) {
            headers.append(COOKIE, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn map(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn the_app_sees_the_visitor_and_nothing_of_ours() {
        let from = map(&[
            ("host", "sprite.example"),
            ("x-snap-host", "3000--m--o.apps.example"),
            ("x-snap-scheme", "https"),
            ("x-snap-client-address", "203.0.113.9"),
            ("x-snap-authorization", "Bearer visitor"),
            ("x-snap-ticket", "secret"),
            ("authorization", "Bearer provider"),
            ("x-forwarded-for", "forged"),
            ("connection", "keep-alive, x-private"),
            ("x-private", "1"),
            ("cookie", "a=1; __Host-snap_app=secret"),
            ("upgrade", "h2c"),
            ("accept", "*/*"),
        ]);
        let to = map(&[
            ("host", "3000--m--o.apps.example"),
            ("x-forwarded-host", "3000--m--o.apps.example"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-for", "203.0.113.9"),
            ("authorization", "Bearer visitor"),
            ("cookie", "a=1"),
            ("accept", "*/*"),
        ]);
        assert_eq!(request(&from, false), to);
    }

    #[test]
    fn an_app_cannot_mark_its_answer_or_set_our_cookies() {
        let from = map(&[
            ("x-snap-agent", "agent"),
            ("set-cookie", "a=1"),
            ("set-cookie", "snap_x=1"),
            ("set-cookie", "b=1; Domain=apps.example"),
            ("alt-svc", "h3"),
            ("location", "/x"),
        ]);
        assert_eq!(response(&from, false), map(&[("set-cookie", "a=1"), ("location", "/x")]));
    }

    proptest! {
        #[test]
        fn nothing_of_ours_passes_whatever_else_is_there(
            pairs in proptest::collection::vec(
                ("(x-snap-|cf-|x-forwarded-|sprite-|x-)[a-z]{1,5}|cookie|authorization|connection|upgrade|accept",
                 "((__Host-)?snap_[a-z]{1,4}=s3cret; ?|[a-z]=[0-9];|[a-z, -]{0,9};){0,4}"),
                0..20,
            ),
            websocket: bool,
        ) {
            let mut from = HeaderMap::new();
            for (name, value) in &pairs {
                let value = if name.starts_with("x-snap-") { "s3cret" } else { value };
                from.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
            }
            for carried in [APP_HOST, APP_SCHEME, CLIENT_ADDRESS, CARRIED_AUTHORIZATION] {
                from.remove(carried);
            }
            let to = request(&from, websocket);
            for (name, value) in &to {
                prop_assert!(!name.as_str().starts_with("x-snap-") && !name.as_str().starts_with("x-forwarded-"));
                if name == COOKIE {
                    prop_assert!(!value.to_str().unwrap().contains("s3cret"), "{:?}", value);
                }
            }
            prop_assert_eq!(to.get_all(HOST).iter().count(), 1);
            prop_assert_eq!(to.contains_key(UPGRADE), websocket);
        }
    }
}
