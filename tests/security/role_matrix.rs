//! Every role against the rows of an organization, straight in the tables: what is left when a function forgets
//! something. Printed to `tests/output/rls-matrix.txt`.

use std::collections::BTreeMap;
use std::fmt::Write;

use snapvm_tests::locked::{locked, trimmed};
use snapvm_tests::{Client, rows, world};
use tokio_postgres::error::SqlState;
use xtask::database::connect::connect;

/// Statements on one table, where `$org`, `$account` (the owner's) and `$machine` name the victim's.
struct Probe {
    table: &'static str,
    rows: &'static str,
    column: &'static str,
    insert: &'static str,
}

const PROBES: &[Probe] = &[
    Probe {
        table: "account",
        rows: "id = $account",
        column: "name",
        insert: "(id, email, name) values (gen_random_uuid(), 'forged@example.com', 'Forged')",
    },
    Probe {
        table: "api_token",
        rows: "account_id = $account",
        column: "revoked_at",
        insert: "(id, account_id, name, hash, last_four, scope, expires_at)
          values (gen_random_uuid(), $account, 'forged', sha256('forged'), 'last', 'write', now() + interval '1 day')",
    },
    Probe {
        table: "audit",
        rows: "org_id = $org",
        column: "target",
        insert: "(org_id, account_id, credential, operation, target, status)
          values ($org, authz.account_id(), 'session', 'forged', '', 200)",
    },
    Probe {
        table: "checkpoint",
        rows: "org_id = $org",
        column: "reason",
        insert: "(org_id, machine_id, id, comment, state, generation, created_by, order_id)
          values ($org, $machine, gen_random_uuid(), 'forged', 'failed', 1, authz.account_id(), gen_random_uuid())",
    },
    Probe { table: "followed", rows: "org_id = $org", column: "at", insert: "(org_id, at) values ($org, now())" },
    Probe {
        table: "hold",
        rows: "org_id = $org",
        column: "reason",
        insert: "(org_id, machine_id, id, reason, created_by, until)
          values ($org, $machine, gen_random_uuid(), 'forged', authz.account_id(), now() + interval '1 hour')",
    },
    Probe {
        table: "machine",
        rows: "org_id = $org",
        column: "reason",
        insert:
            "(org_id, id, name, owner_id, runtime, size, region, state, reason)
          values ($org, gen_random_uuid(), 'forged', authz.account_id(), 'spritehost', 'small', 'local', 'running', '')",
    },
    Probe {
        table: "machine_event",
        rows: "org_id = $org",
        column: "detail",
        insert: "(org_id, machine_id, id, kind, detail, actor_id)
          values ($org, $machine, gen_random_uuid(), 'forged', '', authz.account_id())",
    },
    Probe {
        table: "membership",
        rows: "org_id = $org and account_id = $member",
        column: "role",
        insert: "(org_id, account_id, role) values ($org, $spare, 'viewer')",
    },
    Probe {
        table: "org",
        rows: "id = $org",
        column: "name",
        insert: "(id, slug, name) values (gen_random_uuid(), 'forged', 'Forged')",
    },
    Probe {
        table: "orphan",
        rows: "true",
        column: "reason",
        insert: "(sprite_name, sprite_id, reason) values ('forged', 'forged', 'machine_gone')",
    },
    Probe {
        table: "password",
        rows: "account_id = $account",
        column: "phc",
        insert: "(account_id, phc) values ($spare, '$argon2id$')",
    },
    Probe {
        table: "port",
        rows: "org_id = $org",
        column: "label",
        insert: "(org_id, machine_id, port, label) values ($org, $machine, 6666, 'forged')",
    },
    Probe {
        table: "prepared",
        rows: "size = 'nobodys'",
        column: "state",
        insert: "(id, runtime, size, region, agent_digest)
          values (gen_random_uuid(), 'spritehost', 'forged', 'local', 'forged')",
    },
    Probe { table: "provider_look", rows: "true", column: "next_page", insert: "(next_page) values ('forged')" },
    Probe {
        table: "quota",
        rows: "org_id = $org",
        column: "machines",
        insert: "(org_id, machines) values ($org, 1) on conflict (org_id) do update set machines = 1",
    },
    Probe {
        table: "service",
        rows: "org_id = $org",
        column: "desired",
        insert: "(org_id, machine_id, name, definition, desired) values ($org, $machine, 'forged', '{}', 'up')",
    },
    Probe {
        table: "service_credential",
        rows: "true",
        column: "hash",
        insert: "(name, hash) values ('forged', sha256('forged'))",
    },
    Probe {
        table: "session",
        rows: "account_id = $account",
        column: "last_seen_at",
        insert: "(id, account_id, hash, expires_at)
          values (gen_random_uuid(), $account, sha256('forged'), now() + interval '1 day')",
    },
    Probe {
        table: "sign_in_throttle",
        rows: "true",
        column: "failures",
        insert: "(key, failures, window_ends_at) values ('forged', 0, now())",
    },
    Probe {
        table: "terminal_session",
        rows: "org_id = $org",
        column: "name",
        insert: "(org_id, machine_id, id, name) values ($org, $machine, gen_random_uuid(), 'forged')",
    },
    Probe {
        table: "usage_interval",
        rows: "org_id = $org",
        column: "ended_at",
        insert: "(org_id, machine_id, machine_name, runtime, size, region, started_at)
          values ($org, $machine, 'forged', 'spritehost', 'small', 'local', now())",
    },
    Probe {
        table: "variable",
        rows: "org_id = $org",
        column: "value",
        insert: "(org_id, machine_id, name, value, size, updated_by)
          values ($org, $machine, 'FORGED', 'forged', 6, authz.account_id())",
    },
];

