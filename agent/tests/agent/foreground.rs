//! What runs in a terminal's foreground is told to those who ask.

use std::collections::BTreeMap;

use snapvm_protocol::terminal::{Attach, ClientMode, Foreground};

use crate::support::World;
use crate::support::terminal::{Screen, attach};
use crate::terminals::open;

const ASKS: u32 = 1;
const DOES_NOT: u32 = 2;

fn runs(command: &str) -> Foreground {
    Foreground { running: true, command: Some(command.into()) }
}

#[tokio::test]
async fn who_asks_is_told_what_runs_and_when_it_does_not_any_more() {
    let mut world = World::new().await;
    let (_control, mut session) = open(&mut world).await;
    session.join(DOES_NOT, ClientMode::Read, attach("other", None)).await;
    session.join(ASKS, ClientMode::Write, Attach { foreground: true, ..attach("tab", None) }).await;
    let mut screens = BTreeMap::from([(ASKS, Screen::default()), (DOES_NOT, Screen::default())]);
    let idle = Foreground::default();
    // A command that says nothing; one that ends by itself; the shell itself become another program.
    let steps = [
        ("sleep 86400\n", runs("sleep")),
        ("\x03", idle.clone()),
        ("sh -c 'echo; exec sleep 86401'\n", runs("sleep")),
        ("\x03", idle.clone()),
        ("exec sleep 86402\n", runs("sleep")),
    ];
    session.until_all(&mut screens, |screens| screens[&ASKS].foreground.as_ref() == Some(&idle)).await;
    for (number, (keys, wanted)) in (1..).zip(steps) {
        session.input(ASKS, number, keys).await;
        session.until_all(&mut screens, |screens| screens[&ASKS].foreground.as_ref() == Some(&wanted)).await;
    }
    assert_eq!(screens[&DOES_NOT].foreground, None);
    // Whoever comes back is told again.
    let screen = screens.remove(&ASKS).unwrap();
    let again = Attach { foreground: true, ..attach("tab", Some(&screen)) };
    screens.insert(3, Screen { from: screen.offset(), epoch: screen.epoch, ..Screen::default() });
    session.join(3, ClientMode::Write, again).await;
    session.until_all(&mut screens, |screens| screens[&3].foreground == Some(runs("sleep"))).await;
}
