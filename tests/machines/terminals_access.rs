//! Access that ends under an open terminal: whoever types, and whoever only watches, is out.

use std::time::Duration;

use serde_json::json;
use snapvm_protocol::agent::close;
use snapvm_tests::machines::Machine;
use snapvm_tests::terminal::Terminal;
use snapvm_tests::{Client, Org, Person, rows};

use crate::world;

/// From the answer of the change to the closed socket; much less on a computer that does nothing else.
const AT_ONCE: Duration = Duration::from_secs(10);
/// Where nobody told the machine: 30 s after the last look, with the next frame.
const LOOKED_AT: Duration = Duration::from_secs(45);

async fn watch(machine: &Machine, client: &Client, id: &str) -> Terminal {
    let mut terminal = Terminal::open(world(), &machine.used_by(client), id).await;
    terminal.until_prompt().await;
    terminal
}

fn member(org: &Org, person: &Person) -> String {
    org.path(&format!("/members/{}", person.account))
}

#[tokio::test]
async fn whoever_loses_access_is_out_at_once_also_where_nothing_happens() {
    let (org, machine) = Machine::running(world()).await;
    let mut writer = Terminal::start(world(), &machine).await;
    let id = writer.id.clone();
    let removed = org.member(world(), "viewer").await;
    let leaving = org.member(world(), "member").await;
    let (token, token_id) = org.owner.token("read").await;
    let browser = org.owner.sign_in().await;
    let mut of_removed = watch(&machine, &removed.client, &id).await;
    let mut of_leaving = watch(&machine, &leaving.client, &id).await;
    let mut of_token = watch(&machine, &token, &id).await;
    let mut of_browser = watch(&machine, &browser, &id).await;

    org.owner.client.delete(member(&org, &removed)).await.expect(204);
    assert_eq!(of_removed.until_closed(AT_ONCE).await, close::FORBIDDEN);
    leaving.client.delete(member(&org, &leaving)).await.expect(204);
    assert_eq!(of_leaving.until_closed(AT_ONCE).await, close::FORBIDDEN);
    org.owner.client.delete(format!("/v1/tokens/{token_id}")).await.expect(204);
    assert_eq!(of_token.until_closed(AT_ONCE).await, close::UNAUTHENTICATED);
    browser.delete("/v1/sessions/current").await.expect(204);
    assert_eq!(of_browser.until_closed(AT_ONCE).await, close::UNAUTHENTICATED);

    // Who may stay has noticed nothing, and sees nobody else any more.
    assert_eq!(writer.run("echo undisturbed").await, "undisturbed");
    assert_eq!(writer.attached, 1);
    writer.until_people(&[(&org.owner.name, true, 1, true)]).await;
}

/// Nobody tells the machine of these changes: they are made where the API cannot see them.
#[tokio::test]
async fn whoever_lost_access_is_out_half_a_minute_after_the_last_look() {
    let (org, machine) = Machine::running(world()).await;
    let mut writer = Terminal::start(world(), &machine).await;
    let id = writer.id.clone();
    let (watching, typing) = (org.member(world(), "viewer").await, org.member(world(), "member").await);
    let (token, token_id) = org.owner.token("write").await;
    let mut of_watching = watch(&machine, &watching.client, &id).await;
    let mut of_typing = watch(&machine, &typing.client, &id).await;
    let mut of_token = watch(&machine, &token, &id).await;
    let superuser = world().superuser().await;
    for person in [&watching, &typing] {
        let removal = "delete from app.membership where account_id = $1::text::uuid
            and org_id = (select id from app.org where slug = $2)";
        assert_eq!(rows::run(&superuser, removal, &[&person.account, &org.slug]).await, 1);
    }
    let expiry = "update app.api_token set expires_at = now() where id = $1::text::uuid";
    assert_eq!(rows::run(&superuser, expiry, &[&token_id]).await, 1);
    writer.type_text("while sleep 0.3; do echo tick; done\r").await;
    let mut tabs = [&mut of_watching, &mut of_typing, &mut of_token];
    let codes = futures::future::join_all(tabs.iter_mut().map(|tab| tab.until_closed(LOOKED_AT))).await;
    assert_eq!(codes, [close::FORBIDDEN, close::FORBIDDEN, close::UNAUTHENTICATED]);
    writer.type_text("\u{3}").await;
    assert_eq!(writer.run("echo still-here").await, "still-here");
}

#[tokio::test]
async fn a_change_of_role_changes_what_typing_does_and_costs_no_byte() {
    let (org, machine) = Machine::running(world()).await;
    let mut writer = Terminal::start(world(), &machine).await;
    let person = org.member(world(), "viewer").await;
    let mut theirs = watch(&machine, &person.client, &writer.id).await;
    let seen_as = |write| [(org.owner.name.clone(), true, 1, true), (person.name.clone(), write, 1, false)];
    let told = |people: [(String, bool, u32, bool); 2]| {
        let mut people = people.to_vec();
        people.sort();
        people
    };
    let until_seen = async |writer: &mut Terminal, write: bool| {
        let wanted = told(seen_as(write));
        let wanted: Vec<_> =
            wanted.iter().map(|(name, write, windows, you)| (name.as_str(), *write, *windows, *you)).collect();
        writer.until_people(&wanted).await;
    };
    until_seen(&mut writer, false).await;
    // Output goes on all the time: the tab's own checks are that every byte comes once and in order.
    writer.type_text("(while sleep 0.02; do echo tick; done) &\r").await;
    org.owner.client.patch(member(&org, &person), json!({"role": "member"})).await.expect(200);
    until_seen(&mut writer, true).await;
    theirs.until("it may type", |theirs| theirs.attached == 2).await;
    theirs.type_text("touch by-a-member; kill %1\r").await;
    theirs.until("it is taken", Terminal::is_acknowledged).await;
    // The end of its job is told too.
    assert!(writer.run("ls by-a-member").await.starts_with("by-a-member"));

    writer.type_text("(while sleep 0.02; do echo tick; done) &\r").await;
    org.owner.client.patch(member(&org, &person), json!({"role": "viewer"})).await.expect(200);
    until_seen(&mut writer, false).await;
    theirs.until("it may look", |theirs| theirs.attached == 3).await;
    theirs.type_text("touch by-a-viewer\r").await;
    let so_far = theirs.offset;
    theirs.until("more output", |theirs| theirs.offset > so_far + 100).await;
    writer.type_text("kill %1\r").await;
    let counted = writer.run("ls by-a-viewer 2>/dev/null | wc -l").await;
    assert!(counted.starts_with('0'), "{counted}");
    assert!(theirs.is_open() && !theirs.is_acknowledged());
}
