//! One query for each section of the dump. Each gives lines; their order is made afterwards, so that no server's
//! collation matters. `pg_temp` objects and the ledger's schema are left out by `ours!`.

/// The schemas that are ours.
macro_rules! ours {
    () => {
        "(select oid, nspname, nspowner, nspacl from pg_catalog.pg_namespace
          where nspname !~ '^pg_' and nspname not in ('information_schema', 'snapvm_migrations'))"
    };
}

/// A role's name; the one that ran the migrations may be called anything.
macro_rules! role {
    ($oid:expr) => {
        concat!(
            "(case when ",
            $oid,
            " = 0 then 'public' when ",
            $oid,
            "::regrole::text = current_user then 'migrator' ",
            "else ",
            $oid,
            "::regrole::text end)"
        )
    };
}

/// Grants of an access list, without the owner's own.
macro_rules! grants {
    ($what:expr, $from:expr, $list:expr, $owner:expr) => {
        concat!(
            "select 'grant ' || string_agg(lower(a.privilege_type) || case when a.is_grantable then '*' else '' end, \
             ',' order by a.privilege_type collate \"C\") || ' on ' || (",
            $what,
            ") || ' to ' || ",
            role!("a.grantee"),
            " from ",
            $from,
            ", lateral pg_catalog.aclexplode(",
            $list,
            ") a where a.grantee <> ",
            $owner,
            " and a.privilege_type <> 'MAINTAIN' group by (",
            $what,
            "), a.grantee"
        )
    };
}

