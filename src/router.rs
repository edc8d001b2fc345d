//! The one route table of the API. Nothing registers a route elsewhere.

use std::cell::OnceCell;

use futures::future::LocalBoxFuture;
use worker::Method;

use crate::answer::Answer;
use crate::context::Call;
use crate::error::Error;
use crate::handlers::{
    accounts, audit, checkpoints, deployment, events, exec, feed, holds, logs, machines, members, operator, orgs,
    ports, quotas, services, sessions, terminals, tokens, usage, variables, why,
};

/// What answers an operation.
pub type Handler = fn(Call) -> LocalBoxFuture<'static, Result<Answer, Error>>;

/// One operation of the API.
#[derive(Debug)]
pub struct Route {
    /// Its method.
    pub method: Method,
    /// Its path; `{name}` stands for one segment.
    pub path: &'static str,
    /// Its id: a line of the policy table.
    pub operation: &'static str,
    /// What it does, in a few words.
    pub summary: &'static str,
    /// The status of success.
    pub success: u16,
    /// What answers it.
    pub handler: Handler,
}

macro_rules! route {
    ($method:ident $path:literal $operation:literal $success:literal $handler:path, $summary:literal) => {
        Route {
            method: Method::$method,
            path: $path,
            operation: $operation,
            summary: $summary,
            success: $success,
            handler: |call| Box::pin($handler(call)),
        }
    };
}

