-- Who is asking. The context of a transaction is the *hash of a credential* (`app.credential`) and an organization
-- (`app.org`); everything else is looked up live, so the application role can't claim to be anybody and a role
-- taken away is gone with the next statement.
--
-- A credential is written `{kind}:{sha-256 hex}`: s = session, t = API token, j = one of our own parts.

set local role snap_owner;

create function authz.org_id() returns uuid language sql stable parallel safe set search_path = '' as
  $$ select nullif(current_setting('app.org', true), '')::uuid $$;

create function authz.credential_kind() returns text language sql stable parallel safe set search_path = '' as
  $$ select left(nullif(current_setting('app.credential', true), ''), 1) $$;

create function authz.credential_hash() returns bytea language sql stable parallel safe set search_path = '' as
  $$ select decode(substr(nullif(current_setting('app.credential', true), ''), 3), 'hex') $$;

create function authz.rank_of(role text) returns int language sql immutable parallel safe set search_path = '' as
  $$ select case role when 'viewer' then 1 when 'member' then 2 when 'admin' then 3 when 'owner' then 4 else 0 end $$;

create function authz.request(field text) returns text language sql stable parallel safe set search_path = '' as
  $$ select nullif(current_setting('app.request', true), '')::json ->> field $$;

create function authz.iso(at timestamptz) returns text language sql immutable parallel safe set search_path = '' as
  $$ select to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') $$;

grant execute on function authz.org_id(), authz.credential_kind(), authz.credential_hash(), authz.rank_of(text),
  authz.request(text), authz.iso(timestamptz) to snap_app, snap_jobs, snap_authz;

-- What the look-ups below may read: their role owns nothing and bypasses nothing.
grant select on app.account, app.password, app.session, app.api_token, app.service_credential, app.org,
  app.membership, app.machine to snap_authz;
grant update (last_seen_at) on app.session, app.api_token to snap_authz;
grant insert on app.account, app.password, app.org, app.membership, app.session to snap_authz;
grant update (phc, updated_at) on app.password to snap_authz;
grant select, insert, update, delete on app.sign_in_throttle to snap_authz;
grant insert, update on app.service_credential to snap_authz;
grant update (epoch) on app.machine to snap_authz;
grant update (slug) on app.org to snap_authz;  -- only for `select … for update` in keep_one_owner

set local role snap_authz;

create function authz.account_id() returns uuid language sql stable security definer set search_path = '' as $$
  select case authz.credential_kind()
    when 's' then (select s.account_id from app.session s
                   where s.hash = authz.credential_hash() and s.expires_at > now()
                     and s.last_seen_at > now() - interval '7 days')
    when 't' then (select t.account_id from app.api_token t
                   where t.hash = authz.credential_hash() and t.expires_at > now() and t.revoked_at is null)
  end $$;

-- May this credential change anything? Sessions may; a token only with the scope `write`.
create function authz.may_write() returns boolean language sql stable security definer set search_path = '' as $$
  select case authz.credential_kind()
    when 's' then true
    when 't' then coalesce((select t.scope = 'write' from app.api_token t where t.hash = authz.credential_hash()), false)
    else false
  end $$;

create function authz.rank() returns int language sql stable security definer set search_path = '' as $$
  select coalesce((select authz.rank_of(m.role) from app.membership m
    where m.org_id = authz.org_id() and m.account_id = authz.account_id()), 0) $$;

-- The rank that counts for changes.
create function authz.write_rank() returns int language sql stable security definer set search_path = '' as
  $$ select case when authz.may_write() then authz.rank() else 0 end $$;

-- Which of our own parts is asking; null for everybody else.
create function authz.service() returns text language sql stable security definer set search_path = '' as $$
  select case when authz.credential_kind() = 'j' then
    (select c.name from app.service_credential c where c.hash = authz.credential_hash()) end $$;

-- Every organization the caller belongs to, and as what.
create function authz.own_roles() returns table (org_id uuid, role text)
language sql stable security definer set search_path = '' as
  $$ select m.org_id, m.role from app.membership m where m.account_id = authz.account_id() $$;
create function authz.own_orgs() returns setof uuid language sql stable security definer set search_path = '' as
  $$ select m.org_id from app.membership m where m.account_id = authz.account_id() $$;

-- The organization of this slug, if the caller belongs to it.
create function authz.org_by_slug(p_slug text) returns uuid language sql stable security definer set search_path = '' as $$
  select o.id from app.org o join app.membership m on m.org_id = o.id
  where o.slug = p_slug and m.account_id = authz.account_id() $$;

-- The organization of a machine, for our own parts only.
create function authz.org_of_machine(p_machine uuid) returns uuid
language sql stable security definer set search_path = '' as
  $$ select m.org_id from app.machine m where m.id = p_machine and authz.service() is not null $$;

-- The organization of an app's host, for our own parts only.
create function authz.org_of_host(p_org text, p_machine text) returns uuid
language sql stable security definer set search_path = '' as $$
  select m.org_id from app.machine m join app.org o on o.id = m.org_id
  where o.slug = p_org and m.name = p_machine and authz.service() is not null $$;

-- The account behind an e-mail address, for somebody who administers an organization and names it.
create function authz.account_by_email(p_email text) returns uuid
language sql stable security definer set search_path = '' as
  $$ select a.id from app.account a where a.email = lower(p_email) and authz.write_rank() >= 3 $$;

-- An organization with the caller as its owner: the one way to get a first membership. False when the slug is taken.
create function authz.create_org(p_id uuid, p_slug text, p_name text) returns boolean
language plpgsql volatile security definer set search_path = '' as $$
begin
  if not authz.may_write() then
    return false;
  end if;
  insert into app.org (id, slug, name) values (p_id, p_slug, p_name) on conflict (slug) do nothing;
  if not found then
    return false;
  end if;
  insert into app.membership (org_id, account_id, role) values (p_id, authz.account_id(), 'owner');
  return true;
