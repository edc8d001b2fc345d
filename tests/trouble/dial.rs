//! The sockets that agents dial, dialled by somebody else.

use std::time::{SystemTime, UNIX_EPOCH};

use snapvm_protocol::agent::close;
use snapvm_protocol::headers::{AGENT_KEY, BOOT, PASS, TICKET};
use snapvm_protocol::tickets::{Pass, Purpose, Signer, Ticket};
use snapvm_tests::chance::word;
use snapvm_tests::machines::Machine;
use snapvm_tests::sockets::{self, Refused, Socket};
use snapvm_tests::terminal::Terminal;

use crate::world;

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// The platform's own key: what is refused here is refused although its signature is good.
fn platform() -> Signer {
    Signer::from_seed_text(&world().stack.secrets.platform_key_seed).unwrap()
}

fn ticket(machine: &Machine, generation: u32, purpose: Purpose) -> Ticket {
    Ticket { machine: machine.id.parse().unwrap(), generation, purpose, jti: word() }
}

/// Dials as an agent that has just started, with a key of its own.
async fn dial(path: &str, ticket: &str, key: &str) -> Result<Socket, Refused> {
    let host = format!("dial.snapvm.internal:{}", world().site().port);
    sockets::open(world(), &host, path, &[(TICKET, ticket), (AGENT_KEY, key), (BOOT, "somebody")]).await
}

fn control(machine: &Machine) -> String {
    format!("/agent/v1/machines/{}/control", machine.id)
}

#[tokio::test]
async fn what_is_no_dial_is_refused_before_anything_else() {
    let id = snapvm_tests::rows::new_id();
    let nobody = world().anonymous();
    let port = world().site().port;
    for host in [format!("dial.snapvm.internal:{port}"), world().site().host.clone()] {
        let get = |path: String| nobody.request("GET", path).header("host", &host).send();
        get(format!("/agent/v1/machines/{id}/control")).await.problem(426, "upgrade");
        get(format!("/agent/v1/machines/{id}/terminals/{id}")).await.problem(426, "upgrade");
        for path in ["/agent/v1/", "/agent/v1/machines/x/control", "/agent/v1/machines", "/agent/v1/machines//control"]
        {
            get(path.to_owned()).await.problem(404, "not_found");
        }
        for rest in ["", "/", "/x", "/control/", "/terminals", "/terminals/x", "/command", "/constructions"] {
            get(format!("/agent/v1/machines/{id}{rest}")).await.problem(404, "not_found");
        }
    }
    // The dial origin is for agents only.
    for path in ["/", "/v1/health", "/v1/config", "/app-auth", "/agent/", "/index.html"] {
        let host = format!("dial.snapvm.internal:{port}");
        nobody.request("GET", path).header("host", &host).send().await.problem(404, "not_found");
    }
    let refused = dial(&format!("/agent/v1/machines/{id}/control"), "", "").await.unwrap_err();
    assert_eq!(refused.status, 403, "{refused:?}");
}

