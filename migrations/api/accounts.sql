-- Accounts: sign-up, and what a person sees of themselves.
set local role snap_owner;

create or replace function api.account_json() returns json language sql stable security invoker set search_path = '' as $$
  select json_build_object('id', a.id, 'email', a.email, 'name', a.name, 'created_at', authz.iso(a.created_at),
    'orgs', coalesce((select json_agg(json_build_object('slug', o.slug, 'name', o.name, 'role', r.role) order by o.slug)
      from authz.own_roles() r join app.org o on o.id = r.org_id), '[]'::json))
  from app.account a where a.id = (select authz.account_id()) $$;

-- Sign-up. The first organization takes the first of the wished slugs that is free.
create or replace function api.accounts_create(p_request text, p_account text, p_email text, p_name text, p_phc text,
  p_session text, p_session_hash text, p_user_agent text, p_org text, p_org_name text, p_slugs text,
  out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
declare
  slug text;
begin
  perform set_config('app.credential', '', true), set_config('app.request', p_request, true),
    set_config('app.org', '', true);
  if not authz.create_account(p_account::uuid, p_email, p_name, p_phc, p_session::uuid, decode(p_session_hash, 'hex'),
      authz.request('address'), p_user_agent) then
    status := 409;
    body := authz.refusal('email_taken', 'There is an account with this e-mail address already. Sign in instead.',
      'email');
    return;
  end if;
  perform set_config('app.credential', 's:' || p_session_hash, true);
  foreach slug in array string_to_array(p_slugs, ',') loop
    exit when authz.create_org(p_org::uuid, slug, p_org_name);
  end loop;
  perform authz.audit('accounts_create', p_account, 201);
  status := 201;
  body := api.account_json()::text;
end $$;

create or replace function api.accounts_get(p_credential text, p_request text, out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
begin
  select * into status, body from authz.enter('accounts_get', p_credential, p_request);
  if status = 200 then
    body := api.account_json()::text;
  end if;
end $$;

grant execute on function api.account_json(), api.accounts_get(text, text),
  api.accounts_create(text, text, text, text, text, text, text, text, text, text, text) to snap_app;
