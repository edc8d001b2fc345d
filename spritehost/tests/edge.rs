//! What answers at a sprite's URL.

mod harness;

use std::time::Duration;

use harness::{Host, TOKEN, request, try_request, visit};
use hyper::{Method, StatusCode};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn only_the_token_opens_a_private_url_and_apps_never_see_it() {
    let host = Host::start(&[]).await;
    let url = host.run_app("edge").await;
    for header in ["", "Bearer wrong"] {
        let reply = request(Method::GET, &format!("{url}/x?y=1"), &[("authorization", header)], "").await;
        assert_eq!(reply.status, StatusCode::FOUND, "not 401");
        assert!(reply.headers["location"].to_str().unwrap().contains("/sign-in?return_to=http%3A%2F%2F"));
    }
    let token = format!("Bearer {TOKEN}");
    let forged = [
        ("authorization", token.as_str()),
        ("sprite-client-ip", "6.6.6.6"),
        ("x-forwarded-for", "6.6.6.6"),
        ("cookie", "a=b"),
    ];
    let seen = request(Method::GET, &format!("{url}/headers"), &forged, "").await.json();
    assert_eq!(seen.get("authorization"), None);
    assert_eq!(
        (&seen["sprite-client-ip"], &seen["x-forwarded-for"]),
        (&json!("127.0.0.1"), &json!("6.6.6.6, 127.0.0.1"))
    );
    assert_eq!((&seen["x-forwarded-proto"], &seen["cookie"]), (&json!("http"), &json!("a=b")));
    assert_eq!(seen["via"], "1.1 spritehost");
    assert_eq!(format!("http://{}", seen["host"].as_str().unwrap()), url);

    let public = json!({ "url_settings": { "auth": "public" } }).to_string();
    host.call(Method::PUT, "/v1/sprites/edge", public).await;
    let mine = [("authorization", "Bearer the-app's-own")];
    let seen = request(Method::GET, &format!("{url}/headers"), &mine, "").await.json();
    assert_eq!(seen["authorization"], "Bearer the-app's-own");
    assert_eq!(request(Method::GET, &url, &[], "").await.status, StatusCode::OK);
}

#[tokio::test]
async fn bodies_and_upgrades_pass_both_ways() {
    let host = Host::start(&[]).await;
    let url = host.run_app("edge").await;
    let token = format!("Bearer {TOKEN}");
    let body = vec![b'x'; 3_000_000];
    let echoed = request(Method::POST, &format!("{url}/echo"), &[("authorization", &token)], body.clone()).await;
    assert!(echoed.body == body);

    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap();
    let head = format!(
        "GET /upgrade HTTP/1.1\r\nhost: x\r\nauthorization: {token}\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut buffer = vec![0; 4096];
    let length = stream.read(&mut buffer).await.unwrap();
    assert!(buffer[..length].starts_with(b"HTTP/1.1 101"));
    for text in [b"one".as_slice(), b"two"] {
        stream.write_all(text).await.unwrap();
        let length = stream.read(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..length], text);
    }
}

#[tokio::test]
async fn with_nothing_on_8080_a_request_hangs_until_something_listens() {
    let host = Host::start(&[]).await;
    let url = host.create("empty").await["url"].as_str().unwrap().to_owned();
    let token = format!("Bearer {TOKEN}");
    let headers = [("authorization", token.as_str())];
    let hanging = try_request(Method::GET, &url, &headers, "");
    assert!(tokio::time::timeout(Duration::from_millis(700), hanging).await.is_err(), "no 502, no 404");
    let waiting = tokio::spawn({
        let url = url.clone();
        async move { visit(&url, "/").await.status }
    });
    host.write("empty", "/opt/app.py", harness::APP).await;
    host.put_service("empty", "app", &json!({ "cmd": "python3", "args": ["/opt/app.py"], "http_port": 3000 })).await;
    assert_eq!(waiting.await.unwrap(), StatusCode::OK);
}
