//! The way into a private app: nobody gets in without the handshake, and its pieces are good for nothing else.

use std::time::Duration;

use snapvm_tests::apps::{APP_COOKIE, Visitor, path_of, set_cookie};
use snapvm_tests::machines::Machine;
use snapvm_tests::until;

use crate::apps::demo;
use crate::world;

/// What a stranger learns of a host: status, where to, and the body without what differs between any two requests.
async fn learned(host: &str) -> (u16, String, String) {
    let visitor = Visitor::new(world(), host);
    let navigated = visitor.navigate("/a?b=c").await;
    let location = navigated.header("location").unwrap_or_default().replace(&encoded(host), "HOST");
    let (before_hash, _) = location.split_once("&c=").unwrap_or((&location, ""));
    let asked = visitor.get("/a").await;
    assert_eq!(asked.status, 401, "{}", asked.text());
    (navigated.status, before_hash.to_owned(), asked.refusal().to_string())
}

fn encoded(host: &str) -> String {
    host.replace(':', "%3A")
}

#[tokio::test]
async fn a_stranger_cannot_tell_whether_a_machine_exists() {
    let (machine, _) = demo().await;
    let port = world().site().port;
    let existing = learned(&machine.host(world(), 3000)).await;
    assert_eq!(existing.0, 302);
    assert!(existing.1.starts_with(&format!("{}/app-auth?host=HOST", world().site().origin)), "{}", existing.1);
    let (_, org) = machine.label.split_once("--").unwrap();
    for host in [
        format!("{}.apps.localhost:{port}", machine.label),
        format!("9999--{}.apps.localhost:{port}", machine.label),
        format!("3000--never--{org}.apps.localhost:{port}"),
        format!("3000--demo--never.apps.localhost:{port}"),
    ] {
        assert_eq!(learned(&host).await, existing, "{host}");
    }
}

#[tokio::test]
async fn a_host_that_can_name_no_app_is_not_there() {
    let port = world().site().port;
    for label in ["a", "8080--a--b", "80--a--b", "03000--a--b", "a--b--c--d", "-a--b", "3000--a_--b", "code--a--b", ""]
    {
        let host = format!("{label}.apps.localhost:{port}");
        let answer = Visitor::new(world(), &host).navigate("/").await;
        assert!(answer.status == 404, "{host}: {} {}", answer.status, answer.text());
    }
    for host in [format!("apps.localhost:{port}"), format!("localhost:{}", port ^ 1), "evil.test".to_owned()] {
        let answer = Visitor::new(world(), &host).navigate("/").await;
        assert!(answer.status == 404, "{host}: {} {}", answer.status, answer.text());
    }
}

#[tokio::test]
async fn a_code_is_good_once_for_one_host_in_one_browser() {
    let (machine, org) = demo().await;
    let host = machine.host(world(), 3000);
    let visitor = Visitor::new(world(), &host);
    let person = &org.owner.client;
    // Another browser, no browser, another host, and a code that is none.
    let handshake = visitor.code(person).await;
    let foreign = visitor.code(person).await;
    for pre in [foreign.pre.as_str(), "", "x"] {
        visitor.finish(&handshake.callback, pre).await.problem(403, "handshake");
    }
    let other = Visitor::new(world(), &machine.host(world(), 3001));
    other.finish(&handshake.callback, &handshake.pre).await.problem(403, "handshake");
    let (path, code) = handshake.callback.split_once("code=").unwrap();
    for wrong in ["", "x", "a.b", &code[1..], &code[..code.len() - 2]] {
        visitor.finish(&format!("{path}code={wrong}"), &handshake.pre).await.problem(403, "handshake");
    }
    visitor.finish("/.snapvm/callback", &handshake.pre).await.problem(403, "handshake");

    // None of these has used it up; its own use does.
    let finished = visitor.finish(&handshake.callback, &handshake.pre).await;
    assert_eq!(finished.status, 302, "{}", finished.text());
    assert_eq!(path_of(finished.header("location").unwrap()), "/wanted?x=1");
    visitor.finish(&handshake.callback, &handshake.pre).await.problem(403, "handshake");

    // The cookie opens its own host and no other, and only as it is.
    let cookie = set_cookie(&finished, APP_COOKIE).unwrap();
    let with = |host: &str, cookie: &str| Visitor::new(world(), host).with(&format!("{APP_COOKIE}={cookie}"));
    assert_eq!(with(&host, &cookie).get("/x").await.expect(200), serde_json::Value::Null);
    for (host, cookie) in [
        (machine.host(world(), 3001).as_str(), cookie.as_str()),
        (&format!("{}.apps.localhost:{}", machine.label, world().site().port), &cookie),
        (&host, &cookie[1..]),
        (&host, code),
        (&host, ""),
    ] {
        with(host, cookie).get("/x").await.problem(401, "unauthenticated");
    }
}

#[tokio::test]
async fn the_console_sends_nobody_anywhere_they_may_not_go() {
    let (machine, _) = demo().await;
    let host = machine.host(world(), 3000);
    let begun = Visitor::new(world(), &host).navigate("/").await;
    let path = path_of(begun.header("location").unwrap()).to_owned();
    // Nobody is asked to sign in first; somebody else's machine is not there.
    let nobody = world().anonymous().get(&path).await;
    assert_eq!(nobody.status, 302);
    assert!(nobody.header("location").unwrap().starts_with(&format!("{}/signin?next=", world().site().origin)));
    let stranger = world().sign_up().await;
    stranger.client.get(&path).await.problem(404, "not_found");
    for (from, to) in [
        (encoded(&host), "evil.test".to_owned()),
        (encoded(&host), encoded(&world().site().host)),
        ("path=%2F".to_owned(), "path=%2F%2Fevil.test".to_owned()),
        ("path=%2F".to_owned(), "path=https%3A%2F%2Fevil.test".to_owned()),
        ("c=".to_owned(), "c=x".to_owned()),
    ] {
        let changed = path.replace(&from, &to);
        assert_ne!(changed, path);
        let answer = machine.client.get(&changed).await;
        assert!(matches!(answer.status, 400 | 404), "{changed}: {} {}", answer.status, answer.text());
    }
}

/// Look-ups of a host are kept for 30 s: at the latest then, somebody who was removed is out.
#[tokio::test]
async fn a_member_who_was_removed_is_out() {
    let (org, machine) = Machine::running(world()).await;
    machine.serve(3000).await;
    let member = org.member(world(), "viewer").await;
    let host = machine.host(world(), 3000);
    let theirs = Visitor::admitted(world(), &host, &member.client).await;
    let owners = Visitor::admitted(world(), &host, &org.owner.client).await;
    theirs.get("/x").await.expect(200);
    org.owner.client.delete(org.path(&format!("/members/{}", member.account))).await.expect(204);
    let refused = || async { (theirs.get("/x").await.status == 401).then_some(()) };
    until("their cookie is refused", Duration::from_secs(45), refused).await;
    theirs.get("/x").await.problem(401, "unauthenticated");
    // Everybody's cookie is of an older epoch now; who may still come in, comes in again.
    owners.get("/x").await.problem(401, "unauthenticated");
    Visitor::admitted(world(), &host, &org.owner.client).await.get("/x").await.expect(200);
    let begun = theirs.navigate("/").await;
    assert_eq!(begun.status, 302);
    member.client.get(path_of(begun.header("location").unwrap())).await.problem(404, "not_found");
}