const LEGEND: &str = "\
Row-level security: what each role may do with the rows of an organization, straight in the tables.
Written by the test `security`; SNAPVM_UPDATE_OUTPUT=1 writes it again.

S select · I insert · U update · D delete · - no row, or refused by a policy · . no privilege at all
The context is always the organization: `none` has no credential, `outsider` owns another organization, `reader` is the
owner with a token of scope read, `gateway` and `jobs` are our own parts. Rows of one person (account, session, token)
are the owner's; the membership is another viewer's.
";

struct Victim {
    names: BTreeMap<&'static str, String>,
    org: String,
}

/// Longest names first: one begins with another.
fn fill(statement: &str, victim: &Victim) -> String {
    victim
        .names
        .iter()
        .rev()
        .fold(statement.to_owned(), |text, (name, value)| text.replace(name, &format!("'{value}'")))
}

async fn mark(client: &tokio_postgres::Client, statement: &str, letter: char, counts_rows: bool) -> char {
    client.batch_execute("savepoint try").await.unwrap();
    let outcome = if counts_rows {
        client.query_one(statement, &[]).await.map(|row| row.get::<_, i64>(0).unsigned_abs())
    } else {
        client.execute(statement, &[]).await
    };
    client.batch_execute("rollback to savepoint try").await.unwrap();
    match outcome {
        Ok(0) => '-',
        Ok(_) => letter,
        Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
            let policy = error.as_db_error().is_some_and(|error| error.message().contains("row-level security"));
            if policy { '-' } else { '.' }
        }
        Err(error) => panic!("{statement}: {error:?}"),
    }
}

async fn marks(client: &tokio_postgres::Client, probe: &Probe, victim: &Victim) -> String {
    let Probe { table, rows, column, insert } = probe;
    let mut text = String::new();
    for (letter, statement) in [
        ('S', format!("select count(*) from app.{table} where {rows}")),
        ('I', format!("insert into app.{table} {insert}")),
        ('U', format!("update app.{table} set {column} = {column} where {rows}")),
        ('D', format!("delete from app.{table} where {rows}")),
    ] {
        text.push(mark(client, &fill(&statement, victim), letter, letter == 'S').await);
    }
    text
}

