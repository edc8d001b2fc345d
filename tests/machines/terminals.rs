//! Terminals: who may follow one, what they see, and that it is the same shell when they come back.

use serde_json::Value;
use snapvm_protocol::agent::TerminalEnd;
use snapvm_tests::machines::Machine;
use snapvm_tests::terminal::{Terminal, stream};
use snapvm_tests::{PATIENCE, rows, sockets, until};
use tokio::time::Instant;

use crate::world;

#[tokio::test]
async fn who_may_not_follow_gets_no_socket() {
    let (org, machine) = Machine::running(world()).await;
    let id = machine.terminal().await;
    let path = format!("{}/terminals/{id}/stream", machine.path);
    let site = world().site();
    machine.client.get(&path).await.problem(426, "upgrade");
    let cookie = format!("{}={}", snapvm_tests::client::SESSION_COOKIE, machine.client.session().unwrap());
    let own = [("cookie", cookie.as_str()), ("origin", site.origin.as_str())];
    let refused = sockets::open(world(), &site.host, &path, &own).await.unwrap_err();
    assert_eq!(refused.status, 426, "without the sub-protocol: {refused:?}");
    let refused = |client, id: String| {
        let machine = &machine;
        async move { stream(world(), &client, machine, &id, true).await.unwrap_err().status }
    };
    assert_eq!(refused(world().anonymous(), id.clone()).await, 401);
    assert_eq!(refused(world().org().await.owner.client, id.clone()).await, 404);
    assert_eq!(refused(machine.client.clone(), rows::new_id()).await, 404);
    assert_eq!(refused(machine.client.clone(), "none".to_owned()).await, 404);
    // A page of another site has the cookie sent along; it must not get the stream.
    for origin in ["https://evil.test", "null", &format!("http://{}", machine.host(world(), 3000))] {
        let protocol = ("sec-websocket-protocol", snapvm_protocol::terminal::SUBPROTOCOL);
        let foreign = [("cookie", cookie.as_str()), ("origin", origin), protocol];
        let refused = sockets::open(world(), &site.host, &path, &foreign).await.unwrap_err();
        assert_eq!(refused.status, 403, "{origin}: {refused:?}");
    }
    let outsider = org.member(world(), "viewer").await;
    org.owner.client.delete(org.path(&format!("/members/{}", outsider.account))).await.expect(204);
    assert_eq!(refused(outsider.client, id).await, 404);
}

#[tokio::test]
async fn a_shell_outlives_its_tab_and_every_byte_arrives_once() {
    let (_, machine) = Machine::running(world()).await;
    let mut terminal = Terminal::start(world(), &machine).await;
    assert_eq!(terminal.run("echo hi-$((40+2))").await, "hi-42");
    terminal.run("marker=$$").await;
    let (epoch, shell) = (terminal.epoch, terminal.run("echo $$").await);

    // It goes in the middle of the output, twice, and comes back for the rest.
    let wanted: String = (1..=20_000).map(|number| number.to_string() + "\r\n").collect();
    let from = terminal.output.len();
    terminal.type_text("seq 1 20000\r").await;
    for so_far in [1_000, 50_000] {
        terminal.until("some of the output", |terminal| terminal.output.len() > from + so_far).await;
        terminal.leave();
        terminal.connect(world(), &machine, false).await;
    }
    terminal.until_text("\n20000\r\n").await;
    let printed = String::from_utf8(terminal.output[from..].to_vec()).unwrap();
    assert!(printed.contains(&wanted), "{} bytes of {}", printed.len(), wanted.len());

    // A new tab of the same session: the same shell, all its output again.
    let mut other = Terminal::open(world(), &machine, &terminal.id).await;
    other.until_text("\n20000\r\n").await;
    assert_eq!((other.epoch, other.run("echo $marker").await), (epoch, shell));
    terminal.until("the first tab sees it too", |terminal| terminal.offset >= other.offset).await;
    let common = other.output.len().min(terminal.output.len());
    assert_eq!(terminal.output[..common], other.output[..common]);
}

