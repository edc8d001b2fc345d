//! App requests: who is let in, what reaches the app, what comes back.

use futures_util::{SinkExt as _, StreamExt as _};
use hyper::Method;
use serde_json::json;
use snapvm_protocol::agent::ToAgent;
use snapvm_protocol::ids::MachineId;
use snapvm_protocol::tickets::{Purpose, Signer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::support::http::{app, lease, raw, send};
use crate::support::{World, apps, machine, now_ms, platform, silent_port, soon, ticket, ticket_of};

#[tokio::test]
async fn bad_tickets_and_ports_reach_no_app() {
    let mut world = World::new().await;
    let _control = world.control().await;
    let port = apps::start().await.to_string();
    let now = now_ms();
    let epoch = Purpose::Ingress { epoch: 1 };
    let first = send(world.address, Method::GET, "/", &lease(&ticket(epoch), &port), b"").await;
    assert_eq!(first.status, 200);
    let forger = Signer::from_seed(&[43; 32]).unwrap();
    for bad in [
        "x".to_owned(),
        ticket_of(&forger, machine(), 3, epoch, now),
        ticket_of(&platform(), MachineId::new(2, [9; 10]), 3, epoch, now),
        ticket_of(&platform(), machine(), 2, epoch, now),
        ticket_of(&platform(), machine(), 3, epoch, now - 61_000),
        ticket_of(&platform(), machine(), 3, Purpose::Ingress { epoch: 0 }, now),
        ticket(Purpose::Wake),
    ] {
        let answer = send(world.address, Method::GET, "/", &lease(&bad, &port), b"").await;
        assert_eq!((answer.status, answer.mark()), (403, Some("agent")), "{}", answer.text());
    }
    let missing = send(world.address, Method::GET, "/", &[("x-snap-port", &port)], b"").await;
    assert_eq!((missing.status, missing.mark()), (403, Some("agent")));
    let good = ticket(epoch);
    for bad in ["", "22", "8080", "0", "99999", "evil.example:80", "03000", "-1"] {
        let answer = send(world.address, Method::GET, "/", &lease(&good, bad), b"").await;
        assert_eq!((answer.status, answer.mark()), (400, Some("agent")), "{bad}");
    }
}

#[tokio::test]
async fn every_answer_is_marked_and_filtered() {
    let mut world = World::new().await;
    let _control = world.control().await;
    let port = apps::start().await;
    for status in [200, 301, 302, 401, 404, 410, 500, 502, 503] {
        let answer = app(world.address, port, &format!("/status/{status}"), 1).await;
        assert_eq!((answer.status, answer.mark()), (status, Some("app")));
        let cookies: Vec<_> = answer.headers.get_all("set-cookie").iter().collect();
        assert_eq!(cookies, ["a=1; Path=/"]);
        assert_eq!(answer.headers.get_all("x-snap-agent").iter().count(), 1);
        assert_eq!(answer.text(), "of the app");
    }
    let (_silent, free) = silent_port();
    let nothing = app(world.address, free, "/", 1).await;
    assert_eq!((nothing.status, nothing.mark()), (502, Some("agent")));
    assert_eq!(nothing.text(), format!("nothing listens on port {free}\n"));
    let (rubbish, _received) = apps::raw(b"nonsense\r\n\r\n").await;
    let answer = app(world.address, rubbish, "/", 1).await;
    assert_eq!((answer.status, answer.mark()), (502, Some("agent")));
}

#[tokio::test]
async fn an_app_on_the_other_loopback_is_found() {
    let mut world = World::new().await;
    let _control = world.control().await;
    if tokio::net::TcpListener::bind("[::1]:0").await.is_err() {
        return;
    }
    let port = apps::start_on("[::1]:0").await;
    assert_eq!(app(world.address, port, "/", 1).await.mark(), Some("app"));
}

#[tokio::test]
async fn a_slow_app_is_given_up() {
    let mut world = World::with(json!({"response": 200}), &[]).await;
    let _control = world.control().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let answer = app(world.address, listener.local_addr().unwrap().port(), "/", 1).await;
    assert_eq!((answer.status, answer.mark()), (504, Some("agent")));
}

#[tokio::test]
async fn the_app_sees_the_visitor_and_none_of_our_secrets() {
    let mut world = World::new().await;
    let _control = world.control().await;
    let port = apps::start().await.to_string();
    let ticket = ticket(Purpose::Ingress { epoch: 1 });
    let mut random = [0; 40];
    for round in 0..20 {
        getrandom::fill(&mut random).unwrap();
        let odd: Vec<String> =
            random.iter().map(|byte| format!("x-{}{byte}", ["snap-", "sprite-", "own-"][round % 3])).collect();
        let mut headers = lease(&ticket, &port);
        headers.extend(odd.iter().map(|name| (name.as_str(), "s3cret")));
        headers.extend([
            ("cookie", "theme=dark; __Host-snap_app=s3cret; b==;"),
            ("cookie", "snap_pre=s3cret"),
            ("authorization", "Bearer s3cret"),
            ("x-snap-authorization", "Basic visitor"),
            ("x-forwarded-for", "s3cret"),
            ("forwarded", "for=s3cret"),
            ("cf-connecting-ip", "s3cret"),
            ("fly-client-ip", "s3cret"),
            ("x-hop", "s3cret"),
            ("connection", "x-hop"),
        ]);
        let answer = send(world.address, Method::GET, "/a%2Fb?c=d", &headers, b"").await;
        let text = answer.text();
        let own = text.lines().filter(|line| !line.starts_with("x-own-")).collect::<Vec<_>>().join("\n");
        assert!(!own.contains("s3cret") && !text.contains("x-snap-") && !text.contains(&ticket), "{text}");
        for line in [
            "GET /a%2Fb?c=d",
            "host: 3000--m--o.apps.example",
            "x-forwarded-host: 3000--m--o.apps.example",
            "x-forwarded-proto: https",
            "x-forwarded-for: 203.0.113.9",
            "authorization: Basic visitor",
            "cookie: theme=dark; b==;",
        ] {
            assert!(text.lines().any(|got| got == line), "{line} is not in {text}");
        }
    }
}

#[tokio::test]
async fn bodies_pass_both_ways() {
    let mut world = World::new().await;
    let _control = world.control().await;
    let port = apps::start().await.to_string();
    let ticket = ticket(Purpose::Ingress { epoch: 1 });
    let body: Vec<u8> = (0..=255).cycle().take(3_000_000).collect();
    let answer = send(world.address, Method::POST, "/echo", &lease(&ticket, &port), &body).await;
    assert_eq!(answer.status, 200);
    assert!(answer.body == body);
    let head = format!(
        "POST /echo HTTP/1.1\r\nHost: a\r\nx-snap-ticket: {ticket}\r\nx-snap-port: {port}\r\nConnection: close\r\n\
         Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    );
    assert!(raw(world.address, head.as_bytes()).await.ends_with("abcde"));
}

#[tokio::test]
async fn ambiguous_requests_are_refused_before_any_app() {
    let mut world = World::new().await;
    let _control = world.control().await;
    let (port, mut received) = apps::raw(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let ticket = ticket(Purpose::Ingress { epoch: 1 });
    let ours = format!("x-snap-ticket: {ticket}\r\nx-snap-port: {port}\r\n");
    for rest in [
        "Content-Length: 4\r\nContent-Length: 4\r\n\r\nGET ",
        "Content-Length: 4\r\nContent-Length: 0\r\n\r\nGET ",
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: identity\r\n\r\n",
        "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "X: 1\r\n folded\r\n\r\n",
        "X: 1\nContent-Length: 4\r\n\r\nGET ",
        "Host: b\r\n\r\n",
    ] {
        let answer = raw(world.address, format!("POST / HTTP/1.1\r\nHost: a\r\n{ours}{rest}").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{rest:?}: {answer}");
        assert!(answer.contains("x-snap-agent: agent\r\n"), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    }
    let large = format!("GET / HTTP/1.1\r\nHost: a\r\nx: {}\r\n\r\n", "a".repeat(40_000));
    let large = raw(world.address, large.as_bytes()).await;
    assert!(large.starts_with("HTTP/1.1 431 ") && large.contains("x-snap-agent: agent\r\n"), "{large}");
    assert!(received.try_recv().is_err(), "the app was reached");
    // A good request with a bad one behind it: the first is answered, the second refused, in order.
    let both = format!("GET / HTTP/1.1\r\nHost: a\r\n{ours}\r\nGET / HTTP/1.0\r\n\r\n");
    let answer = raw(world.address, both.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("\r\n\r\nHTTP/1.1 400 "), "{answer}");
}

fn websocket_request(world: &World, port: u16, epoch: u64) -> hyper::http::Request<()> {
    let mut request = format!("ws://{}/socket", world.address).into_client_request().unwrap();
    let ticket = ticket(Purpose::Ingress { epoch });
    for (name, value) in lease(&ticket, &port.to_string()) {
        let name: hyper::header::HeaderName = name.parse().unwrap();
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    request
}

#[tokio::test]
async fn websockets_pass_and_end_with_their_epoch() {
    let mut world = World::new().await;
    let mut control = world.control().await;
    let port = apps::websocket().await;
    let dial = |request| async {
        let stream = TcpStream::connect(world.address).await.unwrap();
        tokio_tungstenite::client_async(request, stream).await
    };
    let (mut socket, response) = soon("an upgrade", dial(websocket_request(&world, port, 1))).await.unwrap();
    assert_eq!(response.headers().get("x-snap-agent").unwrap(), "app");
    for message in [Message::text("hi"), Message::binary(vec![7; 300_000])] {
        socket.send(message.clone()).await.unwrap();
        assert_eq!(soon("an echo", socket.next()).await.unwrap().unwrap(), message);
    }
    control.send(&ToAgent::Epoch { epoch: 2 }).await;
    let end = soon("the end of the old epoch", socket.next()).await;
    assert!(!matches!(end, Some(Ok(_))), "{end:?}");
    let refused = soon("a refusal", dial(websocket_request(&world, port, 1))).await;
    assert!(matches!(refused, Err(Error::Http(response)) if response.status() == 403));
    // A newer lease closes older connections too.
    let (mut older, _) = soon("an upgrade", dial(websocket_request(&world, port, 2))).await.unwrap();
    let (mut newer, _) = soon("an upgrade", dial(websocket_request(&world, port, 3))).await.unwrap();
    let end = soon("the end of the old epoch", older.next()).await;
    assert!(!matches!(end, Some(Ok(_))), "{end:?}");
    newer.send(Message::text("still here")).await.unwrap();
    assert_eq!(soon("an echo", newer.next()).await.unwrap().unwrap(), Message::text("still here"));
}

#[tokio::test]
async fn nothing_flows_behind_an_upgrade_that_the_app_refuses() {
    let mut world = World::new().await;
    let _control = world.control().await;
    let (port, mut received) = apps::raw(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno").await;
    let ticket = ticket(Purpose::Ingress { epoch: 1 });
    let request = format!(
        "GET /first HTTP/1.1\r\nHost: a\r\nx-snap-ticket: {ticket}\r\nx-snap-port: {port}\r\nConnection: upgrade\r\n\
         Upgrade: websocket\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\nx-snap-ticket: {ticket}\r\nx-snap-port: {port}\r\n\r\n"
    );
    let answer = raw(world.address, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("x-snap-agent: app\r\n"), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    let seen = String::from_utf8(soon("what the app got", received.recv()).await.unwrap()).unwrap();
    assert!(seen.contains("/first") && !seen.contains("smuggled"), "{seen}");
    assert!(received.try_recv().is_err());
}

#[tokio::test]
async fn an_answer_under_way_ends_with_its_epoch() {
    let mut world = World::new().await;
    let mut control = world.control().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let ticket = ticket(Purpose::Ingress { epoch: 1 });
    let mut visitor = TcpStream::connect(world.address).await.unwrap();
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\nx-snap-ticket: {ticket}\r\nx-snap-port: {port}\r\n\r\n");
    visitor.write_all(head.as_bytes()).await.unwrap();
    let (mut stream, _) = soon("the app is asked", listener.accept()).await.unwrap();
    let mut asked = Vec::new();
    soon("the request's head", async {
        while !asked.ends_with(b"\r\n\r\n") {
            assert_ne!(stream.read_buf(&mut asked).await.unwrap(), 0);
        }
    })
    .await;
    stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n").await.unwrap();
    let mut seen = Vec::new();
    soon("the first chunk", async {
        while !seen.ends_with(b"abc\r\n") {
            assert_ne!(visitor.read_buf(&mut seen).await.unwrap(), 0);
        }
    })
    .await;
    control.send(&ToAgent::Epoch { epoch: 2 }).await;
    soon("the end", visitor.read_to_end(&mut seen)).await.ok();
    assert!(!seen.ends_with(b"0\r\n\r\n"), "a cut answer must not look complete");
}

#[tokio::test]
async fn without_a_control_socket_apps_are_refused_after_a_while() {
    let mut world = World::with(json!({"gone": 300}), &[]).await;
    let control = world.control().await;
    let port = apps::start().await;
    assert_eq!(app(world.address, port, "/", 1).await.status, 200);
    world.origin.refuse(Some(503));
    drop(control);
    soon("the refusal", async {
        loop {
            let answer = app(world.address, port, "/", 1).await;
            if answer.status != 200 {
                assert_eq!((answer.status, answer.mark()), (503, Some("agent")));
                break;
            }
        }
    })
    .await;
    world.origin.refuse(None);
    let mut control = world.origin.control().await;
    control.hello().await;
    control.welcome(crate::support::origin::welcome()).await;
    soon("apps are back", async { while app(world.address, port, "/", 1).await.status != 200 {} }).await;
}

#[tokio::test]
async fn a_fresh_boot_serves_no_app_before_its_wake() {
    let mut world = World::new().await;
    let port = apps::start().await;
    // A lease of before the boot is still good; its holder must be sent for a wake all the same.
    let answer = app(world.address, port, "/", 1).await;
    assert_eq!((answer.status, answer.mark()), (410, Some("agent")));
    let _control = world.control().await;
    assert_eq!(app(world.address, port, "/", 1).await.status, 200);
}

#[tokio::test]
async fn a_visitor_waits_for_an_app_that_is_starting() {
    let mut world = World::new().await;
    let _control = world.control().await;
    let (silent, port) = silent_port();
    let visitor = tokio::spawn(app_at(world.address, port));
    // Refused at least once before it listens.
    let refused = tokio::net::TcpStream::connect(("127.0.0.1", port)).await;
    assert!(refused.is_err());
    let listener = silent.listen(8).unwrap();
    let (mut stream, _) = soon("the visitor's request", listener.accept()).await.unwrap();
    let mut head = [0; 1024];
    assert!(stream.read(&mut head).await.unwrap() > 0);
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await.unwrap();
    assert_eq!(soon("the answer", visitor).await.unwrap(), 200);
}

async fn app_at(agent: std::net::SocketAddr, port: u16) -> u16 {
    app(agent, port, "/", 1).await.status
}
