-- What a machine is to be, beside what it is: the last order, or the last need. Null is what its state says.
set local role snap_owner;

alter table app.machine
  add column desired text constraint machine_desired check (desired in ('running', 'asleep', 'stopped', 'deleted')),
  add column desired_at timestamptz,
  add column desired_by uuid references app.account (id) on delete set null,
  -- The number of the last write of its object's: one that comes late writes nothing.
  add column written bigint not null default 0,
  -- When its object was last asked whether the runtime and the record agree with what it knows.
  add column checked_at timestamptz not null default now();

create index machine_checked on app.machine (checked_at)
  where state in ('running', 'hibernated', 'stopped', 'failed');
grant update (checked_at) on app.machine to snap_jobs;
create policy checked on app.machine for update to snap_jobs
  using ((select authz.service()) = 'jobs') with check ((select authz.service()) = 'jobs');

-- It takes two more arguments now; see api/gateway.sql.
drop function if exists api.gateway_state(text, text, text, text, text, text, text, text, text, text, text, text, text,
  text);
