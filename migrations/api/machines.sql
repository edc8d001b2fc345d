-- Machines. People change the record and ask the machine's gateway object for the rest; see gateway.sql for its side.
set local role snap_owner;

-- Where the gateway writes an app's address: `{"apps":"https://*.apps.example"}` comes with every request.
create or replace function api.app_url(p_label text) returns text
language sql stable security invoker set search_path = '' as
  $$ select replace(authz.request('apps'), '*', p_label) $$;

-- The cause of what the caller orders: one of protocol's `Cause`.
create or replace function api.caller_cause() returns text
language sql stable security invoker set search_path = '' as
  $$ select case authz.credential_kind() when 't' then 'api' else 'hand' end $$;

create or replace function api.machine_json(m app.machine, p_slug text) returns json
language sql stable security invoker set search_path = '' as $$
  select json_build_object('id', m.id, 'name', m.name, 'org', p_slug, 'state', m.state, 'reason', m.reason,
    'state_at', authz.iso(m.state_at), 'runtime', m.runtime, 'size', m.size, 'region', m.region,
    'app_port', m.app_port, 'idle_seconds', m.idle_seconds, 'cpu_counts', m.cpu_counts, 'url', api.app_url(m.name || '--' || p_slug),
    'owner', (select json_build_object('account_id', a.id, 'name', a.name) from app.account a where a.id = m.owner_id),
    'generation', m.generation, 'version', m.version, 'created_at', authz.iso(m.created_at)) $$;

