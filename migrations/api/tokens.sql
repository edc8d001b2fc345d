-- API tokens: the secret is shown once, by the Worker that made it; here is only its hash.
set local role snap_owner;

create or replace function api.token_json(t app.api_token) returns json
language sql stable security invoker set search_path = '' as $$
  select json_build_object('id', t.id, 'name', t.name, 'scope', t.scope, 'last_four', t.last_four,
    'created_at', authz.iso(t.created_at), 'last_seen_at', authz.iso(t.last_seen_at),
    'expires_at', authz.iso(t.expires_at)) $$;

create or replace function api.tokens_list(p_credential text, p_request text, out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
begin
  select * into status, body from authz.enter('tokens_list', p_credential, p_request);
  if status = 200 then
    body := (select json_build_object('tokens', coalesce(json_agg(api.token_json(t) order by t.id desc), '[]'))
      from app.api_token t where t.revoked_at is null and t.expires_at > now())::text;
  end if;
end $$;

create or replace function api.tokens_create(p_credential text, p_request text, p_token text, p_name text,
  p_scope text, p_days int, p_hash text, p_last_four text, out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
declare
  made app.api_token;
begin
  select * into status, body from authz.enter('tokens_create', p_credential, p_request);
  if status <> 200 then
    return;
  end if;
  if (select count(*) from app.api_token t where t.revoked_at is null and t.expires_at > now()) >= 50 then
    status := 409;
    body := authz.refusal('limit', 'An account can have 50 API tokens, and you have 50. Revoke one first.');
  else
    insert into app.api_token (id, account_id, name, hash, last_four, scope, expires_at)
      values (p_token::uuid, authz.account_id(), p_name, decode(p_hash, 'hex'), p_last_four, p_scope,
        now() + make_interval(days => p_days))
      returning * into made;
    status := 201;
    body := api.token_json(made)::text;
  end if;
  perform authz.audit('tokens_create', p_token, status);
end $$;

-- 204: `{"machines": authz.awake_machines}`.
create or replace function api.tokens_delete(p_credential text, p_request text, p_token text,
  out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
begin
  select * into status, body from authz.enter('tokens_delete', p_credential, p_request);
  if status <> 200 then
    return;
  end if;
  perform from app.api_token t where t.id = p_token::uuid and t.revoked_at is null for update;
  if found then
    status := 204;
    body := json_build_object('machines', authz.awake_machines(null, 0))::text;
  else
    status := 404;
    body := authz.refusal('not_found', 'There is no such API token.');
  end if;
  -- Before the change, while it is known who asks: a token may revoke itself.
  perform authz.audit('tokens_delete', p_token, status);
  update app.api_token t set revoked_at = now() where t.id = p_token::uuid and t.revoked_at is null;
end $$;

grant execute on function api.token_json(app.api_token), api.tokens_list(text, text),
  api.tokens_create(text, text, text, text, text, int, text, text), api.tokens_delete(text, text, text) to snap_app;