end $$;

-- Sign-up: account, password, session in one go; the caller has no credential yet. False when the address is taken.
create function authz.create_account(p_id uuid, p_email text, p_name text, p_phc text, p_session uuid,
  p_hash bytea, p_address text, p_user_agent text) returns boolean
language plpgsql volatile security definer set search_path = '' as $$
begin
  insert into app.account (id, email, name) values (p_id, lower(p_email), p_name) on conflict (email) do nothing;
  if not found then
    return false;
  end if;
  insert into app.password (account_id, phc) values (p_id, p_phc);
  insert into app.session (id, account_id, hash, expires_at, address, user_agent)
    values (p_session, p_id, p_hash, now() + interval '30 days', p_address, left(p_user_agent, 300));
  return true;
end $$;

-- Sign-in, first half: counts the try against the address and the account *before* the password is looked at, so
-- that parallel guesses are counted too; the second half takes it back on success.
create function authz.begin_sign_in(p_email text, p_keys bytea[], p_limits int[], out wait_seconds int, out phc text)
language plpgsql volatile security definer set search_path = '' as $$
declare
  counted int;
  until timestamptz;
begin
  wait_seconds := 0;
  for i in 1 .. array_length(p_keys, 1) loop
    insert into app.sign_in_throttle as t (key, failures, window_ends_at)
      values (p_keys[i], 1, now() + interval '15 minutes')
      on conflict (key) do update set
        failures = case when t.window_ends_at < now() then 1 else t.failures + 1 end,
        window_ends_at = case when t.window_ends_at < now() then now() + interval '15 minutes' else t.window_ends_at end
      returning t.failures, t.window_ends_at into counted, until;
    if counted > p_limits[i] then
      wait_seconds := greatest(wait_seconds, ceil(extract(epoch from until - now()))::int);
    end if;
  end loop;
  if wait_seconds = 0 then
    select p.phc into phc from app.password p join app.account a on a.id = p.account_id where a.email = lower(p_email);
  end if;
end $$;

-- Sign-in, second half: only with the very hash that the password was verified against.
create function authz.finish_sign_in(p_email text, p_phc text, p_keys bytea[], p_session uuid, p_hash bytea,
  p_address text, p_user_agent text) returns boolean
language plpgsql volatile security definer set search_path = '' as $$
declare
  account uuid;
begin
  select a.id into account from app.account a join app.password p on p.account_id = a.id
    where a.email = lower(p_email) and p.phc = p_phc;
  if account is null then
    return false;
  end if;
  update app.sign_in_throttle t set failures = greatest(t.failures - 1, 0) where t.key = any (p_keys);
  insert into app.session (id, account_id, hash, expires_at, address, user_agent)
    values (p_session, account, p_hash, now() + interval '30 days', p_address, left(p_user_agent, 300));
  return true;
end $$;

-- At most one write in five minutes per credential.
create function authz.touch() returns void language plpgsql volatile security definer set search_path = '' as $$
begin
  if authz.credential_kind() = 's' then
    update app.session s set last_seen_at = now()
    where s.hash = authz.credential_hash() and s.last_seen_at < now() - interval '5 minutes';
  elsif authz.credential_kind() = 't' then
    update app.api_token t set last_seen_at = now()
    where t.hash = authz.credential_hash() and coalesce(t.last_seen_at, '-infinity') < now() - interval '5 minutes';
  end if;
end $$;

-- An organization keeps an owner. The lock serializes two owners who demote each other at the same moment.
create function authz.keep_one_owner() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  if old.role = 'owner' and (tg_op = 'DELETE' or new.role <> 'owner') then
    perform 1 from app.org o where o.id = old.org_id for update;
    if found and not exists (select 1 from app.membership m
        where m.org_id = old.org_id and m.role = 'owner' and m.account_id <> old.account_id) then
      raise exception 'an organization must keep at least one owner'
        using errcode = '23514', constraint = 'org_keeps_an_owner';
    end if;
  end if;
  return null;
end $$;

-- Access changed: leases, app cookies and open connections of an older epoch are dead.
create function authz.bump_epochs() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  update app.machine m set epoch = m.epoch + 1 where m.org_id = old.org_id;
  return null;
end $$;

-- Called by the operator's tooling with a connection that may act as snap_authz; never by the application.
create function authz.set_service_credential(p_name text, p_hash bytea) returns void
language sql volatile security definer set search_path = '' as $$
  insert into app.service_credential (name, hash) values (p_name, p_hash)
  on conflict (name) do update set hash = excluded.hash $$;

grant execute on function authz.account_id(), authz.may_write(), authz.rank(), authz.write_rank(), authz.service(), authz.own_orgs(), authz.own_roles(),
  authz.org_by_slug(text), authz.org_of_machine(uuid), authz.org_of_host(text, text), authz.account_by_email(text), authz.touch(),
  authz.create_org(uuid, text, text), authz.create_account(uuid, text, text, text, uuid, bytea, text, text),
  authz.begin_sign_in(text, bytea[], int[]), authz.finish_sign_in(text, text, bytea[], uuid, bytea, text, text)
  to snap_app, snap_jobs;
grant execute on function authz.keep_one_owner(), authz.bump_epochs() to snap_owner;

set local role snap_owner;
create trigger keep_one_owner after update or delete on app.membership
  for each row execute function authz.keep_one_owner();
create trigger bump_epochs after update or delete on app.membership
  for each row execute function authz.bump_epochs();
