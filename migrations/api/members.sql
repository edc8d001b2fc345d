-- Members of an organization. Ranks are enforced by the policies on app.membership; here they become answers.
set local role snap_owner;

create or replace function api.member_json(m app.membership) returns json
language sql stable security invoker set search_path = '' as $$
  select json_build_object('account_id', m.account_id, 'email', a.email, 'name', a.name, 'role', m.role,
    'created_at', authz.iso(m.created_at)) from app.account a where a.id = m.account_id $$;

create or replace function api.members_list(p_credential text, p_request text, p_org text,
  out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
begin
  select * into status, body from authz.enter('members_list', p_credential, p_request, p_org);
  if status = 200 then
    -- One join in place of member_json for each row; machines_list says why.
    body := (select json_build_object('members', coalesce(json_agg(json_build_object('account_id', m.account_id,
          'email', a.email, 'name', a.name, 'role', m.role, 'created_at', authz.iso(m.created_at))
        order by authz.rank_of(m.role) desc, m.account_id), '[]'))
      from app.membership m join app.account a on a.id = m.account_id where m.org_id = authz.org_id())::text;
  end if;
end $$;

create or replace function api.members_create(p_credential text, p_request text, p_org text, p_email text, p_role text,
  out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
declare
  account uuid;
  made app.membership;
begin
  select * into status, body from authz.enter('members_create', p_credential, p_request, p_org);
  if status <> 200 then
    return;
  end if;
  account := authz.account_by_email(p_email);
  if authz.rank_of(p_role) > authz.rank() then
    status := 403;
    body := authz.refusal('role', 'You cannot give a role above your own.', 'role');
  elsif account is null then
    status := 422;
    body := authz.refusal('no_account', 'Nobody has signed up with this e-mail address yet.', 'email');
  else
    insert into app.membership (org_id, account_id, role) values (authz.org_id(), account, p_role)
      on conflict do nothing returning * into made;
    if found then
      status := 201;
      body := api.member_json(made)::text;
    else
      status := 409;
      body := authz.refusal('already_member', 'This account is a member already.', 'email');
    end if;
  end if;
  perform authz.audit('members_create', coalesce(account::text, ''), status);
end $$;

-- 200: `{"machines": authz.awake_machines, "answer": member}`.
create or replace function api.members_update(p_credential text, p_request text, p_org text, p_account text,
  p_role text, out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
declare
  present app.membership;
begin
  select * into status, body from authz.enter('members_update', p_credential, p_request, p_org);
  if status <> 200 then
    return;
  end if;
  select * into present from app.membership m where m.org_id = authz.org_id() and m.account_id = p_account::uuid;
  if present is null then
    status := 404;
    body := authz.refusal('not_found', 'There is no such member.');
  elsif greatest(authz.rank_of(present.role), authz.rank_of(p_role)) > authz.rank() then
    status := 403;
    body := authz.refusal('role', 'You cannot change somebody above your own role, or give a role above it.', 'role');
  else
    begin
      update app.membership m set role = p_role where m.org_id = authz.org_id() and m.account_id = p_account::uuid
        returning * into present;
      if found then
        body := json_build_object('machines', authz.awake_machines(authz.org_id(), 0), 'answer', api.member_json(present))::text;
      else
        status := 409;
        body := authz.refusal('changed', 'Somebody changed this member, or your own role, at the same moment. Look again.');
      end if;
    exception when check_violation then
      status := 409;
      body := authz.refusal('last_owner', 'An organization must keep an owner. Make somebody else an owner first.', 'role');
    end;
  end if;
  perform authz.audit('members_update', p_account, status);
end $$;

-- 204: `{"machines": authz.awake_machines}`.
create or replace function api.members_delete(p_credential text, p_request text, p_org text, p_account text,
  out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
declare
  present app.membership;
  machines json;
begin
  select * into status, body from authz.enter('members_delete', p_credential, p_request, p_org);
  if status <> 200 then
    return;
  end if;
  select * into present from app.membership m where m.org_id = authz.org_id() and m.account_id = p_account::uuid;
  if present is null then
    status := 404;
    body := authz.refusal('not_found', 'There is no such member.');
  elsif present.account_id <> authz.account_id()
      and (authz.rank() < 3 or authz.rank_of(present.role) > authz.rank()) then
    status := 403;
    body := authz.refusal('role', 'Only admins remove others, and nobody above their own role.');
  else
    begin
      perform authz.audit('members_delete', p_account, 204);
      -- Read before, since whoever leaves sees nothing after; the deletion raises each epoch by one.
      machines := authz.awake_machines(authz.org_id(), 1);
      delete from app.membership m where m.org_id = authz.org_id() and m.account_id = p_account::uuid;
      if not found then
        raise no_data_found;  -- takes the audit row back
      end if;
      status := 204;
      body := json_build_object('machines', machines)::text;
      return;
    exception
      when check_violation then
        status := 409;
        body := authz.refusal('last_owner', 'An organization must keep an owner. Make somebody else an owner first.');
      when no_data_found then
        status := 409;
        body := authz.refusal('changed', 'Somebody changed this member, or your own role, at the same moment. Look again.');
    end;
  end if;
  perform authz.audit('members_delete', p_account, status);
end $$;

grant execute on function api.member_json(app.membership), api.members_list(text, text, text),
  api.members_create(text, text, text, text, text), api.members_update(text, text, text, text, text),
  api.members_delete(text, text, text, text) to snap_app;
