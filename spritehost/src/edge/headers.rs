//! What the edge adds to a request, as the provider's edge and the proxy before it do.
//!
//! `sprite-client-ip` and the `fly-` headers are set whatever the caller sent; `x-forwarded-for` is only extended, so
//! what stands in front of it is the caller's word.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

/// Adds them.
pub(super) fn add(headers: &mut HeaderMap, client: IpAddr) {
    let address = client.to_string();
    let known = headers.get("x-forwarded-for").and_then(|value| value.to_str().ok());
    let chain = known.map_or_else(|| address.clone(), |known| format!("{known}, {address}"));
    let set = [
        ("sprite-client-ip", address.as_str()),
        ("fly-client-ip", &address),
        ("fly-forwarded-port", "80"),
        ("fly-forwarded-proto", "http"),
        ("fly-forwarded-ssl", "off"),
        ("fly-region", "local"),
        ("x-forwarded-for", &chain),
        ("x-forwarded-port", "80"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-ssl", "off"),
    ];
    for (name, value) in set {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    if let Ok(id) = HeaderValue::try_from(uuid::Uuid::new_v4().to_string()) {
        headers.insert(HeaderName::from_static("fly-request-id"), id);
    }
    headers.append(header::VIA, HeaderValue::from_static("1.1 spritehost"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_caller_forges_is_overwritten_or_stands_in_front() {
        let mut headers = HeaderMap::new();
        headers.insert("sprite-client-ip", HeaderValue::from_static("6.6.6.6"));
        headers.insert("x-forwarded-for", HeaderValue::from_static("6.6.6.6"));
        add(&mut headers, IpAddr::from([10, 0, 0, 1]));
        assert_eq!(headers["sprite-client-ip"], "10.0.0.1");
        assert_eq!(headers["x-forwarded-for"], "6.6.6.6, 10.0.0.1");
        assert_eq!(headers["via"], "1.1 spritehost");
    }
}
