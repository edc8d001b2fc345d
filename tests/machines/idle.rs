//! A machine that nobody uses: its open terminals are warned, anything that happens calls it off, and it goes to sleep
//! by itself. Those who look on the whole time are told when and where that was.

use std::time::Duration;

use snapvm_protocol::terminal::Notice;
use snapvm_tests::machines::Machine;
use snapvm_tests::rows;
use snapvm_tests::terminal::Terminal;

use crate::world;

/// A fifth of it is the warning.
const IDLE_SECONDS: u64 = 20;
/// Until it sleeps for want of anything else.
const SLEEP: Duration = Duration::from_secs(90);

fn is_warned(tab: &Terminal) -> bool {
    tab.notices.iter().any(|notice| matches!(notice, Notice::IdleSoon { .. }))
}

#[tokio::test]
async fn terminals_are_warned_before_an_idle_machine_sleeps_and_a_key_calls_it_off() {
    let name = "dozing";
    rows::shorten_idle(&world().superuser().await, name, IDLE_SECONDS).await;
    let org = world().org().await;
    let machine = Machine::create(&org, name).await;
    machine.until("running").await;
    let mut typing = Terminal::start(world(), &machine).await;
    let mut watching = Terminal::open(world(), &machine, &typing.id).await;
    typing.run("cd /var/tmp").await;
    for tab in [&mut typing, &mut watching] {
        tab.until("it is warned", is_warned).await;
        let last = tab.notices.last().cloned();
        let Some(Notice::IdleSoon { in_ms }) = last else { panic!("{last:?} comes after the warning") };
        assert!(in_ms <= IDLE_SECONDS * 1000 / 5, "{in_ms}");
        tab.notices.clear();
    }

    // Whoever only looks hears that it is over, too.
    typing.type_text(" ").await;
    for tab in [&mut watching, &mut typing] {
        tab.until("it is called off", |tab| tab.notices.contains(&Notice::IdleOver)).await;
        assert!(!tab.notices.contains(&Notice::Sleeping), "{:?}", tab.notices);
        tab.notices.clear();
    }

    // Nobody does anything.
    for tab in [&mut typing, &mut watching] {
        // Its agent looks every 20 s, and the object by itself 10 s after the time.
        tab.until_within("it sleeps", SLEEP, |tab| tab.notices.contains(&Notice::Asleep)).await;
        let told = |is: fn(&Notice) -> bool| tab.notices.iter().position(is);
        let (warned, sleeping) =
            (told(|notice| matches!(notice, Notice::IdleSoon { .. })), told(|notice| *notice == Notice::Sleeping));
        assert!(warned.is_some() && warned < sleeping, "{:?}", tab.notices);
        let (head, bytes, notices) = tab.kept.clone().expect("those who were there get the kept screen");
        assert_eq!((head.directory.as_deref(), head.offset), (Some("/var/tmp"), tab.offset));
        assert!(head.at_ms.is_some() && !bytes.is_empty());
        assert_eq!(tab.notices.get(notices), Some(&Notice::Asleep), "it comes before the word: {:?}", tab.notices);
    }
    // Terminals hear of it before the record.
    assert_eq!(machine.until("hibernated").await["reason"], "Asleep. It wakes when somebody needs it.");
    let history = machine.history().await;
    let why = |event: &&serde_json::Value| event["kind"] == "hibernating" && event["cause"] == "idle";
    assert_eq!(history.iter().filter(why).count(), 1, "{history:?}");
}
