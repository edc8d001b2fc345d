//! Many clients over few server connections, with errors, cancels and clients that vanish: nobody ever works in
//! somebody else's context.
//!
//! Statements are cancelled and connections ended on the server's side: the cancel request of a client ends the
//! pooler itself in Debian 12's version (1.18.0, "bad client state: 0"), and the Worker never sends one.
//!
//! `SNAPVM_POOL_TRANSACTIONS` (for each of 64 clients) tries more.

use std::sync::Arc;
use std::time::Duration;

use snapvm_tests::chance::{Chance, cases};
use snapvm_tests::{rows, until, world};
use tokio_postgres::Client;
use tokio_postgres::types::Type;
use xtask::database::connect::connect;

const CLIENTS: usize = 64;

struct Tenant {
    credential: String,
    slug: String,
    org_id: String,
    machine: String,
}

async fn tenants() -> Vec<Tenant> {
    let superuser = world().superuser().await;
    let mut tenants = Vec::new();
    for _ in 0..8 {
        let org = world().org().await;
        let machine = rows::machine(&superuser, &org.slug, &org.owner.account, &format!("pool-{}", org.slug)).await;
        let session = org.owner.client.session().unwrap();
        tenants.push(Tenant {
            credential: format!("s:{}", snapvm::secrets::hash(session.as_bytes())),
            org_id: rows::org_id(&superuser, &org.slug).await,
            slug: org.slug,
            machine: machine.name,
        });
    }
    tenants
}

async fn api(client: &Client, statement: &str, parameters: &[&str]) -> (i32, String) {
    let parameters: Vec<(&(dyn tokio_postgres::types::ToSql + Sync), Type)> =
        parameters.iter().map(|text| (text as &(dyn tokio_postgres::types::ToSql + Sync), Type::TEXT)).collect();
    let rows = client.query_typed(statement, &parameters).await.unwrap();
    (rows[0].get(0), rows[0].get(1))
}

/// Only one's own machine is in an answer.
fn assert_own(body: &str, tenant: &Tenant, tenants: &[Tenant]) {
    assert!(body.contains(&tenant.machine), "{body}");
    for other in tenants.iter().filter(|other| other.machine != tenant.machine) {
        assert!(!body.contains(&other.machine) && !body.contains(&other.org_id), "{} sees {body}", tenant.machine);
    }
}

/// Begins a transaction as somebody and looks around in it.
async fn look(client: &Client, tenant: &Tenant, tenants: &[Tenant]) {
    client.batch_execute("begin").await.unwrap();
    let context = "select set_config('app.credential', $1, true), set_config('app.org', $2, true)";
    client.query_typed(context, &[(&tenant.credential, Type::TEXT), (&tenant.org_id, Type::TEXT)]).await.unwrap();
    let seen = client.query_typed("select string_agg(m.name, ',') from app.machine m", &[]).await.unwrap();
    assert_own(seen[0].get::<_, &str>(0), tenant, tenants);
}

/// Runs something slow, and has it ended from outside. Whether it ended by that.
async fn interrupted(client: &Client, superuser: &Client, how: &str) -> bool {
    let row = client.query_typed("select pg_backend_pid()", &[]).await.unwrap();
    let pid: i32 = row[0].get(0);
    // Once, and only while it sleeps: a moment later the same server works for somebody else.
    let end = format!(
        "select count({how}(pid)) from pg_stat_activity where pid = {pid} and state = 'active' and wait_event = 'PgSleep'"
    );
    let slow = client.query_typed("select pg_sleep(9)", &[]);
    let ending = async {
        let asleep = || async { (rows::value::<i64>(superuser, &end, &[]).await == 1).then_some(()) };
        until("a statement that sleeps", Duration::from_secs(9), asleep).await;
    };
    futures::join!(slow, ending).0.is_err()
}

/// One transaction of some kind; gives the client for the next.
async fn transaction(client: Client, tenants: &[Tenant], chance: &mut Chance, superuser: &Client) -> Client {
    let url = &world().stack.database.app;
    let tenant = chance.pick(tenants);
    match chance.below(10) {
        0..=2 => {
            let list = "select status, body from api.machines_list($1, '{}', $2, 50, null)";
            let (status, body) = api(&client, list, &[&tenant.credential, &tenant.slug]).await;
            assert_eq!(status, 200, "{body}");
            assert_own(&body, tenant, tenants);
        }
        3 => {
            // Somebody else's organization, under one's own name.
            let other = chance.pick(tenants);
            let list = "select status, body from api.machines_list($1, '{}', $2, 50, null)";
            let (status, body) = api(&client, list, &[&tenant.credential, &other.slug]).await;
            assert_eq!(status, if other.slug == tenant.slug { 200 } else { 404 }, "{body}");
        }
        4 => {
            // Nothing is left of whoever was here before.
            let left = "select coalesce(current_setting('app.credential', true), '')
                || coalesce(current_setting('app.org', true), ''), (select count(*) from app.machine)";
            let rows = client.query_typed(left, &[]).await.unwrap();
            assert_eq!((rows[0].get::<_, &str>(0), rows[0].get::<_, i64>(1)), ("", 0));
        }
        5 => {
            look(&client, tenant, tenants).await;
            client.batch_execute("commit").await.unwrap();
        }
        6 => {
            look(&client, tenant, tenants).await;
            assert!(client.query_typed("select 1 / 0", &[]).await.is_err());
            client.batch_execute("rollback").await.unwrap();
        }
        7 => {
            look(&client, tenant, tenants).await;
            assert!(interrupted(&client, superuser, "pg_cancel_backend").await, "a cancelled statement ends");
            client.batch_execute("rollback").await.unwrap();
        }
        8 => {
            look(&client, tenant, tenants).await;
            assert!(interrupted(&client, superuser, "pg_terminate_backend").await, "its connection is gone");
            return connect(url).await.unwrap();
        }
        _ => {
            // Vanishes in the middle.
            look(&client, tenant, tenants).await;
            drop(client);
            return connect(url).await.unwrap();
        }
    }
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_context_outlives_its_transaction() {
    let mut chance = Chance::seeded("pool");
    let tenants = Arc::new(tenants().await);
    let each = cases("SNAPVM_POOL_TRANSACTIONS", 60);
    let superuser = Arc::new(world().superuser().await);
    let tasks: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (tenants, mut chance, superuser) = (tenants.clone(), chance.branch(), superuser.clone());
            tokio::spawn(async move {
                let mut client = connect(&world().stack.database.app).await.unwrap();
                for _ in 0..each {
                    client = transaction(client, &tenants, &mut chance, &superuser).await;
                }
            })
        })
        .collect();
    let mut servers = 0;
    let all = futures::future::join_all(tasks);
    tokio::pin!(all);
    loop {
        let query = "select count(*) from pg_stat_activity where usename = 'snap_app'";
        tokio::select! {
            outcomes = &mut all => {
                for outcome in outcomes {
                    outcome.unwrap();
                }
                break;
            }
            () = tokio::time::sleep(Duration::from_millis(50)) => {
                servers = servers.max(rows::value::<i64>(&superuser, query, &[]).await);
            }
        }
    }
    println!("{} transactions of {CLIENTS} clients over at most {servers} server connections", CLIENTS * each);
    assert!((1..=20).contains(&servers), "{servers}: the clients must share the pooler's connections");
}
