//! The OpenAPI 3.1 document, generated from the route table, the policy table and the types of requests.
//!
//! Native only: the bundle carries no schemas. Responses are made in the database, so their types are written down
//! here, and the API tests compare every answer with them.

mod operations;
mod responses;

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::authz::policy::{self, Caller};
use crate::router::{ROUTES, Route, method_name};

/// The document, as pretty JSON.
#[must_use]
pub fn document() -> String {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut generator = settings.into_generator();
    let problem = generator.subschema_for::<responses::Problem>();
    let mut paths: Map<String, Value> = Map::new();
    for route in ROUTES {
        let operation = describe(route, &mut generator, &problem.clone().to_value());
        let path = paths.entry(route.path.to_owned()).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(method_name(&route.method).to_lowercase(), operation);
        }
    }
    let schemas = generator.take_definitions(true);
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "SnapVM",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Persistent development machines for teams. Errors are problem documents (RFC 9457) with a stable `code`.",
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "session": {"type": "apiKey", "in": "cookie", "name": crate::authn::SESSION_COOKIE},
                "token": {"type": "http", "scheme": "bearer", "description": "An API token, snap_pat_…"},
                "operator": {"type": "http", "scheme": "bearer", "description": "The operator's credential, snap_op_…"},
            },
        },
    });
    serde_json::to_string_pretty(&document).unwrap_or_default()
}

fn describe(route: &Route, generator: &mut SchemaGenerator, problem: &Value) -> Value {
    let shapes = operations::shapes(route.operation, generator);
    let caller = policy::rule(route.operation).map_or(Caller::Public, |rule| rule.caller);
    let mut operation = json!({
        "operationId": route.operation,
        "summary": route.summary,
        "tags": [route.operation.rsplit_once('_').map_or("", |(resource, _)| resource)],
        "security": match caller {
            Caller::Public => json!([]),
            Caller::Session => json!([{"session": []}]),
            Caller::Operator => json!([{"operator": []}]),
            Caller::Account | Caller::Org(_) => json!([{"session": []}, {"token": []}]),
        },
        "x-snapvm-caller": match caller {
            Caller::Public => "public",
            Caller::Account => "account",
            Caller::Session => "session",
            Caller::Operator => "operator",
            Caller::Org(role) => role.as_str(),
        },
        "parameters": parameters(route, &shapes.query),
        "responses": {
            route.success.to_string(): match &shapes.response {
                Some(schema) => json!({"description": "Done.", "content": content(schema, &shapes.events)}),
                None => json!({"description": "Done."}),
            },
            "default": {
                "description": "Refused, or failed.",
                "content": {"application/problem+json": {"schema": problem}},
            },
        },
    });
    if let (Some(schema), Some(operation)) = (&shapes.request, operation.as_object_mut()) {
        operation.insert(
            "requestBody".into(),
            json!({"required": true, "content": {"application/json": {"schema": schema}}}),
        );
    }
    operation
}

/// What success brings: JSON, and server-sent events where there are any.
fn content(schema: &Value, events: &[(&str, Value)]) -> Value {
    let mut content = json!({"application/json": {"schema": schema}});
    if let (false, Some(content)) = (events.is_empty(), content.as_object_mut()) {
        let data: Map<String, Value> =
            events.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
        let stream = json!({"schema": {"type": "string"}, "x-snapvm-events": data});
        content.insert(snapvm_protocol::exec::EVENT_STREAM.to_owned(), stream);
    }
    content
}

fn parameters(route: &Route, query: &[(&str, Value)]) -> Vec<Value> {
    let in_path = route
        .path
        .split('/')
        .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}));
    let in_query = query.iter().map(|(name, schema)| json!({"name": name, "in": "query", "schema": schema}));
    in_path.chain(in_query).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_checked_in_document_is_the_generated_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
        let stored = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(stored.trim_end(), super::document(), "run: cargo xtask openapi");
    }
}
