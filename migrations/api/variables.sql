-- Variables of a machine. A secret comes sealed and leaves only towards the machine (api.gateway_load); nothing here
-- shows one to anybody, and nothing here writes a value into the audit log.
set local role snap_owner;

-- Values of plain ones are for whoever may set them: a viewer sees names.
create or replace function api.variable_json(v app.variable) returns json
language sql stable security invoker set search_path = '' as $$
  select json_build_object('name', v.name, 'secret', v.sealed is not null,
    'value', case when authz.rank() >= 2 then v.value end,
    'updated_by', (select a.name from app.account a where a.id = v.updated_by),
    'updated_at', authz.iso(v.updated_at)) $$;

create or replace function api.variables_of(p_machine uuid) returns json
language sql stable security invoker set search_path = '' as $$
  select json_build_object('variables', coalesce(json_agg(api.variable_json(v) order by v.name), '[]'))
  from app.variable v where v.org_id = authz.org_id() and v.machine_id = p_machine $$;

create or replace function api.variables_list(p_credential text, p_request text, p_org text, p_machine text,
  out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
declare
  machine uuid;
begin
  select * into status, body, machine
    from authz.enter_machine('variables_list', p_credential, p_request, p_org, p_machine);
  if status = 200 then
    body := api.variables_of(machine)::text;
  end if;
end $$;

-- What a secret is sealed for, before it is set: 200 `{"org", "machine"}`. `p_operation` is variables_put or
-- variables_update, and whoever may not do that learns it here.
create or replace function api.variables_sealing(p_operation text, p_credential text, p_request text, p_org text,
  p_machine text, out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
declare
  machine uuid;
begin
  select * into status, body, machine
    from authz.enter_machine(p_operation, p_credential, p_request, p_org, p_machine);
  if status = 200 then
    body := json_build_object('org', authz.org_id(), 'machine', machine)::text;
  end if;
end $$;

-- Sets variables: `[{"name", "size", "value" or "sealed"}]`, all or none. `p_sealed_for` is the machine that the secrets
-- among them were sealed for: should the name be another one's by now, nothing is set. 200: `{"machine", "answer"}`.
create or replace function api.variables_set(p_operation text, p_credential text, p_request text, p_org text,
  p_machine text, p_sealed_for text, p_variables text, out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
declare
  machine uuid;
  given json := p_variables::json;
  names text[];
  present bigint;
  total bigint;
begin
  select * into status, body, machine
    from authz.enter_machine(p_operation, p_credential, p_request, p_org, p_machine);
  if status <> 200 then
    return;
  end if;
  select array_agg(g ->> 'name' order by g ->> 'name') into names from json_array_elements(given) g;
  select count(*), sum(octet_length(k.name) + k.size) into present, total from (
    select v.name, v.size from app.variable v
      where v.org_id = authz.org_id() and v.machine_id = machine and v.name <> all (names)
    union all select g ->> 'name', (g ->> 'size')::int from json_array_elements(given) g) k;
  if p_sealed_for is not null and p_sealed_for::uuid <> machine then
    status := 409;
    body := authz.refusal('changed', 'The machine was replaced by another one of this name. Try again.');
  elsif present > 100 then
    status := 409;
    body := authz.refusal('limit',
      format('A machine can have 100 variables, and this would make %s. Delete some first.', present));
  elsif total > 131072 then
    status := 409;
    body := authz.refusal('limit', format(
      'Names and values of a machine have at most 131072 bytes together, and this would make %s. Delete some first.',
      total));
  else
    insert into app.variable (org_id, machine_id, name, value, sealed, size, updated_by)
      select authz.org_id(), machine, g ->> 'name', g ->> 'value', g ->> 'sealed', (g ->> 'size')::int,
        authz.account_id()
      from json_array_elements(given) g
      on conflict (org_id, machine_id, name) do update set value = excluded.value, sealed = excluded.sealed,
        size = excluded.size, updated_by = excluded.updated_by, updated_at = now();
    body := json_build_object('machine', machine, 'answer', case p_operation
      when 'variables_put' then (select api.variable_json(v) from app.variable v
        where v.org_id = authz.org_id() and v.machine_id = machine and v.name = names[1])
      else api.variables_of(machine) end)::text;
  end if;
  perform authz.audit(p_operation, p_machine || ' ' || array_to_string(names, ' '), status);
end $$;

-- 200: `{"machine": id}`.
create or replace function api.variables_delete(p_credential text, p_request text, p_org text, p_machine text,
  p_name text, out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
declare
  machine uuid;
begin
  select * into status, body, machine
    from authz.enter_machine('variables_delete', p_credential, p_request, p_org, p_machine);
  if status <> 200 then
    return;
  end if;
  delete from app.variable v where v.org_id = authz.org_id() and v.machine_id = machine and v.name = p_name;
  if found then
    body := json_build_object('machine', machine)::text;
  else
    status := 404;
    body := authz.refusal('not_found', 'There is no such variable on this machine.');
  end if;
  perform authz.audit('variables_delete', p_machine || '/' || p_name, case status when 200 then 204 else status end);
end $$;

-- For the machine: plain values, and ciphertext.
create or replace function api.gateway_variables(p_machine uuid) returns json
language sql stable security invoker set search_path = '' as $$
  select coalesce(json_agg(json_build_object('name', v.name, 'value', v.value, 'sealed', v.sealed) order by v.name), '[]')
  from app.variable v where v.org_id = authz.org_id() and v.machine_id = p_machine $$;

grant execute on function api.variable_json(app.variable), api.variables_of(uuid),
  api.variables_list(text, text, text, text), api.variables_sealing(text, text, text, text, text),
  api.variables_set(text, text, text, text, text, text, text),
  api.variables_delete(text, text, text, text, text), api.gateway_variables(uuid) to snap_app;
