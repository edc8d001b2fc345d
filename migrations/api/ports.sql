-- Ports: names that people give to ports of a machine. Every port of 1024 and up is reachable for members without
-- one; visibility other than private comes later.
set local role snap_owner;

create or replace function api.ports_list(p_credential text, p_request text, p_org text, p_machine text,
  out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
declare
  machine uuid;
begin
  select * into status, body, machine
    from authz.enter_machine('ports_list', p_credential, p_request, p_org, p_machine);
  if status <> 200 then
    return;
  end if;
  body := (select json_build_object('ports', coalesce(json_agg(json_build_object('port', p.port, 'label', p.label,
      'url', api.app_url(p.port || '--' || p_machine || '--' || p_org)) order by p.port), '[]'))
    from app.port p where p.org_id = authz.org_id() and p.machine_id = machine)::text;
end $$;

create or replace function api.ports_put(p_credential text, p_request text, p_org text, p_machine text, p_port int,
  p_label text, out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
declare
  machine uuid;
begin
  select * into status, body, machine
    from authz.enter_machine('ports_put', p_credential, p_request, p_org, p_machine);
  if status <> 200 then
    return;
  end if;
  if (select count(*) from app.port p
      where p.org_id = authz.org_id() and p.machine_id = machine and p.port <> p_port) >= 50 then
    status := 409;
    body := authz.refusal('limit', 'A machine can have 50 named ports, and this one has 50. Delete one first.');
  else
    insert into app.port (org_id, machine_id, port, label) values (authz.org_id(), machine, p_port, p_label)
      on conflict (org_id, machine_id, port) do update set label = excluded.label;
    body := json_build_object('port', p_port, 'label', p_label,
      'url', api.app_url(p_port || '--' || p_machine || '--' || p_org))::text;
  end if;
  perform authz.audit('ports_put', p_machine || '/' || p_port, status);
end $$;

create or replace function api.ports_delete(p_credential text, p_request text, p_org text, p_machine text, p_port int,
  out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
begin
  select * into status, body from authz.enter('ports_delete', p_credential, p_request, p_org);
  if status <> 200 then
    return;
  end if;
  delete from app.port p using app.machine m
    where m.org_id = authz.org_id() and m.name = p_machine and p.org_id = m.org_id and p.machine_id = m.id
      and p.port = p_port;
  if found then
    status := 204;
    body := '';
  else
    status := 404;
    body := authz.refusal('not_found', 'This port has no name on this machine.');
  end if;
  perform authz.audit('ports_delete', p_machine || '/' || p_port, status);
end $$;

grant execute on function api.ports_list(text, text, text, text), api.ports_put(text, text, text, text, int, text),
  api.ports_delete(text, text, text, text, int) to snap_app;
