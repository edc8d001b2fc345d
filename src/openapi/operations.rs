//! Which types each operation takes and gives.

use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};
use snapvm_protocol::exec::{Chunk, ExecExit, ExecRequest, ExecResult};
use snapvm_protocol::logs::{Cursor, LINES_DEFAULT, LINES_MAX, LogBatch, LogEnd, LogPage, SEARCH_MAX};

use super::responses;
use crate::handlers::{
    accounts, checkpoints, deployment, holds, machines, members, operator, orgs, ports, quotas, services, sessions,
    terminals, tokens, variables,
};

/// An operation's types as schemas.
pub(super) struct Shapes {
    /// Its body.
    pub(super) request: Option<Value>,
    /// What it answers.
    pub(super) response: Option<Value>,
    /// The events that it answers with when the client accepts those, by name.
    pub(super) events: Vec<(&'static str, Value)>,
    /// Parameters of its query.
    pub(super) query: Vec<(&'static str, Value)>,
}

#[expect(clippy::unnecessary_wraps, reason = "an arm of a match that may have none")]
fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Option<Value> {
    Some(generator.subschema_for::<T>().to_value())
}

fn limit(default: i32, most: i32) -> (&'static str, Value) {
    ("limit", json!({"type": "integer", "minimum": 1, "maximum": most, "default": default}))
}

/// What lines of history are asked for.
fn events() -> Vec<(&'static str, Value)> {
    let kind = json!({"type": "string", "minLength": 1, "maxLength": 40});
    vec![limit(50, 200), ("before", json!({"type": "string", "format": "uuid"})), ("kind", kind)]
}

/// The types of an operation. One that is missing here has neither body nor answer, which the API tests notice.
pub(super) fn shapes(operation: &str, generator: &mut SchemaGenerator) -> Shapes {
    let request = match operation {
        "accounts_create" => of::<accounts::CreateAccount>(generator),
        "sessions_create" => of::<sessions::CreateSession>(generator),
        "tokens_create" => of::<tokens::CreateToken>(generator),
        "orgs_create" => of::<orgs::CreateOrg>(generator),
        "members_create" => of::<members::CreateMember>(generator),
        "members_update" => of::<members::UpdateMember>(generator),
        "machines_create" => of::<machines::CreateMachine>(generator),
        "machines_update" => of::<machines::UpdateMachine>(generator),
        "quotas_put" => of::<quotas::PutQuotas>(generator),
        "exec_create" => of::<ExecRequest>(generator),
        "checkpoints_create" => of::<checkpoints::CreateCheckpoint>(generator),
        "holds_create" => of::<holds::CreateHold>(generator),
        "variables_update" => of::<variables::UpdateVariables>(generator),
        "variables_put" => of::<variables::PutVariable>(generator),
        "services_put" => of::<services::PutService>(generator),
        "ports_put" => of::<ports::PutPort>(generator),
        "terminals_create" => of::<terminals::CreateTerminal>(generator),
        "terminals_update" => of::<terminals::UpdateTerminal>(generator),
        _ => None,
    };
    let response = match operation {
        "health_get" => of::<responses::Health>(generator),
        "config_get" => of::<deployment::Deployment>(generator),
        "operator_provider_get" => of::<operator::Provider>(generator),
        "accounts_create" | "accounts_get" | "sessions_create" => of::<responses::Account>(generator),
        "sessions_list" => of::<responses::Sessions>(generator),
        "tokens_list" => of::<responses::Tokens>(generator),
        "tokens_create" => of::<responses::CreatedToken>(generator),
        "orgs_list" => of::<responses::Orgs>(generator),
        "orgs_create" | "orgs_get" => of::<responses::Org>(generator),
        "members_list" => of::<responses::Members>(generator),
        "members_create" | "members_update" => of::<responses::Member>(generator),
        "audit_list" => of::<responses::AuditEntries>(generator),
        "quotas_get" | "quotas_put" => of::<responses::Quotas>(generator),
        "usage_get" => of::<responses::Usage>(generator),
        "machines_list" => of::<responses::Machines>(generator),
        "machines_create" | "machines_get" | "machines_update" => of::<responses::Machine>(generator),
        "machines_delete" | "machines_start" | "machines_stop" | "machines_hibernate" => {
            of::<machines::Ordered>(generator)
        }
        "events_list" | "machine_events_list" => of::<responses::MachineEvents>(generator),
        "machines_why" => of::<responses::Why>(generator),
        "checkpoints_list" => of::<responses::Checkpoints>(generator),
        "checkpoints_create" | "checkpoints_restore" | "checkpoints_delete" => of::<responses::Checkpoint>(generator),
        "holds_list" => of::<responses::Holds>(generator),
        "holds_create" => of::<responses::Hold>(generator),
        "exec_create" => of::<ExecResult>(generator),
        "variables_list" | "variables_update" => of::<responses::Variables>(generator),
        "variables_put" => of::<responses::Variable>(generator),
        "services_list" => of::<responses::Services>(generator),
        "services_put" | "services_start" | "services_stop" | "services_restart" => of::<responses::Service>(generator),
        "service_logs_get" => of::<LogPage>(generator),
        "ports_list" => of::<responses::Ports>(generator),
        "ports_put" => of::<responses::Port>(generator),
        "terminals_list" => of::<responses::Terminals>(generator),
        "terminals_create" | "terminals_update" => of::<responses::Terminal>(generator),
        _ => None,
    };
    let query = match operation {
        "audit_list" => vec![limit(100, 500)],
        "usage_get" => ["from", "to"].map(|name| (name, json!({"type": "string", "format": "date-time"}))).into(),
        "machines_list" => vec![limit(50, 100), ("after", json!({"type": "string"}))],
        "service_logs_get" => {
            let (place, flag) = (generator.subschema_for::<Cursor>().to_value(), json!({"type": "boolean"}));
            let lines = json!({"type": "integer", "minimum": 1, "maximum": LINES_MAX, "default": LINES_DEFAULT});
            let search = json!({"type": "string", "maxLength": SEARCH_MAX});
            vec![
                ("lines", lines),
                ("before", place.clone()),
                ("after", place),
                ("search", search),
                ("follow", flag.clone()),
                ("wake", flag),
            ]
        }
        "machine_events_list" => events(),
        "events_list" => [events(), vec![("machine", json!({"type": "string"}))]].concat(),
        "feed_stream" => {
            vec![("feed", json!({"type": "string"})), ("after", json!({"type": "integer", "minimum": 0}))]
        }
        _ => vec![],
    };
    let events = match operation {
        "exec_create" => {
            let (chunk, exit) = (generator.subschema_for::<Chunk>(), generator.subschema_for::<ExecExit>());
            vec![("stdout", chunk.clone().to_value()), ("stderr", chunk.to_value()), ("exit", exit.to_value())]
        }
        "service_logs_get" => {
            let (batch, end) = (generator.subschema_for::<LogBatch>(), generator.subschema_for::<LogEnd>());
            vec![("lines", batch.to_value()), ("end", end.to_value())]
        }
        _ => vec![],
    };
    Shapes { request, response, events, query }
}
