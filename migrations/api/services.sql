-- Services: definitions are rows, the agent has a copy. Answers of changes carry the machine's id in a wrapper that
-- the Worker takes off, because it has to tell the gateway object.
set local role snap_owner;

-- What a service was last seen doing, with times as the API has them.
create or replace function api.service_status_json(p_status jsonb) returns jsonb
language sql stable security invoker set search_path = '' as $$
  select p_status || jsonb_build_object('exits', (select coalesce(jsonb_agg(x.exit - 'at_ms' || jsonb_build_object(
      'at', to_char(to_timestamp(least((x.exit ->> 'at_ms')::numeric, 253402300799000) / 1000) at time zone 'UTC',
        'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) order by x.place), '[]')
    from jsonb_array_elements(p_status -> 'exits') with ordinality x(exit, place))) $$;

create or replace function api.service_json(s app.service) returns jsonb
language sql stable security invoker set search_path = '' as $$
  select s.definition::jsonb
    || jsonb_build_object('desired', s.desired, 'status', api.service_status_json(s.status::jsonb)) $$;

-- What each service of a machine needs, by its name; the machine is the caller's to see.
create or replace function api.service_needs(p_machine uuid) returns jsonb
language sql stable security invoker set search_path = '' as $$
  select coalesce(jsonb_object_agg(s.name, s.definition::jsonb -> 'needs'), '{}') from app.service s
  where s.org_id = authz.org_id() and s.machine_id = p_machine
    and jsonb_typeof(s.definition::jsonb -> 'needs') = 'array' $$;

-- Whether a service needs itself by way of others.
create or replace function api.needs_cycle(p_needs jsonb, p_name text) returns boolean
language sql immutable security invoker set search_path = '' as $$
  with recursive reached(name) as (
    select n.name from jsonb_array_elements_text(p_needs -> p_name) n(name)
    union
    select n.name from reached r cross join jsonb_array_elements_text(p_needs -> r.name) n(name))
  select exists (select from reached r where r.name = p_name) $$;

create or replace function api.services_list(p_credential text, p_request text, p_org text, p_machine text,
  out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
declare
  machine uuid;
begin
  select * into status, body, machine
    from authz.enter_machine('services_list', p_credential, p_request, p_org, p_machine);
  if status <> 200 then
    return;
  end if;
  body := (select jsonb_build_object('services', coalesce(jsonb_agg(api.service_json(s) order by s.name), '[]'))
    from app.service s where s.org_id = authz.org_id() and s.machine_id = machine)::text;
end $$;

create or replace function api.services_put(p_credential text, p_request text, p_org text, p_machine text,
  p_name text, p_definition text, p_desired text, out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
declare
  machine uuid;
  made app.service;
  wanted jsonb := coalesce(p_definition::jsonb -> 'needs', '[]');
  missing text;
  needs jsonb;
begin
  select * into status, body, machine
    from authz.enter_machine('services_put', p_credential, p_request, p_org, p_machine);
  if status <> 200 then
    return;
  end if;
  -- The machine's row is locked: two changes that are each right cannot make a cycle together.
  needs := api.service_needs(machine) || jsonb_build_object(p_name, wanted);
  missing := (select string_agg(n.name, ', ') from jsonb_array_elements_text(wanted) n(name)
    where not exists (select from app.service s
      where s.org_id = authz.org_id() and s.machine_id = machine and s.name = n.name));
  if missing is not null then
    status := 422;
    body := authz.refusal('invalid', format('There is no such service on this machine: %s.', missing), 'needs');
  elsif api.needs_cycle(needs, p_name) then
    status := 422;
    -- The Worker says which.
    body := (authz.refusal('invalid', 'This makes a cycle of needs.', 'needs')::jsonb
      || jsonb_build_object('needs', needs))::text;
  elsif (select count(*) from app.service s
      where s.org_id = authz.org_id() and s.machine_id = machine and s.name <> p_name) >= 100 then
    status := 409;
    body := authz.refusal('limit', 'A machine can have 100 services, and this one has 100. Delete one first.');
  else
    insert into app.service (org_id, machine_id, name, definition, desired)
      values (authz.org_id(), machine, p_name, p_definition, p_desired)
      on conflict (org_id, machine_id, name)
        do update set definition = excluded.definition, desired = excluded.desired
      returning * into made;
    body := jsonb_build_object('machine', machine, 'answer', api.service_json(made))::text;
  end if;
  perform authz.audit('services_put', p_machine || '/' || p_name, status);
end $$;

-- `p_operation` is services_start, services_stop or services_restart: what people want is kept over sleep.
create or replace function api.services_command(p_operation text, p_credential text, p_request text, p_org text,
  p_machine text, p_name text, p_desired text, out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
declare
  changed app.service;
begin
  select * into status, body from authz.enter(p_operation, p_credential, p_request, p_org);
  if status <> 200 then
    return;
  end if;
  update app.service s set desired = p_desired from app.machine m
    where m.org_id = authz.org_id() and m.name = p_machine and s.org_id = m.org_id and s.machine_id = m.id
      and s.name = p_name returning s.* into changed;
  if found then
    body := jsonb_build_object('machine', changed.machine_id, 'answer', api.service_json(changed))::text;
  else
    status := 404;
    body := authz.refusal('not_found', 'There is no such service on this machine.');
  end if;
  perform authz.audit(p_operation, p_machine || '/' || p_name, status);
end $$;

create or replace function api.services_delete(p_credential text, p_request text, p_org text, p_machine text,
  p_name text, out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
declare
  machine uuid;
  needed_by text;
begin
  select * into status, body, machine
    from authz.enter_machine('services_delete', p_credential, p_request, p_org, p_machine);
  if status <> 200 then
    return;
  end if;
  needed_by := (select string_agg(s.name, ', ' order by s.name) from app.service s
    where s.org_id = authz.org_id() and s.machine_id = machine and s.definition::jsonb -> 'needs' ? p_name);
  if needed_by is not null then
    status := 409;
    body := authz.refusal('needed', format('Other services need it: %s. Change them first.', needed_by));
  else
    delete from app.service s
      where s.org_id = authz.org_id() and s.machine_id = machine and s.name = p_name;
    if found then
      body := jsonb_build_object('machine', machine)::text;
    else
      status := 404;
      body := authz.refusal('not_found', 'There is no such service on this machine.');
    end if;
  end if;
  perform authz.audit('services_delete', p_machine || '/' || p_name, case status when 200 then 204 else status end);
end $$;

grant execute on function api.service_status_json(jsonb) to snap_app, snap_authz;
grant execute on function api.service_json(app.service), api.service_needs(uuid),
  api.needs_cycle(jsonb, text), api.services_list(text, text, text, text),
  api.services_put(text, text, text, text, text, text, text),
  api.services_command(text, text, text, text, text, text, text),
  api.services_delete(text, text, text, text, text) to snap_app;
