-- Variables of a machine: what is in the environment of every program that is started in it. A secret's value is here
-- only as ciphertext: the key is the Worker's, and the database never has it.
set local role snap_owner;

create table app.variable (
  org_id uuid not null,
  machine_id uuid not null,
  name text not null check (name ~ '^[A-Za-z_][A-Za-z0-9_]{0,127}$'),
  value text check (octet_length(value) <= 32768),
  sealed text check (length(sealed) <= 65536),
  size int not null check (size between 0 and 32768),  -- bytes of the value, in plain or before it was sealed
  updated_by uuid references app.account (id) on delete set null,
  updated_at timestamptz not null default now(),
  primary key (org_id, machine_id, name),
  constraint variable_is_plain_or_secret check ((value is null) <> (sealed is null)),
  foreign key (org_id, machine_id) references app.machine (org_id, id) on delete cascade
);

alter table app.variable enable row level security;
alter table app.variable force row level security;
create policy wall on app.variable as restrictive for all to snap_app
  using (org_id = (select authz.org_id())) with check (org_id = (select authz.org_id()));
grant select, insert, update, delete on app.variable to snap_app;
create policy read on app.variable for select to snap_app
  using ((select authz.rank()) >= 1 or (select authz.service()) = 'gateway');
create policy ins on app.variable for insert to snap_app
  with check ((select authz.write_rank()) >= 2 and updated_by = (select authz.account_id()));
create policy upd on app.variable for update to snap_app
  using ((select authz.write_rank()) >= 2)
  with check ((select authz.write_rank()) >= 2 and updated_by = (select authz.account_id()));
create policy del on app.variable for delete to snap_app using ((select authz.write_rank()) >= 2);
