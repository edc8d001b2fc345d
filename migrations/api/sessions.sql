-- Sessions: sign-in in two statements around the password's verification, list, sign-out.
set local role snap_owner;

-- First half. Limits: 10 tries in 15 minutes on one account, 50 from one address.
create or replace function api.sessions_begin(p_request text, p_email text, out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
declare
  found_phc text;
  wait int;
begin
  perform set_config('app.credential', '', true), set_config('app.request', p_request, true),
    set_config('app.org', '', true);
  select s.wait_seconds, s.phc into wait, found_phc
    from authz.begin_sign_in(p_email, api.sign_in_keys(p_email), array[10, 50]) s;
  if wait > 0 then
    status := 429;
    body := json_build_object('code', 'too_many_tries', 'retry_after_seconds', wait, 'detail',
      format('Too many tries to sign in (limit: 10 for an account, 50 for an address, in 15 minutes). Try again in %s minutes.',
        ceil(wait / 60.0)))::text;
    return;
  end if;
  status := 200;
  body := json_build_object('phc', found_phc)::text;
end $$;

create or replace function api.sign_in_keys(p_email text) returns bytea[]
language sql stable security invoker set search_path = '' as $$
  select array[sha256(convert_to('account:' || lower(p_email), 'UTF8')),
    sha256(convert_to('address:' || coalesce(authz.request('address'), ''), 'UTF8'))] $$;

-- Second half, after the password was verified against `p_phc`.
create or replace function api.sessions_create(p_request text, p_email text, p_phc text, p_session text,
  p_session_hash text, p_user_agent text, out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
begin
  perform set_config('app.credential', '', true), set_config('app.request', p_request, true),
    set_config('app.org', '', true);
  if not authz.finish_sign_in(p_email, p_phc, api.sign_in_keys(p_email), p_session::uuid,
      decode(p_session_hash, 'hex'), authz.request('address'), p_user_agent) then
    status := 401;
    body := authz.refusal('wrong_password', 'The e-mail address or the password is wrong.');
    return;
  end if;
  perform set_config('app.credential', 's:' || p_session_hash, true);
  perform authz.audit('sessions_create', p_session, 201);
  status := 201;
  body := api.account_json()::text;
end $$;

create or replace function api.sessions_list(p_credential text, p_request text, out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
begin
  select * into status, body from authz.enter('sessions_list', p_credential, p_request);
  if status = 200 then
    body := (select json_build_object('sessions', coalesce(json_agg(json_build_object('id', s.id,
        'current', s.hash = authz.credential_hash(), 'address', s.address, 'user_agent', s.user_agent,
        'created_at', authz.iso(s.created_at), 'last_seen_at', authz.iso(s.last_seen_at),
        'expires_at', authz.iso(least(s.expires_at, s.last_seen_at + interval '7 days'))) order by s.id desc), '[]'))
      from app.session s where s.expires_at > now() and s.last_seen_at > now() - interval '7 days')::text;
  end if;
end $$;

-- `p_session` is an id, or `current`. 204: `{"machines": authz.awake_machines}`.
create or replace function api.sessions_delete(p_credential text, p_request text, p_session text,
  out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
declare
  session uuid;
begin
  select * into status, body from authz.enter('sessions_delete', p_credential, p_request);
  if status <> 200 then
    return;
  end if;
  select s.id into session from app.session s where case when p_session = 'current'
    then s.hash = authz.credential_hash() else s.id = p_session::uuid end;
  if found then
    status := 204;
    body := json_build_object('machines', authz.awake_machines(null, 0))::text;
  else
    status := 404;
    body := authz.refusal('not_found', 'There is no such session.');
  end if;
  -- Before the deletion, while it is known who asks.
  perform authz.audit('sessions_delete', p_session, status);
  delete from app.session s where s.id = session;
end $$;

grant execute on function api.sessions_begin(text, text), api.sign_in_keys(text),
  api.sessions_create(text, text, text, text, text, text), api.sessions_list(text, text),
  api.sessions_delete(text, text, text) to snap_app;
