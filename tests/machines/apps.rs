//! What passes between a visitor and an app: everything that is theirs, and nothing that is ours.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;
use sha2::{Digest, Sha256};
use snapvm_tests::apps::Visitor;
use snapvm_tests::machines::Machine;
use snapvm_tests::{Org, sockets};
use tokio::sync::OnceCell;
use tokio_tungstenite::tungstenite::protocol::Message;

use crate::world;

/// A machine with the tests' app on ports 3000 and no other, for all tests that leave it as it is.
pub(crate) async fn demo() -> &'static (Machine, Org) {
    static DEMO: OnceCell<(Machine, Org)> = OnceCell::const_new();
    DEMO.get_or_init(|| async {
        let (org, machine) = Machine::running(world()).await;
        machine.serve(3000).await;
        (machine, org)
    })
    .await
}

async fn visitor() -> Visitor {
    let (machine, org) = demo().await;
    Visitor::admitted(world(), &machine.host(world(), 3000), &org.owner.client).await
}

#[tokio::test]
async fn an_app_sees_the_visitors_headers_and_none_of_ours() {
    let visitor = visitor().await;
    let answer = visitor
        .request("GET", "/headers?q=%20x")
        .header("cookie", &format!("a=1; {}; snap_x=2; __Secure-snap_y=3; b=\"odd; =\"", visitor.cookies))
        .header("authorization", "Basic dXNlcjpwYXNz")
        .header("x-snap-port", "1")
        .header("x-snap-ticket", "forged")
        .header("x-snap-account", "somebody")
        .header("x-forwarded-for", "1.2.3.4")
        .header("x-forwarded-host", "evil.test")
        .header("forwarded", "for=1.2.3.4")
        .header("x-custom", "kept")
        .send()
        .await;
    let headers: Vec<(String, String)> = serde_json::from_value(answer.expect(200)).unwrap();
    let all = |name: &str| -> Vec<&str> {
        headers.iter().filter(|(header, _)| header == name).map(|(_, value)| value.as_str()).collect()
    };
    assert_eq!(all("host"), [visitor.host.as_str()]);
    assert_eq!(all("authorization"), ["Basic dXNlcjpwYXNz"]);
    assert_eq!(all("x-custom"), ["kept"]);
    assert_eq!(all("x-forwarded-host"), [visitor.host.as_str()]);
    assert_eq!(all("x-forwarded-proto"), ["http"]);
    assert!(all("x-forwarded-for").iter().all(|address| !address.contains("1.2.3.4")), "{headers:?}");
    assert!(all("forwarded").is_empty(), "{headers:?}");
    let cookies = all("cookie").join("; ");
    assert!(cookies.contains("a=1") && cookies.contains("b=\"odd"), "{cookies}");
    for (name, value) in &headers {
        assert!(
            !name.starts_with("x-snap-") && !name.starts_with("cf-") && !name.contains("sprite"),
            "{name}: {value}"
        );
        let secret = value.contains("snap_") || value.contains(&world().stack.secrets.sprites_token);
        assert!(!secret, "{name}: {value}");
    }
    // Without one of their own, they have none.
    let plain: Vec<(String, String)> = serde_json::from_value(visitor.get("/headers").await.expect(200)).unwrap();
    assert!(plain.iter().all(|(name, _)| name != "authorization" && name != "cookie"), "{plain:?}");
    // Our own tokens are for us, wherever somebody sends them.
    let (machine, _) = demo().await;
    let token = format!("Bearer snap_pat_{}", "a".repeat(40));
    let answer = visitor.request("GET", "/headers").header("authorization", &token).send().await.expect(200);
    assert!(!answer.to_string().contains("snap_pat"), "{}: {answer}", machine.label);
}

#[tokio::test]
async fn an_apps_own_answers_are_its_own() {
    let visitor = visitor().await;
    for status in [200, 301, 302, 401, 403, 404, 410, 418, 500, 502, 503] {
        let answer = visitor.get(&format!("/status/{status}")).await;
        assert_eq!((answer.status, answer.text()), (status, format!("own {status}")));
        assert_eq!(answer.header("x-app"), Some("own"), "{answer:?}");
        let location = matches!(status, 301 | 302).then_some("http://elsewhere.test/");
        assert_eq!(answer.header("location"), location);
        assert_eq!(answer.header("www-authenticate"), (status == 401).then_some("Basic"));
        // An app sets its own cookies and none of ours.
        let cookies: Vec<&str> =
            answer.headers.iter().filter(|(name, _)| name == "set-cookie").map(|(_, value)| value.as_str()).collect();
        assert_eq!(cookies, ["theirs=1"]);
        assert!(answer.headers.iter().all(|(name, _)| !name.starts_with("x-snap-")), "{answer:?}");
    }
    // Requests that ask for a page get the app's as well, not one of ours.
    let page = visitor.navigate("/status/502").await;
    assert_eq!((page.status, page.text().as_str()), (502, "own 502"));
    let page = visitor.navigate("/status/503").await;
    assert_eq!((page.status, page.text().as_str()), (503, "own 503"));
    // `/index.html` is the app's, not the console's.
    assert_eq!(visitor.get("/index.html?a=b").await.text(), "/index.html?a=b");
}

