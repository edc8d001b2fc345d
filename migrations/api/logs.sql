-- Logs of services. The lines are in the machine, and go from there to whoever asks: here is decided who may.
set local role snap_owner;

-- May this caller read a service's log? 200: `{"machine", "account", "epoch"}`.
create or replace function api.service_logs_get(p_credential text, p_request text, p_org text, p_machine text,
  p_name text, out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
declare
  machine uuid;
begin
  select * into status, body, machine
    from authz.enter_machine('service_logs_get', p_credential, p_request, p_org, p_machine);
  if status <> 200 then
    return;
  end if;
  body := (select json_build_object('machine', m.id, 'account', authz.account_id(), 'epoch', m.epoch)
    from app.machine m join app.service s on s.org_id = m.org_id and s.machine_id = m.id and s.name = p_name
    where m.org_id = authz.org_id() and m.id = machine)::text;
  if body is null then
    status := 404;
    body := authz.refusal('not_found', 'There is no such service on this machine.');
  end if;
end $$;

grant execute on function api.service_logs_get(text, text, text, text, text) to snap_app;