-- A page, by name; `p_after` is the last name of the page before.
create or replace function api.machines_list(p_credential text, p_request text, p_org text, p_limit int, p_after text,
  out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
begin
  select * into status, body from authz.enter('machines_list', p_credential, p_request, p_org);
  if status <> 200 then
    return;
  end if;
  -- Written out, with joins, in place of machine_json for each row: a function that fixes its search path is never
  -- inlined, and would ask the policies of app.account again for every machine. Rows become JSON whole: naming each
  -- field with json_build_object takes a third more time, since it looks up every argument's type for every row.
  body := (
    with page as (
      select m.*, row_number() over (order by m.name) as position
      from app.machine m
      where m.org_id = (select authz.org_id()) and m.name > coalesce(p_after, '') order by m.name limit p_limit + 1)
    select json_build_object(
      'machines', coalesce(json_agg(machine order by p.name) filter (where p.position <= p_limit), '[]'),
      'next', case when count(*) > p_limit then max(p.name) filter (where p.position = p_limit) end)
    from (select authz.request('apps') as apps) pattern
    cross join page p
    left join lateral (
      select a.id as account_id, a.name from app.account a where a.id = p.owner_id) owner on true
    cross join lateral (
      select p.id, p.name, p_org as org, p.state, p.reason,
        to_char(p.state_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as state_at, p.runtime, p.size,
        p.region, p.app_port, p.idle_seconds, p.cpu_counts, replace(pattern.apps, '*', p.name || '--' || p_org) as url,
        owner, p.generation, p.version,
        to_char(p.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as created_at) machine)::text;
end $$;

-- `p_machine` is its id, unless it takes that of a prepared one (prepared.sql): then its sprite is there already.
-- `p_machines` and `p_awake` are the deployment's quota; `p_first_boot` is the definition of the service that sets it up.
create or replace function api.machines_create(p_credential text, p_request text, p_org text, p_machine text,
  p_event text, p_name text, p_runtime text, p_size text, p_region text, p_idle_seconds int, p_machines int,
  p_awake int, p_first_boot text default null, out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
declare
  made app.machine;
  allowed record;
begin
  select * into status, body from authz.enter('machines_create', p_credential, p_request, p_org);
  if status <> 200 then
    return;
  end if;
  select * into allowed from api.quota_of(p_machines, p_awake);
  body := coalesce(api.idle_refusal(p_idle_seconds, allowed.idle_seconds_max),
    api.quota_refusal('create', p_machines, p_awake));
  if body is not null then
    status := case body::json ->> 'code' when 'invalid' then 422 else 409 end;
    perform authz.audit('machines_create', p_machine, status);
    return;
  end if;
  insert into app.machine (org_id, id, name, owner_id, runtime, size, region, state, reason, idle_seconds)
    values (authz.org_id(), p_machine::uuid, p_name, authz.account_id(), p_runtime, p_size, p_region,
      'creating', 'Being created.', coalesce(p_idle_seconds, allowed.idle_seconds))
    on conflict (org_id, name) do nothing returning * into made;
  if found then
    insert into app.machine_event (org_id, machine_id, id, kind, detail, cause, actor_id)
      values (authz.org_id(), made.id, p_event::uuid, 'created',
        case when made.sprite_id is null then 'Created.' else 'Created. Its sprite was prepared before.' end,
        api.caller_cause(), authz.account_id());
    insert into app.service (org_id, machine_id, name, definition, desired)
      select authz.org_id(), made.id, 'first-boot', p_first_boot, 'up' where p_first_boot is not null;
    status := 201;
    body := api.machine_json(made, p_org)::text;
  else
    status := 409;
    body := authz.refusal('name_taken', 'Another machine of this organization has this name.', 'name');
  end if;
  perform authz.audit('machines_create', coalesce(made.id::text, p_machine), status);
end $$;

create or replace function api.machines_get(p_credential text, p_request text, p_org text, p_name text,
  out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
begin
  select * into status, body from authz.enter('machines_get', p_credential, p_request, p_org);
  if status = 200 then
    body := (select api.machine_json(m, p_org) from app.machine m
      where m.org_id = authz.org_id() and m.name = p_name)::text;
    if body is null then
      status := 404;
      body := api.no_machine();
    end if;
  end if;
end $$;

create or replace function api.no_machine() returns text language sql immutable security invoker set search_path = '' as
  $$ select authz.refusal('not_found', 'There is no such machine in this organization.') $$;

-- Why a machine may not idle for so long, where the organization says so: null when it may.
create or replace function api.idle_refusal(p_seconds int, p_most int) returns text
language sql immutable parallel safe security invoker set search_path = '' as $$
  select case when p_seconds > p_most then authz.refusal('invalid',
    format('Machines of this organization hibernate after at most %s minutes; its admins can change that.', p_most / 60),
    'idle_seconds') end $$;

-- Settings: null keeps what is there.
create or replace function api.machines_update(p_credential text, p_request text, p_org text, p_name text,
  p_idle_seconds int, p_app_port int, p_cpu_counts boolean, out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
declare
  changed app.machine;
begin
  select * into status, body from authz.enter('machines_update', p_credential, p_request, p_org);
  if status <> 200 then
    return;
  end if;
  body := (select api.idle_refusal(p_idle_seconds, q.idle_seconds_max) from api.quota_of(0, 0) q);
  update app.machine m set idle_seconds = coalesce(p_idle_seconds, m.idle_seconds),
      app_port = coalesce(p_app_port, m.app_port), cpu_counts = coalesce(p_cpu_counts, m.cpu_counts)
    where m.org_id = authz.org_id() and m.name = p_name and body is null returning * into changed;
  if body is not null then
    status := 422;
  elsif found then
    body := api.machine_json(changed, p_org)::text;
  else
    status := 404;
    body := api.no_machine();
  end if;
  perform authz.audit('machines_update', p_name, status);
end $$;

-- Asks for something that the gateway object then does: `p_operation` is machines_start, machines_stop,
-- machines_hibernate or machines_delete. 200: `{"machine": id, "actor": account id, "cause": …}`. Deleting is the owner's
-- of the machine, or an admin's.
create or replace function api.machines_command(p_operation text, p_credential text, p_request text, p_org text,
  p_name text, p_machines int, p_awake int, out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
declare
  machine app.machine;
begin
  select * into status, body from authz.enter(p_operation, p_credential, p_request, p_org);
  if status <> 200 then
    return;
  end if;
  select * into machine from app.machine m where m.org_id = authz.org_id() and m.name = p_name;
  if not found then
    status := 404;
    body := api.no_machine();
  elsif p_operation = 'machines_delete' and authz.rank() < 3
      and machine.owner_id is distinct from authz.account_id() then
    status := 403;
    body := authz.refusal('role', 'Only whoever created a machine, or an admin, may delete it.');
  elsif p_operation <> 'machines_delete' and machine.state = 'deleting' then
    status := 409;
    body := authz.refusal('deleting', 'The machine is being deleted.');
  elsif p_operation = 'machines_start' and not api.is_awake(machine.state) then
    body := api.quota_refusal('wake', p_machines, p_awake);
    status := case when body is null then 200 else 409 end;
  end if;
  if status = 200 then
    body := json_build_object('machine', machine.id, 'actor', authz.account_id(), 'cause', api.caller_cause())::text;
    if p_operation = 'machines_delete' then
      -- Written here already, so that a deletion once accepted wins whatever happens to the object.
      update app.machine m set state = 'deleting', reason = 'Being deleted.', state_at = now(), epoch = m.epoch + 1,
          desired = 'deleted', desired_at = now(), desired_by = authz.account_id()
        where m.org_id = authz.org_id() and m.id = machine.id and m.state <> 'deleting';
    elsif machine.state <> 'failed' or p_operation = 'machines_start' then
      -- Here, so that whoever takes a hold from now on is told of a stop, and none that is granted is ended by it.
      update app.machine m set desired_at = now(), desired_by = authz.account_id(),
          desired = case p_operation when 'machines_start' then 'running' when 'machines_stop' then 'stopped'
            else 'asleep' end
        where m.org_id = authz.org_id() and m.id = machine.id
          and (p_operation <> 'machines_hibernate' or m.desired is distinct from 'stopped');
    end if;
  end if;
  perform authz.audit(p_operation, p_name, case status when 200 then 202 else status end);
end $$;

-- The record's part of why a machine is awake or asleep; the rest is live, and its gateway object's. 200:
-- `{"machine": id, "answer": …}`.
create or replace function api.machines_why(p_credential text, p_request text, p_org text, p_machine text,
  out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
declare
  machine uuid;
begin
  select * into status, body, machine
    from authz.enter_machine('machines_why', p_credential, p_request, p_org, p_machine);
  if status <> 200 then
    return;
  end if;
  body := (select json_build_object('machine', m.id, 'answer', json_build_object('state', m.state,
      'reason', m.reason, 'since', authz.iso(m.state_at), 'desired', m.desired, 'idle_seconds', m.idle_seconds,
      'last_change', (select api.event_json(e) from app.machine_event e
        where e.org_id = m.org_id and e.machine_id = m.id order by e.id desc limit 1),
      'holds', (select coalesce(json_agg(api.hold_json(h) order by h.until, h.id), '[]')
        from app.hold h where h.org_id = m.org_id and h.machine_id = m.id and h.until > now())))
    from app.machine m where m.org_id = authz.org_id() and m.id = machine)::text;
end $$;

-- The feed announces machines as the API shows them.
grant execute on function api.app_url(text), api.machine_json(app.machine, text) to snap_app, snap_authz;
grant execute on function api.machines_why(text, text, text, text), api.no_machine(), api.caller_cause(),
  api.machines_list(text, text, text, int, text),
  api.machines_create(text, text, text, text, text, text, text, text, text, int, int, int, text),
  api.idle_refusal(int, int),
  api.machines_get(text, text, text, text), api.machines_update(text, text, text, text, int, int, boolean),
  api.machines_command(text, text, text, text, text, int, int) to snap_app;
