-- Terminals: where a shell starts, and whom a change of access has to be told.
set local role snap_owner;

-- Null is the home directory.
alter table app.terminal_session
  add column directory text check (directory like '/%' and octet_length(directory) <= 4096);

-- It takes the directory now.
drop function if exists api.terminals_create(text, text, text, text, text, text);

set local role snap_authz;

-- Machines at which somebody may be working now, of one organization of the caller's, or of all (null):
-- `[{"machine", "epoch"}]`. `p_raised` is what the change that is under way will add to their epochs.
create function authz.awake_machines(p_org uuid, p_raised int) returns json
language sql stable security definer set search_path = '' as $$
  select coalesce(json_agg(json_build_object('machine', a.id, 'epoch', a.epoch + p_raised)), '[]') from (
    select m.id, m.epoch from app.membership s join app.machine m on m.org_id = s.org_id
    where s.account_id = authz.account_id() and s.org_id = coalesce(p_org, s.org_id)
      and m.state in ('creating', 'running', 'hibernating', 'waking', 'stopping')
    order by m.state_at desc limit 200) a $$;

grant execute on function authz.awake_machines(uuid, int) to snap_app;
