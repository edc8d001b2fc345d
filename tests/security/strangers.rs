//! Random strangers through every function and every table: nothing of an organization is seen or changed by somebody
//! who does not belong to it.
//!
//! Victims and strangers are separate. Every name and id of a victim is a mark: no answer to a stranger may contain
//! one, and afterwards every row of the victims is what it was. `SNAPVM_STRANGER_CASES` tries more.

use std::collections::BTreeMap;

use serde_json::json;
use snapvm_tests::chance::{Chance, cases};
use snapvm_tests::{Org, rows, world};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};

struct Victim {
    org: Org,
    org_id: String,
    machine: rows::MachineRows,
    session: String,
    token: String,
}

impl Victim {
    /// What may be in no answer to a stranger.
    fn marks(&self) -> [&str; 8] {
        let machine = &self.machine;
        [
            &self.org.slug,
            &self.org_id,
            &self.org.owner.account,
            &self.org.owner.email,
            &machine.id,
            &machine.name,
            &machine.terminal,
            &self.session,
        ]
    }
}

async fn victim(superuser: &Client, number: usize) -> Victim {
    let org = world().org().await;
    let machine = rows::machine(superuser, &org.slug, &org.owner.account, &format!("victim-{}", org.slug)).await;
    let (_, token) = org.owner.token("write").await;
    let session: String = rows::value(
        superuser,
        "select id::text from app.session where account_id = $1::text::uuid",
        &[&org.owner.account],
    )
    .await;
    // One more row of the audit trail. No order to the machine: its object would write to the row when it likes.
    let port = org.path(&format!("/machines/{}/ports/{}", machine.name, 4000 + number));
    org.owner.client.put(port, json!({"label": "Audited"})).await.expect(200);
    Victim { org_id: rows::org_id(superuser, &org.slug).await, org, machine, session, token }
}

/// A function of the schema `api` that answers with a status and a body.
struct Function {
    name: String,
    arguments: Vec<String>,
    types: Vec<String>,
}

async fn functions(superuser: &Client) -> Vec<Function> {
    let query = "
        select p.proname::text, p.proargnames[1:p.pronargs],
          array(select t::regtype::text from unnest(p.proargtypes::oid[]) t)
        from pg_proc p where p.pronamespace = 'api'::regnamespace and p.proargnames @> array['status', 'body']
        order by 1";
    let read = |row: &Row| Function { name: row.get(0), arguments: row.get(1), types: row.get(2) };
    superuser.query(query, &[]).await.expect("functions").iter().map(read).collect()
}

