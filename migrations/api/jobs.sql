-- Scheduled work, with the service credential `jobs` and the role snap_jobs.
set local role snap_owner;

-- Machines on their way somewhere for longer than the object that takes them there should need: it is asked to look,
-- and told what the record says, since it may not have heard of it. `[{"machine", "recorded", "desired"}]`. Prepared ones
-- are among them.
create or replace function api.jobs_unfinished(p_credential text, p_request text, out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
begin
  select * into status, body from authz.enter_service('jobs', p_credential, p_request);
  if status <> 200 then
    return;
  end if;
  body := (select coalesce(json_agg(json_build_object('machine', m.id, 'recorded', m.state, 'desired', m.desired)), '[]') from (
    (select m.id, m.state, m.desired from app.machine m
    where (m.state in ('creating', 'hibernating', 'waking', 'stopping', 'deleting')
        and m.state_at < now() - interval '30 seconds')
      or m.id in (select c.machine_id from app.checkpoint c
        where c.state in ('making', 'restoring', 'deleting') and c.ordered_at < now() - interval '30 seconds')
    order by m.state_at limit 200)
    union all
    (select p.id, p.state, 'asleep' from app.prepared p
    where p.state not in ('hibernated', 'failed') and p.state_at < now() - interval '30 seconds'
    order by p.state_at limit 50)) m)::text;
end $$;

-- Machines that stand somewhere, and have not been looked at for ten minutes: `[{"machine", "recorded", "desired"}]`. Whoever is
-- answered counts as looked at.
create or replace function api.jobs_checks(p_credential text, p_request text, out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
begin
  select * into status, body from authz.enter_service('jobs', p_credential, p_request);
  if status <> 200 then
    return;
  end if;
  with due as (
    update app.machine m set checked_at = now()
    where m.id in (select d.id from app.machine d
      where d.state in ('running', 'hibernated', 'stopped', 'failed') and d.checked_at < now() - interval '10 minutes'
      order by d.checked_at limit 100 for update skip locked)
    returning m.id, m.state, m.desired),
  prepared as (
    update app.prepared p set checked_at = now()
    where p.id in (select d.id from app.prepared d
      where d.state = 'hibernated' and d.checked_at < now() - interval '10 minutes'
      order by d.checked_at limit 50 for update skip locked)
    returning p.id, p.state, 'asleep')
  select coalesce(json_agg(json_build_object('machine', d.id, 'recorded', d.state, 'desired', d.desired)), '[]')::text
    into body from (select * from due union all select * from prepared) d;
end $$;

grant execute on function api.jobs_unfinished(text, text), api.jobs_checks(text, text) to snap_jobs;