#[tokio::test]
async fn what_is_reserved_or_not_listened_on_does_not_reach_the_app() {
    let (machine, org) = demo().await;
    let visitor = visitor().await;
    let count = || async { visitor.get("/count").await.expect(200)["start"].clone() };
    let start = count().await;
    for path in ["/.snapvm/", "/.snapvm/agent/wake", "/.snapvm/x?y", "/.snapvm/callback/x"] {
        for method in ["GET", "POST"] {
            let answer = visitor.request(method, path).send().await;
            assert!(matches!(answer.status, 403 | 404), "{method} {path}: {} {}", answer.status, answer.text());
            assert_eq!(answer.header("x-app"), None);
            assert!(!answer.text().starts_with("/.snapvm"), "{method} {path} reached the app");
        }
    }
    assert_eq!(count().await, start);
    let nothing = Visitor::admitted(world(), &machine.host(world(), 3999), &org.owner.client).await;
    let answer = nothing.get("/").await;
    assert_eq!(answer.status, 502, "{}", answer.text());
}

#[tokio::test]
async fn a_websocket_passes_for_its_own_page_only() {
    let visitor = visitor().await;
    let host = visitor.host.clone();
    let own = format!("http://{host}");
    let open = |cookies: String, origin: String| {
        let host = host.clone();
        async move {
            let headers = [("cookie", cookies.as_str()), ("origin", origin.as_str())];
            sockets::open(world(), &host, "/socket", &headers).await
        }
    };
    let console = world().site().origin.clone();
    for origin in ["https://evil.test", "null", &console, &format!("{own}.evil.test"), &own.replace("3000--", "3001--")]
    {
        let refused = open(visitor.cookies.clone(), origin.to_owned()).await.unwrap_err();
        assert_eq!(refused.status, 403, "{origin}: {refused:?}");
    }
    assert_eq!(open(String::new(), own.clone()).await.unwrap_err().status, 401);
    let mut socket = open(visitor.cookies.clone(), own).await.unwrap();
    for message in [Message::text("hello"), Message::binary(vec![0_u8; 5_000]), Message::text("")] {
        sockets::send(&mut socket, message.clone()).await;
        assert_eq!(sockets::next(&mut socket).await, Some(message));
    }
    futures::SinkExt::close(&mut socket).await.unwrap();
    assert!(matches!(sockets::next(&mut socket).await, Some(Message::Close(_)) | None));
}

/// The resident memory of the Worker's process, in bytes.
pub(crate) async fn resident() -> u64 {
    let pid = world().stack.worker().unwrap().id().await.unwrap();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

const MIB: usize = 1024 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_stream_through_without_being_kept() {
    let visitor = visitor().await;
    let body: Vec<u8> = b"snapvm__".iter().copied().cycle().take(64 * MIB).collect();
    let sum = format!("{:x}", Sha256::digest(&body));
    let wanted = json!({"length": 64 * MIB, "sha256": sum});
    let watch = async |peak: &AtomicU64| loop {
        peak.fetch_max(resident().await, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let transfer = async || {
        let down = visitor.get(&format!("/bytes/{}", 64 * MIB)).await;
        assert_eq!((down.status, down.body == body), (200, true), "{} bytes", down.body.len());
        assert_eq!(visitor.request("POST", "/sum").bytes(body.clone()).send().await.expect(200), wanted);
        let chunks: Vec<Vec<u8>> = body.chunks(MIB).map(<[u8]>::to_vec).collect();
        assert_eq!(visitor.request("POST", "/sum").chunks(chunks).send().await.expect(200), wanted);
    };
    // Once first: what grows once is no copy of a body, and has grown then.
    transfer().await;
    let (before, peak) = (resident().await, AtomicU64::new(0));
    tokio::select! {
        () = transfer() => {}
        () = watch(&peak) => {}
    }
    let grown = peak.into_inner().saturating_sub(before);
    println!(
        "192 MiB of bodies: the Worker, of {} MiB, grew by {} MiB at most",
        before / MIB as u64,
        grown / MIB as u64
    );
    assert!(grown < 64 * MIB as u64, "{grown} bytes");
}
