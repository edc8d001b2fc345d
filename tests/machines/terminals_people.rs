//! Presence: everybody at a terminal is told who else is.

use snapvm_tests::machines::Machine;
use snapvm_tests::terminal::Terminal;

use crate::world;

#[tokio::test]
async fn everybody_is_told_who_is_there() {
    let (org, machine) = Machine::running(world()).await;
    let (owner, viewer) = (org.owner.name.clone(), org.member(world(), "viewer").await);
    let id = machine.terminal().await;
    let mut first = Terminal::open(world(), &machine, &id).await;
    first.until_people(&[(&owner, true, 1, true)]).await;
    let mut second = Terminal::open(world(), &machine, &id).await;
    for tab in [&mut first, &mut second] {
        tab.until_people(&[(&owner, true, 2, true)]).await;
    }
    // A token is its account's, and types only where its scope lets it; its window is the account's all the same.
    let (reader, _) = org.owner.token("read").await;
    let mut third = Terminal::open(world(), &machine.used_by(&reader), &id).await;
    third.until_people(&[(&owner, true, 3, true)]).await;

    let mut watching = Terminal::open(world(), &machine.used_by(&viewer.client), &id).await;
    let sorted = |you: &str| {
        let mut people = [(owner.as_str(), true, 3, you == owner), (viewer.name.as_str(), false, 1, you != owner)];
        people.sort_unstable();
        people
    };
    watching.until_people(&sorted(&viewer.name)).await;
    for tab in [&mut first, &mut second, &mut third] {
        tab.until_people(&sorted(&owner)).await;
    }
    for tab in [&mut second, &mut third, &mut watching] {
        tab.leave();
    }
    first.until_people(&[(&owner, true, 1, true)]).await;
}
