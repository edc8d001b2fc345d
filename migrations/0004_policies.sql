-- Row-level security. On every table: `enable` and `force`, one RESTRICTIVE policy `wall` for snap_app, permissive
-- policies by rank, and explicit ones for snap_authz, snap_jobs and our own parts. TRUNCATE is never granted: it
-- ignores RLS.
set local role snap_owner;

do $$
declare
  name text;
begin
  for name in select c.relname from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace where n.nspname = 'app' and c.relkind = 'r'
  loop
    execute format('alter table app.%I enable row level security', name);
    execute format('alter table app.%I force row level security', name);
  end loop;
  -- Walls of the tenant tables.
  foreach name in array array['membership', 'machine', 'machine_event', 'port', 'service', 'terminal_session']
  loop
    execute format('create policy wall on app.%I as restrictive for all to snap_app
      using (org_id = (select authz.org_id())) with check (org_id = (select authz.org_id()))', name);
  end loop;
  -- Walls of what belongs to one person.
  foreach name in array array['password', 'session', 'api_token']
  loop
    execute format('create policy wall on app.%I as restrictive for all to snap_app
      using (account_id = (select authz.account_id())) with check (account_id = (select authz.account_id()))', name);
  end loop;
  -- Walls of what the application never touches.
  foreach name in array array['sign_in_throttle', 'service_credential']
  loop
    execute format('create policy wall on app.%I as restrictive for all to snap_app using (false) with check (false)',
      name);
  end loop;
end $$;

-- People -------------------------------------------------------------------------------------------------------------

grant select on app.account to snap_app;
create policy wall on app.account as restrictive for all to snap_app
  using (id = (select authz.account_id())
    or id in (select m.account_id from app.membership m where m.org_id = (select authz.org_id())))
  with check (id = (select authz.account_id()));
create policy read on app.account for select to snap_app using (true);

grant select, delete on app.session to snap_app;
create policy read on app.session for select to snap_app using (true);
create policy del on app.session for delete to snap_app using ((select authz.may_write()));

grant select, insert on app.api_token to snap_app;
grant update (revoked_at) on app.api_token to snap_app;
create policy read on app.api_token for select to snap_app using (true);
-- A token makes no tokens.
create policy ins on app.api_token for insert to snap_app with check ((select authz.credential_kind()) = 's');
create policy upd on app.api_token for update to snap_app
  using ((select authz.may_write())) with check ((select authz.may_write()));

create policy lookup on app.account for select to snap_authz using (true);
create policy sign_up on app.account for insert to snap_authz with check (true);
create policy lookup on app.password for select to snap_authz using (true);
create policy sign_up on app.password for insert to snap_authz with check (true);
create policy rehash on app.password for update to snap_authz using (true) with check (true);
create policy lookup on app.session for select to snap_authz using (true);
create policy touch on app.session for update to snap_authz using (true) with check (true);
create policy sign_in on app.session for insert to snap_authz with check (true);
create policy lookup on app.api_token for select to snap_authz using (true);
create policy touch on app.api_token for update to snap_authz using (true) with check (true);
create policy throttle on app.sign_in_throttle for all to snap_authz using (true) with check (true);
create policy lookup on app.service_credential for all to snap_authz using (true) with check (true);

-- Organizations ------------------------------------------------------------------------------------------------------

-- A person sees every organization they belong to, whatever the context: the switcher lists them. Not the one of the
-- context: that is a name that anybody may put there.
grant select on app.org to snap_app;
grant update (name) on app.org to snap_app;
create policy wall on app.org as restrictive for all to snap_app
  using (id = any (array(select authz.own_orgs()))) with check (id = (select authz.org_id()));
create policy read on app.org for select to snap_app using (true);
create policy upd on app.org for update to snap_app
  using ((select authz.write_rank()) >= 4) with check ((select authz.write_rank()) >= 4);
create policy lookup on app.org for select to snap_authz using (true);
create policy sign_up on app.org for insert to snap_authz with check (true);
create policy keep_one_owner on app.org for update to snap_authz using (true) with check (true);

grant select, insert, delete on app.membership to snap_app;
grant update (role) on app.membership to snap_app;
create policy read on app.membership for select to snap_app using ((select authz.rank()) >= 1);
-- Nobody grants above, or edits someone above, their own rank; leaving is everybody's right.
create policy ins on app.membership for insert to snap_app
  with check ((select authz.write_rank()) >= 3 and authz.rank_of(role) <= (select authz.write_rank()));
create policy upd on app.membership for update to snap_app
  using ((select authz.write_rank()) >= 3 and authz.rank_of(role) <= (select authz.write_rank()))
  with check (authz.rank_of(role) <= (select authz.write_rank()));
create policy del on app.membership for delete to snap_app
  using (((select authz.write_rank()) >= 3 and authz.rank_of(role) <= (select authz.write_rank()))
    or (account_id = (select authz.account_id()) and (select authz.may_write())));
create policy lookup on app.membership for select to snap_authz using (true);
create policy sign_up on app.membership for insert to snap_authz with check (true);

-- Machines -----------------------------------------------------------------------------------------------------------

grant select, insert, update, delete on app.machine to snap_app;
create policy read on app.machine for select to snap_app
  using ((select authz.rank()) >= 1 or (select authz.service()) = 'gateway');
create policy ins on app.machine for insert to snap_app
  with check ((select authz.write_rank()) >= 2 and owner_id = (select authz.account_id()));
create policy upd on app.machine for update to snap_app
  using ((select authz.write_rank()) >= 2 or (select authz.service()) = 'gateway')
  with check ((select authz.write_rank()) >= 2 or (select authz.service()) = 'gateway');
-- People only ask for a deletion; the gateway carries it out.
create policy del on app.machine for delete to snap_app using ((select authz.service()) = 'gateway');
create policy lookup on app.machine for select to snap_authz using (true);
create policy bump_epochs on app.machine for update to snap_authz using (true) with check (true);
grant select on app.machine to snap_jobs;
create policy reconcile on app.machine for select to snap_jobs using ((select authz.service()) = 'jobs');

grant select, insert on app.machine_event to snap_app;
create policy read on app.machine_event for select to snap_app using ((select authz.rank()) >= 1);
create policy ins on app.machine_event for insert to snap_app with check (
  (select authz.service()) = 'gateway'
  or ((select authz.write_rank()) >= 2 and actor_id = (select authz.account_id())));

grant select, insert, update, delete on app.port to snap_app;
create policy read on app.port for select to snap_app using ((select authz.rank()) >= 1);
create policy ins on app.port for insert to snap_app with check ((select authz.write_rank()) >= 2);
create policy upd on app.port for update to snap_app
  using ((select authz.write_rank()) >= 2) with check ((select authz.write_rank()) >= 2);
create policy del on app.port for delete to snap_app using ((select authz.write_rank()) >= 2);

grant select, insert, update, delete on app.service to snap_app;
create policy read on app.service for select to snap_app
  using ((select authz.rank()) >= 1 or (select authz.service()) = 'gateway');
create policy ins on app.service for insert to snap_app with check ((select authz.write_rank()) >= 2);
create policy upd on app.service for update to snap_app
  using ((select authz.write_rank()) >= 2 or (select authz.service()) = 'gateway')
  with check ((select authz.write_rank()) >= 2 or (select authz.service()) = 'gateway');
create policy del on app.service for delete to snap_app using ((select authz.write_rank()) >= 2);

grant select, insert, update on app.terminal_session to snap_app;
create policy read on app.terminal_session for select to snap_app
  using ((select authz.rank()) >= 1 or (select authz.service()) = 'gateway');
create policy ins on app.terminal_session for insert to snap_app with check ((select authz.write_rank()) >= 2);
create policy upd on app.terminal_session for update to snap_app
  using ((select authz.write_rank()) >= 2 or (select authz.service()) = 'gateway')
  with check ((select authz.write_rank()) >= 2 or (select authz.service()) = 'gateway');

-- Audit --------------------------------------------------------------------------------------------------------------

-- Rows are written for whoever asks, in or out of an organization, and never by somebody in another's name.
grant select, insert on app.audit to snap_app;
create policy wall on app.audit as restrictive for all to snap_app
  using (org_id = (select authz.org_id()))
  with check (org_id is not distinct from (select authz.org_id())
    and account_id is not distinct from (select authz.account_id()));
create policy read on app.audit for select to snap_app using ((select authz.rank()) >= 3);
-- Nobody writes into the trail of an organization that they don't belong to.
create policy ins on app.audit for insert to snap_app with check (
  (org_id is null and (select authz.account_id()) is not null)
  or (select authz.rank()) >= 1 or (select authz.service()) is not null);