#[tokio::test]
async fn a_ticket_opens_nothing_but_what_it_says() {
    let (_, machine) = Machine::running(world()).await;
    let (_, other) = Machine::running(world()).await;
    let mut terminal = Terminal::start(world(), &machine).await;
    let session = terminal.id.parse().unwrap();
    let stranger = Signer::from_seed(&[7; 32]).unwrap();
    let (key, platform) = (stranger.verifier().to_text(), platform());
    let wake = |generation| ticket(&machine, generation, Purpose::Wake);
    let signed = |ticket: &Ticket, at| platform.ticket(ticket, at).unwrap();
    let terminals = format!("/agent/v1/machines/{}/terminals/{}", machine.id, terminal.id);
    let valid = signed(&wake(1), now());
    for (what, path, ticket) in [
        ("no ticket", control(&machine), String::new()),
        ("rubbish", control(&machine), "a.b.c".to_owned()),
        ("a cut ticket", control(&machine), valid[..valid.len() - 4].to_owned()),
        ("another key's ticket", control(&machine), stranger.ticket(&wake(1), now()).unwrap()),
        ("another machine's ticket", control(&machine), signed(&ticket(&other, 1, Purpose::Wake), now())),
        ("this ticket at another machine", control(&other), valid.clone()),
        ("an older generation", control(&machine), signed(&wake(0), now())),
        ("a newer generation", control(&machine), signed(&wake(2), now())),
        ("an expired ticket", control(&machine), signed(&wake(1), now() - 61_000)),
        ("a ticket of the future", control(&machine), signed(&wake(1), now() + 120_000)),
        ("a lease", control(&machine), signed(&ticket(&machine, 1, Purpose::Ingress { epoch: 1 }), now())),
        ("our own control ticket", control(&machine), signed(&ticket(&machine, 1, Purpose::Control), now())),
        ("a terminal's ticket", control(&machine), signed(&ticket(&machine, 1, Purpose::Terminal { session }), now())),
        ("a wake at a terminal", terminals.clone(), signed(&wake(1), now())),
        (
            "an unbound key at a terminal",
            terminals.clone(),
            signed(&ticket(&machine, 1, Purpose::Terminal { session }), now()),
        ),
    ] {
        let refused = dial(&path, &ticket, &key).await.map(drop).expect_err(what);
        assert_eq!(refused.status, 403, "{what}: {refused:?}");
    }
    for bad in ["", "x", "AAAA"] {
        let refused = dial(&control(&machine), &signed(&wake(1), now()), bad).await.map(drop).expect_err(bad);
        assert_eq!(refused.status, 403, "key {bad:?}: {refused:?}");
    }

    // A pass vouches for the bound key only, even when we have signed it.
    let pass = |machine: &Machine| Pass {
        machine: machine.id.parse().unwrap(),
        generation: 1,
        boot: "somebody".to_owned(),
        agent_key: key.clone(),
        pass: true,
    };
    let host = world().site().host.clone();
    for (path, purpose, vouched) in [
        (control(&machine), Purpose::Control, &machine),
        (control(&machine), Purpose::Control, &other),
        (control(&machine), Purpose::Wake, &machine),
        (terminals, Purpose::Terminal { session }, &machine),
    ] {
        let (pass, own) = (platform.pass(&pass(vouched)).unwrap(), ticket(&machine, 1, purpose));
        let own = stranger.ticket(&own, now()).unwrap();
        let refused = sockets::open(world(), &host, &path, &[(TICKET, own.as_str()), (PASS, pass.as_str())]).await;
        assert_eq!(refused.map(drop).unwrap_err().status, 403, "{path} {purpose:?}");
    }

    // All of that has gone unnoticed where the machine is used.
    let notices = terminal.notices.len();
    assert_eq!(terminal.run("echo undisturbed").await, "undisturbed");
    assert_eq!(terminal.notices.len(), notices);
}

#[tokio::test]
async fn a_wake_ticket_is_good_once_and_its_machine_gets_over_it() {
    let (_, machine) = Machine::running(world()).await;
    let mut terminal = Terminal::start(world(), &machine).await;
    let epoch = terminal.epoch;
    let key = Signer::from_seed(&[9; 32]).unwrap().verifier().to_text();
    let ticket = platform().ticket(&ticket(&machine, 1, Purpose::Wake), now()).unwrap();
    // Whoever has a fresh wake ticket is the agent: it never leaves the platform and the sprite.
    let mut socket = dial(&control(&machine), &ticket, &key).await.unwrap();
    let refused = dial(&control(&machine), &ticket, &key).await.map(drop).unwrap_err();
    assert_eq!(refused.status, 403, "replayed: {refused:?}");
    // What it says first must be that it is the one that was bound.
    let hello =
        r#"{"type":"hello","protocol":2,"boot":"another","generation":1,"woke":"boot","terminals":[],"services":[]}"#;
    sockets::send(&mut socket, tokio_tungstenite::tungstenite::Message::text(hello)).await;
    assert_eq!(sockets::closed(&mut socket).await, close::FORBIDDEN);
    drop(socket);
    // The gateway notices that nobody is there, and the real agent is asked to come back: shells and all.
    assert_eq!(terminal.run("echo back-$((1+1))").await, "back-2");
    assert_eq!(terminal.epoch, epoch);
    let mut fresh = Terminal::start(world(), &machine).await;
    assert_eq!(fresh.run("echo usable").await, "usable");
}
