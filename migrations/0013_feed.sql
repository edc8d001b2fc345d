-- Live updates: a machine's record says which of two sights of it is the newer one, organizations that
-- are followed are known, and history is read for a whole organization. What is announced of each table is in api/feed.sql.
set local role snap_owner;

alter table app.machine add column version bigint not null default 1 check (version >= 1);

create function authz.raise_version() returns trigger language plpgsql security invoker set search_path = '' as $$
begin
  new.version := old.version + 1;
  return new;
end $$;
create trigger raise_version before update on app.machine for each row execute function authz.raise_version();
grant execute on function authz.raise_version() to snap_owner;

-- Organizations that somebody follows: of no other is anything announced. No foreign key: it would lock the organization
-- while whoever comes to follow waits for those who are changing something of it.
create table app.followed (
  org_id uuid primary key,
  at timestamptz not null  -- when somebody last came
);
alter table app.followed enable row level security;
alter table app.followed force row level security;
create policy wall on app.followed as restrictive for all to snap_app
  using (org_id = (select authz.org_id())) with check (org_id = (select authz.org_id()));
grant select, insert, update, delete on app.followed to snap_authz;
create policy follow on app.followed for all to snap_authz using (true) with check (true);

-- What is announced of a row is what the API shows of it.
grant usage on schema api to snap_authz;

create index machine_event_newest_of_org on app.machine_event (org_id, id desc);
create index machine_event_newest_of_kind on app.machine_event (org_id, kind, id desc);

-- It takes a kind now; see api/events.sql.
drop function if exists api.machine_events_list(text, text, text, text, int, text);