/// What a stranger puts into an argument; `None` is null.
fn argument(function: &str, name: &str, stranger: &Stranger, victim: &Victim, chance: &mut Chance) -> Option<String> {
    let machine = &victim.machine;
    // Mostly the victim's organization; sometimes their own, with what belongs to the victim in it.
    let org = if chance.below(3) == 0 { &stranger.slug } else { &victim.org.slug };
    if let Some((_, value)) = FIXED.iter().find(|(fixed, _)| *fixed == name) {
        return Some((*value).to_owned());
    }
    Some(match (function, name) {
        (_, "p_credential") => chance.pick(&stranger.credentials).clone()?,
        ("machines_command", "p_operation") => {
            (*chance.pick(&["machines_start", "machines_stop", "machines_hibernate", "machines_delete"])).into()
        }
        ("variables_sealing" | "variables_set", "p_operation") => {
            (*chance.pick(&["variables_put", "variables_update"])).into()
        }
        (_, "p_operation") => (*chance.pick(&["services_start", "services_stop", "services_restart"])).into(),
        // Ids of what is about to be made.
        ("accounts_create", "p_org" | "p_account" | "p_session")
        | ("orgs_create", "p_org")
        | ("sessions_create", "p_session")
        | ("machines_create", "p_machine")
        | ("tokens_create", "p_token")
        | ("terminals_create", "p_terminal")
        | ("holds_create", "p_hold")
        | ("checkpoints_create", "p_checkpoint")
        | (_, "p_event") => rows::new_id(),
        // A slug that is taken; and a stranger's own trail has what they asked for before.
        ("orgs_create", "p_slug") | ("accounts_create", "p_slugs") | ("audit_list", "p_org") => victim.org.slug.clone(),
        (_, "p_org") => org.clone(),
        (_, "p_account") => victim.org.owner.account.clone(),
        ("machines_create" | "tokens_create" | "terminals_create" | "accounts_create", "p_name") => {
            format!("mine-{}", chance.below(1_000_000))
        }
        (name, "p_machine") if name.starts_with("gateway") && name != "gateway_resolve" => machine.id.clone(),
        (_, "p_machine") => machine.name.clone(),
        ("variables_delete", "p_name") => machine.variable.clone(),
        ("variables_set", "p_sealed_for") => machine.id.clone(),
        (name, "p_name") if name.starts_with("machine") => machine.name.clone(),
        (_, "p_name") => machine.service.clone(),
        (_, "p_hold") => machine.hold.clone(),
        (_, "p_checkpoint" | "p_order") => machine.checkpoint.clone(),
        (_, "p_terminal") => machine.terminal.clone(),
        (_, "p_session") => victim.session.clone(),
        (_, "p_token") => victim.token.clone(),
        // To add somebody to one's own organization is no secret.
        ("members_create", "p_email") => "nobody@example.com".into(),
        (_, "p_email") => victim.org.owner.email.clone(),
        (_, "p_hash" | "p_session_hash") => format!("{:064x}", chance.number()),
        (_, "p_port" | "p_app_port") => machine.port.to_string(),
        ("gateway_state", "p_desired") => "stopped".into(),
        (_, "p_generation" | "p_number") => "1".into(),
        (_, "p_after" | "p_before" | "p_until" | "p_actor" | "p_sprite_name" | "p_sprite_id" | "p_sprite_url") => {
            return None;
        }
        (function, name) => panic!("say what a stranger puts into {name} of {function}"),
    })
}

