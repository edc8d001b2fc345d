//! Every operation of the API as everybody.
//!
//! What is expected is computed from `snapvm::authz::policy`; nothing is recorded. Three things are added by hand, as
//! the comments of the policy table say: two operations look at the row too (`members_delete`, and `machines_delete`,
//! whose machine here belongs to the member), and an order to a machine, or a command for it, may be refused for its
//! state.
//!
//! Every allowed call really succeeds, so every operation needs a complete request in `requests`: one that is missing
//! there, or in the policy table, fails. `tests/output/access-matrix.txt` is for reading, and locked.

use std::fmt::Write;

use snapvm::authz::policy::{self, Caller, Role, Rule};
use snapvm::router::{ROUTES, method_name};
use snapvm_tests::contract::{Operation, contract};
use snapvm_tests::locked::{locked, trimmed};
use snapvm_tests::{Answer, Client, rows, world};

use crate::requests::{Stage, request};

const LEGEND: &str = "\
Every operation of the API as everybody: `ok`, or the status of the refusal.
Written by the test `security`; SNAPVM_UPDATE_OUTPUT=1 writes it again.

outsider: owns another organization. removed: was a member until a moment ago. reader, writer: API tokens of the owner
with that scope. revoked: a token of the owner, taken back. expired: a session of the owner that has ended.
operator: the credential of the deployment's operator, who has no account.
The machine belongs to the member, and the member to be changed or removed is a viewer.
";

/// Somebody, and what the policy table knows of them.
pub(crate) struct Identity {
    pub(crate) name: &'static str,
    pub(crate) client: Client,
    /// The account, for rows that have to be their own.
    pub(crate) account: String,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// No credential, or a dead one.
    Nobody,
    /// Somebody, with a role in the organization or none.
    Person(Option<Role>),
    /// A token of the owner, which may write or not.
    Token { writes: bool },
    /// The operator of the deployment, who is nobody's account.
    Operator,
}