#[tokio::test]
async fn a_viewer_sees_everything_and_changes_nothing() {
    let (org, machine) = Machine::running(world()).await;
    let viewer = org.member(world(), "viewer").await;
    let mut writer = Terminal::start(world(), &machine).await;
    let mut watching = Terminal::open(world(), &machine.used_by(&viewer.client), &writer.id).await;
    watching.until_prompt().await;
    watching.type_text("touch /tmp/by-a-viewer\r").await;
    // A resize, as a frame of its own: dropped as well.
    watching.send_raw(snapvm_protocol::terminal::Frame::Resize(33, 7).encode()).await;
    assert_eq!(
        writer.run("stty size; ls /tmp/by-a-viewer 2>&1 | wc -l; echo seen-$((1+1))").await,
        "24 80\r\n1\r\nseen-2"
    );
    watching.until_text("seen-2").await;
    assert!(writer.run("ls /tmp").await.lines().all(|line| !line.contains("by-a-viewer")));
    assert!(!watching.is_acknowledged() && watching.is_open());

    // Two who may type share one shell.
    let member = org.member(world(), "member").await;
    let mut second = Terminal::open(world(), &machine.used_by(&member.client), &writer.id).await;
    second.until_prompt().await;
    assert_eq!(second.run("x=from-the-second; echo $x").await, "from-the-second");
    assert_eq!(writer.run("echo $x").await, "from-the-second");
}

#[tokio::test]
async fn the_end_of_a_shell_comes_after_its_last_output() {
    let (_, machine) = Machine::running(world()).await;
    let mut terminal = Terminal::start(world(), &machine).await;
    let mut staying = Terminal::open(world(), &machine, &terminal.id).await;
    staying.until_prompt().await;
    terminal.type_text("seq 1 5000; exit 3\r").await;
    for tab in [&mut terminal, &mut staying] {
        tab.until("the end", |tab| tab.end.is_some()).await;
        let (end, output) = tab.end.unwrap();
        assert_eq!(end, TerminalEnd::Exit { code: 3 });
        assert!(String::from_utf8_lossy(&tab.output[..output]).contains("\n5000\r\n"));
    }
    let ended = || async {
        let listed = machine.listed(&terminal.id).await;
        (!listed["ended_at"].is_null()).then_some(listed)
    };
    let listed = until("the record says so", PATIENCE, ended).await;
    assert_eq!(listed["end"], serde_json::json!({"by": "exit", "code": 3}));
    // Whoever comes later is told as well, and gets no new shell.
    let mut late = Terminal::closed(&terminal.id);
    late.connect(world(), &machine, true).await;
    late.until("the end", |tab| tab.end.is_some()).await;
    assert_eq!(late.end.unwrap().0, TerminalEnd::Exit { code: 3 });
}

#[tokio::test]
async fn a_deleted_terminal_takes_its_shell_with_it() {
    let (_, machine) = Machine::running(world()).await;
    let mut kept = Terminal::start(world(), &machine).await;
    let mut deleted = Terminal::start(world(), &machine).await;
    let shell = deleted.run("echo $$").await;
    assert_eq!(kept.run(&format!("kill -0 {shell} && echo alive")).await, "alive");
    machine.client.delete(format!("{}/terminals/{}", machine.path, deleted.id)).await.expect(204);
    deleted.until("its end", |tab| tab.end.is_some() || !tab.is_open()).await;
    let deadline = Instant::now() + PATIENCE;
    while kept.run(&format!("kill -0 {shell} 2>/dev/null && echo alive")).await == "alive" {
        assert!(Instant::now() < deadline, "the shell lives on");
    }
    assert!(!machine.listed(&deleted.id).await["ended_at"].is_null());
    assert_eq!(machine.listed(&kept.id).await["ended_at"], Value::Null);
}
