-- Services: definitions are rows, the agent has a copy. Answers of changes carry the machine's id in a wrapper that
-- the Worker takes off, because it has to tell the gateway object.
set local role snap_owner;

create or replace function api.service_json(s app.service) returns jsonb
language sql stable security invoker set search_path = '' as $$
  select s.definition::jsonb || jsonb_build_object('desired', s.desired, 'status', s.status::jsonb) $$;

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
begin
  select * into status, body, machine
    from authz.enter_machine('services_put', p_credential, p_request, p_org, p_machine);
  if status <> 200 then
    return;
  end if;
  if (select count(*) from app.service s
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
begin
  select * into status, body from authz.enter('services_delete', p_credential, p_request, p_org);
  if status <> 200 then
    return;
  end if;
  delete from app.service s using app.machine m
    where m.org_id = authz.org_id() and m.name = p_machine and s.org_id = m.org_id and s.machine_id = m.id
      and s.name = p_name returning s.machine_id into machine;
  if found then
    body := jsonb_build_object('machine', machine)::text;
  else
    status := 404;
    body := authz.refusal('not_found', 'There is no such service on this machine.');
  end if;
  perform authz.audit('services_delete', p_machine || '/' || p_name, case status when 200 then 204 else status end);
end $$;

grant execute on function api.service_json(app.service), api.services_list(text, text, text, text),
  api.services_put(text, text, text, text, text, text, text),
  api.services_command(text, text, text, text, text, text, text),
  api.services_delete(text, text, text, text, text) to snap_app;
