-- Quotas: what an organization may take of the deployment. `p_machines` and `p_awake` are the deployment's limits for
-- an organization of which the operator has not said otherwise.
set local role snap_owner;

-- Machines that run, or are about to.
create or replace function api.is_awake(p_state text) returns boolean
language sql immutable parallel safe security invoker set search_path = '' as
  $$ select p_state in ('creating', 'waking', 'running', 'hibernating', 'stopping') $$;

-- The limits of the organization of the context.
create or replace function api.quota_of(p_machines int, p_awake int, out machines_ceiling int, out awake_ceiling int,
  out machines int, out awake int, out idle_seconds int, out idle_seconds_max int)
language sql stable security invoker set search_path = '' as $$
  select c.machines, c.awake, least(q.machines, c.machines), least(q.awake, c.awake),
    coalesce(q.idle_seconds, least(900, q.idle_seconds_max)), coalesce(q.idle_seconds_max, 86400)
  from (values (authz.org_id())) o (id)
  left join app.quota q on q.org_id = o.id
  cross join lateral (
    values (coalesce(q.machines_ceiling, p_machines), coalesce(q.awake_ceiling, p_awake))) c (machines, awake) $$;

-- Why one more machine may not be made or woken: null when it may. Holds the organization until the transaction's end,
-- so that two who ask at the same moment do not both get the last place.
create or replace function api.quota_refusal(p_what text, p_machines int, p_awake int) returns text
language plpgsql volatile security invoker set search_path = '' as $$
declare
  allowed record;
  used int;
begin
  perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('quota ' || authz.org_id(), 0));
  select * into allowed from api.quota_of(p_machines, p_awake);
  if p_what = 'create' then
    select count(*) into used from app.machine m where m.org_id = authz.org_id() and m.state <> 'deleting';
    if used >= allowed.machines then
      return authz.refusal('machine_limit', format(
        'The organization has %s, and its limit is %s. Delete one, or ask %s to raise the limit.',
        api.counted(used), allowed.machines, api.quota_keeper(allowed.machines, allowed.machines_ceiling)));
    end if;
  end if;
  select count(*) into used from app.machine m where m.org_id = authz.org_id() and api.is_awake(m.state);
  if used >= allowed.awake then
    return authz.refusal('awake_limit', format(
      '%s of the organization %s awake, and its limit is %s. Hibernate or stop one, or ask %s to raise the limit.',
      api.counted(used), case used when 1 then 'is' else 'are' end, allowed.awake,
      api.quota_keeper(allowed.awake, allowed.awake_ceiling)));
  end if;
  return null;
end $$;

create or replace function api.counted(p_machines int) returns text
language sql immutable parallel safe security invoker set search_path = '' as
  $$ select case p_machines when 0 then 'no machine' when 1 then '1 machine' else p_machines || ' machines' end $$;

-- Who can raise a limit.
create or replace function api.quota_keeper(p_limit int, p_ceiling int) returns text
language sql immutable parallel safe security invoker set search_path = '' as
  $$ select case when p_limit < p_ceiling then 'an admin' else 'the operator of this deployment' end $$;

create or replace function api.quota_json(p_machines int, p_awake int) returns json
language sql stable security invoker set search_path = '' as $$
  select json_build_object(
    'machines', json_build_object('used', u.machines, 'limit', l.machines, 'ceiling', l.machines_ceiling,
      'own', q.machines),
    'awake', json_build_object('used', u.awake, 'limit', l.awake, 'ceiling', l.awake_ceiling, 'own', q.awake),
    'idle', json_build_object('seconds', l.idle_seconds, 'max_seconds', l.idle_seconds_max,
      'own_seconds', q.idle_seconds, 'own_max_seconds', q.idle_seconds_max))
  from api.quota_of(p_machines, p_awake) l
  left join app.quota q on q.org_id = authz.org_id()
  cross join (
    select count(*) filter (where m.state <> 'deleting') as machines,
      count(*) filter (where api.is_awake(m.state)) as awake
    from app.machine m where m.org_id = authz.org_id()) u $$;

create or replace function api.quotas_get(p_credential text, p_request text, p_org text, p_machines int, p_awake int,
  out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
begin
  select * into status, body from authz.enter('quotas_get', p_credential, p_request, p_org);
  if status = 200 then
    body := api.quota_json(p_machines, p_awake)::text;
  end if;
end $$;

-- Null: as many as the ceiling, and the deployment's idle times. Machines that may idle for longer than the new maximum
-- get the maximum. 200: `{"machines": those that are awake, "answer": quota}`.
create or replace function api.quotas_put(p_credential text, p_request text, p_org text, p_own_machines int,
  p_own_awake int, p_idle_seconds int, p_idle_seconds_max int, p_machines int, p_awake int,
  out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
declare
  ceiling record;
  shortened json;
begin
  select * into status, body from authz.enter('quotas_put', p_credential, p_request, p_org);
  if status <> 200 then
    return;
  end if;
  select * into ceiling from api.quota_of(p_machines, p_awake);
  if p_own_machines > ceiling.machines_ceiling then
    status := 422;
    body := authz.refusal('invalid', format('This deployment allows the organization at most %s.',
      api.counted(ceiling.machines_ceiling)), 'machines');
  elsif p_own_awake > ceiling.awake_ceiling then
    status := 422;
    body := authz.refusal('invalid', format('This deployment allows the organization at most %s awake.',
      api.counted(ceiling.awake_ceiling)), 'awake');
  else
    insert into app.quota (org_id, machines, awake, idle_seconds, idle_seconds_max)
      values (authz.org_id(), p_own_machines, p_own_awake, p_idle_seconds, p_idle_seconds_max)
      on conflict (org_id) do update set machines = excluded.machines, awake = excluded.awake,
        idle_seconds = excluded.idle_seconds, idle_seconds_max = excluded.idle_seconds_max;
    with changed as (
      update app.machine m set idle_seconds = p_idle_seconds_max
        where m.org_id = authz.org_id() and m.idle_seconds > p_idle_seconds_max
        returning m.id, m.state)
    select coalesce(json_agg(c.id) filter (where api.is_awake(c.state)), '[]') into shortened from changed c;
    body := json_build_object('machines', shortened, 'answer', api.quota_json(p_machines, p_awake))::text;
  end if;
  perform authz.audit('quotas_put', p_org, status);
end $$;

grant execute on function api.is_awake(text), api.quota_of(int, int), api.quota_refusal(text, int, int),
  api.counted(int), api.quota_keeper(int, int), api.quota_json(int, int),
  api.quotas_get(text, text, text, int, int),
  api.quotas_put(text, text, text, int, int, int, int, int, int) to snap_app;
