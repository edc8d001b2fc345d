//! The kept screen: shown at once to whoever comes while no agent is there, and only as a whole.

use std::time::Duration;

use serde_json::json;
use snapvm_protocol::agent::{TerminalEnd, close};
use snapvm_protocol::terminal::{Frame, KEPT_MAX, KeptHead, Notice, PART_MAX};
use snapvm_tests::agent::Agent;
use snapvm_tests::machines::Machine;
use snapvm_tests::sockets::{self, Socket};
use snapvm_tests::terminal::Terminal;
use tokio_tungstenite::tungstenite::protocol::Message;

use crate::eviction::constructions;
use crate::world;

/// Longer than the runtime keeps a quiet object.
const QUIET: Duration = Duration::from_secs(12);

fn head(bytes: usize) -> KeptHead {
    KeptHead {
        epoch: 7,
        offset: 1_000,
        columns: 80,
        rows: 24,
        directory: Some("/srv/ünï".to_owned()),
        bytes: u32::try_from(bytes).unwrap(),
        at_ms: Some(1),
    }
}

/// Says a frame to the object itself.
async fn say(socket: &mut Socket, frame: Frame<'_>) {
    sockets::send(socket, Message::Binary(frame.encode_for(0).into())).await;
}

async fn hand_over(socket: &mut Socket, screen: &[u8]) {
    say(socket, Frame::Kept(head(screen.len()))).await;
    for (number, part) in screen.chunks(PART_MAX).enumerate() {
        say(socket, Frame::KeptPart(u32::try_from(number * PART_MAX).unwrap(), part)).await;
    }
}

/// Waits until the object has taken everything that was sent to it: what it is told to pass on, it passes on later.
async fn taken(socket: &mut Socket, tab: &mut Terminal, text: &str) {
    let frame = Frame::Notice(Notice::Failed { reason: text.to_owned() }).encode();
    for client in 1..=4_u32 {
        let message = [&client.to_be_bytes()[..], &frame].concat();
        sockets::send(socket, Message::Binary(message.into())).await;
    }
    tab.until(text, |tab| tab.notices.contains(&Notice::Failed { reason: text.to_owned() })).await;
}

#[tokio::test]
async fn a_kept_screen_is_shown_while_no_agent_is_there() {
    let (org, machine) = Machine::running(world()).await;
    let id = machine.terminal().await;
    let agent = Agent::take_over(world(), &machine).await;
    let mut watching = Terminal::closed(&id);
    watching.connect(world(), &machine, false).await;
    let mut socket = agent.terminal(world(), &id).await;
    watching.until("the agent is there", |tab| tab.notices.contains(&Notice::Connected)).await;
    assert_eq!(watching.kept, None, "there is none yet");

    // The longest there may be; then attempts at others that do not become whole.
    let screen: Vec<u8> = (0..KEPT_MAX).map(|n| u8::try_from(n % 251).unwrap()).collect();
    hand_over(&mut socket, &screen).await;
    say(&mut socket, Frame::KeptPart(0, b"of nothing")).await;
    say(&mut socket, Frame::Kept(head(10))).await;
    say(&mut socket, Frame::KeptPart(0, b"half")).await;
    say(&mut socket, Frame::Kept(head(5))).await;
    say(&mut socket, Frame::KeptPart(4, b"gap")).await;
    say(&mut socket, Frame::KeptPart(0, b"late!")).await;
    let too_long = serde_json::to_vec(&head(KEPT_MAX + 1)).unwrap();
    sockets::send(&mut socket, Message::Binary([&[0, 0, 0, 0, 0x22][..], &too_long].concat().into())).await;
    sockets::send(&mut socket, Message::Binary(vec![0, 0, 0, 0, 0x7f].into())).await;
    taken(&mut socket, &mut watching, "one").await;
    let mut beside = Terminal::closed(&id);
    beside.connect(world(), &machine, false).await;
    beside.until("it is let in", |tab| tab.notices.contains(&Notice::Connected)).await;
    assert_eq!(beside.kept, None, "the agent shows what there is");

    // Nobody is there: it is shown before a word on the machine, to a viewer too.
    drop(socket);
    watching.until("the agent is gone", |tab| tab.notices.last() == Some(&Notice::Waking)).await;
    let viewer = org.member(world(), "viewer").await;
    let mut shown = Terminal::closed(&id);
    shown.connect(world(), &machine.used_by(&viewer.client), false).await;
    let is_told = |tab: &Terminal| !tab.notices.is_empty();
    shown.until("a word", is_told).await;
    let (head, bytes, notices) = shown.kept.clone().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let age = u64::try_from(now.as_millis()).unwrap().abs_diff(head.at_ms.unwrap());
    assert!(age < 60_000, "by the object's clock: {head:?}");
    assert_eq!(KeptHead { at_ms: Some(1), ..head.clone() }, self::head(KEPT_MAX));
    assert!(bytes == screen && notices == 0 && shown.attached == 0);

    // Its object goes, and comes back with it. Something may have happened to it meanwhile.
    drop([watching, beside, shown]);
    let before = constructions("TerminalSession", &id);
    let mut late = Terminal::closed(&id);
    for round in 1.. {
        tokio::time::sleep(QUIET).await;
        late = Terminal::closed(&id);
        late.connect(world(), &machine, false).await;
        late.until("a word", is_told).await;
        if constructions("TerminalSession", &id) > before {
            break;
        }
        assert!(round < 4, "the object stays in memory");
    }
    assert_eq!(late.kept.clone().map(|(head, bytes, _)| (head, bytes)), Some((head, screen)));

    // A newer one takes its place; after the shell's end it comes before the end.
    let mut socket = agent.terminal(world(), &id).await;
    late.until("the agent is back", |tab| tab.notices.contains(&Notice::Connected)).await;
    hand_over(&mut socket, b"the last").await;
    hand_over(&mut socket, b"").await;
    hand_over(&mut socket, b"newest").await;
    let mut agent = agent;
    agent.say(json!({"type": "terminal_ended", "session": id, "end": {"by": "exit", "code": 3}})).await;
    until_ended(&machine, &id).await;
    // The machine's own agent has nothing of it: then the object says how it ended.
    drop((socket, agent));
    late.until("the end", |tab| tab.end.is_some()).await;
    let mut after = Terminal::closed(&id);
    after.connect(world(), &machine, true).await;
    after.until("the end", |tab| tab.end.is_some()).await;
    assert_eq!(after.end.unwrap().0, TerminalEnd::Exit { code: 3 });
    // Before the end, which ends what a client reads.
    assert_eq!(after.kept.map(|(_, bytes, _)| bytes), Some(b"newest".to_vec()));
}

