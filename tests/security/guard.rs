//! The catalog guard: what is true of every table, policy, function and role. A query for each rule lists whatever
//! breaks it.

use tokio_postgres::GenericClient;

/// Indexes of tenant tables that do not lead with the organization, and why they may: keys by a random id that the
/// Worker made, and questions of our own parts over all organizations.
const INDEXES: &[&str] = &[
    "audit_pkey",
    "checkpoint_pkey",
    "checkpoint_unfinished",
    "hold_pkey",
    "machine_checked",
    "machine_event_pkey",
    "machine_pkey",
    "machine_unfinished",
    "membership_account",
    "terminal_session_pkey",
];

/// A rule and the query for what breaks it.
struct Rule {
    says: &'static str,
    query: &'static str,
}

const fn rule(says: &'static str, query: &'static str) -> Rule {
    Rule { says, query }
}

/// Tables of the application, under their names.
macro_rules! tables {
    () => {
        "(select c.oid, c.relname::text as name, c.relrowsecurity, c.relforcerowsecurity, c.relacl, c.relowner,
            exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'org_id' and not a.attisdropped)
              as tenant
          from pg_class c where c.relnamespace = 'app'::regnamespace and c.relkind in ('r', 'p'))"
    };
}

/// Functions of ours.
macro_rules! functions {
    () => {
        "(select p.oid, p.oid::regprocedure::text as name, p.* from pg_proc p
          where p.pronamespace in (select n.oid from pg_namespace n where n.nspname not in ('pg_catalog', 'information_schema')
            and n.nspname !~ '^pg_'))"
    };
}

