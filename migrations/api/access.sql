-- What every operation begins and ends with.
set local role snap_owner;

-- A refusal's body: the Worker makes a problem document (RFC 9457) of it.
create or replace function authz.refusal(code text, detail text, field text default null) returns text
language sql immutable parallel safe set search_path = '' as
  $$ select json_strip_nulls(json_build_object('code', code, 'detail', detail, 'field', field))::text $$;

-- One audit row. Also for refusals of somebody known, which is why they are values and not exceptions.
create or replace function authz.audit(p_operation text, p_target text, p_status int) returns void
language sql volatile security invoker set search_path = '' as $$
  insert into app.audit (org_id, account_id, credential, operation, target, status, request_id, address)
  values (authz.org_id(), authz.account_id(),
    case authz.credential_kind() when 's' then 'session' when 't' then 'token' when 'j' then 'service' else 'none' end,
    p_operation, left(p_target, 200), p_status, left(authz.request('request_id'), 64), left(authz.request('address'), 64))
  $$;

-- Opens an operation: sets the transaction's context, and answers 200 or why not:
-- 401 no or a dead credential; 404 not your organization, or none; 403 yours, but not allowed.
create or replace function authz.enter(p_operation text, p_credential text, p_request text, p_org text default null,
  out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
declare
  required record;
begin
  perform set_config('app.credential', coalesce(p_credential, ''), true),
    set_config('app.request', coalesce(p_request, ''), true), set_config('app.org', '', true);
  select * into strict required from authz.policy(p_operation);
  if authz.account_id() is null then
    status := 401;
    body := authz.refusal('unauthenticated', 'Sign in, or send an API token.');
    return;
  end if;
  if required.rank > 0 then
    perform set_config('app.org', coalesce(authz.org_by_slug(p_org)::text, ''), true);
    if authz.org_id() is null then
      status := 404;
      body := authz.refusal('not_found', 'There is no such organization, or you do not belong to it.');
      return;
    end if;
  end if;
  status := 200;
  if required.session and authz.credential_kind() <> 's' then
    status := 403;
    body := authz.refusal('session_required', 'This needs a browser session; an API token cannot do it.');
  elsif required.writes and not authz.may_write() then
    status := 403;
    body := authz.refusal('scope', 'This API token may only read.');
  elsif required.rank > 0 and authz.rank() < required.rank then
    status := 403;
    body := authz.refusal('role', format('This needs the role %s or higher.',
      (array['viewer', 'member', 'admin', 'owner'])[required.rank]));
  end if;
  if status = 403 then
    perform authz.audit(p_operation, coalesce(p_org, ''), 403);
  else
    perform authz.touch();
  end if;
end $$;

-- Opens an operation on one machine: as enter, and 404 where the machine is not there, or is being deleted while
-- the operation changes something of it. A change holds the machine's row until its end.
create or replace function authz.enter_machine(p_operation text, p_credential text, p_request text, p_org text,
  p_name text, out status int, out body text, out machine uuid)
language plpgsql volatile security invoker set search_path = '' as $$
declare
  writes boolean;
begin
  select * into status, body from authz.enter(p_operation, p_credential, p_request, p_org);
  if status <> 200 then
    return;
  end if;
  select p.writes into strict writes from authz.policy(p_operation) p;
  if writes then
    select m.id into machine from app.machine m
      where m.org_id = authz.org_id() and m.name = p_name and m.state <> 'deleting' for update;
  else
    select m.id into machine from app.machine m where m.org_id = authz.org_id() and m.name = p_name;
  end if;
  if machine is null then
    status := 404;
    body := api.no_machine();
    if writes then
      perform authz.audit(p_operation, p_name, 404);
    end if;
  end if;
end $$;

-- Opens an operation of one of our own parts.
create or replace function authz.enter_service(p_service text, p_credential text, p_request text,
  out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
begin
  perform set_config('app.credential', coalesce(p_credential, ''), true),
    set_config('app.request', coalesce(p_request, ''), true), set_config('app.org', '', true);
  status := 200;
  if authz.service() is distinct from p_service then
    status := 401;
    body := authz.refusal('unauthenticated', 'Not a credential of this service.');
  end if;
end $$;

-- Opens an operation of one of our own parts on one machine.
create or replace function authz.enter_service(p_service text, p_credential text, p_request text, p_machine uuid,
  out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
begin
  select * into status, body from authz.enter_service(p_service, p_credential, p_request);
  if status <> 200 then
    return;
  end if;
  perform set_config('app.org', coalesce(authz.org_of_machine(p_machine)::text, ''), true);
  if authz.org_id() is null then
    status := 404;
    body := authz.refusal('not_found', 'There is no such machine.');
  end if;
end $$;

grant execute on function authz.refusal(text, text, text), authz.audit(text, text, int),
  authz.enter(text, text, text, text), authz.enter_machine(text, text, text, text, text),
  authz.enter_service(text, text, text), authz.enter_service(text, text, text, uuid) to snap_app, snap_jobs;
