-- Machines that are prepared before anybody wants one: their sprite is made and their agent delivered, and they sleep.
-- They are the deployment's and no organization's. A machine that is created takes the id of one, and its sprite with it;
-- see api/prepared.sql.
set local role snap_owner;

create table app.prepared (
  id uuid primary key,
  runtime text not null check (runtime in ('sprites', 'spritehost')),
  size text not null check (length(size) between 1 and 40),
  region text not null check (length(region) between 1 and 40),
  -- As a machine's, which it is to its object: `hibernated` is ready.
  state text not null default 'creating' check (state in ('creating', 'running', 'hibernating', 'hibernated', 'waking',
    'failed', 'deleting')),
  reason text not null default 'Being prepared.' check (length(reason) <= 500),
  agent_digest text not null,
  sprite_name text,
  sprite_id text,
  sprite_url text,
  written bigint not null default 0,
  created_at timestamptz not null default now(),
  state_at timestamptz not null default now(),
  checked_at timestamptz not null default now()
);

alter table app.prepared enable row level security;
alter table app.prepared force row level security;

create policy wall on app.prepared as restrictive for all to snap_app
  using ((select authz.service()) in ('gateway', 'operator')) with check ((select authz.service()) = 'gateway');
grant select, update, delete on app.prepared to snap_app;
create policy read on app.prepared for select to snap_app using (true);
create policy upd on app.prepared for update to snap_app
  using ((select authz.service()) = 'gateway') with check ((select authz.service()) = 'gateway');
create policy del on app.prepared for delete to snap_app
  using ((select authz.service()) = 'gateway' and state = 'deleting');

grant select, insert, update on app.prepared to snap_jobs;
create policy jobs on app.prepared for all to snap_jobs
  using ((select authz.service()) = 'jobs') with check ((select authz.service()) = 'jobs');

-- Only the creation of a machine takes one. A column of it may be updated so that a row can be locked.
grant select, update (checked_at), delete on app.prepared to snap_authz;
create policy take on app.prepared for all to snap_authz using (true) with check (true);
