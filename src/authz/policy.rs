//! Who may do what: the one table.
//!
//! Everything else follows it: `migrations/api/policy.sql` is generated from it (`cargo run --example policy`), so the
//! database enforces these lines; the OpenAPI document prints them; the sweep takes its expectations from them. An
//! operation that is missing here has no SQL policy and cannot run.

pub use snapvm_protocol::roles::Role;

/// Who may call an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// Anybody.
    Public,
    /// Whoever is signed in, with a session or a token.
    Account,
    /// Whoever is signed in with a browser session: a token cannot do it.
    Session,
    /// The operator of the deployment, with a credential of its own.
    Operator,
    /// A member of the organization in the path, with this role or a higher one.
    Org(Role),
}

/// One line of the table.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// The operation's id: also its function in the schema `api`, and its `operationId`.
    pub operation: &'static str,
    /// Who may call it.
    pub caller: Caller,
    /// Whether it changes anything, so that a token needs the scope `write`.
    pub writes: bool,
}

const fn reads(operation: &'static str, caller: Caller) -> Rule {
    Rule { operation, caller, writes: false }
}

const fn writes(operation: &'static str, caller: Caller) -> Rule {
    Rule { operation, caller, writes: true }
}

use Caller::{Account, Operator, Org, Public, Session};
use Role::{Admin, Member, Viewer};

/// The table, in the order of the route table.
pub const POLICY: &[Rule] = &[
    reads("health_get", Public),
    reads("config_get", Public),
    reads("operator_provider_get", Operator),
    writes("accounts_create", Public),
    reads("accounts_get", Account),
    writes("sessions_create", Public),
    reads("sessions_list", Account),
    writes("sessions_delete", Account),
    reads("tokens_list", Account),
    writes("tokens_create", Session),
    writes("tokens_delete", Account),
    reads("orgs_list", Account),
    writes("orgs_create", Account),
    reads("orgs_get", Org(Viewer)),
    reads("members_list", Org(Viewer)),
    writes("members_create", Org(Admin)),
    writes("members_update", Org(Admin)),
    // Leaving is everybody's right; removing others needs an admin, which api.members_delete decides by row.
    writes("members_delete", Org(Viewer)),
    reads("audit_list", Org(Admin)),
    reads("quotas_get", Org(Viewer)),
    writes("quotas_put", Org(Admin)),
    reads("usage_get", Org(Viewer)),
    reads("events_list", Org(Viewer)),
    // What is told is filtered by the role that the follower has when it is told.
    reads("feed_stream", Org(Viewer)),
    reads("machines_list", Org(Viewer)),
    writes("machines_create", Org(Member)),
    reads("machines_get", Org(Viewer)),
    writes("machines_update", Org(Member)),
    // Of one's own; those of others need an admin, which api.machines_command decides by row.
    writes("machines_delete", Org(Member)),
    writes("machines_start", Org(Member)),
    writes("machines_stop", Org(Member)),
    writes("machines_hibernate", Org(Member)),
    reads("machine_events_list", Org(Viewer)),
    reads("machines_why", Org(Viewer)),
    reads("checkpoints_list", Org(Viewer)),
    writes("checkpoints_create", Org(Member)),
    // Any machine's: whoever types in its terminals could change the same files.
    writes("checkpoints_restore", Org(Member)),
    writes("checkpoints_delete", Org(Member)),
    reads("holds_list", Org(Viewer)),
    writes("holds_create", Org(Member)),
    // Anybody's hold: whoever may end it may also stop the machine.
    writes("holds_delete", Org(Member)),
    writes("exec_create", Org(Member)),
    // Viewers see names; values of those that are no secrets are for members, which api.variable_json decides.
    reads("variables_list", Org(Viewer)),
    writes("variables_update", Org(Member)),
    writes("variables_put", Org(Member)),
    writes("variables_delete", Org(Member)),
    reads("services_list", Org(Viewer)),
    writes("services_put", Org(Member)),
    writes("services_delete", Org(Member)),
    writes("services_start", Org(Member)),
    writes("services_stop", Org(Member)),
    writes("services_restart", Org(Member)),
    // Also with wake=true: a viewer's visit to a private app wakes its machine, too.
    reads("service_logs_get", Org(Viewer)),
    reads("ports_list", Org(Viewer)),
    writes("ports_put", Org(Member)),
    writes("ports_delete", Org(Member)),
    reads("terminals_list", Org(Viewer)),
    writes("terminals_create", Org(Member)),
    writes("terminals_update", Org(Member)),
    writes("terminals_delete", Org(Member)),
    // Viewers watch; who may type is in the answer.
    reads("terminals_stream", Org(Viewer)),
    // The handshake that lets a browser into a private app; its route looks at the session cookie only.
    reads("apps_authorize", Org(Viewer)),
];

/// The line of an operation.
#[must_use]
pub fn rule(operation: &str) -> Option<&'static Rule> {
    POLICY.iter().find(|rule| rule.operation == operation)
}

/// `migrations/api/policy.sql`.
#[must_use]
pub fn sql() -> String {
    let mut sql = String::from(
        "-- Generated from src/authz/policy.rs by `cargo run --example policy`; a test compares the two.\n\
         -- rank: the least role in the organization (0: no organization is involved).\n\
         set local role snap_owner;\n\n\
         create or replace function authz.policy(operation text, out rank int, out writes boolean, out session boolean)\n\
         language sql immutable parallel safe set search_path = '' as $$\n  \
         select p.rank, p.writes, p.session from (values\n",
    );
    let callable: Vec<&Rule> = POLICY.iter().filter(|rule| !matches!(rule.caller, Public | Operator)).collect();
    for (position, rule) in callable.iter().enumerate() {
        let (rank, session) = match rule.caller {
            Caller::Org(role) => (role.rank(), false),
            Caller::Session => (0, true),
            Caller::Account | Caller::Public | Caller::Operator => (0, false),
        };
        let comma = if position + 1 == callable.len() { "" } else { "," };
        sql.push_str(&format!("    ('{}', {rank}, {}, {session}){comma}\n", rule.operation, rule.writes));
    }
    sql.push_str(
        "  ) as p (operation, rank, writes, session) where p.operation = policy.operation $$;\n\n\
         grant execute on function authz.policy(text) to snap_app;\n",
    );
    sql
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_has_one_line() {
        for rule in POLICY {
            assert_eq!(
                POLICY.iter().filter(|other| other.operation == rule.operation).count(),
                1,
                "{}",
                rule.operation
            );
        }
    }

    #[test]
    fn the_database_enforces_this_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/api/policy.sql");
        let stored = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(stored, sql(), "run: cargo run --example policy > migrations/api/policy.sql");
    }
}
