-- The audit log, for admins.
set local role snap_owner;

create or replace function api.audit_list(p_credential text, p_request text, p_org text, p_limit int,
  out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
begin
  select * into status, body from authz.enter('audit_list', p_credential, p_request, p_org);
  if status = 200 then
    body := (select json_build_object('entries', coalesce(json_agg(json_build_object('id', e.id,
        'at', authz.iso(e.at), 'actor', (select a.name from app.account a where a.id = e.account_id),
        'credential', e.credential, 'operation', e.operation, 'target', e.target, 'status', e.status,
        'request_id', e.request_id, 'address', e.address) order by e.at desc), '[]'))
      from (select * from app.audit e where e.org_id = authz.org_id() order by e.at desc limit p_limit) e)::text;
  end if;
end $$;

grant execute on function api.audit_list(text, text, text, int) to snap_app;
