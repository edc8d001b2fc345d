-- Checkpoints: a machine's files as they were at a time. The runtime keeps the files; here is what is known of them.
set local role snap_owner;

create table app.checkpoint (
  org_id uuid not null,
  machine_id uuid not null,
  id uuid primary key,
  comment text not null check (length(comment) <= 200),
  state text not null check (state in ('making', 'ready', 'restoring', 'deleting', 'failed')),
  -- What people should know of it: why it failed, or what may be missing in it.
  reason text not null default '' check (length(reason) <= 500),
  -- The runtime's own id of it, once it is made.
  name text check (length(name) between 1 and 100),
  generation int not null check (generation >= 1),
  created_by uuid references app.account (id) on delete set null,
  created_at timestamptz not null default now(),
  made_at timestamptz,
  -- What was last ordered of it: names the order, and says whose it was and when.
  order_id uuid not null,
  ordered_by uuid references app.account (id) on delete set null,
  ordered_at timestamptz not null default now(),
  constraint checkpoint_made check (state in ('making', 'failed') or name is not null),
  foreign key (org_id, machine_id) references app.machine (org_id, id) on delete cascade
);
create index checkpoint_of_machine on app.checkpoint (org_id, machine_id, created_at);
-- One thing at a time: this index is the lock.
create unique index checkpoint_under_way on app.checkpoint (org_id, machine_id)
  where state in ('making', 'restoring', 'deleting');
create index checkpoint_unfinished on app.checkpoint (ordered_at) where state in ('making', 'restoring', 'deleting');

alter table app.checkpoint enable row level security;
alter table app.checkpoint force row level security;
create policy wall on app.checkpoint as restrictive for all to snap_app
  using (org_id = (select authz.org_id())) with check (org_id = (select authz.org_id()));
grant select, insert, delete on app.checkpoint to snap_app;
grant update (state, reason, name, made_at, order_id, ordered_by, ordered_at) on app.checkpoint to snap_app;
create policy read on app.checkpoint for select to snap_app
  using ((select authz.rank()) >= 1 or (select authz.service()) = 'gateway');
create policy ins on app.checkpoint for insert to snap_app
  with check ((select authz.write_rank()) >= 2 and created_by = (select authz.account_id()));
create policy upd on app.checkpoint for update to snap_app
  using ((select authz.write_rank()) >= 2 or (select authz.service()) = 'gateway')
  with check ((select authz.write_rank()) >= 2 or (select authz.service()) = 'gateway');
create policy del on app.checkpoint for delete to snap_app
  using ((select authz.write_rank()) >= 2 or (select authz.service()) = 'gateway');
grant select on app.checkpoint to snap_jobs;
create policy reconcile on app.checkpoint for select to snap_jobs using ((select authz.service()) = 'jobs');