/// The table, grouped by resource.
pub const ROUTES: &[Route] = &[
    // The deployment
    route!(Get "/v1/health" "health_get" 200 deployment::health, "Is it there?"),
    route!(Get "/v1/config" "config_get" 200 deployment::get, "What does it offer?"),
    route!(Get "/v1/operator/provider" "operator_provider_get" 200 operator::provider, "How is the runtime's provider?"),
    // People
    route!(Post "/v1/accounts" "accounts_create" 201 accounts::create, "Sign up"),
    route!(Get "/v1/account" "accounts_get" 200 accounts::get, "Who am I?"),
    route!(Get "/v1/sessions" "sessions_list" 200 sessions::list, "List own browser sessions"),
    route!(Post "/v1/sessions" "sessions_create" 201 sessions::create, "Sign in"),
    route!(Delete "/v1/sessions/{session}" "sessions_delete" 204 sessions::delete, "Sign out"),
    route!(Get "/v1/tokens" "tokens_list" 200 tokens::list, "List own API tokens"),
    route!(Post "/v1/tokens" "tokens_create" 201 tokens::create, "Create an API token"),
    route!(Delete "/v1/tokens/{token}" "tokens_delete" 204 tokens::delete, "Revoke an API token"),
    // Organizations
    route!(Get "/v1/orgs" "orgs_list" 200 orgs::list, "List own organizations"),
    route!(Post "/v1/orgs" "orgs_create" 201 orgs::create, "Create an organization"),
    route!(Get "/v1/orgs/{org}" "orgs_get" 200 orgs::get, "Get an organization"),
    route!(Get "/v1/orgs/{org}/members" "members_list" 200 members::list, "List members"),
    route!(Post "/v1/orgs/{org}/members" "members_create" 201 members::create, "Add a member"),
    route!(Patch "/v1/orgs/{org}/members/{account}" "members_update" 200 members::update, "Change a member's role"),
    route!(Delete "/v1/orgs/{org}/members/{account}" "members_delete" 204 members::delete, "Remove a member, or leave"),
    route!(Get "/v1/orgs/{org}/audit" "audit_list" 200 audit::list, "Read the audit log"),
    route!(Get "/v1/orgs/{org}/quotas" "quotas_get" 200 quotas::get, "Read limits, and how much of them is used"),
    route!(Put "/v1/orgs/{org}/quotas" "quotas_put" 200 quotas::put, "Set limits"),
    route!(Get "/v1/orgs/{org}/usage" "usage_get" 200 usage::get, "Read for how long machines were awake"),
    // What happens
    route!(Get "/v1/orgs/{org}/events" "events_list" 200 events::list, "Read what happened to machines"),
    route!(Get "/v1/orgs/{org}/feed" "feed_stream" 101 feed::stream, "Follow what changes (WebSocket)"),
    // Machines
    route!(Get "/v1/orgs/{org}/machines" "machines_list" 200 machines::list, "List machines"),
    route!(Post "/v1/orgs/{org}/machines" "machines_create" 201 machines::create, "Create a machine"),
    route!(Get "/v1/orgs/{org}/machines/{machine}" "machines_get" 200 machines::get, "Get a machine"),
    route!(Patch "/v1/orgs/{org}/machines/{machine}" "machines_update" 200 machines::update, "Change a machine's settings"),
    route!(Delete "/v1/orgs/{org}/machines/{machine}" "machines_delete" 202 machines::delete, "Delete a machine"),
    route!(Post "/v1/orgs/{org}/machines/{machine}/start" "machines_start" 202 machines::start, "Start a machine"),
    route!(Post "/v1/orgs/{org}/machines/{machine}/stop" "machines_stop" 202 machines::stop, "Stop a machine"),
    route!(Post "/v1/orgs/{org}/machines/{machine}/hibernate" "machines_hibernate" 202 machines::hibernate, "Hibernate a machine"),
    route!(Get "/v1/orgs/{org}/machines/{machine}/events" "machine_events_list" 200 events::list_of_machine, "Read a machine's history"),
    route!(Get "/v1/orgs/{org}/machines/{machine}/why" "machines_why" 200 why::get, "Ask why a machine is awake or asleep"),
    // Checkpoints
    route!(Get "/v1/orgs/{org}/machines/{machine}/checkpoints" "checkpoints_list" 200 checkpoints::list, "List checkpoints"),
    route!(Post "/v1/orgs/{org}/machines/{machine}/checkpoints" "checkpoints_create" 202 checkpoints::create, "Make a checkpoint"),
    route!(Post "/v1/orgs/{org}/machines/{machine}/checkpoints/{checkpoint}/restore" "checkpoints_restore" 202 checkpoints::restore, "Restore a machine to a checkpoint"),
    route!(Delete "/v1/orgs/{org}/machines/{machine}/checkpoints/{checkpoint}" "checkpoints_delete" 202 checkpoints::delete, "Delete a checkpoint"),
    // Holds
    route!(Get "/v1/orgs/{org}/machines/{machine}/holds" "holds_list" 200 holds::list, "List holds"),
    route!(Post "/v1/orgs/{org}/machines/{machine}/holds" "holds_create" 201 holds::create, "Keep a machine awake"),
    route!(Delete "/v1/orgs/{org}/machines/{machine}/holds/{hold}" "holds_delete" 204 holds::delete, "End a hold"),
    // Commands
    route!(Post "/v1/orgs/{org}/machines/{machine}/exec" "exec_create" 200 exec::create, "Run a command"),
    // Variables
    route!(Get "/v1/orgs/{org}/machines/{machine}/variables" "variables_list" 200 variables::list, "List variables"),
    route!(Patch "/v1/orgs/{org}/machines/{machine}/variables" "variables_update" 200 variables::update, "Set several variables"),
    route!(Put "/v1/orgs/{org}/machines/{machine}/variables/{variable}" "variables_put" 200 variables::put, "Set a variable"),
    route!(Delete "/v1/orgs/{org}/machines/{machine}/variables/{variable}" "variables_delete" 204 variables::delete, "Delete a variable"),
    // Services
    route!(Get "/v1/orgs/{org}/machines/{machine}/services" "services_list" 200 services::list, "List services"),
    route!(Put "/v1/orgs/{org}/machines/{machine}/services/{service}" "services_put" 200 services::put, "Define a service"),
    route!(Delete "/v1/orgs/{org}/machines/{machine}/services/{service}" "services_delete" 204 services::delete, "Delete a service"),
    route!(Post "/v1/orgs/{org}/machines/{machine}/services/{service}/start" "services_start" 200 services::start, "Start a service"),
    route!(Post "/v1/orgs/{org}/machines/{machine}/services/{service}/stop" "services_stop" 200 services::stop, "Stop a service"),
    route!(Post "/v1/orgs/{org}/machines/{machine}/services/{service}/restart" "services_restart" 200 services::restart, "Restart a service"),
    route!(Get "/v1/orgs/{org}/machines/{machine}/services/{service}/logs" "service_logs_get" 200 logs::get, "Read a service's log"),
    // Ports
    route!(Get "/v1/orgs/{org}/machines/{machine}/ports" "ports_list" 200 ports::list, "List named ports"),
    route!(Put "/v1/orgs/{org}/machines/{machine}/ports/{port}" "ports_put" 200 ports::put, "Name a port"),
    route!(Delete "/v1/orgs/{org}/machines/{machine}/ports/{port}" "ports_delete" 204 ports::delete, "Take a port's name away"),
    // Terminals
    route!(Get "/v1/orgs/{org}/machines/{machine}/terminals" "terminals_list" 200 terminals::list, "List terminals"),
    route!(Post "/v1/orgs/{org}/machines/{machine}/terminals" "terminals_create" 201 terminals::create, "Create a terminal"),
    route!(Patch "/v1/orgs/{org}/machines/{machine}/terminals/{terminal}" "terminals_update" 200 terminals::update, "Rename a terminal"),
    route!(Delete "/v1/orgs/{org}/machines/{machine}/terminals/{terminal}" "terminals_delete" 204 terminals::delete, "End a terminal"),
    route!(Get "/v1/orgs/{org}/machines/{machine}/terminals/{terminal}/stream" "terminals_stream" 101 terminals::stream, "Follow a terminal (WebSocket)"),
];