/// Titles and queries, in the order of the dump.
pub(super) const SECTIONS: [(&str, &str); 14] = [
    (
        "roles",
        "select rolname || case when rolcanlogin then ' login' else ' nologin' end
             || case when rolinherit then ' inherit' else ' noinherit' end
             || case when rolsuper then ' superuser' else '' end
             || case when rolbypassrls then ' bypassrls' else '' end
             || case when rolcreaterole then ' createrole' else '' end
             || case when rolcreatedb then ' createdb' else '' end
             || coalesce(' ' || array_to_string(rolconfig, ' '), '')
         from pg_catalog.pg_roles where rolname like 'snap\\_%' and rolname <> current_user",
    ),
    (
        "role memberships",
        "select m.roleid::regrole::text || ' to ' || m.member::regrole::text
         from pg_catalog.pg_auth_members m
         where m.roleid::regrole::text like 'snap\\_%' and m.member::regrole::text <> current_user",
    ),
    (
        "schemas",
        concat!("select 'schema ' || n.nspname || ' owner ' || ", role!("n.nspowner"), " from ", ours!(), " n"),
    ),
    ("schema grants", grants!("'schema ' || n.nspname", concat!(ours!(), " n"), "n.nspacl", "n.nspowner")),
    (
        "default grants",
        concat!(
            "select ",
            role!("d.defaclrole"),
            " || ' ' || d.defaclobjtype::text || ' ' || coalesce(n.nspname, '*') || ' ' || \
             coalesce((select string_agg(",
            role!("a.grantee"),
            " || '=' || lower(a.privilege_type), ',' \
             order by a.grantee::regrole::text collate \"C\", a.privilege_type collate \"C\") \
             from pg_catalog.aclexplode(d.defaclacl) a where a.privilege_type <> 'MAINTAIN'), '(none)') \
             from pg_catalog.pg_default_acl d left join pg_catalog.pg_namespace n on n.oid = d.defaclnamespace"
        ),
    ),
    (
        "tables and views",
        concat!(
            "select case c.relkind when 'r' then 'table' when 'p' then 'partitioned table' when 'v' then 'view' \
             when 'm' then 'materialized view' when 'S' then 'sequence' else c.relkind::text end || ' ' || \
             n.nspname || '.' || c.relname || ' owner ' || ",
            role!("c.relowner"),
            " || case when c.relrowsecurity then ' rls' else '' end \
             || case when c.relforcerowsecurity then ' force' else '' end \
             || coalesce(' (' || array_to_string(c.reloptions, ', ') || ')', '') \
             || case when c.relkind in ('v', 'm') then ' ' || md5(pg_catalog.pg_get_viewdef(c.oid)) else '' end \
             from pg_catalog.pg_class c join ",
            ours!(),
            " n on n.oid = c.relnamespace \
             where c.relkind in ('r', 'p', 'v', 'm', 'S', 'f')"
        ),
    ),
    (
        "columns",
        concat!(
            "select n.nspname || '.' || c.relname || ' ' || to_char(row_number() over (partition by c.oid \
             order by a.attnum), 'FM000') || ' ' || a.attname || ' ' || \
             pg_catalog.format_type(a.atttypid, a.atttypmod) || case when a.attnotnull then ' not null' else '' end \
             || case when a.attidentity <> '' then ' identity ' || a.attidentity::text else '' end \
             || case when a.attgenerated <> '' then ' generated' else '' end \
             || coalesce(' default ' || pg_catalog.pg_get_expr(d.adbin, d.adrelid), '') \
             from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid join ",
            ours!(),
            " n on n.oid = c.relnamespace \
             left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum \
             where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'p', 'v', 'm', 'f')"
        ),
    ),
    (
        "constraints",
        concat!(
            "select n.nspname || '.' || c.relname || ' ' || k.conname || ' ' || pg_catalog.pg_get_constraintdef(k.oid) \
             from pg_catalog.pg_constraint k join pg_catalog.pg_class c on c.oid = k.conrelid join ",
            ours!(),
            " n on n.oid = c.relnamespace where k.contype in ('c', 'f', 'p', 'u', 'x')"
        ),
    ),
    (
        "indexes",
        concat!(
            "select pg_catalog.pg_get_indexdef(i.indexrelid) from pg_catalog.pg_index i \
             join pg_catalog.pg_class c on c.oid = i.indexrelid join ",
            ours!(),
            " n on n.oid = c.relnamespace"
        ),
    ),
    (
        "policies",
        concat!(
            "select n.nspname || '.' || c.relname || ' ' || p.polname || \
             case when p.polpermissive then ' permissive' else ' restrictive' end || ' for ' || \
             case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' \
             when 'd' then 'delete' else 'all' end || ' to ' || \
             (select string_agg(",
            role!("r"),
            ", ',' order by r::regrole::text collate \"C\") from unnest(p.polroles) r) \
             || coalesce(' using (' || pg_catalog.pg_get_expr(p.polqual, p.polrelid) || ')', '') \
             || coalesce(' check (' || pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) || ')', '') \
             from pg_catalog.pg_policy p join pg_catalog.pg_class c on c.oid = p.polrelid join ",
            ours!(),
            " n on n.oid = c.relnamespace"
        ),
    ),
    (
        "table grants",
        grants!(
            "n.nspname || '.' || c.relname",
            concat!("pg_catalog.pg_class c join ", ours!(), " n on n.oid = c.relnamespace"),
            "c.relacl",
            "c.relowner"
        ),
    ),
    (
        "column grants",
        grants!(
            "n.nspname || '.' || c.relname || '(' || t.attname || ')'",
            concat!(
                "pg_catalog.pg_attribute t join pg_catalog.pg_class c on c.oid = t.attrelid join ",
                ours!(),
                " n on n.oid = c.relnamespace"
            ),
            "t.attacl",
            "c.relowner"
        ),
    ),
    (
        "triggers",
        concat!(
            "select pg_catalog.pg_get_triggerdef(t.oid) || case t.tgenabled when 'O' then '' else ' ' || \
             t.tgenabled::text end from pg_catalog.pg_trigger t join pg_catalog.pg_class c on c.oid = t.tgrelid \
             join ",
            ours!(),
            " n on n.oid = c.relnamespace where not t.tgisinternal"
        ),
    ),
    (
        "functions",
        concat!(
            "select case p.prokind when 'f' then 'function' when 'p' then 'procedure' else 'aggregate' end || ' ' || \
             n.nspname || '.' || p.proname || '(' || pg_catalog.pg_get_function_arguments(p.oid) || ')' || \
             coalesce(' returns ' || pg_catalog.pg_get_function_result(p.oid), '') || ' ' || l.lanname || \
             ' owner ' || ",
            role!("p.proowner"),
            " || case when p.prosecdef then ' definer' else ' invoker' end || \
             case p.provolatile when 'i' then ' immutable' when 's' then ' stable' else ' volatile' end || \
             case p.proparallel when 's' then ' parallel-safe' when 'r' then ' parallel-restricted' else '' end || \
             case when p.proisstrict then ' strict' else '' end || \
             case when p.proleakproof then ' leakproof' else '' end || \
             coalesce(' set ' || array_to_string(p.proconfig, ' '), '') || ' execute ' || \
             coalesce((select string_agg(",
            role!("a.grantee"),
            ", ',' order by a.grantee::regrole::text collate \"C\") \
             from pg_catalog.aclexplode(coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))) a \
             where a.grantee <> p.proowner), 'nobody') || ' ' || md5(coalesce(p.prosrc, '')) \
             from pg_catalog.pg_proc p join ",
            ours!(),
            " n on n.oid = p.pronamespace \
             join pg_catalog.pg_language l on l.oid = p.prolang"
        ),
    ),
];
