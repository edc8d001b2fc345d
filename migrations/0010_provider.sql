-- What is known of the runtime's provider: sprites of ours that no machine has. For the operator of the deployment, who
-- has a credential, and nobody else.
set local role snap_owner;

alter table app.service_credential drop constraint service_credential_name_check;
alter table app.service_credential add constraint service_credential_name_check
  check (name in ('gateway', 'jobs', 'operator'));

create table app.orphan (
  sprite_name text primary key,
  sprite_id text not null,
  reason text not null check (reason in ('machine_gone', 'generation_stale')),
  sightings int not null default 1,
  first_seen_at timestamptz not null default now(),
  last_seen_at timestamptz not null default now(),
  deleted_at timestamptz
);

-- One row: where the look through the provider's sprites goes on, and when it last did.
create table app.provider_look (
  only_row boolean primary key default true check (only_row),
  next_page text,
  looked_at timestamptz not null default now()
);

alter table app.orphan enable row level security;
alter table app.orphan force row level security;
alter table app.provider_look enable row level security;
alter table app.provider_look force row level security;

create policy wall on app.orphan as restrictive for all to snap_app
  using ((select authz.service()) = 'operator') with check ((select authz.service()) = 'operator');
create policy wall on app.provider_look as restrictive for all to snap_app
  using ((select authz.service()) = 'operator') with check ((select authz.service()) = 'operator');
grant select on app.orphan, app.provider_look to snap_app;
create policy read on app.orphan for select to snap_app using (true);
create policy read on app.provider_look for select to snap_app using (true);

grant select, insert, update, delete on app.orphan to snap_jobs;
grant select, insert, update on app.provider_look to snap_jobs;
create policy jobs on app.orphan for all to snap_jobs
  using ((select authz.service()) = 'jobs') with check ((select authz.service()) = 'jobs');
create policy jobs on app.provider_look for all to snap_jobs
  using ((select authz.service()) = 'jobs') with check ((select authz.service()) = 'jobs');
