-- One-shot commands. The command itself goes straight to the machine: here is decided who may, and written down that
-- somebody did, with the program's name and nothing that it was given.
set local role snap_owner;

-- May this caller run a command? 200: `{"machine", "account", "epoch"}`.
create or replace function api.exec_create(p_credential text, p_request text, p_org text, p_machine text,
  p_program text, out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
begin
  select * into status, body from authz.enter('exec_create', p_credential, p_request, p_org);
  if status <> 200 then
    return;
  end if;
  body := (select json_build_object('machine', m.id, 'account', authz.account_id(), 'epoch', m.epoch)
    from app.machine m where m.org_id = authz.org_id() and m.name = p_machine and m.state <> 'deleting')::text;
  if body is null then
    status := 404;
    body := api.no_machine();
  end if;
  perform authz.audit('exec_create', p_machine || ' ' || p_program, status);
end $$;

grant execute on function api.exec_create(text, text, text, text, text) to snap_app;
