-- Generated from src/authz/policy.rs by `cargo run --example policy`; a test compares the two.
-- rank: the least role in the organization (0: no organization is involved).
set local role snap_owner;

create or replace function authz.policy(operation text, out rank int, out writes boolean, out session boolean)
language sql immutable parallel safe set search_path = '' as $$
  select p.rank, p.writes, p.session from (values
    ('accounts_get', 0, false, false),
    ('sessions_list', 0, false, false),
    ('sessions_delete', 0, true, false),
    ('tokens_list', 0, false, false),
    ('tokens_create', 0, true, true),
    ('tokens_delete', 0, true, false),
    ('orgs_list', 0, false, false),
    ('orgs_create', 0, true, false),
    ('orgs_get', 1, false, false),
    ('members_list', 1, false, false),
    ('members_create', 3, true, false),
    ('members_update', 3, true, false),
    ('members_delete', 1, true, false),
    ('audit_list', 3, false, false),
    ('machines_list', 1, false, false),
    ('machines_create', 2, true, false),
    ('machines_get', 1, false, false),
    ('machines_update', 2, true, false),
    ('machines_delete', 2, true, false),
    ('machines_start', 2, true, false),
    ('machines_stop', 2, true, false),
    ('machines_hibernate', 2, true, false),
    ('machine_events_list', 1, false, false),
    ('machines_why', 1, false, false),
    ('checkpoints_list', 1, false, false),
    ('checkpoints_create', 2, true, false),
    ('checkpoints_restore', 2, true, false),
    ('checkpoints_delete', 2, true, false),
    ('holds_list', 1, false, false),
    ('holds_create', 2, true, false),
    ('holds_delete', 2, true, false),
    ('exec_create', 2, true, false),
    ('services_list', 1, false, false),
    ('services_put', 2, true, false),
    ('services_delete', 2, true, false),
    ('services_start', 2, true, false),
    ('services_stop', 2, true, false),
    ('services_restart', 2, true, false),
    ('ports_list', 1, false, false),
    ('ports_put', 2, true, false),
    ('ports_delete', 2, true, false),
    ('terminals_list', 1, false, false),
    ('terminals_create', 2, true, false),
    ('terminals_update', 2, true, false),
    ('terminals_delete', 2, true, false),
    ('terminals_stream', 1, false, false),
    ('apps_authorize', 1, false, false)
  ) as p (operation, rank, writes, session) where p.operation = policy.operation $$;

grant execute on function authz.policy(text) to snap_app;
