//! The way into and out of an organization's feed: what statements have changed goes to its object once they are done,
//! and whoever may follow is let in. The object's name is the organization's id, which comes from the database and never
//! from a URL.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use futures::future::{Either, select};
use serde::Deserialize;
use snapvm_durable::org_feed::object::{ARRIVAL, NOBODY};
use snapvm_durable::org_feed::outside::{Arrival, Visitor};
use snapvm_protocol::feed::SUBPROTOCOL;
use snapvm_protocol::roles::Role;
use worker::{Env, Response};

use super::outside::service_credential;
use super::{object, sockets};
use crate::authn::Credential;
use crate::context::Call;
use crate::db::{Database, Operation};
use crate::error::{Error, Problem};
use crate::platform::Variables;

/// The binding of the object class.
const BINDING: &str = "ORG_FEED";
/// Longest time that one announcement may take.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

/// Announces what statements have changed: lines of an organization's id and a change, as [`crate::db::Reply`] has them.
/// One that does not arrive is made good by clients, who look for themselves now and then.
pub async fn announce(env: &Env, lines: &str) {
    for (org, changes) in by_org(lines) {
        let telling = Box::pin(tell(env, org, changes));
        let outcome = match select(telling, Box::pin(worker::Delay::from(PATIENCE))).await {
            Either::Left((outcome, _)) => outcome,
            Either::Right(_) => Err(Error::Object("no answer in time".into())),
        };
        if let Err(error) = outcome {
            worker::console_warn!("the feed of organization {org}: {error}");
        }
    }
}

async fn tell(env: &Env, org: &str, changes: String) -> Result<(), Error> {
    let stub = env.durable_object(BINDING)?.get_by_name(org)?;
    let mut answer = object::post(&stub, "https://object/changes", changes).await?;
    if answer.text().await? == NOBODY {
        // Nobody has followed for long: the database need not say what changes any more, until somebody does.
        let arguments = vec![service_credential(env)?.into(), "{}".into(), org.into(), alone_seconds(env).into()];
        Database::connect(env).await?.call(Operation { name: "gateway_unfollowed", arguments }).await?.accepted()?;
    }
    Ok(())
}

/// How long changes are kept for followers who come back, while there are none.
#[must_use]
pub fn alone_seconds(env: &Env) -> i32 {
    env.text("FEED_ALONE_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(600)
}

/// The changes of each organization, a line each, in their order.
fn by_org(lines: &str) -> Vec<(&str, String)> {
    let mut orgs: Vec<(&str, String)> = Vec::new();
    for (org, change) in lines.lines().filter_map(|line| line.split_once(' ')) {
        let place = orgs.iter().position(|(other, _)| *other == org).unwrap_or_else(|| {
            orgs.push((org, String::new()));
            orgs.len() - 1
        });
        if let Some((_, changes)) = orgs.get_mut(place) {
            changes.push_str(change);
            changes.push('\n');
        }
    }
    orgs
}

/// Announces what an object's statements have changed, in their order; nobody waits for it.
pub struct Announcer(Rc<Waiting>);

struct Waiting {
    env: Env,
    lines: RefCell<String>,
    under_way: Cell<bool>,
}

impl Announcer {
    /// One with nothing to announce.
    #[must_use]
    pub fn new(env: Env) -> Self {
        Self(Rc::new(Waiting { env, lines: RefCell::default(), under_way: Cell::new(false) }))
    }

    /// Announces more, after what is under way.
    pub fn announce(&self, lines: &str) {
        self.0.lines.borrow_mut().push_str(lines);
        if lines.is_empty() || self.0.under_way.replace(true) {
            return;
        }
        let waiting = Rc::clone(&self.0);
        wasm_bindgen_futures::spawn_local(async move {
            loop {
                let lines = std::mem::take(&mut *waiting.lines.borrow_mut());
                if lines.is_empty() {
                    break;
                }
                announce(&waiting.env, &lines).await;
            }
            waiting.under_way.set(false);
        });
    }
}

/// Who may follow, as the database says it.
#[derive(Deserialize)]
pub(super) struct Allowed {
    org: String,
    account: String,
    role: String,
}

impl Allowed {
    /// What they may see; `None` for a role of another version.
    pub(super) fn role(&self) -> Option<Role> {
        Role::read(&self.role)
    }
}

/// `GET /v1/orgs/{org}/feed`, upgraded.
///
/// # Errors
/// 404; 422 for `after`; 426 for anything but a WebSocket of our sub-protocol; 503 when too many follow already.
pub async fn stream(call: Call) -> Result<Response, Error> {
    sockets::require(&call, SUBPROTOCOL)?;
    let after = match call.query("after") {
        Some(text) => text.parse().map_err(|_| Problem::invalid("after", "This must be a change's number."))?,
        None => 0,
    };
    // A name that none of ours can be is another sequence's, like any that is not known.
    let feed = call.query("feed").map(|name| if is_name(name) { name } else { "?" });
    let resume = feed.filter(|_| call.query("after").is_some()).map(|feed| (feed.to_owned(), after));
    let org = call.parameter("org")?.to_owned();
    let allowed: Allowed = call.run(vec![org.clone().into(), Some(true).into()]).await?.read()?;
    let role = allowed.role().ok_or(Error::Internal("a role that is not known"))?;
    let credential = call.credential.as_ref().map(Credential::as_context).unwrap_or_default();
    let visitor = Visitor { credential, org, account: allowed.account, role };
    let stub = call.env.durable_object(BINDING)?.get_by_name(&allowed.org)?;
    let arrival = Arrival { resume, visitor }.line();
    let response = sockets::hand_over(&stub, "https://object/follower", ARRIVAL, &arrival).await?;
    match response.status_code() {
        101 => Ok(response),
        503 => Err(Problem::unavailable(
            "too_many_followers",
            "2,000 clients follow this organization already. Close some, or ask the API now and then.",
        )
        .into()),
        status => Err(Error::Object(format!("status {status}"))),
    }
}

fn is_name(name: &str) -> bool {
    (2..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::by_org;

    #[test]
    fn changes_go_to_their_own_organization_in_their_order() {
        let found = by_org("b {\"n\": 1}\na {\"n\": 2}\nb {\"n\": 3}\n");
        assert_eq!(found, [("b", "{\"n\": 1}\n{\"n\": 3}\n".to_owned()), ("a", "{\"n\": 2}\n".to_owned())]);
        assert!(by_org("").is_empty());
    }
}
