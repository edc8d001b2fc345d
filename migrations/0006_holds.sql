-- Holds: "keep this machine awake until then", taken by a person or a program, always with an end.
set local role snap_owner;

create table app.hold (
  org_id uuid not null,
  machine_id uuid not null,
  id uuid primary key,
  reason text not null check (length(reason) between 1 and 200),
  created_by uuid references app.account (id) on delete set null,
  created_at timestamptz not null default now(),
  until timestamptz not null,
  constraint hold_ends_within_a_day check (until > created_at and until <= created_at + interval '24 hours'),
  foreign key (org_id, machine_id) references app.machine (org_id, id) on delete cascade
);
create index hold_of_machine on app.hold (org_id, machine_id, until);

alter table app.hold enable row level security;
alter table app.hold force row level security;
create policy wall on app.hold as restrictive for all to snap_app
  using (org_id = (select authz.org_id())) with check (org_id = (select authz.org_id()));
-- A hold is taken and ended, never changed.
grant select, insert, delete on app.hold to snap_app;
create policy read on app.hold for select to snap_app
  using ((select authz.rank()) >= 1 or (select authz.service()) = 'gateway');
create policy ins on app.hold for insert to snap_app
  with check ((select authz.write_rank()) >= 2 and created_by = (select authz.account_id()));
-- The gateway ends them when the machine is stopped.
create policy del on app.hold for delete to snap_app
  using ((select authz.write_rank()) >= 2 or (select authz.service()) = 'gateway');
