//! Who has the session open: told to everybody whenever it changes.

use std::collections::BTreeMap;

use snapvm_protocol::terminal::{Frame, Notice, Person};

use super::clients::send;
use super::object::Session;
use super::outside::{Outside, Visitor};
use crate::background;

/// Most people that are told.
const PEOPLE_MAX: usize = 50;
/// Several changes within this time are told as one.
const GATHER_MS: u64 = 50;

/// The people behind some windows, by account; in the order of their names.
fn people<'a>(windows: impl Iterator<Item = &'a Visitor>) -> Vec<(&'a str, Person)> {
    let mut found: BTreeMap<(&str, &str), Person> = BTreeMap::new();
    for visitor in windows {
        let person = found.entry((&visitor.person, &visitor.account)).or_insert_with(|| Person {
            name: visitor.person.clone(),
            write: false,
            windows: 0,
            you: false,
        });
        person.windows += 1;
        person.write |= visitor.write;
    }
    found.into_iter().map(|((_, account), person)| (account, person)).collect()
}

/// What one of them is told: themselves, and as many others as there is room for.
fn told_to(account: &str, people: &[(&str, Person)]) -> Vec<Person> {
    let is_you = |other: &str| other == account;
    let mut room = PEOPLE_MAX.saturating_sub(people.iter().filter(|(other, _)| is_you(other)).count());
    people
        .iter()
        .filter(|(other, _)| {
            let fits = is_you(other) || room > 0;
            room -= usize::from(fits && !is_you(other));
            fits
        })
        .map(|(other, person)| Person { you: is_you(other), ..person.clone() })
        .collect()
}

impl<O: Outside> Session<O> {
    /// Tells everybody, in a moment, who is there then.
    pub(super) fn tell_people(&self) {
        if self.0.telling.replace(true) {
            return;
        }
        let session = self.clone();
        background::run(&self.0.state, async move {
            session.0.outside.delay(GATHER_MS).await;
            session.0.telling.set(false);
            session.with_sockets(|sockets| {
                let people = people(sockets.clients.values().map(|peer| &peer.client.visitor));
                for peer in sockets.clients.values() {
                    let people = told_to(&peer.client.visitor.account, &people);
                    send(&peer.socket, &Frame::Notice(Notice::People { people }).encode());
                }
            });
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(account: &str, person: &str, write: bool) -> Visitor {
        Visitor {
            credential: String::new(),
            org: String::new(),
            name: String::new(),
            session: String::new(),
            account: account.into(),
            person: person.into(),
            write,
        }
    }

    #[test]
    fn windows_are_counted_by_account_and_namesakes_are_two() {
        let windows =
            [window("2", "Ada", false), window("1", "Bo", true), window("2", "Ada", true), window("3", "Ada", false)];
        let people = people(windows.iter());
        let person = |name: &str, write, windows, you| Person { name: name.into(), write, windows, you };
        assert_eq!(
            told_to("2", &people),
            [person("Ada", true, 2, true), person("Ada", false, 1, false), person("Bo", true, 1, false)]
        );
    }

    #[test]
    fn at_most_fifty_are_told_and_oneself_always() {
        let windows: Vec<Visitor> = (0..80).map(|n| window(&n.to_string(), &format!("p{n:02}"), true)).collect();
        let people = people(windows.iter());
        for account in ["0", "79"] {
            let told = told_to(account, &people);
            assert_eq!((told.len(), told.iter().filter(|person| person.you).count()), (50, 1));
            assert_eq!(told[48].name, "p48");
        }
    }
}
