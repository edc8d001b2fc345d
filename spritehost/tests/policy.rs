//! Network policies: what a sprite reaches by name, and what it doesn't reach at all. Needs a machine with a default
//! route; nothing answers there, and nothing has to.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod harness;

use std::net::SocketAddr;

use harness::{DEADLINE, Host};
use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use simple_dns::rdata::{A, RData};
use simple_dns::{CLASS, Packet, ResourceRecord};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;

/// A name server that knows a few names.
async fn name_server() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = vec![0; 4096];
        loop {
            let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
            let question = Packet::parse(&buffer[..length]).unwrap();
            let mut answer = Packet::new_reply(question.id());
            answer.questions.clone_from(&question.questions);
            let name = question.questions[0].qname.clone();
            let known: Option<std::net::Ipv4Addr> = match name.to_string().as_str() {
                "www.allowed.test" => Some("203.0.113.7".parse().unwrap()),
                "other.test" => Some("198.51.100.9".parse().unwrap()),
                "inner.allowed.test" => Some("10.1.2.3".parse().unwrap()),
                _ => None,
            };
            let record = |ip: std::net::Ipv4Addr| {
                ResourceRecord::new(name, CLASS::IN, 60, RData::A(A { address: ip.to_bits() }))
            };
            answer.answers.extend(known.map(record));
            socket.send_to(&answer.build_bytes_vec().unwrap(), from).await.unwrap();
        }
    });
    address
}

/// What becomes of a look-up, and of connections to the two addresses and to a third that no name leads to.
const LOOK: &str = "look() { getent ahostsv4 $1 | awk 'NR==1 { print $1 }' | grep . || echo unknown; }
    try() { timeout 1 bash -c \"exec 3<>/dev/tcp/$1/9\" 2>&1 | grep -om1 'Connection refused' || echo passes; }
    look www.allowed.test; try 203.0.113.7; look other.test; try 198.51.100.9; try 192.0.2.77";
const OPEN: &str = "203.0.113.7\npasses\n198.51.100.9\npasses\npasses\n";
const POLICED: &str = "203.0.113.7\npasses\nunknown\nConnection refused\nConnection refused\n";
const CLOSED: &str = "unknown\nConnection refused\nunknown\nConnection refused\nConnection refused\n";

async fn set(host: &Host, policy: &Value) -> StatusCode {
    host.call(Method::POST, "/v1/sprites/policed/policy/network", policy.to_string()).await.status
}

#[tokio::test]
async fn a_policy_opens_what_is_looked_up_and_allowed_and_never_cuts_the_dial_origin() {
    let server = name_server().await.to_string();
    let arguments =
        ["--resolver", &server, "--policy-default", "www.allowed.test", "--warm-after", "1s", "--cold-after", "1h"];
    let host = Host::start(&arguments).await;
    host.create("policed").await;
    assert_eq!(host.get("/v1/sprites/policed/policy/network").await, json!({ "rules": [] }));
    assert_eq!(host.run("policed", LOOK).await.stdout, OPEN);

    // At once, for a sprite that runs, and for one that stands still.
    let some =
        json!({ "rules": [{ "domain": "*.allowed.test", "action": "allow" }, { "domain": "*", "action": "deny" }] });
    assert_eq!(set(&host, &some).await, StatusCode::NO_CONTENT);
    assert_eq!(host.get("/v1/sprites/policed/policy/network").await, some);
    assert_eq!(host.run("policed", LOOK).await.stdout, POLICED);
    let private = "getent ahostsv4 inner.allowed.test >/dev/null && timeout 1 bash -c 'exec 3<>/dev/tcp/10.1.2.3/9' 2>&1 | grep -om1 refused";
    assert_eq!(host.run("policed", private).await.stdout, "refused\n", "no name leads into private networks");
    let talk = host.run("policed", "exec 3<>/dev/tcp/snapvm.internal/8787; echo question >&3; cat <&3");
    let answer = async {
        let (mut stream, _) = tokio::time::timeout(DEADLINE, host.origin.accept()).await.unwrap().unwrap();
        let mut question = [0; 9];
        stream.read_exact(&mut question).await.unwrap();
        stream.write_all(b"answer").await.unwrap();
    };
    let (talk, ()) = tokio::join!(talk, answer);
    assert_eq!(talk.stdout, "answer", "whatever the policy");

    host.until("policed", "warm").await;
    let none = json!({ "rules": [{ "domain": "*", "action": "deny" }] });
    assert_eq!(set(&host, &none).await, StatusCode::NO_CONTENT);
    assert_eq!(host.status("policed").await, "warm", "setting a policy wakes nothing");
    let still_open = "timeout 1 bash -c 'exec 3<>/dev/tcp/203.0.113.7/9' 2>&1 | grep -om1 refused";
    assert_eq!(host.run("policed", still_open).await.stdout, "refused\n", "what was open is closed");
    assert_eq!(host.run("policed", LOOK).await.stdout, CLOSED);
    // Asking somebody else is no way around.
    let elsewhere = format!("echo nameserver 192.0.2.53 | sudo tee /etc/resolv.conf >/dev/null; {LOOK}");
    assert_eq!(host.run("policed", &elsewhere).await.stdout, CLOSED);

    // At every boot, too. The list has what the operator says.
    assert_eq!(set(&host, &json!({ "rules": [{ "include": "defaults" }] })).await, StatusCode::NO_CONTENT);
    host.call(Method::POST, "/v1/sprites/policed/checkpoint", "").await;
    host.call(Method::POST, "/v1/sprites/policed/checkpoints/v1/restore", "").await;
    assert_eq!(host.run("policed", LOOK).await.stdout, POLICED, "the sprite's own name server is set again");
    assert_eq!(set(&host, &json!({ "rules": [] })).await, StatusCode::NO_CONTENT);
    assert_eq!(host.run("policed", LOOK).await.stdout, OPEN);

    for wrong in [
        json!({ "rules": [{ "domain": "http://a.test", "action": "allow" }] }),
        json!({ "rules": [{ "domain": "a.test", "action": "perhaps" }] }),
        json!({ "rules": [{ "include": "everything" }] }),
        json!({}),
    ] {
        assert_eq!(set(&host, &wrong).await, StatusCode::BAD_REQUEST, "{wrong}");
    }
    assert_eq!(host.get("/v1/sprites/policed/policy/network").await, json!({ "rules": [] }));
}
