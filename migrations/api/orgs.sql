-- Organizations.
set local role snap_owner;

create or replace function api.org_json(o app.org) returns json
language sql stable security invoker set search_path = '' as $$
  select json_build_object('slug', o.slug, 'name', o.name, 'created_at', authz.iso(o.created_at),
    'role', (select r.role from authz.own_roles() r where r.org_id = o.id)) $$;

create or replace function api.orgs_list(p_credential text, p_request text, out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
begin
  select * into status, body from authz.enter('orgs_list', p_credential, p_request);
  if status = 200 then
    body := (select json_build_object('orgs', coalesce(json_agg(api.org_json(o) order by o.slug), '[]'))
      from app.org o)::text;
  end if;
end $$;

create or replace function api.orgs_create(p_credential text, p_request text, p_org text, p_slug text, p_name text,
  out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
begin
  select * into status, body from authz.enter('orgs_create', p_credential, p_request);
  if status <> 200 then
    return;
  end if;
  if (select count(*) from authz.own_roles() r where r.role = 'owner') >= 20 then
    status := 409;
    body := authz.refusal('limit', 'An account can own 20 organizations, and you own 20.');
  elsif authz.create_org(p_org::uuid, p_slug, p_name) then
    perform set_config('app.org', p_org, true);
    status := 201;
    body := (select api.org_json(o) from app.org o where o.id = p_org::uuid)::text;
  else
    status := 409;
    body := authz.refusal('slug_taken', 'Another organization has this slug. Choose another one.', 'slug');
  end if;
  perform authz.audit('orgs_create', p_slug, status);
end $$;

create or replace function api.orgs_get(p_credential text, p_request text, p_org text, out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
begin
  select * into status, body from authz.enter('orgs_get', p_credential, p_request, p_org);
  if status = 200 then
    body := (select api.org_json(o) from app.org o where o.id = authz.org_id())::text;
  end if;
end $$;

grant execute on function api.org_json(app.org), api.orgs_list(text, text),
  api.orgs_create(text, text, text, text, text), api.orgs_get(text, text, text) to snap_app;
