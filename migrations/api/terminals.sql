-- Terminal sessions: the record here, the shell in the agent, the switch between in an object.
set local role snap_owner;

create or replace function api.terminal_json(t app.terminal_session) returns json
language sql stable security invoker set search_path = '' as $$
  select json_build_object('id', t.id, 'name', t.name,
    'state', case when t.ended_at is null then 'open' else 'ended' end, 'directory', t.directory,
    'created_at', authz.iso(t.created_at), 'ended_at', authz.iso(t.ended_at), 'end', t.ending::json,
    'created_by', (select a.name from app.account a where a.id = t.account_id)) $$;

-- Those that live, and those that ended within a day.
create or replace function api.terminals_list(p_credential text, p_request text, p_org text, p_machine text,
  out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
declare
  machine uuid;
begin
  select * into status, body, machine
    from authz.enter_machine('terminals_list', p_credential, p_request, p_org, p_machine);
  if status <> 200 then
    return;
  end if;
  body := (select json_build_object('terminals', coalesce(json_agg(api.terminal_json(t) order by t.id), '[]'))
    from app.terminal_session t where t.org_id = authz.org_id() and t.machine_id = machine
      and (t.ended_at is null or t.ended_at > now() - interval '1 day'))::text;
end $$;

create or replace function api.terminals_create(p_credential text, p_request text, p_org text, p_machine text,
  p_terminal text, p_name text, p_directory text, out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
declare
  machine uuid;
  made app.terminal_session;
begin
  select * into status, body, machine
    from authz.enter_machine('terminals_create', p_credential, p_request, p_org, p_machine);
  if status <> 200 then
    return;
  end if;
  if (select count(*) from app.terminal_session t
      where t.org_id = authz.org_id() and t.machine_id = machine and t.ended_at is null) >= 50 then
    status := 409;
    body := authz.refusal('limit', 'A machine can have 50 open terminals, and this one has 50. End one first.');
  else
    insert into app.terminal_session (org_id, machine_id, id, name, account_id, directory)
      values (authz.org_id(), machine, p_terminal::uuid, p_name, authz.account_id(), p_directory) returning * into made;
    status := 201;
    body := api.terminal_json(made)::text;
  end if;
  perform authz.audit('terminals_create', p_terminal, status);
end $$;

-- Renames one, also after its end.
create or replace function api.terminals_update(p_credential text, p_request text, p_org text, p_machine text,
  p_terminal text, p_name text, out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
declare
  changed app.terminal_session;
begin
  select * into status, body from authz.enter('terminals_update', p_credential, p_request, p_org);
  if status <> 200 then
    return;
  end if;
  update app.terminal_session t set name = p_name from app.machine m
    where m.org_id = authz.org_id() and m.name = p_machine and t.org_id = m.org_id and t.machine_id = m.id
      and t.id = p_terminal::uuid returning t.* into changed;
  if found then
    body := api.terminal_json(changed)::text;
  else
    status := 404;
    body := authz.refusal('not_found', 'There is no such terminal on this machine.');
  end if;
  perform authz.audit('terminals_update', p_terminal, status);
end $$;

-- Asks to end a shell; the gateway object tells the agent. 200: `{"machine": id}`.
create or replace function api.terminals_delete(p_credential text, p_request text, p_org text, p_machine text,
  p_terminal text, out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
declare
  machine uuid;
begin
  select * into status, body from authz.enter('terminals_delete', p_credential, p_request, p_org);
  if status <> 200 then
    return;
  end if;
  update app.terminal_session t set ended_at = now() from app.machine m
    where m.org_id = authz.org_id() and m.name = p_machine and t.org_id = m.org_id and t.machine_id = m.id
      and t.id = p_terminal::uuid and t.ended_at is null returning m.id into machine;
  if found then
    body := json_build_object('machine', machine)::text;
  else
    status := 404;
    body := authz.refusal('not_found', 'There is no such open terminal on this machine.');
  end if;
  perform authz.audit('terminals_delete', p_terminal, case status when 200 then 204 else status end);
end $$;

-- May this caller follow a session's stream, and how? 200: `{"machine", "account", "person", "write", "directory",
-- "deleted"}`; `deleted` is that somebody ended it and its shell has not been heard of since. Also asked again about
-- open streams, by the session's object, which is why it writes no audit row.
create or replace function api.terminals_stream(p_credential text, p_request text, p_org text, p_machine text,
  p_terminal text, out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
begin
  select * into status, body from authz.enter('terminals_stream', p_credential, p_request, p_org);
  if status <> 200 then
    return;
  end if;
  body := (select json_build_object('machine', m.id, 'account', authz.account_id(),
      'person', (select a.name from app.account a where a.id = authz.account_id()),
      'write', authz.write_rank() >= 2, 'directory', t.directory,
      'deleted', t.ended_at is not null and t.ending is null)
    from app.machine m join app.terminal_session t on t.org_id = m.org_id and t.machine_id = m.id
    where m.org_id = authz.org_id() and m.name = p_machine and t.id = p_terminal::uuid
      and m.state <> 'deleting')::text;
  if body is null then
    status := 404;
    body := authz.refusal('not_found', 'There is no such terminal on this machine.');
  end if;
end $$;

grant execute on function api.terminal_json(app.terminal_session), api.terminals_list(text, text, text, text),
  api.terminals_create(text, text, text, text, text, text, text),
  api.terminals_update(text, text, text, text, text, text), api.terminals_delete(text, text, text, text, text),
  api.terminals_stream(text, text, text, text, text) to snap_app;
