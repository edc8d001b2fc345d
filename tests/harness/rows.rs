//! Rows that tests need and no operation makes, or not in the state that is wanted. Written by the superuser.

use snapvm_protocol::ids::Uuid;
use tokio_postgres::Client;

/// A fresh id, as text.
pub fn new_id() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock after 1970");
    let mut random = [0_u8; 10];
    getrandom::fill(&mut random).expect("randomness");
    Uuid::v7(u64::try_from(now.as_millis()).expect("milliseconds"), random).to_string()
}

/// Runs a statement on parameters that are all text.
pub async fn run(superuser: &Client, statement: &str, parameters: &[&str]) -> u64 {
    let parameters: Vec<&(dyn tokio_postgres::types::ToSql + Sync)> =
        parameters.iter().map(|text| text as &(dyn tokio_postgres::types::ToSql + Sync)).collect();
    superuser.execute(statement, &parameters).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"))
}

/// One value of one row.
pub async fn value<T>(superuser: &Client, query: &str, parameters: &[&str]) -> T
where
    T: for<'a> tokio_postgres::types::FromSql<'a>,
{
    let parameters: Vec<&(dyn tokio_postgres::types::ToSql + Sync)> =
        parameters.iter().map(|text| text as &(dyn tokio_postgres::types::ToSql + Sync)).collect();
    let row = superuser.query_one(query, &parameters).await.unwrap_or_else(|error| panic!("{query}: {error:?}"));
    row.get(0)
}

/// The id of an organization.
pub async fn org_id(superuser: &Client, slug: &str) -> String {
    value(superuser, "select id::text from app.org where slug = $1", &[slug]).await
}

/// What an operator allows an organization: so many machines, and so many awake.
pub async fn ceilings(superuser: &Client, slug: &str, machines: u32, awake: u32) {
    let statement = "insert into app.quota (org_id, machines_ceiling, awake_ceiling)
        values ($1::text::uuid, $2::text::int, $3::text::int)
        on conflict (org_id) do update set machines_ceiling = excluded.machines_ceiling,
          awake_ceiling = excluded.awake_ceiling";
    let org = org_id(superuser, slug).await;
    assert_eq!(run(superuser, statement, &[&org, &machines.to_string(), &awake.to_string()]).await, 1);
}

/// What hangs on a machine that [`machine`] made.
#[derive(Debug, Clone)]
pub struct MachineRows {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// A service of it.
    pub service: String,
    /// An open terminal of it.
    pub terminal: String,
    /// A hold on it, which lasts.
    pub hold: String,
    /// A named port of it.
    pub port: u16,
    /// A checkpoint of it, ready.
    pub checkpoint: String,
    /// A variable of it, which is a secret.
    pub variable: String,
}

/// A running machine with a service, a named port, a variable, an open terminal, a hold, a checkpoint and one line of
/// history. Its sprite is nowhere.
pub async fn machine(superuser: &Client, slug: &str, owner: &str, name: &str) -> MachineRows {
    let (org, id, terminal, hold) = (org_id(superuser, slug).await, new_id(), new_id(), new_id());
    let checkpoint = new_id();
    run(
        superuser,
        "insert into app.machine (org_id, id, name, owner_id, runtime, size, region, state, reason)
         values ($1::text::uuid, $2::text::uuid, $3, $4::text::uuid, 'spritehost', 'small', 'local', 'running', 'It runs.')",
        &[&org, &id, name, owner],
    )
    .await;
    run(
        superuser,
        "insert into app.usage_interval (org_id, machine_id, machine_name, runtime, size, region, started_at)
         values ($1::text::uuid, $2::text::uuid, $3, 'spritehost', 'small', 'local', now())",
        &[&org, &id, name],
    )
    .await;
    let definition = r#"{"name":"web","command":"python3","args":["-m","http.server"],"http_port":3000}"#;
    run(
        superuser,
        "insert into app.service (org_id, machine_id, name, definition, desired)
         values ($1::text::uuid, $2::text::uuid, 'web', $3, 'up')",
        &[&org, &id, definition],
    )
    .await;
    run(
        superuser,
        "insert into app.port (org_id, machine_id, port, label) values ($1::text::uuid, $2::text::uuid, 3000, 'Web')",
        &[&org, &id],
    )
    .await;
    run(
        superuser,
        "insert into app.variable (org_id, machine_id, name, sealed, size, updated_by)
         values ($1::text::uuid, $2::text::uuid, 'TOKEN', 'v1.1.AAAAAAAAAAAAAAAA.AAAA', 3, $3::text::uuid)",
        &[&org, &id, owner],
    )
    .await;
    run(
        superuser,
        "insert into app.terminal_session (org_id, machine_id, id, name, account_id)
         values ($1::text::uuid, $2::text::uuid, $3::text::uuid, 'Terminal', $4::text::uuid)",
        &[&org, &id, &terminal, owner],
    )
    .await;
    run(
        superuser,
        "insert into app.hold (org_id, machine_id, id, reason, created_by, until)
         values ($1::text::uuid, $2::text::uuid, $3::text::uuid, 'A long build', $4::text::uuid,
           now() + interval '12 hours')",
        &[&org, &id, &hold, owner],
    )
    .await;
    run(
        superuser,
        "insert into app.checkpoint (org_id, machine_id, id, comment, state, name, generation, created_by, made_at, order_id)
         values ($1::text::uuid, $2::text::uuid, $3::text::uuid, 'As it was', 'ready', 'v1', 1, $4::text::uuid, now(),
           $3::text::uuid)",
        &[&org, &id, &checkpoint, owner],
    )
    .await;
    run(
        superuser,
        "insert into app.machine_event (org_id, machine_id, id, kind, detail, actor_id)
         values ($1::text::uuid, $2::text::uuid, $3::text::uuid, 'created', 'Created.', $4::text::uuid)",
        &[&org, &id, &new_id(), owner],
    )
    .await;
    MachineRows {
        id,
        name: name.to_owned(),
        service: "web".to_owned(),
        terminal,
        hold,
        port: 3000,
        checkpoint,
        variable: "TOKEN".to_owned(),
    }
}

/// Machines of this name go to sleep after so many seconds of nothing: fewer than anybody may ask for. For a database
/// of the test's own.
pub async fn shorten_idle(superuser: &Client, name: &str, seconds: u64) {
    let statements = format!(
        "alter table app.machine drop constraint machine_idle_seconds_check;
         create function public.shorten_idle() returns trigger language plpgsql as
           $$ begin new.idle_seconds := {seconds}; return new; end $$;
         create trigger shorten_idle before insert on app.machine
           for each row when (new.name = '{name}') execute function public.shorten_idle();"
    );
    superuser.batch_execute(&statements).await.expect("the idle timeout is changed");
}
