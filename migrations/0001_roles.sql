-- Roles and schemas. Runs as a role with CREATEROLE that owns the database; no superuser features.
--
--   snap_owner  no login   owns every object
--   snap_authz  no login   owns the few credential look-ups; sees through RLS by explicit policies, not BYPASSRLS
--   snap_app    login      the Worker and its objects; owns nothing
--   snap_jobs   login      scheduled work; owns nothing
--
-- Passwords are set by `db migrate --app-password-env …`, never here. Roles belong to the whole server, so another
-- database on it may have made them already.

do $$
declare
  wanted record;
begin
  for wanted in
    select * from (values
      ('snap_owner', 'nologin'), ('snap_authz', 'nologin'), ('snap_app', 'login'), ('snap_jobs', 'login')
    ) as role (name, login)
  loop
    if not exists (select 1 from pg_catalog.pg_roles where rolname = wanted.name) then
      execute format('create role %I %s noinherit nocreatedb nocreaterole', wanted.name, wanted.login);
      if wanted.login = 'login' then
        -- The Worker waits ten seconds; what nobody waits for must not hold one of the pooler's few connections.
        execute format('alter role %I set statement_timeout = %L', wanted.name, '10s');
        execute format('alter role %I set idle_in_transaction_session_timeout = %L', wanted.name, '10s');
      end if;
    end if;
  end loop;
  -- A temporary table would outlive its transaction on a connection that serves everybody.
  execute format('revoke temporary on database %I from public', current_database());
end $$;

grant snap_owner, snap_authz to current_user;

create schema app authorization snap_owner;    -- tables
create schema authz authorization snap_owner;  -- who is asking, and what may they do
create schema api authorization snap_owner;    -- one function per operation

revoke all on schema app, authz, api from public;
grant usage on schema app, authz to snap_app, snap_jobs, snap_authz;
grant usage on schema api to snap_app, snap_jobs;
grant create on schema authz to snap_authz;

-- EXECUTE is PUBLIC's by default; here each grant is written down. (The form without a schema: a default privilege
-- of one schema cannot take away what the global default gives.)
alter default privileges for role snap_owner revoke execute on functions from public;
alter default privileges for role snap_authz revoke execute on functions from public;