const RULES: &[Rule] = &[
    rule("row-level security is enabled and forced", concat!(
        "select t.name from ", tables!(), " t where not (t.relrowsecurity and t.relforcerowsecurity)")),
    rule("there is exactly one restrictive policy for snap_app, called wall, for every command, with USING and WITH CHECK", concat!(
        "select t.name from ", tables!(), " t
         where (select count(*) from pg_policy p where p.polrelid = t.oid and p.polname = 'wall'
             and not p.polpermissive and p.polcmd = '*' and p.polroles = array['snap_app'::regrole::oid]
             and p.polqual is not null and p.polwithcheck is not null) <> 1
           or (select count(*) from pg_policy p where p.polrelid = t.oid and not p.polpermissive) <> 1")),
    rule("the wall of a tenant table is the organization of the context", concat!(
        "select t.name || ': ' || pg_get_expr(p.polqual, p.polrelid) from ", tables!(), " t
         join pg_policy p on p.polrelid = t.oid and p.polname = 'wall'
         where t.tenant and pg_get_expr(p.polqual, p.polrelid) <> '(org_id = ( SELECT authz.org_id() AS org_id))'")),
    rule("no wall lets everything through", concat!(
        "select t.name from ", tables!(), " t join pg_policy p on p.polrelid = t.oid and p.polname = 'wall'
         where 'true' in (pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))")),
    rule("a policy is for roles of ours, never for everybody",
        "select c.relname || '.' || p.polname from pg_policy p join pg_class c on c.oid = p.polrelid
         where exists (select from unnest(p.polroles) r where r not in
           ('snap_app'::regrole, 'snap_authz'::regrole, 'snap_jobs'::regrole))"),
    rule("a policy calls functions once for a statement, as a sub-select",
        "select c.relname || '.' || p.polname from pg_policy p join pg_class c on c.oid = p.polrelid,
           lateral (select coalesce(pg_get_expr(p.polqual, p.polrelid), '') || ' '
             || coalesce(pg_get_expr(p.polwithcheck, p.polrelid), '') as text) e
         where replace(regexp_replace(e.text, 'SELECT authz\\.', '', 'g'), 'authz.rank_of(role)', '') ~ 'authz\\.[a-z_]+\\('
            or e.text ~ 'current_setting'"),
    rule("scheduled work reads only with its own credential",
        "select c.relname || '.' || p.polname from pg_policy p join pg_class c on c.oid = p.polrelid
         where 'snap_jobs'::regrole = any (p.polroles)
           and pg_get_expr(p.polqual, p.polrelid) !~ 'authz\\.service\\(\\).*jobs'"),
    rule("a function that runs as its owner belongs to snap_authz and lives in authz", concat!(
        "select f.name from ", functions!(), " f where f.prosecdef
           and (f.proowner <> 'snap_authz'::regrole or f.pronamespace <> 'authz'::regnamespace)")),
    rule("a function looks nothing up by path", concat!(
        "select f.name from ", functions!(), " f where f.prokind in ('f', 'p')
           and not coalesce('search_path=\"\"' = any (f.proconfig), false)")),
    rule("nobody but named roles may call a function", concat!(
        "select f.name from ", functions!(), " f
         where f.proacl is null or exists (select from aclexplode(f.proacl) a where a.grantee = 0)")),
    rule("no function claims to keep secrets from operators", concat!(
        "select f.name from ", functions!(), " f where f.proleakproof")),
    rule("an operation sets the context of its transaction first", concat!(
        "select f.name from ", functions!(), " f where f.pronamespace = 'api'::regnamespace
           and f.proargnames @> array['status', 'body']
           and f.prosrc !~ 'authz\\.enter(_machine|_service)?\\(|set_config\\(''app\\.credential'''")),
    rule("the context ends with the transaction", concat!(
        "select f.name from ", functions!(), " f where f.prosrc ~ 'set_config\\([^;]*,\\s*false\\)'")),
    rule("the application owns nothing",
        "select pg_describe_object(d.classid, d.objid, d.objsubid) from pg_shdepend d
         where d.deptype = 'o' and d.refobjid in ('snap_app'::regrole, 'snap_jobs'::regrole)
           and d.dbid in (0, (select oid from pg_database where datname = current_database()))"),
    rule("the application is a member of nothing",
        "select m.member::regrole || ' is a ' || m.roleid::regrole from pg_auth_members m
         where m.member in ('snap_app'::regrole, 'snap_jobs'::regrole)"),
    rule("no role of ours is more than ordinary, and nobody bypasses row-level security",
        "select r.rolname::text from pg_roles r
         where (r.rolname ~ '^snap_(app|jobs|authz|owner)$'
             and (r.rolsuper or r.rolbypassrls or r.rolcreaterole or r.rolcreatedb or r.rolreplication))
           or (r.rolbypassrls and not r.rolsuper)"),
    rule("nobody logs in as an owner",
        "select r.rolname::text from pg_roles r where r.rolname in ('snap_owner', 'snap_authz') and r.rolcanlogin"),
    rule("no privilege but to read and change rows, none for everybody, none to pass on", concat!(
        "select t.name || ': ' || a.privilege_type || ' to ' || coalesce(nullif(a.grantee, 0)::regrole::text, 'public')
         from ", tables!(), " t,
           lateral (select * from aclexplode(t.relacl)
             union all select x.* from pg_attribute at, aclexplode(at.attacl) x where at.attrelid = t.oid) a
         where a.grantee <> t.relowner and (a.grantee = 0 or a.is_grantable
           or a.privilege_type not in ('SELECT', 'INSERT', 'UPDATE', 'DELETE'))")),
    rule("the application makes nothing in this database",
        "select r.role || ': create in ' || n.nspname from pg_namespace n, (values ('snap_app'), ('snap_jobs')) r (role)
         where has_schema_privilege(r.role, n.oid, 'create')
         union all
         select r.role || ': temporary tables' from (values ('snap_app'), ('snap_jobs')) r (role)
         where has_database_privilege(r.role, current_database(), 'temporary')"),
    rule("the application sees its own schemas only",
        "select r.role || ': ' || c.oid::regclass from pg_class c, (values ('snap_app'), ('snap_jobs')) r (role)
         where c.relnamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace, 'app'::regnamespace)
           and c.relnamespace::regnamespace::text !~ '^pg_' and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
           and has_schema_privilege(r.role, c.relnamespace, 'usage')
           and (case when c.relkind = 'S' then has_sequence_privilege(r.role, c.oid, 'usage')
             else has_table_privilege(r.role, c.oid, 'select') end)"),
    rule("a foreign key between tenant tables goes by the organization too", concat!(
        "select k.conname::text from pg_constraint k
         join ", tables!(), " child on child.oid = k.conrelid and child.tenant
         join ", tables!(), " parent on parent.oid = k.confrelid and parent.tenant
         where k.contype = 'f' and not exists (
           select from unnest(k.conkey, k.confkey) as pair (here, there)
           join pg_attribute a on a.attrelid = k.conrelid and a.attnum = pair.here and a.attname = 'org_id'
           join pg_attribute b on b.attrelid = k.confrelid and b.attnum = pair.there and b.attname = 'org_id')")),
    rule("no type of our own, which the driver would have to ask for",
        "select t.typname::text from pg_type t
         where t.typnamespace in (select n.oid from pg_namespace n where n.nspname in ('app', 'api', 'authz', 'public'))
           and (t.typtype in ('e', 'd', 'r') or (t.typtype = 'c' and
             (select c.relkind from pg_class c where c.oid = t.typrelid) = 'c'))"),
    rule("a view asks as its reader, and nothing is materialized",
        "select c.oid::regclass::text from pg_class c
         where c.relnamespace in (select n.oid from pg_namespace n where n.nspname in ('app', 'api', 'authz', 'public'))
           and (c.relkind in ('m', 'f') or (c.relkind = 'v'
             and not coalesce(c.reloptions @> array['security_invoker=true'], false)))"),
    rule("tables are in app",
        "select c.oid::regclass::text from pg_class c
         where c.relkind in ('r', 'p') and c.relnamespace in
           (select n.oid from pg_namespace n where n.nspname in ('api', 'authz', 'public'))"),
];

/// Everything that breaks a rule, as sentences.
pub(crate) async fn violations(client: &impl GenericClient) -> Vec<String> {
    let mut found = Vec::new();
    for Rule { says, query } in RULES {
        let rows = client.query(*query, &[]).await.unwrap_or_else(|error| panic!("{says}: {error:?}"));
        found.extend(rows.iter().map(|row| format!("{says}: {}", row.get::<_, String>(0))));
    }
    found.extend(stray_indexes(client).await);
    found
}

async fn stray_indexes(client: &impl GenericClient) -> Vec<String> {
    let query = concat!(
        "select c.relname::text from pg_index i join pg_class c on c.oid = i.indexrelid
         join ",
        tables!(),
        " t on t.oid = i.indrelid and t.tenant
         where (select a.attname from pg_attribute a where a.attrelid = i.indrelid and a.attnum = i.indkey[0])
           is distinct from 'org_id'"
    );
    let rows = client.query(query, &[]).await.expect("indexes");
    rows.iter()
        .map(|row| row.get::<_, String>(0))
        .filter(|name| !INDEXES.contains(&name.as_str()))
        .map(|name| format!("an index of a tenant table leads with the organization: {name}"))
        .collect()
}