enum Expected {
    Allowed,
    Refused(u16, &'static str),
}

/// What the policy table says.
fn expected(rule: &Rule, identity: &Identity) -> Expected {
    let (held, token) = match identity.kind {
        Kind::Nobody if rule.caller == Caller::Public => return Expected::Allowed,
        Kind::Operator if matches!(rule.caller, Caller::Public | Caller::Operator) => return Expected::Allowed,
        Kind::Nobody | Kind::Operator => return Expected::Refused(401, "unauthenticated"),
        Kind::Person(held) => (held, None),
        Kind::Token { writes } => (Some(Role::Owner), Some(writes)),
    };
    match (rule.caller, held) {
        (Caller::Public, _) => return Expected::Allowed,
        (Caller::Operator, _) => return Expected::Refused(403, "operator"),
        (Caller::Session, _) if token.is_some() => return Expected::Refused(403, "session_required"),
        (Caller::Org(_), None) => return Expected::Refused(404, "not_found"),
        _ => {}
    }
    if rule.writes && token == Some(false) {
        return Expected::Refused(403, "scope");
    }
    if let (Caller::Org(least), Some(held)) = (rule.caller, held) {
        // By row: leaving is everybody's right, removing a viewer an admin's.
        let least = if rule.operation == "members_delete" { Role::Admin } else { least };
        if held < least {
            return Expected::Refused(403, "role");
        }
    }
    Expected::Allowed
}

async fn identities(stage: &Stage) -> Vec<Identity> {
    let (org, superuser) = (&stage.org, &stage.superuser);
    let outsider = world().org().await.owner;
    let removed = org.member(world(), "admin").await;
    org.owner.client.delete(org.path(&format!("/members/{}", removed.account))).await.expect(204);
    let (viewer, admin) = (org.member(world(), "viewer").await, org.member(world(), "admin").await);
    let (reader, _) = org.owner.token("read").await;
    let (writer, _) = org.owner.token("write").await;
    let (revoked, token) = org.owner.token("write").await;
    org.owner.client.delete(format!("/v1/tokens/{token}")).await.expect(204);
    let expired = org.owner.sign_in().await;
    let hash = snapvm::secrets::hash(expired.session().expect("a session").as_bytes()).to_string();
    let end = "update app.session set expires_at = now() where encode(hash, 'hex') = $1";
    assert_eq!(rows::run(superuser, end, &[&hash]).await, 1);

    let owner = &org.owner.account;
    [
        ("nobody", world().anonymous(), owner, Kind::Nobody),
        ("revoked", revoked, owner, Kind::Nobody),
        ("expired", expired, owner, Kind::Nobody),
        ("outsider", outsider.client.clone(), &outsider.account, Kind::Person(None)),
        ("removed", removed.client.clone(), &removed.account, Kind::Person(None)),
        ("viewer", viewer.client.clone(), &viewer.account, Kind::Person(Some(Role::Viewer))),
        ("member", stage.member.client.clone(), &stage.member.account, Kind::Person(Some(Role::Member))),
        ("admin", admin.client.clone(), &admin.account, Kind::Person(Some(Role::Admin))),
        ("owner", org.owner.client.clone(), owner, Kind::Person(Some(Role::Owner))),
        ("reader", reader, owner, Kind::Token { writes: false }),
        ("writer", writer, owner, Kind::Token { writes: true }),
        ("operator", world().operator(), owner, Kind::Operator),
    ]
    .map(|(name, client, account, kind)| Identity { name, client, account: account.clone(), kind })
    .into()
}

/// Checks an answer, and gives what the matrix says of it.
async fn judge(stage: &Stage, rule: &Rule, operation: &Operation, identity: &Identity, answer: &Answer) -> String {
    let case = format!("{} as {}", operation.id, identity.name);
    if let Expected::Refused(status, code) = expected(rule, identity) {
        let told = answer.json()["code"].as_str().unwrap_or_default().to_owned();
        assert_eq!((answer.status, told.as_str()), (status, code), "{case}: {}", answer.text());
        return status.to_string();
    }
    // Whoever may order a machine about may still be told that its state does not allow it. None here has a runtime.
    let order = matches!(
        operation.id.as_str(),
        "machines_start" | "machines_stop" | "machines_hibernate" | "exec_create" | "service_logs_get"
    );
    let allowed = answer.status == operation.success || (order && answer.status == 409);
    assert!(allowed, "{case}: {} {}", answer.status, answer.text());
    if rule.writes {
        let query = "select coalesce(array_agg(a.operation || ' ' || a.status), '{}') from app.audit a
            where a.request_id = $1";
        let written: Vec<String> = rows::value(&stage.superuser, query, &[answer.request_id()]).await;
        assert_eq!(written, [format!("{} {}", operation.id, operation.success)], "{case}");
    }
    "ok".to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_as_everybody() {
    let stage = Stage::set().await;
    let identities = identities(&stage).await;
    let mut text = format!("{LEGEND}\n{:<22}", "operation");
    for identity in &identities {
        write!(text, "{:<9}", identity.name).unwrap();
    }
    for operation in &contract().operations {
        let rule = policy::rule(&operation.id).unwrap_or_else(|| panic!("{} has no policy", operation.id));
        write!(text, "\n{:<22}", operation.id).unwrap();
        for identity in &identities {
            let answer = request(&stage, operation, identity).await.send().await;
            let mark = judge(&stage, rule, operation, identity, &answer).await;
            write!(text, "{mark:<9}").unwrap();
        }
    }
    locked("access-matrix.txt", &trimmed(&text));
}

/// An outsider learns nothing from a refusal: it is the one for an organization that does not exist.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_yours_looks_like_what_is_not_there() {
    let (stage, nowhere) = (Stage::set().await, Stage::set().await.renamed("nowhere-at-all"));
    let outsider = world().org().await.owner;
    let identity =
        Identity { name: "outsider", client: outsider.client, account: outsider.account, kind: Kind::Person(None) };
    for operation in contract().operations.iter().filter(|operation| operation.path.contains("{org}")) {
        let foreign = request(&stage, operation, &identity).await.send().await;
        let missing = request(&nowhere, operation, &identity).await.send().await;
        assert_eq!((foreign.status, missing.status), (404, 404), "{}", operation.id);
        assert_eq!(foreign.refusal(), missing.refusal(), "{}", operation.id);
    }
}

/// The three tables say the same: what is routed, what is documented, who may.
#[test]
fn routes_document_and_policy_name_the_same_operations() {
    let mut routed: Vec<String> = ROUTES
        .iter()
        .map(|route| format!("{} {} {} {}", route.operation, method_name(&route.method), route.path, route.success))
        .collect();
    let mut documented: Vec<String> = contract()
        .operations
        .iter()
        .map(|operation| format!("{} {} {} {}", operation.id, operation.method, operation.path, operation.success))
        .collect();
    routed.sort();
    documented.sort();
    assert_eq!(routed, documented);
    // Not part of the API: asked by the console's origin when a browser wants into a private app.
    let internal = ["apps_authorize"];
    for rule in policy::POLICY {
        let known = contract().operations.iter().any(|operation| operation.id == rule.operation);
        assert_eq!(known, !internal.contains(&rule.operation), "{}", rule.operation);
    }
}