/// What a path and a method lead to.
#[derive(Debug)]
pub enum Match {
    /// An operation, with the variable parts of its path.
    Found(&'static Route, Vec<(String, String)>),
    /// The path is there, for these methods.
    OtherMethods(Vec<&'static str>),
    /// Nothing.
    Nothing,
}

type Table = matchit::Router<Vec<&'static Route>>;

thread_local! {
    static TABLE: OnceCell<Table> = const { OnceCell::new() };
}

/// Finds the operation of a request.
#[must_use]
pub fn find(method: &Method, path: &str) -> Match {
    TABLE.with(|cell| {
        let table = cell.get_or_init(build);
        let Ok(found) = table.at(path) else { return Match::Nothing };
        match found.value.iter().find(|route| route.method == *method) {
            Some(route) => {
                let parameters = found.params.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
                Match::Found(route, parameters)
            }
            None => Match::OtherMethods(found.value.iter().map(|route| method_name(&route.method)).collect()),
        }
    })
}

fn build() -> Table {
    let mut paths: Vec<(&'static str, Vec<&'static Route>)> = Vec::new();
    for route in ROUTES {
        match paths.iter_mut().find(|(path, _)| *path == route.path) {
            Some((_, routes)) => routes.push(route),
            None => paths.push((route.path, vec![route])),
        }
    }
    let mut table = Table::new();
    for (path, routes) in paths {
        // A conflict of two paths is found by the test that asks for every route.
        let _ = table.insert(path, routes);
    }
    table
}

/// A method in capitals.
#[must_use]
pub fn method_name(method: &Method) -> &'static str {
    match method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Patch => "PATCH",
        Method::Delete => "DELETE",
        Method::Head => "HEAD",
        Method::Options => "OPTIONS",
        _ => "OTHER",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authz::policy;

    #[test]
    fn every_route_is_found_and_has_a_policy() {
        for route in ROUTES {
            let Match::Found(found, _) = find(&route.method, route.path) else { panic!("{}", route.path) };
            assert_eq!(found.operation, route.operation);
            let rule = policy::rule(route.operation);
            assert!(rule.is_some(), "{} has no line in the policy table", route.operation);
            let safe = matches!(route.method, Method::Get);
            assert_eq!(rule.is_some_and(|rule| rule.writes), !safe, "{}", route.operation);
        }
    }

    #[test]
    fn other_methods_and_paths_are_told_apart() {
        assert!(
            matches!(find(&Method::Delete, "/v1/orgs"), Match::OtherMethods(methods) if methods == ["GET", "POST"])
        );
        assert!(matches!(find(&Method::Get, "/v1/orgs/"), Match::Nothing));
        assert!(matches!(find(&Method::Get, "/v1"), Match::Nothing));
    }
}
