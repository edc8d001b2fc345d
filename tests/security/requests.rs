//! A complete request for every operation, with rows of its own: each call can succeed, whatever the calls before did.

use serde_json::{Value, json};
use snapvm_protocol::{feed, terminal};
use snapvm_tests::chance::word;
use snapvm_tests::client::Request;
use snapvm_tests::contract::Operation;
use snapvm_tests::people::PASSWORD;
use snapvm_tests::{Org, Person, rows, world};

use crate::sweep::Identity;

/// An organization to act in.
pub(crate) struct Stage {
    pub(crate) org: Org,
    /// Somebody whose machines are acted on.
    pub(crate) member: Person,
    pub(crate) superuser: tokio_postgres::Client,
    /// The slug that requests name.
    slug: String,
}

impl Stage {
    pub(crate) async fn set() -> Self {
        let org = world().org().await;
        let (member, superuser) = (org.member(world(), "member").await, world().superuser().await);
        // Every call makes a machine, awake as it is.
        rows::ceilings(&superuser, &org.slug, 100_000, 100_000).await;
        Self { slug: org.slug.clone(), org, member, superuser }
    }

    /// The same stage, under a name that nothing has.
    pub(crate) fn renamed(mut self, slug: &str) -> Self {
        slug.clone_into(&mut self.slug);
        self
    }

    /// An account that is in no organization.
    async fn newcomer(&self) -> (String, String) {
        let (account, email) = (rows::new_id(), format!("n{}@example.com", word()));
        let insert = "insert into app.account (id, email, name) values ($1::text::uuid, $2, 'Newcomer')";
        rows::run(&self.superuser, insert, &[&account, &email]).await;
        (account, email)
    }

    /// A viewer of the organization.
    async fn viewer(&self) -> String {
        let (account, _) = self.newcomer().await;
        let insert = "insert into app.membership (org_id, account_id, role)
            select id, $2::text::uuid, 'viewer' from app.org where slug = $1";
        rows::run(&self.superuser, insert, &[&self.org.slug, &account]).await;
        account
    }

    /// A session or a token of somebody: its id.
    async fn credential(&self, table: &str, account: &str) -> String {
        let id = rows::new_id();
        let insert = match table {
            "session" => {
                "insert into app.session (id, account_id, hash, expires_at)
                 values ($1::text::uuid, $2::text::uuid, sha256($1::text::bytea), now() + interval '1 day')"
            }
            _ => {
                "insert into app.api_token (id, account_id, name, hash, last_four, scope, expires_at)
                 values ($1::text::uuid, $2::text::uuid, 'spare', sha256($1::text::bytea), 'last', 'read',
                   now() + interval '1 day')"
            }
        };
        rows::run(&self.superuser, insert, &[&id, account]).await;
        id
    }
}

/// The request of an operation, as somebody. Cookies are a copy's: a sign-in or sign-out changes nobody.
pub(crate) async fn request(stage: &Stage, operation: &Operation, identity: &Identity) -> Request {
    let mut path = operation.path.replace("{org}", &stage.slug);
    if path.contains("{machine}") {
        let name = format!("m{}", word());
        let machine = rows::machine(&stage.superuser, &stage.org.slug, &stage.member.account, &name).await;
        if matches!(operation.id.as_str(), "exec_create" | "service_logs_get") {
            // A stopped one says so at once; one that runs would be asked, and has no runtime.
            let stop = "update app.machine set state = 'stopped' where id = $1::text::uuid";
            rows::run(&stage.superuser, stop, &[&machine.id]).await;
        }
        if operation.id.starts_with("checkpoints_") {
            // Files that no runtime has, so that there is something to order; nobody can be asked for them.
            let set = "update app.machine set sprite_name = 's-' || $1, sprite_id = 'sprite-' || $1,
                sprite_url = 'http://127.0.0.1:9' where id = $1::text::uuid";
            rows::run(&stage.superuser, set, &[&machine.id]).await;
        }
        path = path
            .replace("{machine}", &machine.name)
            .replace("{service}", &machine.service)
            .replace("{port}", &machine.port.to_string())
            .replace("{hold}", &machine.hold)
            .replace("{checkpoint}", &machine.checkpoint)
            .replace("{variable}", &machine.variable)
            .replace("{terminal}", &machine.terminal);
    }
    if path.contains("{account}") {
        path = path.replace("{account}", &stage.viewer().await);
    }
    for (parameter, table) in [("{session}", "session"), ("{token}", "api_token")] {
        if path.contains(parameter) {
            path = path.replace(parameter, &stage.credential(table, &identity.account).await);
        }
    }
    let method = ["GET", "POST", "PUT", "PATCH", "DELETE"];
    let method = method.into_iter().find(|method| *method == operation.method).expect("a known method");
    let mut request = identity.client.copy().request(method, path);
    let protocols = [("terminals_stream", terminal::SUBPROTOCOL), ("feed_stream", feed::SUBPROTOCOL)];
    if let Some((_, protocol)) = protocols.into_iter().find(|(id, _)| *id == operation.id) {
        request = request
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "c25hcHZtLXRlc3RzLWtleQ==")
            .header("sec-websocket-protocol", protocol)
            .header("origin", &world().site().origin);
    }
    match body(stage, operation).await {
        Some(body) => request.json(body),
        None => request,
    }
}

async fn body(stage: &Stage, operation: &Operation) -> Option<Value> {
    operation.request.as_ref()?;
    Some(match operation.id.as_str() {
        "accounts_create" => json!({"email": format!("a{}@example.com", word()), "name": "A", "password": PASSWORD}),
        "sessions_create" => json!({"email": stage.org.owner.email, "password": PASSWORD}),
        "tokens_create" => json!({"name": "swept", "scope": "read"}),
        "orgs_create" => json!({"slug": format!("o{}", word()), "name": "Swept"}),
        "members_create" => json!({"email": stage.newcomer().await.1, "role": "viewer"}),
        "members_update" => json!({"role": "member"}),
        "quotas_put" => json!({"machines": 50_000, "idle_seconds": 600}),
        "machines_create" => json!({"name": format!("n{}", word()), "first_boot": "true"}),
        "machines_update" => json!({"app_port": 4000, "idle_seconds": 600}),
        "exec_create" => json!({"command": "true"}),
        "checkpoints_create" => json!({"comment": "swept"}),
        "holds_create" => json!({"reason": "swept", "minutes": 60}),
        "variables_update" => json!({"variables": [
            {"name": "SWEPT", "value": "plain", "secret": false}, {"name": "SECRET", "value": "hidden"},
        ]}),
        "variables_put" => json!({"value": "hidden"}),
        "services_put" => json!({"command": "sleep", "args": ["60"]}),
        "ports_put" => json!({"label": "Swept"}),
        "terminals_create" => json!({"name": "Swept", "directory": "/srv"}),
        "terminals_update" => json!({"name": "Swept again"}),
        other => panic!("{other} needs a body here"),
    })
}
