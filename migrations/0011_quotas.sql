-- Quotas: how much of a deployment an organization may take, and for how long its machines may idle. Usage: when its
-- machines were awake.
set local role snap_owner;

-- Whether load on a machine's processors is worth staying awake for.
alter table app.machine add column cpu_counts boolean not null default false;

-- No row: what the deployment allows.
create table app.quota (
  org_id uuid primary key references app.org (id) on delete cascade,
  -- The organization's own limits, set by its admins. Null: as many as its ceiling.
  machines int check (machines between 0 and 1000000),
  awake int check (awake between 0 and 1000000),
  idle_seconds int check (idle_seconds between 300 and 86400),          -- of new machines that do not say
  idle_seconds_max int check (idle_seconds_max between 300 and 86400),
  -- Its ceilings, set by the operator. Null: the deployment's.
  machines_ceiling int check (machines_ceiling >= 0),
  awake_ceiling int check (awake_ceiling >= 0),
  constraint quota_idle check (idle_seconds <= idle_seconds_max)
);

-- No foreign key to the machine: usage outlives it.
create table app.usage_interval (
  org_id uuid not null references app.org (id) on delete cascade,
  machine_id uuid not null,
  machine_name text not null,
  runtime text not null,
  size text not null,
  region text not null,
  started_at timestamptz not null,
  ended_at timestamptz check (ended_at >= started_at),
  primary key (org_id, machine_id, started_at)
);
-- A machine is awake once at a time.
create unique index usage_interval_open on app.usage_interval (org_id, machine_id) where ended_at is null;
create index usage_interval_ended on app.usage_interval (org_id, ended_at);

do $$
declare
  name text;
begin
  foreach name in array array['quota', 'usage_interval'] loop
    execute format('alter table app.%I enable row level security', name);
    execute format('alter table app.%I force row level security', name);
    execute format('create policy wall on app.%I as restrictive for all to snap_app
      using (org_id = (select authz.org_id())) with check (org_id = (select authz.org_id()))', name);
    execute format('create policy read on app.%I for select to snap_app
      using ((select authz.rank()) >= 1 or (select authz.service()) = ''gateway'')', name);
    execute format('grant select on app.%I to snap_app', name);
  end loop;
end $$;

grant insert (org_id, machines, awake, idle_seconds, idle_seconds_max),
  update (machines, awake, idle_seconds, idle_seconds_max) on app.quota to snap_app;
create policy ins on app.quota for insert to snap_app with check ((select authz.write_rank()) >= 3);
create policy upd on app.quota for update to snap_app
  using ((select authz.write_rank()) >= 3) with check ((select authz.write_rank()) >= 3);

-- Only the states of machines make usage.
grant select, insert, update (ended_at) on app.usage_interval to snap_authz;
create policy follow on app.usage_interval for all to snap_authz using (true) with check (true);

-- A machine costs from the moment it is woken until its runtime is known to have paused, so also while it is on its
-- way to sleep. Whoever changes a state, this follows.
set local role snap_authz;
create function authz.follow_usage() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  if tg_op = 'DELETE' or new.state in ('hibernated', 'stopped', 'failed') then
    update app.usage_interval u set ended_at = greatest(now(), u.started_at)
      where u.org_id = old.org_id and u.machine_id = old.id and u.ended_at is null;
  elsif new.state in ('waking', 'running', 'hibernating', 'stopping') then
    insert into app.usage_interval (org_id, machine_id, machine_name, runtime, size, region, started_at)
      values (new.org_id, new.id, new.name, new.runtime, new.size, new.region, now())
      on conflict do nothing;
  end if;
  return null;
end $$;
grant execute on function authz.follow_usage() to snap_owner;

set local role snap_owner;
create trigger follow_usage after update of state on app.machine
  for each row when (old.state is distinct from new.state) execute function authz.follow_usage();
create trigger follow_usage_end after delete on app.machine
  for each row execute function authz.follow_usage();