fn credential(client: &Client) -> String {
    format!("s:{}", snapvm::secrets::hash(client.session().expect("a session").as_bytes()))
}

#[tokio::test]
async fn every_role_against_every_table() {
    let superuser = world().superuser().await;
    let (org, elsewhere, spare) = (world().org().await, world().org().await, world().sign_up().await);
    let machine = rows::machine(&superuser, &org.slug, &org.owner.account, "victim").await;
    rows::ceilings(&superuser, &org.slug, 10, 10).await;
    let leaving = "insert into app.prepared (id, runtime, size, region, state, agent_digest)
        values (gen_random_uuid(), 'spritehost', 'nobodys', 'local', 'deleting', 'forged')";
    rows::run(&superuser, leaving, &[]).await;
    let (reader, _) = org.owner.token("read").await;
    let victim = Victim {
        org: rows::org_id(&superuser, &org.slug).await,
        names: BTreeMap::from([
            ("$org", rows::org_id(&superuser, &org.slug).await),
            ("$account", org.owner.account.clone()),
            ("$machine", machine.id),
            ("$member", org.member(world(), "viewer").await.account),
            ("$spare", spare.account),
        ]),
    };
    let secrets = &world().stack.secrets;
    let service = |text: &str| format!("j:{}", snapvm::secrets::hash(text.as_bytes()));
    let reader_secret = reader.token().expect("a token").to_owned();
    let actors = [
        ("none", String::new()),
        ("outsider", credential(&elsewhere.owner.client)),
        ("viewer", credential(&org.member(world(), "viewer").await.client)),
        ("member", credential(&org.member(world(), "member").await.client)),
        ("admin", credential(&org.member(world(), "admin").await.client)),
        ("owner", credential(&org.owner.client)),
        ("reader", format!("t:{}", snapvm::secrets::hash(reader_secret.as_bytes()))),
        ("gateway", service(&secrets.service_credential)),
        ("jobs", service(&secrets.jobs_credential)),
        ("operator", service(&secrets.operator_credential)),
    ];

    let tables: Vec<String> = superuser
        .query(
            "select relname::text from pg_class where relnamespace = 'app'::regnamespace and relkind = 'r' order by 1",
            &[],
        )
        .await
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    let probed: Vec<&str> = PROBES.iter().map(|probe| probe.table).collect();
    assert_eq!(tables, probed, "every table needs a line in PROBES");

    let mut matrix: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (actor, credential) in &actors {
        let database = &world().stack.database;
        // Through the pooler, all of it in one transaction; scheduled work has a role of its own.
        let client = connect(if *actor == "jobs" { &database.jobs } else { &database.app }).await.unwrap();
        client.batch_execute("begin").await.unwrap();
        let context = format!(
            "select set_config('app.credential', '{credential}', true), set_config('app.org', '{}', true)",
            victim.org
        );
        client.batch_execute(&context).await.unwrap();
        for probe in PROBES {
            matrix.entry(probe.table).or_default().push(marks(&client, probe, &victim).await);
        }
        client.batch_execute("rollback").await.unwrap();
    }

    let mut text = format!("{LEGEND}\n{:<20}", "table");
    for (actor, _) in &actors {
        write!(text, "{actor:<10}").unwrap();
    }
    for (table, marks) in &matrix {
        write!(text, "\n{table:<20}").unwrap();
        for mark in marks {
            write!(text, "{mark:<10}").unwrap();
        }
        // What must hold whatever the file says: strangers get nothing of an organization.
        for (stranger, mark) in ["nobody", "an outsider"].iter().zip(marks) {
            assert!(!mark.contains(char::is_alphabetic), "{table}: {stranger} may {mark}");
        }
    }
    locked("rls-matrix.txt", &trimmed(&text));
}