/// Arguments whose value doesn't matter, as long as it could be right.
const FIXED: &[(&str, &str)] = &[
    ("p_page", r#"[{"name":"s-forged-g1","id":"sprite-forged","machine":null,"generation":1}]"#),
    ("p_next", "forged"),
    ("p_wanted", r#"[{"runtime":"spritehost","size":"small","region":"local","ready":3}]"#),
    ("p_offer", r#"{"runtimes":["spritehost"],"sizes":[{"id":"small"}],"regions":[{"id":"local"}]}"#),
    ("p_ids", "[]"),
    ("p_digest", "forged"),
    ("p_fills", "true"),
    ("p_deleted", "[]"),
    ("p_seconds", "0"),
    ("p_request", r#"{"request_id":"stranger","address":"10.0.0.1","apps":"http://*.apps.test"}"#),
    ("p_at_ms", "0"),
    ("p_cause", "idle"),
    ("p_begins", "true"),
    ("p_comment", "text"),
    ("p_awake", "50"),
    ("p_cpu_counts", "true"),
    ("p_definition", "{}"),
    ("p_first_boot", "{}"),
    ("p_days", "50"),
    ("p_desired", "down"),
    ("p_detail", "text"),
    ("p_directory", "/srv"),
    ("p_program", "make"),
    ("p_ending", "{}"),
    ("p_from", "2026-03-01T00:00:00Z"),
    ("p_idle_seconds", "900"),
    ("p_idle_seconds_max", "900"),
    ("p_kind", "text"),
    ("p_label", "text"),
    ("p_last_four", "last"),
    ("p_limit", "50"),
    ("p_machines", "50"),
    ("p_minutes", "60"),
    ("p_most", "10"),
    ("p_org_name", "text"),
    ("p_own_awake", "1"),
    ("p_own_machines", "1"),
    ("p_phc", "$argon2id$wrong"),
    ("p_reason", "text"),
    ("p_region", "local"),
    ("p_role", "owner"),
    ("p_runtime", "spritehost"),
    ("p_scope", "write"),
    ("p_size", "small"),
    ("p_state", "deleting"),
    ("p_status", "{}"),
    ("p_to", "2026-03-02T00:00:00Z"),
    ("p_user_agent", "text"),
    ("p_variables", r#"[{"name":"TOKEN","value":"forged","size":6}]"#),
];

struct Stranger {
    slug: String,
    credentials: Vec<Option<String>>,
}

async fn stranger() -> Stranger {
    let org = world().org().await;
    let hash = |secret: &str| snapvm::secrets::hash(secret.as_bytes()).to_string();
    let (token, _) = org.owner.token("write").await;
    let session = format!("s:{}", hash(&org.owner.client.session().unwrap()));
    let token = format!("t:{}", hash(token.token().unwrap()));
    let good = [session.clone(), token.clone()].into_iter().cycle().take(14).map(Some);
    let bad = [
        // Dead, of another kind, of no kind, malformed, none.
        Some(format!("s:{}", hash("nobody's"))),
        Some(format!("j{}", &session[1..])),
        Some(format!("t{}", &session[1..])),
        Some(format!("x{}", &session[1..])),
        Some(format!("s:{}", &token[2..40])),
        Some(String::new()),
        None,
    ];
    Stranger { slug: org.slug, credentials: good.chain(bad).collect() }
}

/// Everything of the victims, as one text for each table.
async fn everything(superuser: &Client, victims: &[Victim]) -> BTreeMap<String, String> {
    let list = |ids: Vec<&String>| ids.iter().map(|id| format!("'{id}'")).collect::<Vec<_>>().join(",");
    let orgs = list(victims.iter().map(|victim| &victim.org_id).collect());
    let accounts = list(victims.iter().map(|victim| &victim.org.owner.account).collect());
    let mut all = BTreeMap::new();
    for (tables, column, ids) in [
        (
            &[
                "audit",
                "checkpoint",
                "hold",
                "machine",
                "followed",
                "machine_event",
                "membership",
                "port",
                "service",
                "terminal_session",
                "variable",
            ][..],
            "org_id",
            &orgs,
        ),
        (&["org"], "id", &orgs),
        (&["account"], "id", &accounts),
        (&["api_token", "password", "session"], "account_id", &accounts),
    ] {
        for table in tables {
            let query = format!(
                "select coalesce(string_agg(t::text, E'\\n' order by t::text), '') from app.{table} t where {column} in ({ids})"
            );
            all.insert((*table).to_owned(), rows::value(superuser, &query, &[]).await);
        }
    }
    all
}

async fn call(app: &Client, function: &Function, arguments: &[Option<String>]) -> (i32, String, String) {
    // Everything goes as text, and is read by the server: one shape for all.
    let places: Vec<String> =
        function.types.iter().enumerate().map(|(index, kind)| format!("${}::text::{kind}", index + 1)).collect();
    let statement = format!(
        "select status, body, current_setting('app.feed', true) from api.{}({})",
        function.name,
        places.join(",")
    );
    let parameters: Vec<(&(dyn tokio_postgres::types::ToSql + Sync), Type)> =
        arguments.iter().map(|text| (text as &(dyn tokio_postgres::types::ToSql + Sync), Type::TEXT)).collect();
    let rows = app.query_typed(&statement, &parameters).await;
    let rows = rows.unwrap_or_else(|error| panic!("{statement} with {arguments:?}: {error:?}"));
    let text = |column| rows[0].get::<_, Option<String>>(column).unwrap_or_default();
    (rows[0].get(0), text(1), text(2))
}

#[tokio::test]
async fn a_stranger_sees_and_changes_nothing_through_any_function() {
    let mut chance = Chance::seeded("strangers");
    let superuser = world().superuser().await;
    let app = world().as_worker().await;
    let (mut victims, mut strangers) = (Vec::new(), Vec::new());
    for number in 0..6 {
        victims.push(victim(&superuser, number).await);
        strangers.push(stranger().await);
    }
    // Each of them is followed, so that what a stranger does would be announced.
    let follow = "insert into app.followed (org_id, at) select id, now() from app.org where slug = $1";
    for slug in victims.iter().map(|victim| &victim.org.slug).chain(strangers.iter().map(|stranger| &stranger.slug)) {
        assert_eq!(rows::run(&superuser, follow, &[slug]).await, 1);
    }
    let functions = functions(&superuser).await;
    let callable: Vec<&Function> = functions.iter().filter(|function| !function.name.starts_with("jobs_")).collect();
    assert!(callable.len() > 35, "only {} functions were found", callable.len());
    let before = everything(&superuser, &victims).await;

    let mut statuses: BTreeMap<&str, BTreeMap<i32, usize>> = BTreeMap::new();
    for _ in 0..cases("SNAPVM_STRANGER_CASES", 250) {
        for function in &callable {
            let (victim, stranger) = (&victims[chance.below(victims.len())], &strangers[chance.below(strangers.len())]);
            let arguments: Vec<Option<String>> = function
                .arguments
                .iter()
                .map(|name| argument(&function.name, name, stranger, victim, &mut chance))
                .collect();
            let (status, body, announced) = call(&app, function, &arguments).await;
            let heard = victims.iter().find(|victim| announced.contains(&victim.org_id));
            assert!(heard.is_none(), "api.{} {arguments:?}: {status} is announced as {announced}", function.name);
            for mark in victims.iter().flat_map(Victim::marks) {
                // An answer may repeat what was asked.
                let asked = arguments.iter().flatten().any(|argument| argument == mark);
                let told = body.contains(mark);
                let own = body.contains(&stranger.slug) && status < 300;
                assert!(!told || (asked && own), "api.{} {arguments:?}: {status} {body}", function.name);
            }
            *statuses.entry(&function.name).or_default().entry(status).or_default() += 1;
        }
    }
    for (function, statuses) in &statuses {
        println!("{function}: {statuses:?}");
        let in_org = !matches!(
            *function,
            "accounts_create"
                | "accounts_get"
                | "orgs_create"
                | "orgs_list"
                | "sessions_begin"
                | "sessions_list"
                | "tokens_create"
                | "tokens_list"
        );
        // A stranger's own organization is theirs: there such an operation may succeed, without anything of a victim.
        let own = matches!(
            *function,
            "machines_create"
                | "machines_list"
                | "feed_stream"
                | "members_create"
                | "members_list"
                | "orgs_get"
                | "quotas_get"
                | "quotas_put"
                | "usage_get"
        );
        let done: usize = statuses.iter().filter(|(status, _)| **status < 400).map(|(_, count)| count).sum();
        assert!(!in_org || own || done == 0, "{function}: {statuses:?}");
    }
    let after = everything(&superuser, &victims).await;
    for (table, rows) in &before {
        assert_eq!(rows, &after[table], "{table} was changed by a stranger");
    }
}

#[tokio::test]
async fn a_stranger_sees_nothing_in_any_table_whatever_organization_they_claim() {
    let mut chance = Chance::seeded("strangers in tables");
    let superuser = world().superuser().await;
    let app = world().as_worker().await;
    let (mut victims, mut strangers) = (Vec::new(), Vec::new());
    for number in 0..4 {
        victims.push(victim(&superuser, number).await);
        strangers.push(stranger().await);
    }
    let tables: Vec<String> = superuser
        .query(
            "select c.relname::text from pg_class c where c.relnamespace = 'app'::regnamespace
               and has_table_privilege('snap_app', c.oid, 'select')",
            &[],
        )
        .await
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    let everything: Vec<String> =
        tables.iter().map(|table| format!("select t::text as row from app.{table} t")).collect();
    let everything = everything.join(" union all ");
    for _ in 0..cases("SNAPVM_STRANGER_CASES", 250) {
        let (victim, stranger) = (chance.pick(&victims), chance.pick(&strangers));
        let credential = chance.pick(&stranger.credentials).clone().unwrap_or_default();
        app.batch_execute("begin").await.unwrap();
        let context = "select set_config('app.credential', $1, true), set_config('app.org', $2, true)";
        app.query_typed(context, &[(&credential, Type::TEXT), (&victim.org_id, Type::TEXT)]).await.unwrap();
        let seen = app.query_typed(&everything, &[]).await.unwrap();
        app.batch_execute("rollback").await.unwrap();
        for row in &seen {
            let row: &str = row.get(0);
            for mark in victims.iter().flat_map(Victim::marks) {
                assert!(!row.contains(mark), "{credential} with the organization of a victim sees {row}");
            }
        }
    }
}