/// Waits until how a shell ended is written.
async fn until_ended(machine: &Machine, id: &str) {
    let ended = || async { (!machine.listed(id).await["ended_at"].is_null()).then_some(()) };
    snapvm_tests::until("the end is written", snapvm_tests::PATIENCE, ended).await;
}

/// It was forgotten when the agent's socket came again, as it does after a death of the Worker: nobody knew it any more
/// once the agent was gone.
#[tokio::test]
async fn how_a_shell_ended_stays_known_when_its_agent_comes_back_and_goes() {
    let (_, machine) = Machine::running(world()).await;
    let id = machine.terminal().await;
    let mut agent = Agent::take_over(world(), &machine).await;
    let mut watching = Terminal::closed(&id);
    watching.connect(world(), &machine, false).await;
    let mut socket = agent.terminal(world(), &id).await;
    hand_over(&mut socket, b"the last of it").await;
    taken(&mut socket, &mut watching, "kept").await;
    agent.say(json!({"type": "terminal_ended", "session": id, "end": {"by": "exit", "code": 3}})).await;
    until_ended(&machine, &id).await;
    // It may still have what was written last: until that is known, nobody is told that this was all (found by the soak).
    drop(socket);
    watching.until("it is gone", |tab| tab.notices.last() == Some(&Notice::Waking)).await;
    let told = watching.notices.len();
    let back = agent.terminal(world(), &id).await;
    watching.until("it is back", |tab| tab.notices[told..].contains(&Notice::Connected)).await;
    assert_eq!(watching.end, None);
    drop((back, agent));
    watching.until("the end", |tab| tab.end.is_some()).await;
    let mut late = Terminal::closed(&id);
    late.connect(world(), &machine, false).await;
    late.until("the end", |tab| tab.end.is_some()).await;
    assert_eq!(late.end.unwrap().0, TerminalEnd::Exit { code: 3 });
    assert_eq!(late.kept.map(|(_, bytes, _)| bytes), Some(b"the last of it".to_vec()));
}

#[tokio::test]
async fn a_kept_screen_goes_with_its_session() {
    let (_, machine) = Machine::running(world()).await;
    let id = machine.terminal().await;
    let agent = Agent::take_over(world(), &machine).await;
    let mut tab = Terminal::closed(&id);
    tab.connect(world(), &machine, false).await;
    let mut socket = agent.terminal(world(), &id).await;
    tab.until("the agent is there", |tab| tab.notices.contains(&Notice::Connected)).await;
    hand_over(&mut socket, b"secret on the screen").await;
    taken(&mut socket, &mut tab, "kept").await;
    let files = || {
        let folder = world().stack.dir.join("objects/TerminalSession");
        let files = std::fs::read_dir(folder).unwrap().flatten();
        files.filter(|file| contains(&std::fs::read(file.path()).unwrap_or_default(), b"secret on the screen")).count()
    };
    assert_ne!(files(), 0, "it is in the object's storage");
    machine.client.delete(&machine.path).await.expect(202);
    assert_eq!(tab.until_closed(snapvm_tests::PATIENCE).await, close::NOT_FOUND);
    machine.until_gone().await;
    let gone = || async { (files() == 0).then_some(()) };
    snapvm_tests::until("nothing of it is left", snapvm_tests::PATIENCE, gone).await;
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}
