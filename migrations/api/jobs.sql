-- Scheduled work, with the service credential `jobs` and the role snap_jobs.
set local role snap_owner;

-- Machines on their way somewhere for longer than the object that takes them there should need: it is asked to look.
create or replace function api.jobs_unfinished(p_credential text, p_request text, out status int, out body text)
language plpgsql volatile security invoker set search_path = '' as $$
begin
  perform set_config('app.credential', coalesce(p_credential, ''), true),
    set_config('app.request', coalesce(p_request, ''), true), set_config('app.org', '', true);
  if authz.service() is distinct from 'jobs' then
    status := 401;
    body := authz.refusal('unauthenticated', 'Not a credential of this service.');
    return;
  end if;
  status := 200;
  body := (select coalesce(json_agg(m.id), '[]') from (
    select m.id from app.machine m
    where (m.state in ('creating', 'hibernating', 'waking', 'stopping', 'deleting')
        and m.state_at < now() - interval '30 seconds')
      or m.id in (select c.machine_id from app.checkpoint c
        where c.state in ('making', 'restoring', 'deleting') and c.ordered_at < now() - interval '30 seconds')
    order by m.state_at limit 200) m)::text;
end $$;

grant execute on function api.jobs_unfinished(text, text) to snap_jobs;
